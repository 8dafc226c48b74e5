"""Providers' exports as sums by day and model: each form told from its columns.

openai: replies of `GET /v1/organization/usage/completions` and `/costs` (buckets), and the dashboard's CSV of both.
`input_tokens` includes cached ones; a cost's `line_item` is `MODEL, input` and the like.
anthropic: replies of `usage_report/messages` and `cost_report`, and the Console's CSV of both. Input comes in parts;
the amounts of `cost_report` are cents, those of the CSV (`cost_usd`) are USD.
openrouter: the Activity page's CSV (a line a call, or sums by day) or `GET /api/v1/activity`. table: any, by a mapping.
Sources: OpenAI's and Anthropic's API references of these endpoints, the headers of their CSV exports; 2026-11-22.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tidegate.accounts.reconcile.day import DayModel, DayUse
from tidegate.core.errors import LedgerError
from tidegate.ledger.imports.records import Fields, plain_name, read_records
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import NANO_PER_USD, Unusable, as_number, as_time_us

Read = Callable[[Fields], tuple[int, str, DayUse] | None]
Canonical = Callable[[str], str]
FORMS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {  # form -> columns, of each group one is there
    "anthropic": (
        ("uncached_input_tokens", "usage_input_tokens_no_cache", "cost_usd", "cost_type", "amount"),
        ("usage_date_utc", "starting_at"),
    ),
    "openai": (("num_model_requests", "amount_value", "amount", "line_item", "input_cached_tokens"), ("start_time",)),
    "openrouter": (("cost_total", "usage"), ("model_permaslug", "slug")),
}
"""In the order in which they are tried. Members of a bucket are read as if they stood in each of its results."""
CENT_NANO_USD: Final = NANO_PER_USD // 100


class Export:
    """The sums of some files, and what has to be said of them."""

    def __init__(self) -> None:
        self.days: dict[DayModel, DayUse] = defaultdict(DayUse)
        self.tally = Tally()
        self.forms: list[str] = []
        self.unpriced_lines: set[str] = set()


def read_export(files: Sequence[Path], form: str, canonical: Canonical, own: "Read | None" = None) -> Export:
    """Add up the records of all files. form: empty: told from each file. own: the reader of the form `table`.

    Raises LedgerError for a file that is none of FORMS, and where no record can be read.
    """
    found = Export()
    for file in files:
        read, name = own, "table"
        for line, members in _results(file, found.tally):
            if read is None:
                name = form or _form_of(file, members)
                read = _READERS[name]
            found.tally.read += 1
            try:
                record = read(Fields(members, found.tally))
            except Unusable as error:
                found.tally.refuse(error, file, line)
                continue
            if record is not None:
                ts, model, use = record
                key = (dt.datetime.fromtimestamp(ts / 1_000_000, dt.UTC).date().isoformat(), canonical(model))
                found.days[key] = found.days[key].plus(use)
        found.forms.append(f"{file.name}: {name}")
    if not found.days:
        worst = [f"{item.reason} ({item.first})" for item in found.tally.rejections()[:1]]
        raise LedgerError(
            f"{files[0]}: no usage in it. {' '.join(worst) or 'It holds no record with a day and a model.'}"
        )
    return found


def _results(file: Path, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Records; those of a bucket each with the bucket's times, pages of buckets taken apart."""
    for line, members in read_records(file, tally, members=("data",)):
        for bucket in members["data"] if isinstance(members.get("data"), list) else [members]:
            inner = bucket.get("results") if isinstance(bucket, dict) else None
            if not isinstance(inner, list):
                yield line, bucket
                continue
            outer = {name: value for name, value in bucket.items() if name not in ("results", "object")}
            for result in inner:
                yield line, {**outer, **result}


def _form_of(file: Path, members: Mapping[str, Any]) -> str:
    names = {plain_name(name) for name in members}
    for form, groups in FORMS.items():
        if all(any(plain_name(name) in names for name in group) for group in groups):
            return form
    raise LedgerError(
        f"{file}: none of the exports known here ({', '.join(FORMS)}); its columns are "
        f"{', '.join(sorted(members)[:12])}. Say which it is with --as, or map it with --mapping."
    )


def _time(fields: Fields, *names: str) -> int:
    value = fields.value(*names)
    if value is None:
        raise Unusable(f"{names[0]} is missing")
    return as_time_us(names[0], value)[0]


def _openai(fields: Fields) -> tuple[int, str, DayUse] | None:
    ts = _time(fields, "start_time_iso", "start_time", "date")
    amount = fields.inner("amount")
    value = fields.value("amount_value")
    value = amount.value("value") if value is None else value
    if value is not None:
        item = fields.text("line_item") or ""
        return ts, item.partition(",")[0].strip() or "(not by model)", DayUse(cost_nano_usd=_nano("amount", value))
    model, requests = fields.text("model"), fields.count("num_model_requests")
    batch = str(fields.value("batch")).lower() in ("true", "1")
    use = DayUse(
        requests=requests,
        input_tokens=fields.count("input_tokens"),
        output_tokens=fields.count("output_tokens"),
        cache_read_tokens=fields.count("input_cached_tokens"),
        cache_write_tokens=fields.count("input_cache_write_tokens"),
        batch_requests=(requests or 0) if batch else 0,
    )
    return (ts, model or "(not by model)", use) if use.has_tokens else None


def _anthropic(fields: Fields) -> tuple[int, str, DayUse] | None:
    ts = _time(fields, "usage_date_utc", "starting_at")
    model = fields.text("model_version", "model") or fields.text("description") or "(not by model)"
    dollars, cents = fields.value("cost_usd"), fields.value("amount")
    if dollars is not None:
        return ts, model, DayUse(cost_nano_usd=_nano("cost_usd", dollars))
    if cents is not None:
        return ts, model, DayUse(cost_nano_usd=round(as_number("amount", cents) * CENT_NANO_USD))
    created = fields.inner("cache_creation")
    hour = fields.count("usage_input_tokens_cache_write_1h", "cache_creation_1h_input_tokens")
    hour = hour if hour is not None else created.count("ephemeral_1h_input_tokens")
    short = fields.count("usage_input_tokens_cache_write_5m", "cache_creation_5m_input_tokens")
    short = short if short is not None else created.count("ephemeral_5m_input_tokens")
    read = fields.count("usage_input_tokens_cache_read", "cache_read_input_tokens")
    fresh = fields.count("usage_input_tokens_no_cache", "uncached_input_tokens")
    if fresh is None and read is None:
        return None
    batch = (fields.text("usage_type", "service_tier") or "") == "batch"
    written = (short or 0) + (hour or 0)
    return (
        ts,
        model,
        DayUse(
            input_tokens=(fresh or 0) + (read or 0) + written,
            output_tokens=fields.count("usage_output_tokens", "output_tokens"),
            cache_read_tokens=read or 0,
            cache_write_tokens=written,
            cache_write_1h_tokens=hour or 0,
            batch_requests=int(batch),
        ),
    )


def _openrouter(fields: Fields) -> tuple[int, str, DayUse] | None:
    ts = _time(fields, "created_at", "date")
    model = fields.text("model_permaslug", "slug", "model") or "(not by model)"
    cost = fields.value("cost_total", "usage")
    use = DayUse(
        requests=fields.count("requests") if fields.value("requests") is not None else 1,
        input_tokens=fields.count("tokens_prompt", "prompt_tokens"),
        output_tokens=fields.count("tokens_completion", "completion_tokens"),
        cache_read_tokens=fields.count("tokens_cached"),
        reasoning_tokens=fields.count("tokens_reasoning", "reasoning_tokens"),
        cost_nano_usd=None if cost is None else _nano("cost", cost),
    )
    return ts, model, use


def _nano(name: str, value: Any) -> int:
    """USD; credits and corrections may be below zero."""
    text = str(value).replace("$", "").replace(",", "") if isinstance(value, str) else value
    return round(as_number(name, text) * Decimal(NANO_PER_USD))


_READERS: Final[Mapping[str, Read]] = {"openai": _openai, "anthropic": _anthropic, "openrouter": _openrouter}
