"""Helicone requests (its export tool, or the query API) as rows.

Times of the request and of the first token are Helicone's; `delay_ms` and `latency` are milliseconds. `country_code` is
where the caller's address is registered. Whether `prompt_tokens` includes cached tokens differs by version and
provider; it is taken to leave them out where they exceed it or where `total_tokens` shows so, and this is said.
Source: Helicone/helicone, examples/export/typescript/README.md and the type RequestResponseRMT, checked 2026-11-22.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.ledger.imports.calls import CallFormat, Draft, blank, import_calls, spelled_model
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

_OUTSIDE = "prompt_tokens leaves out cached tokens here; they were added, since they are part of input"
_CANCELLED, _PENDING = -3, -2  # what Helicone writes in the place of an HTTP status


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    return import_calls(CallFormat(name=format, draft=draft), files, ledger, options.source_id, progress)


def draft(fields: Fields, tally: Tally) -> Draft | None:
    """One request."""
    status = _status(fields.text("response_status", "status"))
    if status == _PENDING:
        tally.skipped["a request without an answer yet"] += 1
        return None
    read = fields.count("prompt_cache_read_tokens")
    written = fields.count("prompt_cache_write_tokens")
    reasoning = fields.count("reasoning_tokens")
    tokens_in, tokens_out = fields.count("prompt_tokens"), fields.count("completion_tokens")
    total = fields.count("total_tokens")
    cached = (read or 0) + (written or 0)
    if tokens_in is not None and cached and (cached > tokens_in or total == tokens_in + (tokens_out or 0) + cached):
        tokens_in += cached
        tally.flags[_OUTSIDE] += 1
    charged = fields.usd("cost", "costUSD", "cost_usd")
    model, variant = spelled_model(fields.text("model", "response_model", "model_override", "request_model"))
    asked, _ = spelled_model(fields.text("request_model"))
    properties = fields.inner("request_properties", "properties")
    provider = fields.text("provider")
    country = fields.text("country_code")
    row = blank(
        fields.time("request_created_at"),
        session_id=properties.text("Helicone-Session-Id"),
        tenant_id=fields.text("organization_id"),
        key_id=fields.text("proxy_key_id"),
        app=properties.text("app", "appname", "Helicone-Property-App"),
        ip_country=country.upper() if country and len(country) == 2 else None,
        operation_name="chat",
        request_model=asked or model,
        response_model=model,
        model_variant=variant,
        provider_name=provider.lower() if provider else None,
        is_cancelled=True if status == _CANCELLED else None,
        is_cached=True if fields.text("cache_reference_id") not in (None, _NO_CACHE) else None,
        status_code=status if status is not None and 100 <= status <= 599 else None,
        error_type=f"http_{status}" if status is not None and 400 <= status <= 599 else None,
        usage_input_tokens=tokens_in,
        usage_output_tokens=tokens_out,
        usage_cache_read_input_tokens=read,
        usage_cache_creation_input_tokens=written,
        usage_reasoning_output_tokens=reasoning,
        cost_nano_usd=charged,
        cost_basis="metered" if charged is not None else None,
        duration_us=fields.duration("delay_ms", "latency", "latency_ms", unit="ms"),
        time_to_first_chunk_us=fields.duration("time_to_first_token", unit="ms"),
    )
    for name in ("response_id", "response_created_at", "response_model", "signed_body_url", "target_url", "size_bytes"):
        fields.value(name)
    fields.private("request_body", "response_body", "request_prompt", "response_prompt", "assets", "prompt", "response")
    return Draft(fields.text("request_id", "response_id") or "", row, fields.text("request_user_id", "user_id"))


_NO_CACHE = "00000000-0000-0000-0000-000000000000"


def _status(text: str | None) -> int | None:
    return int(text) if text and text.lstrip("-").isdecimal() else None
