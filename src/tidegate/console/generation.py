"""One generation as OpenRouter's `GET /generation` shows it, made from a row."""

import datetime
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from tidegate.core.money import format_usd
from tidegate.core.row import Attempt, Row

US_PER_MS: Final = 1000


class ProviderResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one endpoint. `latency` is left out where the attempt had no answer to time.

    OpenRouter's `provider_name` is a closed list of its own spellings; here the endpoint's id names the provider.
    """

    endpoint_id: str
    status: int | None
    latency: float | msgspec.UnsetType
    is_byok: bool


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """OpenRouter's fields, in its words. Money is an exact decimal, times are milliseconds; null is "not known here".

    `usage`, `total_cost`: what the tenant is charged. `upstream_inference_cost`: what the provider charges; null for
    whom it would tell the operator's margin. `tidegate_row` is ours: the row itself, with money in integer nano-USD,
    the price's id and the routing reason.
    """

    id: str
    model: str
    provider_name: str | None
    created_at: str
    streamed: bool | None
    cancelled: bool | None
    finish_reason: str | None
    native_finish_reason: str | None
    latency: float | None
    generation_time: float | None
    tokens_prompt: int | None
    tokens_completion: int | None
    native_tokens_prompt: int | None
    native_tokens_completion: int | None
    native_tokens_reasoning: int | None
    native_tokens_cached: int | None
    native_tokens_completion_images: int | None
    usage: msgspec.Raw
    total_cost: msgspec.Raw
    upstream_inference_cost: msgspec.Raw
    is_byok: bool
    session_id: str | None
    request_id: str | None
    provider_responses: tuple[ProviderResponse, ...]
    origin: str
    tidegate_row: Row
    api_type: Literal["completions", "embeddings"] = "completions"
    data_region: Literal["global", "europe", "us"] = "global"
    cache_discount: None = None
    moderation_latency: None = None
    num_media_prompt: int | None = None
    num_media_completion: int | None = None
    num_input_audio_prompt: int | None = None
    num_search_results: int | None = None
    num_fetches: int | None = None
    router: None = None
    service_tier: None = None
    upstream_id: None = None
    app_id: None = None
    external_user: None = None
    http_referer: None = None
    user_agent: None = None
    preset_id: None = None
    web_search_engine: None = None
    response_cache_source_id: None = None
    workspace_id: str | None = None


class GenerationReply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `GET /api/v1/generation`."""

    data: Generation


def generation_of(row: Row, attempts: Sequence[Attempt], *, sees_upstream: bool = True) -> Generation:
    """A call in OpenRouter's shape. A cost that is not known was not charged: 0.

    sees_upstream: whether the reader may know what the provider charges, where that is not what the tenant pays.
    """
    if not sees_upstream and row.upstream_cost_nano_usd != row.cost_nano_usd:
        row = msgspec.structs.replace(row, upstream_cost_nano_usd=None)
    if not sees_upstream:
        row = msgspec.structs.replace(row, operator_loss_nano_usd=None)
    first_us, duration_us = row.time_to_first_chunk_us, row.duration_us
    answering_us = duration_us - first_us if duration_us is not None and first_us is not None else duration_us
    return Generation(
        id=row.generation_id,
        model=row.response_model or row.request_model or "",
        provider_name=row.provider_name,
        created_at=datetime.datetime.fromtimestamp(row.ts / 1e6, datetime.UTC).isoformat(timespec="microseconds"),
        streamed=row.is_stream,
        cancelled=row.is_cancelled,
        finish_reason=row.finish_reason,
        native_finish_reason=row.finish_reason,
        latency=_ms(duration_us),
        generation_time=_ms(answering_us),
        tokens_prompt=row.usage_input_tokens,
        tokens_completion=row.usage_output_tokens,
        native_tokens_prompt=row.usage_input_tokens,
        native_tokens_completion=row.usage_output_tokens,
        native_tokens_reasoning=row.usage_reasoning_output_tokens,
        native_tokens_cached=row.usage_cache_read_input_tokens,
        native_tokens_completion_images=row.images,
        usage=_usd(row.cost_nano_usd or 0),
        total_cost=_usd(row.cost_nano_usd or 0),
        upstream_inference_cost=_usd(row.upstream_cost_nano_usd),
        is_byok=bool(row.is_byok),
        session_id=row.session_id,
        request_id=row.request_id,
        provider_responses=tuple(_response(row, attempt) for attempt in attempts),
        origin=row.app or "",
        api_type="embeddings" if row.operation_name == "embeddings" else "completions",
        workspace_id=row.project_id,
        tidegate_row=row,
    )


def _response(row: Row, attempt: Attempt) -> ProviderResponse:
    return ProviderResponse(
        endpoint_id=attempt.endpoint_id,
        status=attempt.status_code,
        latency=msgspec.UNSET if attempt.duration_us is None else attempt.duration_us / US_PER_MS,
        is_byok=bool(row.is_byok),
    )


def _ms(us: int | None) -> float | None:
    return None if us is None else us / US_PER_MS


def _usd(amount: int | None) -> msgspec.Raw:
    """Nano-USD as a JSON number, digit for digit: no float stands in between."""
    return msgspec.Raw(b"null" if amount is None else format_usd(amount, places_min=0).encode())
