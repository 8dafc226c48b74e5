"""What the compiler of the data plane cannot take, or takes and makes something else of. Each message names the mend.

The rules were found with mypyc 2.4; that a compiled gateway serves as the interpreted one does is `make test-fast`.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
HOOK = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
COMPILED = [ROOT / pattern.removeprefix("/") for pattern in HOOK["include"]]
# An attribute `_thread` is `__thread` in C. Words that are keywords there with two underscores, or one.
RESERVED = frozenset((
    *("_thread", "_asm", "_attribute", "_const", "_inline", "_restrict", "_signed", "_typeof", "_volatile"),
    *("_extension", "_label", "_real", "_imag", "_alignof", "_complex", "Bool", "Complex", "Generic", "Atomic"),
))  # fmt: skip
TREES = {path: ast.parse(path.read_text("utf-8")) for path in COMPILED if path.is_file()}


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    for path, tree in TREES.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def test_every_compiled_module_exists_and_is_named_once() -> None:
    """The build's hook passes over a pattern that names nothing, and the module is interpreted unnoticed."""
    gone = [str(path.relative_to(ROOT)) for path in COMPILED if not path.is_file()]
    assert not gone, f"pyproject.toml compiles {gone}, which do not exist; strike them from the hook's `include`"
    assert len(COMPILED) == len(set(COMPILED)), "a module is named twice in the hook's `include`"
    assert all(pattern.startswith("/src/tidegate/") and "*" not in pattern for pattern in HOOK["include"])


def test_nothing_is_compiled_unless_it_is_asked_for() -> None:
    """`pip install .` must work without a compiler, and an editable install must run what its sources say."""
    assert HOOK["enable-by-default"] is False
    assert PROJECT["build-system"]["requires"] == ["hatchling>=1.27"]
    assert not list((ROOT / "src").rglob("*.so")), "a binary in src/ outlives the source beside it: remove it"


def test_a_compiled_module_has_no_class_with_keywords() -> None:
    """`class Row(Struct, frozen=True)` would be a Struct that is not frozen: the compiler drops the keywords."""
    found = [where(path, node) for path, node in classes() if node.keywords]
    assert not found, f"{found}: define the class in a module that is not compiled, and import it"


def test_a_class_body_assigns_one_name_a_line() -> None:
    """The compiler takes neither `a = b = 0` nor `a, b = 0, 0` there."""
    found = [
        where(path, line)
        for path, node in classes()
        for line in node.body
        if isinstance(line, ast.Assign) and (len(line.targets) > 1 or not isinstance(line.targets[0], ast.Name))
    ]
    assert not found, f"{found}: write a line for each"


def test_a_default_none_of_several_kinds_is_not_written_out() -> None:
    """The compiler forgets a literal None in a class body unless the other kind is one; a protocol of ours is two."""
    protocols = {node.name for _, node in classes() if "Protocol" in map(ast.unparse, node.bases)}
    found = []
    for path, node in classes():
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Constant) and line.value.value is None:
                kinds = set(re.findall(r"[\w.]+", ast.unparse(line.annotation))) - {"None"}
                if "|" in ast.unparse(line.annotation) and (len(kinds) > 1 or kinds & protocols):
                    found.append(where(path, line))
    assert not found, f"{found}: give the None a name, as NONE in gateway/call.py"


def test_no_attribute_becomes_a_keyword_of_c() -> None:
    """Attributes get an underscore before their names."""
    found = [
        where(path, node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in RESERVED
    ]
    assert not found, f"{found}: call it something else"


def test_what_inherits_from_a_compiled_class_is_compiled() -> None:
    """An interpreted class of such a kind can be defined, and fails when the first object of it is made."""
    names = {(path.relative_to(ROOT / "src").with_suffix("").as_posix().replace("/", "."), node.name)
             for path, node in classes()}  # fmt: skip
    found = []
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text("utf-8")
        if path in TREES or "class " not in text:
            continue
        tree = ast.parse(text)
        brought = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if (node.module, alias.name) in names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and brought & set(map(ast.unparse, node.bases)):
                found.append(where(path, node))
    assert not found, f"{found}: name the module in the hook's `include` as well"


def test_the_gateway_asks_no_object_for_its_dictionary() -> None:
    """A compiled object has none."""
    words = re.compile(r"\bvars\(|\.__dict__\b")
    found = [str(path.relative_to(ROOT)) for path in (ROOT / "src/tidegate/gateway").glob("*.py")
             if words.search(path.read_text("utf-8"))]  # fmt: skip
    assert not found, f"{found}: name the attributes"


def test_the_benchmark_will_not_measure_a_build_of_other_sources(tmp_path: Path) -> None:
    """A compiled package goes stale silently; a published figure must be of the tree that it names."""
    sys.path.insert(0, str(ROOT / "bench"))
    try:
        from harness.builds import INTERPRETED, compiled_build
        from harness.record import BenchError
    finally:
        sys.path.remove(str(ROOT / "bench"))
    fast, source = tmp_path / "fast", tmp_path / "src"
    assert compiled_build(fast, source) == INTERPRETED
    for folder in (fast, source):
        (folder / "tidegate").mkdir(parents=True)
        (folder / "tidegate" / "a.py").write_text("x = 1\n")
    (fast / "tidegate" / "a.cpython-311-x86_64-linux-gnu.so").write_bytes(b"")
    (fast / "built.json").write_text('{"modules": 1, "mypyc": "2.4.1", "compiler": "gcc", "seconds": 1.0}')
    build = compiled_build(fast, source)
    assert (build.folder, build.words) == (str(fast), "1 modules compiled by mypyc 2.4.1 and gcc")
    (source / "tidegate" / "a.py").write_text("x = 2\n")
    with pytest.raises(BenchError, match=r"a\.py.*make fast"):
        compiled_build(fast, source)


def test_without_a_compiler_the_build_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    """`make bench` then goes on with the interpreted gateway, and its page says so."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "build_fast.py").write_text((ROOT / "tools" / "build_fast.py").read_text("utf-8"))
    stale = tmp_path / "build" / "fast" / "built.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    done = subprocess.run(
        [sys.executable, str(tools / "build_fast.py")], env={"PATH": "", "CC": "no-such-compiler"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "no C compiler" in done.stderr
    assert not stale.exists()
