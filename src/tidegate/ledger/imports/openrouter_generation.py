"""OpenRouter's generation records (GET /api/v1/generation) as rows.

Token counts are the native ones, which are billed; the normalised ones only where those are missing. `tokens_cached`
and reasoning are parts. `usage` is what was charged; under BYOK the provider's bill is `upstream_inference_cost`.
Source: https://openrouter.ai/docs/api-reference/get-a-generation, and the OpenAPI document of the documentation's
repository (OpenRouterTeam/docs), checked 2026-11-22.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.ledger.imports.calls import CallFormat, Draft, blank, finish_word, import_calls, spelled_model
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

_US_PER_MS = 1000


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    return import_calls(CallFormat(name=format, draft=draft), files, ledger, options.source_id, progress)


def draft(fields: Fields, tally: Tally) -> Draft | None:
    """One generation. `latency` is milliseconds to the first token, `generation_time` milliseconds of the whole."""
    inner = fields.inner("data") if fields.value("data") is not None else fields
    model, variant = spelled_model(inner.text("model", "model_permaslug"))
    tokens_in = inner.count("native_tokens_prompt")
    tokens_out = inner.count("native_tokens_completion")
    normalised_in, normalised_out = inner.count("tokens_prompt"), inner.count("tokens_completion")
    if tokens_in is None and normalised_in is not None:
        tally.flags["native token counts are missing; OpenRouter's normalised ones were taken"] += 1
    first, whole = inner.duration("latency", unit="ms"), inner.duration("generation_time", unit="ms")
    charged, upstream = inner.usd("usage", "total_cost"), inner.usd("upstream_inference_cost")
    byok = inner.truth("is_byok")
    attempts = inner.value("provider_responses")
    row = blank(
        inner.time("created_at"),
        session_id=inner.text("session_id"),
        app=inner.text("app_name", "origin", "http_referer"),
        operation_name=_operation(inner.text("api_type")),
        request_model=model,
        response_model=model,
        model_variant=inner.text("variant") or variant,
        provider_name=inner.text("provider_name"),
        endpoint_region=inner.text("data_region"),
        attempt_count=len(attempts) if isinstance(attempts, list) and attempts else None,
        is_stream=inner.truth("streamed"),
        is_cancelled=inner.truth("cancelled"),
        is_byok=byok,
        finish_reason=finish_word(inner.text("finish_reason")),
        usage_input_tokens=tokens_in if tokens_in is not None else normalised_in,
        usage_output_tokens=tokens_out if tokens_out is not None else normalised_out,
        usage_cache_read_input_tokens=inner.count("native_tokens_cached"),
        usage_reasoning_output_tokens=inner.count("native_tokens_reasoning"),
        images=inner.count("num_media_completion"),
        cost_nano_usd=charged,
        upstream_cost_nano_usd=upstream if byok else None,
        cost_basis="provider_reported" if charged is not None else None,
        duration_us=whole,
        time_to_first_chunk_us=first,
    )
    user = inner.text("external_user")
    if inner is not fields:
        inner.leave()
    return Draft(inner.text("id", "generation_id") or "", row, user)


def _operation(api_type: str | None) -> str | None:
    return {None: "chat", "completions": "chat", "embeddings": "embeddings"}.get(api_type, api_type)
