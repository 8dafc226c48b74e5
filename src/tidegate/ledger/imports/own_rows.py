"""Rows that another Tidegate ledger exported (`ledger export`: CSV, JSON lines or Parquet), to study gateways together.

Every column keeps its meaning; ids stay, so that the same call never counts twice. The source is named anew: `own` of
another ledger is not ours. Wrong types and impossible values are rejected as in any log.
Source: our own schema, docs/reference/row.md.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidegate.core.ids import parse_generation_id
from tidegate.core.row import Row, TaskTag
from tidegate.ledger.imports.calls import CallFormat, Draft, import_calls
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import Unusable, as_number
from tidegate.ledger.schema import columns

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

_MONEY: Final = ("cost_nano_usd", "upstream_cost_nano_usd")
_OF_THE_OTHER: Final = ("source_id", "segment_id", "segment_seq")
_BASES: Final = ("provider_reported", "metered", "estimated_partial", "unknown")


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    form = CallFormat(name=format, draft=draft)
    return import_calls(form, files, ledger, options.source_id, progress)


def draft(fields: Fields, tally: Tally) -> Draft | None:
    """One exported row."""
    values: dict[str, Any] = {}
    for column in columns("rows"):
        value = _read(fields, column.name, column.sql_type)
        if value is not None and column.name not in _OF_THE_OTHER:
            values[column.name] = value
    ts = fields.time("ts", unit="us")
    if ts is None:
        raise Unusable("the time is missing")
    identity = str(values.get("generation_id", ""))
    try:
        parse_generation_id(identity)
    except ValueError as error:
        raise Unusable(f"generation_id is {identity[:60]!r}, not one of ours") from error
    if values.get("cost_basis") not in (None, *_BASES):
        raise Unusable(f"cost_basis is {values['cost_basis']!r}, not one of ours")
    return Draft(identity, Row(**{**values, "ts": ts, "source_id": ""}))


def _read(fields: Fields, name: str, kind: str) -> Any:
    if name == "ts":
        return None  # read as a time
    if name in _MONEY:
        value = fields.value(name)
        return None if value is None else _whole(name, value)
    if kind == "BIGINT":
        return fields.count(name)
    if kind == "BOOLEAN":
        return fields.truth(name)
    if name == "task_tags":
        return _tags(fields.value(name))
    return fields.text(name)


def _whole(name: str, value: Any) -> int:
    number = as_number(name, value)
    if number != number.to_integral_value() or abs(number) >= 2**63:
        raise Unusable(f"{name} is {value}, not a whole number that fits 64 bits")
    return int(number)


def _tags(value: Any) -> list[TaskTag] | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return msgspec.json.decode(value, type=list[TaskTag])
        return msgspec.convert(value, list[TaskTag])
    except msgspec.MsgspecError as error:
        raise Unusable(f"task_tags is {str(value)[:60]!r}, not a list of labels") from error
