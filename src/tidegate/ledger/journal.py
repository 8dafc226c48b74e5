"""The journal: append-only JSON lines, one file per writer and segment, each line with its own checksum.

    {"crc":"1c291ca3","t":"intent",...}\\n       an attempt, in the kernel before its bytes leave for the provider
    {"crc":"59b29e2a","t":"outcome",...}\\n      a call, in the kernel before its last byte goes to the caller
    {"crc":"0d41f7b3","t":"label",...}\\n        what a sampled call was about, in a segment of the labeller's own

`crc` is CRC-32 (zlib) in eight hex digits of the bytes that follow its own comma, up to the newline. A segment is
`<segment_id>.open.jsonl` while its writer lives, which holds an flock on it; a lock that can be taken belongs to a
writer that died (`recover.py`). A closed segment is `<segment_id>.jsonl` and waits to be sealed (`seal.py`).

An intent may wait for its outcome longer than its segment lives: `rotate` copies the waiting intents to the head of
the next segment before the old one is closed. So an intent without an outcome in a closed segment has a copy in a
later one of the same writer, or its outcome was damaged.

This module runs in the gateway's worker process: no DuckDB, no asyncio, no clock.
"""

import fcntl
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.core.row import Intent, Labelled, Outcome, Record
from tidegate.ledger.durable import sync_directory

OPEN_SUFFIX: Final = ".open.jsonl"
CLOSED_SUFFIX: Final = ".jsonl"
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
"""What may become a file name: segments, units of an import, rollups."""

T = TypeVar("T")
_PREFIX_BYTES: Final = len(b'{"crc":"00000000",')
_encode = msgspec.json.Encoder().encode
_decoder: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)
_crc32 = zlib.crc32


class Damaged(msgspec.Struct, frozen=True, kw_only=True):
    """A line that cannot be read. `line_no` counts from 1, `byte_offset` from 0.

    `torn`: the file ends inside the line, as after a crash in the middle of a write (or during one).
    """

    path: str
    line_no: int
    byte_offset: int
    reason: str
    torn: bool = False


class IntentHead(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="intent"):
    """Which call an intent belongs to, for readers that want outcomes and need not decode the rest."""

    generation_id: str


_head_decoder: Final[msgspec.json.Decoder[IntentHead | Outcome | Labelled]] = msgspec.json.Decoder(
    IntentHead | Outcome | Labelled
)


def encode_line(record: Record) -> bytes:
    """The journal line of a record, newline included."""
    rest = _encode(record)[1:]
    return b'{"crc":"%08x",%b\n' % (_crc32(rest), rest)


class JournalWriter:
    """Writes one segment. Not thread-safe, except that `close` may run in another thread after `rotate`.

    Raises LedgerError where the folder cannot be written or the segment exists.
    """

    def __init__(self, directory: Path, gateway_id: str, worker: int, *, now_us: int) -> None:
        if not SAFE_NAME.fullmatch(gateway_id) or len(gateway_id) > 64:
            raise LedgerError(
                f"gateway id {gateway_id[:80]!r} cannot be part of a file name; use letters, digits, `.`, `_`, `-`, "
                "at most 64, beginning with a letter or digit (setting gateway.gateway_id)"
            )
        self.directory = directory
        self.gateway_id = gateway_id
        self.worker = worker
        self.opened_us = now_us
        self.segment_id = f"{gateway_id}-{worker:04d}-{now_us:016x}"
        self.next_seq = 0  # position of the next outcome in this segment
        self.size_bytes = 0  # written and pending
        self.path = directory / f"{self.segment_id}{OPEN_SUFFIX}"
        self._lines: list[bytes] = []
        self._unwritten = b""  # the rest of a flush that failed part of the way
        self._written_bytes = 0
        self._waiting: dict[str, list[bytes]] = {}  # lines of intents whose outcome has not come yet
        self._directory_synced = False
        self._fd = self._create()

    def _create(self) -> int:
        """The new file appears under its name only when it is locked, so nobody can take it for a dead writer's."""
        hidden = self.directory / f".{self.segment_id}.new"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            fd = os.open(hidden, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.path.exists() or self._closed_path.exists():
                hidden.unlink()
                os.close(fd)
                raise FileExistsError(17, "the segment exists already", str(self.path))
            hidden.rename(self.path)
        except OSError as error:
            raise LedgerError(f"journal segment {self.path} cannot be created: {error.strerror}") from error
        return fd

    @property
    def _closed_path(self) -> Path:
        return self.directory / f"{self.segment_id}{CLOSED_SUFFIX}"

    @property
    def pending_bytes(self) -> int:
        """Bytes appended and not yet in the kernel."""
        return self.size_bytes - self._written_bytes

    @property
    def waiting_calls(self) -> int:
        """Calls with an intent and no outcome yet."""
        return len(self._waiting)

    def append(self, record: Record) -> None:
        """Encode a record; it is safe from kill -9 only after the next `flush`.

        Raises ValueError for an outcome whose row does not say this segment and `next_seq`.
        """
        if type(record) is Outcome:
            row = record.row
            if row.segment_seq != self.next_seq or row.segment_id != self.segment_id:
                raise ValueError(
                    f"outcome says segment {row.segment_id} seq {row.segment_seq}; "
                    f"the next one here is {self.segment_id} seq {self.next_seq}"
                )
            rest = _encode(record)[1:]
            line = b'{"crc":"%08x",%b\n' % (_crc32(rest), rest)
            self.next_seq += 1
            self._waiting.pop(row.generation_id, None)
        else:
            line = encode_line(record)
            if type(record) is Intent:
                self._waiting.setdefault(record.generation_id, []).append(line)
        self._lines.append(line)
        self.size_bytes += len(line)

    def flush(self, fsync: bool = False) -> None:
        """Hand everything pending to the kernel; `fsync`: also to the disk.

        Raises LedgerError (disk full, ...) and keeps what was not written: the next flush goes on from the exact
        byte, so no line is damaged.
        """
        lines = self._lines
        if lines or self._unwritten:
            data = self._unwritten + b"".join(lines) if self._unwritten else b"".join(lines)
            lines.clear()
            written = 0
            try:
                written = os.write(self._fd, data)
                while written < len(data):
                    written += os.write(self._fd, memoryview(data)[written:])
            except OSError as error:
                self._unwritten = data[written:]
                raise LedgerError(
                    f"journal {self.path}: {len(self._unwritten)} bytes cannot be written: {error.strerror}; "
                    "they are kept and written when there is room"
                ) from error
            finally:
                self._written_bytes += written
            self._unwritten = b""
        if fsync:
            self._fsync()

    def _fsync(self) -> None:
        try:
            os.fsync(self._fd)
            if not self._directory_synced:
                sync_directory(self.directory)
                self._directory_synced = True
        except OSError as error:
            raise LedgerError(f"journal {self.path} cannot be synced to disk: {error.strerror}") from error

    def rotate(self, now_us: int) -> "JournalWriter":
        """Flush, and return the writer of the next segment, which begins with a copy of the waiting intents.

        This writer takes no more records: call `close` on it next (it syncs, so a thread is the place).
        Raises LedgerError, and this writer stays in use, where the next segment cannot be begun.
        """
        self.flush()
        following = JournalWriter(self.directory, self.gateway_id, self.worker, now_us=max(now_us, self.opened_us + 1))
        following._lines = [line for lines in self._waiting.values() for line in lines]
        following.size_bytes = sum(map(len, following._lines))
        try:
            following.flush()
        except LedgerError:
            following.path.unlink()  # it holds only copies
            os.close(following._fd)
            raise
        following._waiting, self._waiting = self._waiting, {}
        return following

    def close(self) -> Path | None:
        """Flush, sync and rename to the closed name, which is returned; an empty segment is deleted (None).

        With calls still waiting (no `rotate` before) the segment stays open without a lock and None is returned:
        `recover` then settles those calls as those of a dead writer.
        """
        self.flush()
        if self.size_bytes:
            self._fsync()
        try:
            if self.size_bytes == 0:
                self.path.unlink()
                return None
            if self._waiting:
                return None
            self.path.rename(self._closed_path)
            sync_directory(self.directory)
            return self._closed_path
        except OSError as error:
            raise LedgerError(f"journal {self.path} cannot be closed: {error.strerror}; recovery will") from error
        finally:
            os.close(self._fd)


def read_journal(path: Path) -> Iterator[Record | Damaged]:
    """Every line of a segment, in order: a record, or what is wrong with the line; the rest is read all the same.

    Streams. Raises LedgerError where the file cannot be opened, FileNotFoundError where it is gone.
    """
    return _read(path, _decoder)


def read_outcomes(path: Path) -> Iterator[IntentHead | Outcome | Labelled | Damaged]:
    """As `read_journal`, but of intents only the call's id is decoded, which is faster."""
    return _read(path, _head_decoder)


def _read(path: Path, decoder: msgspec.json.Decoder[T]) -> Iterator[T | Damaged]:
    for line_no, byte_offset, line in journal_lines(path):
        item = _parse(line, decoder)
        if isinstance(item, str):
            torn = not line.endswith(b"\n")
            yield Damaged(path=str(path), line_no=line_no, byte_offset=byte_offset, reason=item, torn=torn)
        else:
            yield item


def journal_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """(line number from 1, byte offset, line with its newline if it has one). Longer lines than the limit are cut."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LedgerError(f"journal {path} cannot be read: {error.strerror}") from error
    with file:
        line_no, byte_offset = 0, 0
        while line := file.readline(LINE_BYTES_MAX):
            line_no += 1
            yield line_no, byte_offset, line
            byte_offset += len(line)


def parse_line(line: bytes) -> Record | str:
    """The record of a journal line, or the reason why there is none."""
    return _parse(line, _decoder)


def _parse(line: bytes, decoder: msgspec.json.Decoder[T]) -> T | str:
    rest = line[_PREFIX_BYTES:-1] if line.endswith(b"\n") else line[_PREFIX_BYTES:]
    if not line.startswith(b'{"crc":"') or line[16:18] != b'",':
        return "the line does not begin with a checksum" if line.strip() else "the line is empty"
    seen = b"%08x" % _crc32(rest)
    if seen != line[8:16]:
        return f"checksum says {line[8:16].decode('ascii', 'replace')}, the bytes say {seen.decode()}"
    try:
        return decoder.decode(b"{" + rest)
    except msgspec.MsgspecError as error:
        return f"the checksum is right, but this version cannot read the record ({error}); a newer one wrote it?"


def segment_of(path: Path) -> str:
    """The segment id in a journal file's name."""
    return path.name.removesuffix(OPEN_SUFFIX).removesuffix(CLOSED_SUFFIX)


def journal_files(directory: Path) -> list[Path]:
    """All segments in a folder, open and closed, by writer and then by age."""
    return sorted(directory.glob("[!.]*" + CLOSED_SUFFIX), key=lambda path: (segment_of(path), path.name))
