"""Finds one call by its generation id: in the journal while it is unsealed, else in sealed Parquet."""

import contextlib
import datetime
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.core.ids import parse_generation_id
from tidegate.core.row import Attempt, Outcome, Row
from tidegate.ledger.journal import journal_files, parse_line, segment_of
from tidegate.ledger.manifest import SealedFile
from tidegate.ledger.parquet import open_engine, read_records
from tidegate.ledger.schema import Table, TableRecord, sql_text
from tidegate.ledger.store import Ledger

if TYPE_CHECKING:
    import duckdb


class Generation(NamedTuple):
    """A call and its attempts, in order."""

    row: Row
    attempts: list[Attempt]


def find_generation(ledger: Ledger, generation_id: str) -> Generation | None:
    """The call, or None: unknown, or still under way. Any text may be asked for.

    Raises LedgerError where a sealed file that may hold it cannot be read.
    """
    outcome = find_unsealed(ledger.journal_path, generation_id)
    if outcome is not None:
        return Generation(outcome.row, list(outcome.attempts))
    return _find_sealed(ledger, generation_id)


def find_unsealed(directory: Path, generation_id: str) -> Outcome | None:
    """The outcome of a call in the journal, likeliest and newest segments first."""
    mark = b'"generation_id":' + msgspec.json.encode(generation_id)
    try:
        worker = f"-{parse_generation_id(generation_id).worker:04d}-"
    except ValueError:
        worker = "-"
    segments = journal_files(directory)
    segments.sort(key=lambda path: (worker in path.name, segment_of(path).rpartition("-")[2]), reverse=True)
    for path in segments:
        with contextlib.suppress(FileNotFoundError):  # sealed since the folder was listed
            outcome = _find_in_segment(path, mark, generation_id)
            if outcome is not None:
                return outcome
    return None


def _find_in_segment(path: Path, mark: bytes, generation_id: str) -> Outcome | None:
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            end = len(view)
            while (found := view.rfind(mark, 0, end)) >= 0:  # from behind: an outcome comes after its intents
                start = view.rfind(b"\n", 0, found) + 1
                stop = view.find(b"\n", found)
                item = parse_line(view[start : stop + 1 if stop >= 0 else len(view)])
                if isinstance(item, Outcome) and item.row.generation_id == generation_id:
                    return item
                end = start
    return None


def _find_sealed(ledger: Ledger, generation_id: str) -> Generation | None:
    days = _days_around(generation_id)
    row_files = _candidates(ledger.sealed_files("rows"), generation_id, days)
    if not row_files or "\0" in generation_id:
        return None
    with contextlib.closing(open_engine()) as connection:
        found = _matching(ledger, connection, "rows", row_files, generation_id)
        row = next((record for record in found if isinstance(record, Row)), None)
        if row is None:
            return None
        attempt_files = _candidates(ledger.sealed_files("attempts"), generation_id, days)
        found = _matching(ledger, connection, "attempts", attempt_files, generation_id)
    attempts = [record for record in found if isinstance(record, Attempt)]
    return Generation(row, sorted(attempts, key=lambda attempt: attempt.attempt_no))


def _matching(
    ledger: Ledger,
    connection: "duckdb.DuckDBPyConnection",
    table: Table,
    files: Sequence[SealedFile],
    generation_id: str,
) -> list[TableRecord]:
    import duckdb

    found: list[TableRecord] = []
    for file in files:
        try:
            found += read_records(
                connection, table, ledger.path / file.path, f"generation_id = {sql_text(generation_id)}"
            )
        except (duckdb.Error, msgspec.MsgspecError) as error:
            reason = str(error).splitlines()[0]
            raise LedgerError(f"{file.path} cannot be read: {reason}; try `tidegate ledger verify`") from error
    return found


def _candidates(files: Sequence[SealedFile], generation_id: str, days: set[str] | None) -> list[SealedFile]:
    return [
        file
        for file in reversed(files)
        if file.first_id <= generation_id <= file.last_id and (days is None or file.day in days)
    ]


def _days_around(generation_id: str) -> set[str] | None:
    """The UTC day an id was made and its neighbours; None for ids that do not tell (of imports)."""
    try:
        unix_ms = parse_generation_id(generation_id).unix_ms
        day = (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=unix_ms)).date()
        return {(day + datetime.timedelta(days=shift)).isoformat() for shift in (-1, 0, 1)}
    except (ValueError, OverflowError):
        return None
