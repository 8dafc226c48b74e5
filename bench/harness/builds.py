"""Which gateway is measured: that of src/, interpreted, or that of build/fast, compiled (`make fast`)."""

from pathlib import Path

import msgspec

from harness.record import BenchError

REPOSITORY = Path(__file__).resolve().parents[2]
FAST = REPOSITORY / "build" / "fast"
BUILT_SUFFIXES = (".pyc", ".so", ".pyd")


class Build(msgspec.Struct, frozen=True):
    """folder: goes before everything else on the gateway's PYTHONPATH; "" for the package that is installed."""

    words: str
    folder: str = ""

    @property
    def is_compiled(self) -> bool:
        return bool(self.folder)


class Built(msgspec.Struct, frozen=True):
    """What tools/build_fast.py says of its build."""

    modules: int
    mypyc: str
    compiler: str


INTERPRETED = Build("interpreted")


def compiled_build(fast: Path = FAST, source: Path = REPOSITORY / "src") -> Build:
    """The build in `fast`, INTERPRETED where there is none; raises BenchError where it is not of these sources."""
    try:
        built = msgspec.json.decode((fast / "built.json").read_bytes(), type=Built)
    except FileNotFoundError:
        return INTERPRETED
    if differing := differences(fast / "tidegate", source / "tidegate"):
        raise BenchError(
            f"{fast} was built from other sources: {differing[0]} and {len(differing) - 1} more files differ; "
            "`make fast` builds it anew, `--interpreted` measures the sources as they are"
        )
    return Build(f"{built.modules} modules compiled by mypyc {built.mypyc} and {built.compiler}", str(fast))


def differences(package: Path, source: Path) -> list[str]:
    """Files that one of the two packages has otherwise or not at all, in order; binaries and caches apart."""
    texts = [
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.suffix not in BUILT_SUFFIXES
        }
        for folder in (package, source)
    ]
    return sorted(name for name in texts[0].keys() | texts[1].keys() if texts[0].get(name) != texts[1].get(name))
