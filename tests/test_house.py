"""Rules that hold the house: arrows, sizes, cycles, documentation. Each message names the mend."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "tidegate"
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

MAY_IMPORT = {  # room -> rooms of ours it may import; the shared bottom (core, config) is named too
    "core": set(),
    "config": {"core"},
    "catalog": {"core"},
    "wire": {"core"},
    "route": {"core"},
    "ledger": {"core", "catalog"},
    "accounts": {"core", "catalog", "ledger"},
    "gateway": {"core", "config", "catalog", "wire", "route", "ledger", "accounts"},
    "labels": {"core", "config", "catalog", "ledger"},
    "study": {"core", "catalog", "ledger"},
    "index": {"core", "catalog", "ledger"},
    "market": {"core", "catalog", "ledger"},
    "report": {"core", "catalog", "ledger", "study", "index", "market"},
    "runtime": {"core", "config", "catalog", "wire", "ledger", "accounts"},
    "console": {"core", "config", "catalog", "wire", "route", "ledger", "accounts", "study", "report", "runtime"},
    "cli": {
        "core",
        "config",
        "catalog",
        "wire",
        "route",
        "ledger",
        "accounts",
        "gateway",
        "labels",
        "study",
        "index",
        "market",
        "report",
        "console",
        "runtime",
    },
}
IMPURE = {
    "asyncio",
    "duckdb",
    "os",
    "time",
    "logging",
    "socket",
    "pathlib",
    "subprocess",
    "threading",
    "uvloop",
    "httptools",
}


def sources(room: str) -> list[Path]:
    """The modules of a room; fails on an empty one, so that a rename cannot silence a rule."""
    found = [SOURCE / f"{room}.py"] if room == "config" else sorted((SOURCE / room).rglob("*.py"))
    assert found and all(path.is_file() for path in found), f"room {room} is empty"
    return found


def imports(path: Path) -> Iterator[str]:
    """Every module named in an import statement, at any depth of the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write it out"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_of(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("tidegate.")} - {"__version__"}


def test_every_room_is_known() -> None:
    """A new room says here what it may import."""
    rooms = {p.name for p in SOURCE.iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    assert rooms | {"config"} == set(MAY_IMPORT), "add the room to MAY_IMPORT and to docs/explanation"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_arrows_point_one_way(room: str) -> None:
    """As ARCHITECTURE draws them; never back."""
    for path in sources(room):
        found = rooms_of(path) - MAY_IMPORT[room] - {room}
        assert not found, (
            f"{path.relative_to(ROOT)}: {room}/ may not import {sorted(found)}; move what is shared to core/"
        )


@pytest.mark.parametrize("room", ["core", "wire", "route"])
def test_core_wire_and_route_do_no_io(room: str) -> None:
    """They take values and return values; the shell owns sockets, files and clocks."""
    for path in sources(room):
        found = {name.split(".")[0] for name in imports(path)} & IMPURE
        assert not found, f"{path}: {room}/ may not import {sorted(found)}; pass the value in as an argument"


def test_a_gateway_worker_never_loads_the_query_engine() -> None:
    """69 MB and a thread pool that no call needs."""
    import subprocess
    import sys

    heavy = "('duckdb', 'yaml', 'numpy', 'rich')"
    code = f"import sys, tidegate.gateway.worker; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def all_sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def test_modules_are_small() -> None:
    """Above the budget: split by noun."""
    long = {
        str(p.relative_to(ROOT)): n for p in all_sources() if (n := len(p.read_text().splitlines())) > MODULE_LINES_MAX
    }
    assert not long, f"over {MODULE_LINES_MAX} lines: {long}"


def test_functions_are_small() -> None:
    """Above the budget: keep the branching, move straight-line work to pure helpers."""
    long = []
    for path in all_sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                has_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                doc = (first.end_lineno or 0) - first.lineno + 1 if has_doc else 0
                lines = (node.end_lineno or 0) - node.lineno + 1 - doc
                if lines > FUNCTION_LINES_MAX:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines}")
    assert not long, f"over {FUNCTION_LINES_MAX} lines: {long}"


def test_no_broad_except_without_a_word() -> None:
    """Catch what you can name; otherwise a comment says how the failure stays visible."""
    silent = []
    for path in all_sources():
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if (
                re.search(r"except\s*(BaseException|Exception)?\s*(as \w+)?:", line)
                and "#" not in line + lines[number + 1]
            ):
                silent.append(f"{path.relative_to(ROOT)}:{number + 1}")
    assert not silent, f"say in a comment how the failure stays visible: {silent}"


def top_level_imports(path: Path) -> set[str]:
    """Modules of ours imported when this one is, outside functions and TYPE_CHECKING."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tidegate"):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("tidegate")}
    return found


def test_there_are_no_import_cycles() -> None:
    """Two modules that import each other are one module, or need a third."""
    names = {
        ".".join(p.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): p for p in all_sources()
    }
    graph = {name: {m for m in top_level_imports(path) if m in names and m != name} for name, path in names.items()}
    for name in list(graph):  # a package's __init__ may gather its own modules
        graph[name] -= {m for m in graph[name] if name.startswith(f"{m}.")}
    state: dict[str, int] = {}

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"import cycle: {' -> '.join((*trail[trail.index(name) :], name))}"
        if state.get(name) == 2:
            return
        state[name] = 1
        for other in sorted(graph[name]):
            walk(other, (*trail, name))
        state[name] = 2

    for name in sorted(graph):
        walk(name, ())


def commands(group: click.Command, trail: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield trail, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from commands(command, (*trail, name))


def all_commands() -> list[tuple[tuple[str, ...], click.Command]]:
    return list(commands(importlib.import_module("tidegate.cli").cli))


@pytest.mark.parametrize(
    ("trail", "command"), all_commands(), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_has_help_with_an_example(trail: tuple[str, ...], command: click.Command) -> None:
    """And every option its line."""
    assert command.help and "Example:" in command.help, f"tidegate {' '.join(trail)}: --help needs an Example block"
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    silent = [option.opts for option in options if not option.help and option.name not in {"help", "form"}]
    assert not silent, f"tidegate {' '.join(trail)}: options without a line of help: {silent}"


def test_every_command_is_in_the_reference() -> None:
    """docs/reference/cli.md is generated: `make docs`."""
    text = (ROOT / "docs" / "reference" / "cli.md").read_text()
    for trail, _ in all_commands():
        assert f"tidegate {' '.join(trail)}".strip() in text, f"run `make docs`: {trail} is missing"


def test_every_setting_has_help_and_is_in_the_reference() -> None:
    """docs/reference/config.md is generated: `make docs`."""
    from tidegate import config

    text = (ROOT / "docs" / "reference" / "config.md").read_text()
    for struct in (*config.SECTIONS.values(), config.ProviderConfig, config.EndpointConfig, config.PriceConfig):
        for field in msgspec.structs.fields(struct):
            meta = [m for m in getattr(field.type, "__metadata__", ()) if getattr(m, "description", None)]
            assert meta, f"{struct.__name__}.{field.name} has no help"
            assert f"`{field.name}`" in text, f"run `make docs`: {field.name} is missing"


def test_generated_references_are_up_to_date() -> None:
    """What `make docs` would write is what is there."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "tools/gendocs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def tracked_text() -> Iterator[tuple[Path, str]]:
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if (
            path.is_file()
            and not parts[0].startswith(".")
            and parts[0] not in {"out", "dist"}
            and "__pycache__" not in parts
        ) and path.suffix in {".py", ".md", ".toml", ".txt", ".yml", ".csv", ".json", ".html", ".sql", ""}:
            yield path, path.read_text("utf-8", "replace")


def test_nothing_names_a_package_index() -> None:
    """Locks and docs must work against whatever index a machine uses."""
    words = ["index" + "-url", "/simple" + "/ ", "extra" + "-index"]
    for path, text in tracked_text():
        for word in words:
            assert word not in text, f"{path.relative_to(ROOT)} names {word!r}"
