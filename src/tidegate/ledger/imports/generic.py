"""Any table of calls, by a mapping file that says which of its columns is which of ours.

    records: data.items            # JSON documents only: where the list stands; default: the document itself
    identity: id                   # the source's own id of a call; without one a record is known by all it says
    user: end_user                 # the end user; only a keyed hash is kept
    columns:                       # our column: their column, or {from: their column, unit: ...}
      ts: {from: created, unit: ms}
      response_model: model
      usage_input_tokens: prompt_tokens
      cost_nano_usd: {from: cost, unit: usd}
    constants:                     # our column: one value for all records
      provider_name: acme

Units: of times s, ms, us, ns (default: told by size; texts are ISO 8601), of durations s, ms, us (required), of money
usd, cent or nano_usd (required). Files may be CSV, JSON, JSON lines or Parquet.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports.calls import CallFormat, Draft, blank, finish_word, import_calls, key_name, spelled_model
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import Unusable, as_number
from tidegate.ledger.schema import columns

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

Unit = Literal["", "s", "ms", "us", "ns", "usd", "cent", "nano_usd"]
MONEY: Final = ("cost_nano_usd", "upstream_cost_nano_usd")
DURATIONS: Final = ("duration_us", "time_to_first_chunk_us", "overhead_us")
OURS_ALONE: Final = frozenset(
    {"generation_id", "source_id", "gateway_id", "segment_id", "segment_seq", "user_hash", "price_id", "task_tags"}
)
"""Columns that an import may not set: they are ours to give, or no plain value."""
_NANO: Final = {"usd": 1_000_000_000, "cent": 10_000_000, "nano_usd": 1}
_EXAMPLE: Final = "columns: {ts: created_at, usage_input_tokens: prompt_tokens, usage_output_tokens: completion_tokens}"


class From(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of their columns, and its unit."""

    column: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="from")
    unit: Unit = ""


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping file, as the module says."""

    columns: dict[str, str | From]
    constants: dict[str, str | int | bool] = {}
    records: str = ""
    identity: str = ""
    user: str = ""


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`. Raises LedgerError for a mapping that cannot be used."""
    if options.mapping is None:
        raise LedgerError(f"format {format} needs --mapping FILE, a YAML file such as `{_EXAMPLE}`")
    mapping = read_mapping(options.mapping)
    form = CallFormat(
        name=format,
        draft=functools.partial(draft, mapping=mapping),
        members=tuple(filter(None, mapping.records.split("."))),
    )
    source = options.source_id or f"{format}:{options.mapping.stem.lower()}"
    return import_calls(form, files, ledger, source, progress)


def read_mapping(file: Path) -> Mapping:
    """Read and check a mapping file. Raises LedgerError naming what it has and what it may have."""
    import yaml

    try:
        mapping = msgspec.convert(yaml.safe_load(file.read_text("utf-8")), Mapping)
    except OSError as error:
        raise LedgerError(f"mapping {file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LedgerError(f"mapping {file} is not YAML: {str(error).splitlines()[0]}") from error
    except msgspec.ValidationError as error:
        raise LedgerError(f"mapping {file}: {error}. It is written for example `{_EXAMPLE}`") from error
    known = {column.name for column in columns("rows")} - OURS_ALONE
    for name in (*mapping.columns, *mapping.constants):
        if name not in known:
            raise LedgerError(
                f"mapping {file}: {name!r} is none of our columns that can be set: {', '.join(sorted(known))}"
            )
    if "ts" not in mapping.columns:
        raise LedgerError(f"mapping {file}: no column for ts, the time of the call; write for example `{_EXAMPLE}`")
    twice = sorted(mapping.columns.keys() & mapping.constants.keys())
    if twice:
        raise LedgerError(f"mapping {file}: {', '.join(twice)} is both a column and a constant")
    for name, given in mapping.columns.items():
        _check_unit(file, name, given.unit if isinstance(given, From) else "")
    return mapping


def _check_unit(file: Path, name: str, unit: str) -> None:
    allowed: tuple[str, ...] = ("",)
    if name == "ts":
        allowed = ("", "s", "ms", "us", "ns")
    elif name in DURATIONS:
        allowed = ("s", "ms", "us")
    elif name in MONEY:
        allowed = tuple(_NANO)
    if unit not in allowed:
        wanted = ", ".join(word or "none" for word in allowed)
        raise LedgerError(
            f"mapping {file}: {name} has the unit {unit or 'none'!r}; it may be {wanted}: `{{from: THEIRS, unit: ...}}`"
        )


def draft(fields: Fields, tally: Tally, *, mapping: Mapping) -> Draft | None:
    """One record by the mapping."""
    del tally
    values: dict[str, Any] = dict(mapping.constants)
    for name, given in mapping.columns.items():
        column, unit = (given.column, given.unit) if isinstance(given, From) else (given, "")
        value = _read(fields, name, column, unit)
        if value is not None:
            values[name] = value
    model, variant = spelled_model(values.get("response_model") or values.get("request_model"))
    if model:
        values["response_model"] = model
        values.setdefault("model_variant", variant)
    if "request_model" in values:
        values["request_model"] = spelled_model(values["request_model"])[0]
    if "finish_reason" in values:
        values["finish_reason"] = finish_word(values["finish_reason"])
    if "key_id" in values:
        values["key_id"] = key_name(values["key_id"])
    if values.get("cost_nano_usd") is not None:
        values.setdefault("cost_basis", "provider_reported")
    if values.get("cost_basis") not in (None, "provider_reported", "metered", "estimated_partial", "unknown"):
        raise Unusable(f"cost_basis is {values['cost_basis']!r}, not one of ours")
    row = blank(values.pop("ts", None), **{"operation_name": "chat", **values})
    identity = fields.text(mapping.identity) if mapping.identity else None
    return Draft(identity or "", row, fields.text(mapping.user) if mapping.user else None)


def _read(fields: Fields, name: str, column: str, unit: str) -> Any:
    if name == "ts":
        return fields.time(column, unit=_time_unit(unit))
    if name in DURATIONS:
        return fields.duration(column, unit=_time_unit(unit))
    if name in MONEY:
        if unit == "usd":
            return fields.usd(column)
        value = fields.value(column)
        amount = None if value is None else as_number(column, value) * _NANO[unit]
        if amount is not None and amount < 0:
            raise Unusable(f"{column} is {value}, below zero")
        return None if amount is None else round(amount)
    kind = _KINDS[name]
    if kind == "BOOLEAN":
        return fields.truth(column)
    return fields.count(column) if kind == "BIGINT" else fields.text(column)


def _time_unit(unit: str) -> Literal["auto", "s", "ms", "us", "ns"]:
    found: dict[str, Literal["auto", "s", "ms", "us", "ns"]] = {"s": "s", "ms": "ms", "us": "us", "ns": "ns"}
    return found.get(unit, "auto")


_KINDS: Final = {column.name: column.sql_type for column in columns("rows")}
