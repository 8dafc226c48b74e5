"""Files that survive a crash: whole or not there, and locks that end with their process. Standard library only."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tidegate.core.errors import LedgerError

LOCK_POLL_S = 0.05


def sync_directory(directory: Path) -> None:
    """Make the names in a folder survive a power cut."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Make the bytes of a file survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: Path, content: bytes) -> None:
    """Write or overwrite a small file: a reader, or a crash, sees the old bytes or the new ones."""
    _hidden(path, content).rename(path)
    sync_directory(path.parent)


def put_if_absent(path: Path, content: bytes) -> None:
    """Write a small file that must not exist yet. Raises FileExistsError, and leaves the other's file alone."""
    hidden = _hidden(path, content)
    try:
        os.link(hidden, path)
    finally:
        hidden.unlink()
    sync_directory(path.parent)


def publish(hidden: Path, path: Path) -> None:
    """Give a finished file its name, its bytes being on the disk before its name is."""
    sync_file(hidden)
    hidden.rename(path)
    sync_directory(path.parent)


def _hidden(path: Path, content: bytes) -> Path:
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with hidden.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hidden


@contextlib.contextmanager
def exclusive(path: Path, *, wait_s: float = 60.0) -> Iterator[None]:
    """Hold a lock file. The lock ends with the process, however it ends. Not to be nested.

    Raises LedgerError naming the holder when the lock cannot be had within `wait_s`.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise LedgerError(f"lock {path} cannot be opened: {error.strerror}") from error
    try:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
                    raise LedgerError(
                        f"{path} is held by process {holder}; another seal or import is at work there. Try again later."
                    ) from None
                time.sleep(LOCK_POLL_S)
        os.truncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)


def lock_is_held(path: Path) -> bool:
    """A living process holds the lock on this file. Raises FileNotFoundError where the file is gone."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
