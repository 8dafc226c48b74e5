"""Asking running writers for a new segment, so that what they have written can be sealed now.

A writer changes its segment by size and age, which on a quiet gateway may take minutes. Whoever wants its rows at once
touches `journal/.rotate`; each writer looks at that file about once a second and goes on in a new segment where its
old one holds anything. No signal, no pid: the request reaches every writer of the folder, also in another container.
"""

import os
import time
from pathlib import Path
from typing import Final

from tidegate.ledger.durable import lock_is_held
from tidegate.ledger.journal import OPEN_SUFFIX

REQUEST_NAME: Final = ".rotate"
POLL_S: Final = 0.05


def requested_ns(directory: Path) -> int:
    """When a new segment was last asked for: nanoseconds since 1970-01-01 UTC, 0 for never."""
    try:
        return (directory / REQUEST_NAME).stat().st_mtime_ns
    except OSError:
        return 0


def ask_for_rotation(directory: Path, *, wait_s: float = 3.0) -> list[Path]:
    """Ask, and wait until no living writer holds a segment with records from before; those that still do.

    A writer that does not answer (stopped, or older than this request) costs `wait_s` and nothing else.
    Raises OSError where the folder cannot be written.
    """
    held = [path for path in directory.glob("*" + OPEN_SUFFIX) if _holds_records(path)]
    if not held:
        return []
    request = directory / REQUEST_NAME
    request.touch()
    os.utime(request)
    deadline = time.monotonic() + wait_s
    while held and time.monotonic() < deadline:
        time.sleep(POLL_S)
        held = [path for path in held if _holds_records(path)]
    return held


def _holds_records(path: Path) -> bool:
    """A living writer has this segment open and has written to it."""
    try:
        return path.stat().st_size > 0 and lock_is_held(path)
    except FileNotFoundError:
        return False  # closed and renamed this moment
