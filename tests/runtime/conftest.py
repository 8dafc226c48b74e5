"""A home of its own for each test, an environment without anybody's keys, and programs to supervise."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidegate.config import Config, load_config
from tidegate.runtime.process import Program


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: the console's Unix socket lies in it, and the kernel allows about 100 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="tg"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    """No provider's key: a test spends nobody's money."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    for name in [name for name in kept if name.startswith(("TIDEGATE_", "OPENAI_"))]:
        del kept[name]
    return {**kept, "TIDEGATE_HOME": str(home), "PYTHONWARNINGS": "ignore"}


@pytest.fixture
def config(environ: dict[str, str]) -> Config:
    return load_config(environ=environ)


@pytest.fixture
def make_program(tmp_path: Path, environ: dict[str, str]) -> Callable[..., Program]:
    """Turn a few lines of Python into a program. Before them, `tell(line)` is defined: it writes to --ready-fd."""
    environ["PYTHONPATH"] = str(tmp_path)

    def make(code: str, *, ready_s: float = 20.0, drain_s: float = 5.0) -> Program:
        head = "import os, signal, sys, time\ndef tell(line): os.write(int(sys.argv[-1]), line.encode() + b'\\n')\n"
        (tmp_path / "child_program.py").write_text(head + code)
        return Program(
            name="child", module="child_program", ready_s=ready_s, drain_s=drain_s, log=tmp_path / "child.log"
        )

    return make


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
