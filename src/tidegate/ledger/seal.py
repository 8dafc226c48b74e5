"""Seals closed journal segments: rows, attempts and labels become Parquet by day, named in the manifest.

For each segment, in this order, each step durable before the next: hidden Parquet files, their names, the manifest
entry, HEAD, and only then the journal file goes. A crash anywhere is finished by the next run, exactly once: before
the entry everything is written anew over what is there; after it only the journal file is left to remove. A segment
with damaged lines is kept under `journal/damaged/`, for whoever wants to look.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.core.row import Labelled, Outcome
from tidegate.ledger.durable import sync_directory
from tidegate.ledger.journal import OPEN_SUFFIX, Damaged, IntentHead, journal_files, read_outcomes, segment_of
from tidegate.ledger.parquet import PartWriter, day_of, open_engine, publish_parts, remove_leftovers
from tidegate.ledger.recover import Recovered, recover, settle
from tidegate.ledger.store import Ledger

if TYPE_CHECKING:
    import duckdb

DAMAGED_FOLDER: Final = "damaged"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one segment.

    `duplicates`: calls left out because the ledger had them, or their label. `calls_settled`: calls whose outcome was
    lost, as rows of unknown cost. `was_sealed`: a crash had left only the journal file to remove.
    """

    segment_id: str
    rows: int = 0
    attempts: int = 0
    labels: int = 0
    files: tuple[str, ...] = ()
    damaged: tuple[Damaged, ...] = ()
    duplicates: tuple[str, ...] = ()
    calls_settled: tuple[str, ...] = ()
    was_sealed: bool = False


class SealReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did."""

    recovered: tuple[Recovered, ...]
    sealed: tuple[Sealed, ...]


def seal(ledger: Ledger, *, wait_s: float = 60.0, progress: Callable[[int, int], None] | None = None) -> SealReport:
    """Recover dead segments, then seal all closed ones. Living writers are not disturbed.

    progress: called with segments done and segments to do.
    Raises LedgerError, after sealing what can be sealed, for segments that cannot; the journal keeps those.
    """
    recovered = recover(ledger.journal_path, wait_s=wait_s)
    sealed: list[Sealed] = []
    failures: list[str] = []
    with ledger.locked(wait_s=wait_s):
        ledger.manifest.settle_head()
        remove_leftovers(ledger.path)
        closed = [path for path in journal_files(ledger.journal_path) if not path.name.endswith(OPEN_SUFFIX)]
        if closed:
            with contextlib.closing(open_engine()) as connection:
                for done, path in enumerate(closed):
                    if progress:
                        progress(done, len(closed))
                    try:
                        sealed.append(_seal_segment(ledger, connection, path))
                    except LedgerError as error:
                        failures.append(str(error))
    if failures:
        raise LedgerError(f"{len(failures)} of {len(closed)} segments stay in the journal: {'; '.join(failures)}")
    return SealReport(recovered=tuple(recovered), sealed=tuple(sealed))


def _seal_segment(ledger: Ledger, connection: "duckdb.DuckDBPyConnection", path: Path) -> Sealed:
    segment_id = segment_of(path)
    if (known := ledger.entry_of(segment_id, "segment")) is not None:
        _put_away(path, is_damaged=known.damaged_lines > 0)
        return Sealed(segment_id=segment_id, was_sealed=True)
    reader = _SegmentReader(path)
    writer = _spool(ledger, connection, reader)
    try:
        settled: tuple[str, ...] = ()
        if reader.waiting and (settled := settle(path).calls_settled):
            writer.discard()
            reader = _SegmentReader(path)
            writer = _spool(ledger, connection, reader)
        rows_before = frozenset(ledger.known_calls(connection, writer.parts))
        labels_before = frozenset(ledger.known_calls(connection, writer.parts, "labels"))
        if rows_before or labels_before:
            writer.discard()
            reader = _SegmentReader(path, rows_before, labels_before)
            writer = _spool(ledger, connection, reader)
        files = publish_parts(ledger.path, writer.parts)
    except OSError as error:
        raise LedgerError(f"{segment_id} cannot be sealed: {error.strerror}") from error
    finally:
        writer.discard()
    counts = {
        "damaged_lines": len(reader.damaged),
        "duplicates": len(reader.duplicates),
        "nulled_values": writer.nulled_values,
    }
    ledger.add_entry("segment", segment_id, f"journal {path.name}", files, **counts)
    _put_away(path, is_damaged=bool(reader.damaged))
    return Sealed(
        segment_id=segment_id,
        rows=sum(file.rows for file in files if file.table == "rows"),
        attempts=sum(file.rows for file in files if file.table == "attempts"),
        labels=sum(file.rows for file in files if file.table == "labels"),
        files=tuple(file.path for file in files),
        damaged=tuple(reader.damaged),
        duplicates=tuple(reader.duplicates),
        calls_settled=settled,
    )


class _SegmentReader:
    """Yields each call's first outcome and first label with its day, and notes everything else in the segment."""

    def __init__(
        self, path: Path, rows_before: frozenset[str] = frozenset(), labels_before: frozenset[str] = frozenset()
    ) -> None:
        self.path = path
        self.damaged: list[Damaged] = []
        self.duplicates: list[str] = []
        self.waiting: set[str] = set()  # calls with an intent and no outcome
        self._seen = set(rows_before)
        self._labelled = set(labels_before)

    def records(self) -> Iterator[tuple[Outcome | Labelled, str]]:
        for item in read_outcomes(self.path):
            if isinstance(item, Damaged):
                self.damaged.append(item)
                continue
            if isinstance(item, IntentHead):
                if item.generation_id not in self._seen:
                    self.waiting.add(item.generation_id)
                continue
            record = item.label if isinstance(item, Labelled) else item.row
            seen = self._labelled if isinstance(item, Labelled) else self._seen
            call = record.generation_id
            if isinstance(item, Outcome):
                self.waiting.discard(call)
            if call in seen:
                self.duplicates.append(call)
                continue
            seen.add(call)
            try:
                yield item, day_of(record.ts)
            except ValueError as error:
                reason = f"call {call} has {error}"
                self.damaged.append(Damaged(path=str(self.path), line_no=0, byte_offset=0, reason=reason))


def _spool(ledger: Ledger, connection: "duckdb.DuckDBPyConnection", reader: _SegmentReader) -> PartWriter:
    writer = PartWriter(ledger.path, segment_of(reader.path), connection)
    try:
        for item, day in reader.records():
            if isinstance(item, Labelled):
                writer.add_label(item.label, day)
                continue
            writer.add_row(item.row, day)
            for attempt in item.attempts:
                writer.add_attempt(attempt, day)
        writer.finish()
    except LedgerError:
        writer.discard()
        raise
    return writer


def _put_away(path: Path, *, is_damaged: bool) -> None:
    """The segment is sealed: remove its journal file, or keep it aside where lines of it could not be read."""
    try:
        if is_damaged:
            folder = path.parent / DAMAGED_FOLDER
            folder.mkdir(exist_ok=True)
            path.rename(folder / path.name)
        else:
            path.unlink()
        sync_directory(path.parent)
    except OSError as error:
        raise LedgerError(f"journal {path} is sealed but cannot be removed: {error.strerror}") from error
