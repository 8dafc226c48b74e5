"""Settles what a dead writer left: every intent without an outcome becomes a row that says so.

Such a row is the intent's, with `error_type` "gateway_died", `cost_basis` "unknown", a cost of zero, and all its
attempts; it is appended to the segment as an outcome like any other. The state is in the files alone and each step
can be repeated, so a crash anywhere is mended by the next run.

A call's intents may lie in several segments of one writer (`JournalWriter.rotate` copies waiting ones forward). The
call then belongs to the newest of them, and is settled there, unless any of them holds its outcome.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.core.row import Attempt, Intent, Labelled, Outcome
from tidegate.ledger.durable import exclusive, sync_directory
from tidegate.ledger.journal import (
    CLOSED_SUFFIX,
    OPEN_SUFFIX,
    Damaged,
    encode_line,
    journal_files,
    journal_lines,
    parse_line,
    read_journal,
    segment_of,
)

GATEWAY_DIED: Final = "gateway_died"
_ID_MARK: Final = b'"generation_id":"'


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What was done for one segment of a dead writer. `calls_settled`: intents that had no outcome, by call."""

    segment_id: str
    outcomes: int
    calls_settled: tuple[str, ...]
    damaged: tuple[Damaged, ...]


class _Scan:
    """What a segment holds: outcomes seen, calls without one, and where the next outcome goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segment_id = segment_of(path)
        self.outcomes = 0
        self.next_seq = 0
        self.waiting: dict[str, dict[int, Intent]] = {}  # call -> attempt_no -> intent
        self.damaged: list[Damaged] = []
        settled: set[str] = set()
        for item in read_journal(path):
            if isinstance(item, Damaged):
                self.damaged.append(item)
            elif isinstance(item, Intent):
                if item.generation_id not in settled:
                    self.waiting.setdefault(item.generation_id, {})[item.attempt_no] = item
            elif isinstance(item, Outcome):
                self.outcomes += 1
                self.next_seq = max(self.next_seq, (item.row.segment_seq or 0) + 1)
                settled.add(item.row.generation_id)
                self.waiting.pop(item.row.generation_id, None)


def recover(directory: Path, *, wait_s: float = 60.0) -> list[Recovered]:
    """Settle and close every open segment in a journal folder whose writer is dead; living ones are left alone.

    Raises LedgerError when another process is at it for longer than `wait_s`, or the disk is full.
    """
    if not directory.is_dir():
        return []
    with exclusive(directory / ".recover.lock", wait_s=wait_s):
        return [
            report
            for path in journal_files(directory)
            if path.name.endswith(OPEN_SUFFIX) and (report := _recover_one(path)) is not None
        ]


def _recover_one(path: Path) -> Recovered | None:
    """None where the writer lives, or closed the segment in this moment."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(f"journal {path} cannot be recovered: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():  # closed between open and lock
            return None
        if os.fstat(fd).st_size == 0:
            path.unlink()
            return Recovered(segment_id=segment_of(path), outcomes=0, calls_settled=(), damaged=())
        report = settle(path)
        os.fsync(fd)
        path.rename(path.with_name(f"{segment_of(path)}{CLOSED_SUFFIX}"))
        sync_directory(path.parent)
    except BlockingIOError:
        return None
    except OSError as error:
        raise LedgerError(f"journal {path} cannot be recovered: {error.strerror}") from error
    finally:
        os.close(fd)
    return report


def settle(path: Path) -> Recovered:
    """Append outcomes for the calls of a segment that have none anywhere. The caller keeps other writers away."""
    scan = _Scan(path)
    waiting = scan.waiting
    if waiting:
        waiting = _without_those_elsewhere(scan)
    lines = [
        encode_line(outcome_of(intents, scan.segment_id, seq))
        for seq, intents in enumerate(waiting.values(), start=scan.next_seq)
    ]
    if lines or scan.damaged:
        _append(path, lines)
    return Recovered(
        segment_id=scan.segment_id, outcomes=scan.outcomes, calls_settled=tuple(waiting), damaged=tuple(scan.damaged)
    )


def outcome_of(intents: dict[int, Intent], segment_id: str, segment_seq: int) -> Outcome:
    """The outcome of a call that was cut off, from its intents by attempt number."""
    ordered = [intents[number] for number in sorted(intents)]
    row = msgspec.structs.replace(
        ordered[-1].row,
        segment_id=segment_id,
        segment_seq=segment_seq,
        attempt_count=len(ordered),
        error_type=GATEWAY_DIED,
        cost_basis="unknown",
        cost_nano_usd=0,
        upstream_cost_nano_usd=None,
    )
    attempts = tuple(
        Attempt(
            generation_id=intent.generation_id,
            attempt_no=intent.attempt_no,
            ts=intent.ts,
            endpoint_id=intent.endpoint_id,
            error_type=GATEWAY_DIED,
        )
        for intent in ordered
    )
    return Outcome(row=row, attempts=attempts)


def _without_those_elsewhere(scan: _Scan) -> dict[str, dict[int, Intent]]:
    """The waiting calls that are this segment's to settle, with intents of theirs from older segments joined in."""
    waiting = dict(scan.waiting)
    for other in _segments_of_same_writer(scan.path):
        is_newer = segment_of(other) > scan.segment_id
        for item in _records_of(other, waiting):
            call = item.generation_id if isinstance(item, Intent) else item.row.generation_id
            if isinstance(item, Outcome) or is_newer:
                waiting.pop(call, None)
            elif call in waiting:
                waiting[call] = {item.attempt_no: item, **waiting[call]}
    return waiting


def _segments_of_same_writer(path: Path) -> list[Path]:
    writer = segment_of(path).rpartition("-")[0]
    return [
        other
        for other in journal_files(path.parent)
        if segment_of(other).rpartition("-")[0] == writer and other != path
    ]


def _records_of(path: Path, calls: dict[str, dict[int, Intent]]) -> Iterator[Intent | Outcome]:
    """Records of a segment that belong to one of the calls; the other lines are not decoded."""
    try:
        for _, _, line in journal_lines(path):
            start = line.find(_ID_MARK) + len(_ID_MARK)
            if line[start : line.find(b'"', start)].decode("utf-8", "replace") in calls:
                item = parse_line(line)
                if not isinstance(item, str | Labelled):
                    yield item
    except FileNotFoundError:  # sealed in this moment; sealing finds a call that was sealed before
        return


def _append(path: Path, lines: list[bytes]) -> None:
    """Append whole lines; a torn line before them is ended first, so that it harms none but itself."""
    with path.open("r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        data = b"".join(lines) if file.read(1) in (b"\n", b"") else b"\n" + b"".join(lines)
        file.seek(size)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())
