"""Build the wheel with its data plane compiled, and unpack it into build/fast: `make fast`.

    .venv/bin/python tools/build_fast.py
    PYTHONPATH=build/fast .venv/bin/python -m tidegate serve

Which modules are compiled stands in pyproject.toml (`tool.hatch.build.targets.wheel.hooks.mypyc`). The compiler's hook
writes binaries beside the sources and takes pyproject.toml away while it works; so a copy is built, and src/ never has
a binary that its source has outgrown. Without a C compiler nothing is built, and build/fast is removed.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FAST = REPOSITORY / "build" / "fast"
NEEDED = ("pyproject.toml", "README.md", "LICENSE", "tools/mypyc.ini")
HOOK = "HATCH_BUILD_HOOK_ENABLE_MYPYC"


def main() -> int:
    compiler = compiler_binary()
    if not compiler:
        shutil.rmtree(FAST, ignore_errors=True)
        say("no C compiler was found (Debian: apt-get install gcc; or set CC): the gateway stays interpreted")
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tidegate-fast-") as folder:
        source = copied(Path(folder) / "source")
        say(f"compiling {len(compiled_modules(source))} modules; this takes about a minute")
        wheel = built(source, Path(folder) / "wheel")
        fresh = Path(folder) / "fast"
        run(
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-index",
            "--target",
            str(fresh),
            str(wheel),
        )
        missing = [module for module in compiled_modules(source) if not binary_of(fresh, module)]
        if missing:
            say(f"the wheel lacks the binaries of {', '.join(missing)}; does `include` name them rightly?")
            return 1
        (fresh / "built.json").write_text(json.dumps(told(source, compiler, time.monotonic() - began), indent=1) + "\n")
        shutil.rmtree(FAST, ignore_errors=True)
        FAST.parent.mkdir(exist_ok=True)
        shutil.move(fresh, FAST)
    say(f"built in {time.monotonic() - began:.0f} s: run it with PYTHONPATH={FAST.relative_to(REPOSITORY)}")
    return 0


def compiler_binary() -> str:
    """The C compiler that extensions of this Python are built with, or `cc`; "" where there is none."""
    asked = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(asked.split()[0]) or ""


def compiled_modules(source: Path) -> list[str]:
    """Paths under src/, as pyproject.toml names them: `tidegate/gateway/listener.py`."""
    project = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
    return [pattern.removeprefix("/src/") for pattern in hook["include"]]


def copied(source: Path) -> Path:
    """What the build reads, without caches."""
    for name in NEEDED:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, source / name)
    shutil.copytree(REPOSITORY / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return source


def built(source: Path, folder: Path) -> Path:
    """By hatchling itself: pip would have the hook compile everything twice, the first time for the metadata."""
    environ = {**os.environ, HOOK: "true", "MYPYPATH": "src"}
    run("hatchling", "build", "--target", "wheel", "--directory", str(folder), env=environ, cwd=source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def binary_of(package: Path, module: str) -> Path | None:
    """The compiled module beside its source in the package."""
    endings = (f"{Path(module).stem}{suffix}" for suffix in EXTENSION_SUFFIXES)
    return next((path for name in endings if (path := (package / module).with_name(name)).is_file()), None)


def told(source: Path, compiler: str, seconds: float) -> dict[str, object]:
    """What a result of the benchmark says of the build that it measured."""
    return {
        "modules": len(compiled_modules(source)),
        "mypyc": importlib.metadata.version("mypy"),
        "compiler": Path(compiler).name,
        "seconds": round(seconds, 1),
    }


def run(*words: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    """A module of this Python, quietly unless it fails: then with all that it said."""
    done = subprocess.run([sys.executable, "-m", *words], env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"`python -m {' '.join(words)}` failed:\n{done.stdout}{done.stderr}")


def say(text: str) -> None:
    sys.stderr.write(f"== {text}\n")


if __name__ == "__main__":
    sys.exit(main())
