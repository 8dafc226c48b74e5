"""Seals copies of a ledger and dies at step 1, 2, 3, ... of each; run as a script by test_seal.py.

    crash_driver.py TEMPLATE WORK        leaves WORK/<step>/ as the crash left it; prints the number of steps

A step is a call of the operating system that opens for writing, renames or removes a file of the ledger. `os._exit`
in an audit hook is the crash: nothing is flushed, no `finally` runs.
"""

import itertools
import os
import shutil
import sys
from pathlib import Path

import duckdb  # noqa: F401  loaded before the fork; its threads start with the first connection

from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

STEPS = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CRASHED = 86


def die_at(step: int, ledger: Path) -> None:
    seen = 0

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal seen
        is_write = event in STEPS or (event == "open" and isinstance(args[2], int) and args[2] & WRITING)
        if is_write and str(args[0]).startswith(str(ledger)):
            seen += 1
            if seen == step:
                os._exit(CRASHED)

    sys.addaudithook(hook)


def main(template: Path, work: Path) -> None:
    for step in itertools.count(1):
        ledger = work / str(step)
        shutil.copytree(template, ledger)
        pid = os.fork()
        if pid == 0:
            die_at(step, ledger)
            seal(Ledger.open(ledger))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            print(step - 1)
            return
        assert code == CRASHED, code


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
