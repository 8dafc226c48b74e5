"""Where the life of each gateway worker begins: `journal/.lives`, one line a life, the id of its first segment.

Segments of one worker follow each other by name, whether it went on or was started again; this file tells them apart.
Whoever asks what a worker that died has spent (`accounts/books/lives.py`) reads it.
"""

import os
import re
from pathlib import Path
from typing import Final

from tidegate.core.errors import LedgerError

LIVES_NAME: Final = ".lives"
_LINE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*-\d{4,}-[0-9a-f]{16}")


def note_life(directory: Path, segment_id: str) -> None:
    """Add a life; whole lines, whoever else writes. Raises LedgerError where the folder cannot be written."""
    path = directory / LIVES_NAME
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.write(fd, f"{segment_id}\n".encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error.strerror}") from error


def read_lives(directory: Path) -> list[str]:
    """First segments of all lives, oldest first by writer; torn lines are left out."""
    try:
        text = (directory / LIVES_NAME).read_text("ascii", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LedgerError(f"{directory / LIVES_NAME} cannot be read: {error.strerror}") from error
    return sorted({line for line in text.splitlines() if _LINE.fullmatch(line)})
