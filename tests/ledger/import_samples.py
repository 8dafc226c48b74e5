"""Helpers of the import tests: files written by hand, and what the ledger holds afterwards."""

import json
from pathlib import Path
from typing import Any

from tidegate.ledger.parquet import open_engine
from tidegate.ledger.series import attach_series
from tidegate.ledger.store import Ledger


def write_lines(folder: Path, records: list[dict[str, Any]], name: str = "log.jsonl") -> Path:
    """Records as JSON lines."""
    file = folder / name
    file.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return file


def write_text(folder: Path, text: str, name: str = "log.csv") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def rows_of(ledger: Ledger, columns: str, order: str = "ts, request_id") -> list[tuple[Any, ...]]:
    return ledger.connect().execute(f"SELECT {columns} FROM rows ORDER BY {order}").fetchall()


def series_of(ledger: Ledger, columns: str, view: str = "series", where: str = "true") -> list[tuple[Any, ...]]:
    with open_engine() as connection:
        attach_series(ledger, connection)
        return connection.execute(f"SELECT {columns} FROM {view} WHERE {where} ORDER BY ALL").fetchall()


def told(report: Any) -> str:
    """The whole report as one text."""
    return "\n".join(report.lines())
