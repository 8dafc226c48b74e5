"""OpenRouter's activity of one account: the Activity page's CSV as rows, `GET /api/v1/activity` as daily sums.

The CSV has a line a call (`generation_id`, `created_at`, `cost_total`, `tokens_prompt`, ...); `cost_cache` is a part of
`cost_total` (negative where caching saved), never added. The API's JSON has a record a UTC day, model and endpoint
(`requests`, `usage` in USD, `byok_usage_inference`); a part of its requests may be on own keys (`byok_requests`).
Source: https://openrouter.ai/docs/api-reference/analytics/get-user-activity; the CSV by its header, checked 2026-11-22.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports.calls import CallFormat, Draft, blank, finish_word, import_calls, key_name
from tidegate.ledger.imports.daily import DayFact, Vintage, add_daily
from tidegate.ledger.imports.openrouter_daily import split_variant
from tidegate.ledger.imports.published_days import fingerprint, when_published
from tidegate.ledger.imports.records import Fields, read_records
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import Unusable

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`. Files by call and files by day must be imported apart."""
    by_day = {_is_by_day(file) for file in files}
    if len(by_day) > 1:
        raise LedgerError(f"{format}: some of these files have a line a call, others a record a day; import them apart")
    if by_day == {True}:
        return _import_days(format, files, ledger, options)
    return import_calls(CallFormat(name=format, draft=draft), files, ledger, options.source_id, progress)


def _is_by_day(file: Path) -> bool:
    first = next(read_records(file, Tally(), members=("data",)), None)
    return first is not None and "requests" in first[1] and "generation_id" not in first[1]


def draft(fields: Fields, tally: Tally) -> Draft | None:
    """One line of the Activity page's CSV."""
    model, variant = split_variant(fields.text("model_permaslug", "model") or "")
    named = fields.text("variant")
    if named:
        variant = "" if named.lower() == "standard" else named.lower()
    own = fields.usd("byok_usage_inference")
    charged = fields.usd("cost_total", "cost")
    for part in ("cost_cache", "cost_web_search", "cost_file_processing"):
        fields.value(part)  # parts of cost_total
    row = blank(
        fields.time("created_at"),
        operation_name="chat",
        app=fields.text("app_name"),
        key_id=key_name(fields.text("api_key_name")),
        request_model=model or None,
        response_model=model or None,
        model_variant=variant if model else None,
        provider_name=fields.text("provider_name"),
        is_stream=fields.truth("streamed"),
        is_cancelled=fields.truth("cancelled"),
        is_byok=None if own is None else own > 0,
        finish_reason=finish_word(fields.text("finish_reason_normalized")),
        usage_input_tokens=fields.count("tokens_prompt"),
        usage_output_tokens=fields.count("tokens_completion"),
        usage_cache_read_input_tokens=fields.count("tokens_cached"),
        usage_reasoning_output_tokens=fields.count("tokens_reasoning"),
        cost_nano_usd=charged,
        upstream_cost_nano_usd=own if own else None,
        cost_basis="provider_reported" if charged is not None else None,
        duration_us=fields.duration("generation_time_ms", unit="ms"),
        time_to_first_chunk_us=fields.duration("time_to_first_token_ms", unit="ms"),
    )
    fields.value("finish_reason_raw")
    return Draft(fields.text("generation_id") or "", row, fields.text("user"))


def _import_days(format: str, files: Sequence[Path], ledger: "Ledger", options: "Options") -> ImportReport:
    tally = Tally()
    source = options.source_id or format
    vintages = []
    for file in files:
        mark = fingerprint(source, file)
        as_of = when_published(ledger, mark, options.as_of)
        facts: dict[object, DayFact] = {}
        for line, members in read_records(file, tally, members=("data",)):
            tally.read += 1
            fields = Fields(members, tally)
            try:
                fact = _day_fact(fields)
            except Unusable as error:
                tally.refuse(error, file, line)
                continue
            fields.leave()
            before = facts.get(fact.key)
            if before is not None:
                tally.flags["one model on several endpoints of a provider: added up"] += 1
                fact = _plus(before, fact)
            facts[fact.key] = fact
        vintages.append(Vintage(name=file.name, mark=mark, as_of=as_of, facts=tuple(facts.values())))
    added = add_daily(ledger, source, vintages, prefix=format)
    return ImportReport(
        format=format,
        source_ids=(source,),
        files=len(files),
        read=tally.read,
        added=added.new,
        known=added.known,
        rejected=tally.rejections(),
        restated=added.restated,
        unit=added.units[0] if added.units else "",
        notes=(*tally.notes(), *added.notes()),
    )


def _day_fact(fields: Fields) -> DayFact:
    day = fields.time("date")
    if day is None:
        raise Unusable("the date is missing")
    model, variant = split_variant(fields.text("model_permaslug") or fields.text("model") or "")
    fields.value("model")
    if not model:
        raise Unusable("the model is missing")
    tokens_in, tokens_out = fields.count("prompt_tokens"), fields.count("completion_tokens")
    return DayFact(
        day=dt.datetime.fromtimestamp(day / 1_000_000, dt.UTC).date(),
        response_model=model,
        model_variant=variant,
        provider_name=fields.text("provider_name"),
        calls=fields.count("requests"),
        usage_input_tokens=tokens_in,
        usage_output_tokens=tokens_out,
        usage_reasoning_output_tokens=fields.count("reasoning_tokens"),
        total_tokens=None if tokens_in is None or tokens_out is None else tokens_in + tokens_out,
        cost_nano_usd=fields.usd("usage"),
        upstream_cost_nano_usd=fields.usd("byok_usage_inference"),
    )


def _plus(one: DayFact, other: DayFact) -> DayFact:
    from tidegate.ledger.imports.daily import MEASURES

    sums = {
        name: None if a is None and b is None else (a or 0) + (b or 0)
        for name, a, b in zip(MEASURES, one.values, other.values, strict=True)
    }
    return msgspec.structs.replace(one, **sums)
