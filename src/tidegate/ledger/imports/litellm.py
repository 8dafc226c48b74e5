"""LiteLLM spend logs (table LiteLLM_SpendLogs, `GET /spend/logs`) as rows.

`prompt_tokens` includes cached tokens; those, cache writes and reasoning stand in `metadata.usage_object` or
`metadata.additional_usage_values`. `model` carries the provider before a slash (`azure/gpt-4o`): it is taken off where
`custom_llm_provider` says the same. `spend` is USD as a float. `cache_hit` means answered from LiteLLM's own cache.
Source: litellm/proxy/spend_tracking/spend_tracking_utils.py and schema.prisma in BerriAI/litellm, checked 2026-11-22.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.ledger.imports.calls import CallFormat, Draft, blank, import_calls, key_name, spelled_model
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import Unusable, as_truth

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

_OPERATIONS = {"completion": "chat", "text_completion": "text_completion", "embedding": "embeddings"}


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    return import_calls(CallFormat(name=format, draft=draft), files, ledger, options.source_id, progress)


def draft(fields: Fields, tally: Tally) -> Draft | None:
    """One spend log."""
    if fields.text("call_type") in ("/health", "health_check", "acreate_file", "aretrieve_batch"):
        tally.skipped[f"call_type {fields.text('call_type')}"] += 1
        return None
    start, end, first = (fields.time(name, plain) for name, plain in _TIMES)
    metadata = fields.inner("metadata")
    usage = metadata.inner("usage_object")
    extra = metadata.inner("additional_usage_values")
    provider = fields.text("custom_llm_provider")
    model, variant = spelled_model(_without_provider(fields.text("model"), provider))
    asked, _ = spelled_model(fields.text("model_group"))
    error = metadata.inner("error_information")
    failed = (fields.text("status") or metadata.text("status")) == "failure"
    team, organisation, user = fields.text("team_id"), fields.text("organization_id"), fields.text("user")
    charged = fields.usd("spend")
    row = blank(
        start,
        session_id=fields.text("session_id"),
        tenant_id=organisation or team or user,
        project_id=team if organisation else None,
        key_id=key_name(fields.text("api_key")),
        operation_name=_operation(fields.text("call_type")),
        request_model=asked or model,
        response_model=model,
        model_variant=variant,
        provider_name=provider,
        endpoint_id=fields.text("model_id"),
        is_cached=_cache_hit(fields),
        status_code=_status(error.text("error_code")) if failed else 200 if _says_status(fields, metadata) else None,
        error_type=(error.text("error_class") or "failure") if failed else None,
        usage_input_tokens=fields.count("prompt_tokens"),
        usage_output_tokens=fields.count("completion_tokens"),
        usage_cache_read_input_tokens=_cached(usage, extra),
        usage_cache_creation_input_tokens=_first(usage, extra, "cache_creation_input_tokens"),
        usage_reasoning_output_tokens=_detail(usage, extra, "completion_tokens_details", "reasoning_tokens"),
        cost_nano_usd=charged,
        upstream_cost_nano_usd=charged,
        cost_basis="metered" if charged is not None else None,
        duration_us=None if start is None or end is None or end < start else end - start,
        time_to_first_chunk_us=None if start is None or first in (None, end) or first < start else first - start,
        overhead_us=metadata.duration("litellm_overhead_time_ms", unit="ms"),
    )
    _check_total(fields, row.usage_input_tokens, row.usage_output_tokens, tally)
    for name in ("api_base", "cache_key", "model_id", "request_tags", "requester_ip_address", "duration"):
        fields.value(name)  # addresses and keys of LiteLLM's own: known, and of no use here
    fields.private("messages", "response", "proxy_server_request")
    return Draft(fields.text("request_id", "id") or "", row, fields.text("end_user"))


_TIMES = (("startTime", "start_time"), ("endTime", "end_time"), ("completionStartTime", "completion_start_time"))


def _without_provider(model: str | None, provider: str | None) -> str | None:
    prefix = f"{provider}/"
    return model[len(prefix) :] if model and provider and model.lower().startswith(prefix.lower()) else model


def _operation(call_type: str | None) -> str | None:
    word = (call_type or "").removeprefix("a")
    return _OPERATIONS.get(word, _OPERATIONS.get(call_type or "", call_type))


def _says_status(fields: Fields, metadata: Fields) -> bool:
    return (fields.text("status") or metadata.text("status")) == "success"


def _status(code: str | None) -> int | None:
    return int(code) if code and code.isdecimal() and 100 <= int(code) <= 599 else None


def _cache_hit(fields: Fields) -> bool | None:
    text = fields.text("cache_hit")
    if text is None or text.lower() == "none":
        return None
    try:
        return as_truth("cache_hit", text)
    except Unusable:
        return None


def _cached(usage: Fields, extra: Fields) -> int | None:
    found = _detail(usage, extra, "prompt_tokens_details", "cached_tokens")
    return found if found is not None else _first(usage, extra, "cache_read_input_tokens")


def _first(usage: Fields, extra: Fields, name: str) -> int | None:
    found = usage.count(name)
    return found if found is not None else extra.count(name)


def _detail(usage: Fields, extra: Fields, group: str, name: str) -> int | None:
    found = usage.inner(group).count(name)
    return found if found is not None else extra.inner(group).count(name)


def _check_total(fields: Fields, tokens_in: int | None, tokens_out: int | None, tally: Tally) -> None:
    total = fields.count("total_tokens")
    if None not in (total, tokens_in, tokens_out) and total != (tokens_in or 0) + (tokens_out or 0):
        tally.flags["total_tokens is not prompt plus completion; the parts were kept"] += 1
