"""Sealed rows or attempts of some days as one CSV, JSON lines or Parquet file."""

import contextlib
import datetime
import os
from pathlib import Path
from typing import Literal

from tidegate.core.errors import LedgerError
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.schema import Table, columns, files_select, sql_text
from tidegate.ledger.store import Ledger

ExportFormat = Literal["csv", "jsonl", "parquet"]
_OPTIONS: dict[ExportFormat, str] = {
    "csv": "FORMAT csv, HEADER true",
    "jsonl": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}


def export(
    ledger: Ledger,
    out: Path,
    *,
    file_format: ExportFormat,
    table: Table = "rows",
    from_day: str | None = None,
    to_day: str | None = None,
) -> int:
    """Write sealed records of the UTC days from_day to to_day (ISO, both included, None: open) to `out`.

    Order: by day, then by manifest entry, then by generation id. `out` appears when it is complete, replacing a file
    of that name. Lists are JSON text in CSV. Returns the number of records. Raises LedgerError.
    """
    import duckdb

    for day in (from_day, to_day):
        _check_day(day)
    files = [
        str(ledger.path / file.path)
        for file in ledger.sealed_files(table)
        if (from_day or "") <= file.day <= (to_day or "9999-12-31")
    ]
    hidden = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    chosen = ", ".join(
        f'CAST(to_json("{column.name}") AS VARCHAR) AS "{column.name}"'
        if file_format == "csv" and column.sql_type.endswith("[]")
        else f'"{column.name}"'
        for column in columns(table)
    )
    query = f"SELECT {chosen} FROM ({files_select(table, files)})"
    with contextlib.closing(open_engine()) as connection:
        try:
            copied = connection.execute(
                f"COPY ({query}) TO {sql_text(str(hidden))} ({_OPTIONS[file_format]})"
            ).fetchone()
            hidden.replace(out)
        except duckdb.Error as error:
            raise LedgerError(f"export to {out}: {str(error).splitlines()[0]}") from error
        except OSError as error:
            raise LedgerError(f"export to {out}: {error.strerror}") from error
        finally:
            hidden.unlink(missing_ok=True)
    return int(copied[0]) if copied else 0


def _check_day(day: str | None) -> None:
    try:
        if day is not None and datetime.date.fromisoformat(day).isoformat() != day:
            raise ValueError
    except ValueError as error:
        raise LedgerError(f"{day!r} is not a day; write it as 2026-03-23 (UTC)") from error
