"""What a ledger holds: files, calls by day and source, and what is not sealed yet."""

import contextlib

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.core.row import Outcome
from tidegate.ledger.journal import OPEN_SUFFIX, Damaged, journal_files, read_outcomes, segment_of
from tidegate.ledger.oddities import Oddity, find_oddities
from tidegate.ledger.schema import MICROSECONDS_PER_DAY, STRUCTS
from tidegate.ledger.store import Ledger


class DayStat(msgspec.Struct, frozen=True, kw_only=True):
    """Sealed calls of one UTC day from one source. A sum is None where no row of it has the value.

    `unknown_cost_calls`: rows whose cost basis is unknown, or missing.
    """

    day: str
    source_id: str
    calls: int
    input_tokens: int | None
    output_tokens: int | None
    cost_nano_usd: int | None
    upstream_cost_nano_usd: int | None
    unknown_cost_calls: int


class LedgerStat(msgspec.Struct, frozen=True, kw_only=True):
    """The whole ledger. `damaged_lines_*`: journal lines that could not be read, before and after sealing.

    `oddities`: sealed rows that contradict themselves, by kind.
    """

    path: str
    ledger_id: str
    entries: int
    head: str
    files: int
    file_bytes: int
    rows: int
    attempts: int
    labels: int
    rollup_rows: int
    segments_open: int
    segments_closed: int
    unsealed_calls: int
    damaged_lines_journal: int
    damaged_lines_sealed: int
    duplicates: int
    days: list[DayStat]
    oddities: list[Oddity]


def ledger_stat(ledger: Ledger) -> LedgerStat:
    """Counts from the manifest, sums from the rows, the rest from the journal. Raises LedgerError."""
    entries = ledger.entries()
    files = [file for entry in entries for file in entry.files]
    sealed = {entry.unit for entry in entries if entry.kind == "segment"}
    segments = [path for path in journal_files(ledger.journal_path) if segment_of(path) not in sealed]
    unsealed = damaged = 0
    for path in segments:
        with contextlib.suppress(FileNotFoundError):  # sealed in this moment
            for item in read_outcomes(path):
                unsealed += isinstance(item, Outcome)
                damaged += isinstance(item, Damaged)
    return LedgerStat(
        path=str(ledger.path),
        ledger_id=ledger.ledger_id,
        entries=len(entries),
        head=ledger.manifest.newest,
        files=len(files),
        file_bytes=sum(file.bytes for file in files),
        rows=sum(file.rows for file in files if file.table == "rows"),
        attempts=sum(file.rows for file in files if file.table == "attempts"),
        labels=sum(file.rows for file in files if file.table == "labels"),
        rollup_rows=sum(file.rows for file in files if file.table not in STRUCTS),
        segments_open=sum(path.name.endswith(OPEN_SUFFIX) for path in segments),
        segments_closed=sum(not path.name.endswith(OPEN_SUFFIX) for path in segments),
        unsealed_calls=unsealed,
        damaged_lines_journal=damaged,
        damaged_lines_sealed=sum(entry.damaged_lines for entry in entries),
        duplicates=sum(entry.duplicates for entry in entries),
        days=_days(ledger),
        oddities=find_oddities(ledger),
    )


def _days(ledger: Ledger) -> list[DayStat]:
    import duckdb

    sql = f"""
        SELECT strftime(make_timestamp(ts // {MICROSECONDS_PER_DAY} * {MICROSECONDS_PER_DAY}), '%Y-%m-%d') AS day,
               source_id, count(*),
               sum(usage_input_tokens), sum(usage_output_tokens), sum(cost_nano_usd), sum(upstream_cost_nano_usd),
               count(*) FILTER (WHERE cost_basis = 'unknown' OR cost_basis IS NULL)
        FROM rows GROUP BY day, source_id ORDER BY day, source_id
    """
    with contextlib.closing(ledger.connect()) as connection:
        try:
            found = connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise LedgerError(
                f"ledger {ledger.path}: its rows cannot be summed: {str(error).splitlines()[0]} "
                "(`tidegate ledger verify` names damaged files)"
            ) from error
    return msgspec.convert([dict(zip(DayStat.__struct_fields__, row, strict=True)) for row in found], list[DayStat])
