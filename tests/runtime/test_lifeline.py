"""A child dies with its parent, however the parent ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import is_alive

PARENT = """
import os, subprocess, sys, time
from tidegate.runtime.process import lifeline_fd, tied_command
child = subprocess.Popen(tied_command("child_program", ()), start_new_session=True, pass_fds=(lifeline_fd(),))
print(child.pid, flush=True)
time.sleep(60)
"""
CHILD = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)\n"
PORTABLE_CHILD = """
import os, sys, time
from tidegate.runtime.lifeline import die_with_parent
die_with_parent(os.getppid(), int(sys.argv[1]), has_prctl=False)
print("up", flush=True)
time.sleep(60)
"""
PORTABLE_PARENT = """
import os, subprocess, sys, time
from tidegate.runtime.process import lifeline_fd
child = subprocess.Popen([sys.executable, "child_program.py", str(lifeline_fd())], pass_fds=(lifeline_fd(),))
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("parent", "child"), [(PARENT, CHILD), (PORTABLE_PARENT, PORTABLE_CHILD)])
def test_killing_the_parent_kills_the_child(parent: str, child: str, tmp_path: Path, environ: dict[str, str]) -> None:
    """SIGKILL cannot be handled, so the parent cannot clean up: the kernel, or the end of a pipe, must."""
    (tmp_path / "child_program.py").write_text(child)
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        env={**environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        lines = sorted(running.stdout.readline().strip() for _ in range(2))
        pid = int(lines[0])
        assert lines[1] == "up" and is_alive(pid)

        os.kill(running.pid, signal.SIGKILL)

    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def test_a_child_whose_parent_is_gone_already_does_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    """Between fork and the kernel's promise the parent may die: then the promise came too late."""
    (tmp_path / "child_program.py").write_text("print('worked')\n")
    not_the_parent = "1"

    ended = subprocess.run(
        [sys.executable, "-m", "tidegate.runtime.lifeline", not_the_parent, "0", "child_program"],
        env={**environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (ended.returncode, ended.stdout) == (75, "")
