"""A gateway worker that notes which thread says each SQL statement: `python statement_driver.py FILE --worker 0`."""

import runpy
import sys
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa


def note_statements(path: Path) -> None:
    file = path.open("a", buffering=1)

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        file.write(f"{threading.current_thread().name}\n")

    sa.event.listen(sa.Engine, "before_cursor_execute", note)


if __name__ == "__main__":
    note_statements(Path(sys.argv.pop(1)))
    runpy.run_module("tidegate.gateway", run_name="__main__")
