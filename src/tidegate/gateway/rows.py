"""Rows and attempts as an exchange writes them: at dispatch what is known, at the end everything."""

import hashlib
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidegate.core.errors import GatewayError
from tidegate.core.row import Attempt, Intent, Row
from tidegate.gateway.meter import Settlement

if TYPE_CHECKING:
    from tidegate.gateway.exchange import Exchange

APP_CHARS_MAX = 128
REASON_CHARS_MAX = 64  # of what a provider may put into a row
NAME_CHARS_MAX = 200  # of what a caller may put into a row


def identity_row(exchange: "Exchange") -> Row:
    """What is known at dispatch: enough for a row if this process dies now."""
    head, endpoint, key, server = exchange.head, exchange.endpoint, exchange.key, exchange.server
    assert head is not None and endpoint is not None
    model, variant = split_variant(endpoint.model)
    return Row(
        generation_id=exchange.generation_id,
        ts=exchange.request.arrived_us,
        source_id="own",
        request_id=exchange.request_id,
        session_id=_session(exchange),
        gateway_id=server.gateway_id,
        tenant_id=key.tenant_id,
        project_id=key.project_id,
        key_id=key.key_id,
        user_hash=user_hash(server.pepper, key.tenant_id, head.user) if head.user else None,
        app=_app(exchange),
        billing_country=key.billing_country,
        ip_country=exchange.client.caller.country(exchange.request.headers),
        operation_name=exchange.operation.name,
        dialect=exchange.operation.dialect.name,
        request_model=head.model[:NAME_CHARS_MAX],
        response_model=model,
        model_variant=variant,
        provider_name=endpoint.provider,
        endpoint_id=endpoint.endpoint_id,
        endpoint_region=endpoint.region or None,
        route_reason=server.table.reason,
        is_stream=head.is_stream,
        price_id=exchange.price.price_id if exchange.price else None,
    )


def intent_of(exchange: "Exchange", number: int, now_us: int) -> Intent:
    """What the journal holds before an attempt's bytes leave."""
    assert exchange.endpoint is not None and exchange.identity is not None
    return Intent(
        generation_id=exchange.generation_id,
        attempt_no=number,
        ts=now_us,
        endpoint_id=exchange.endpoint.endpoint_id,
        row=exchange.identity,
    )


def outcome_row(exchange: "Exchange", attempts: list[Attempt]) -> Row:
    """The row of a finished call, at the recorder's next position."""
    head, endpoint, key, server = exchange.head, exchange.endpoint, exchange.key, exchange.server
    request, settlement, seen = exchange.request, exchange.settlement, exchange.seen
    assert settlement is not None
    segment_id, segment_seq = server.recorder.position
    usage, now, known = settlement.usage, time.monotonic(), exchange.identity
    model, variant = split_variant(endpoint.model) if endpoint else (None, None)
    return Row(
        generation_id=exchange.generation_id,
        ts=request.arrived_us,
        source_id="own",
        request_id=exchange.request_id,
        session_id=known.session_id if known else _session(exchange),
        gateway_id=server.gateway_id,
        segment_id=segment_id,
        segment_seq=segment_seq,
        tenant_id=key.tenant_id,
        project_id=key.project_id,
        key_id=key.key_id,
        user_hash=known.user_hash if known else None,
        app=known.app if known else _app(exchange),
        billing_country=key.billing_country,
        ip_country=known.ip_country if known else exchange.client.caller.country(request.headers),
        operation_name=exchange.operation.name,
        dialect=exchange.operation.dialect.name,
        request_model=head.model[:NAME_CHARS_MAX] if head else None,
        response_model=model,
        model_variant=variant,
        provider_name=endpoint.provider if endpoint else None,
        endpoint_id=endpoint.endpoint_id if endpoint else None,
        endpoint_region=(endpoint.region or None) if endpoint else None,
        route_reason=server.table.reason if endpoint else None,
        attempt_count=len(attempts),
        is_stream=head.is_stream if head else None,
        is_cancelled=exchange.client_gone,
        is_byok=False,
        is_cached=False,
        status_code=exchange.status,
        finish_reason=seen.finish_reason[:REASON_CHARS_MAX] if seen and seen.finish_reason else None,
        error_type=exchange.error.code if exchange.error else None,
        tools_offered=head.tools_offered if head else None,
        tool_calls=seen.tool_calls if seen else None,
        usage_input_tokens=usage.input_tokens if usage else None,
        usage_output_tokens=usage.output_tokens if usage else None,
        usage_cache_read_input_tokens=usage.cache_read_input_tokens if usage else None,
        usage_cache_creation_input_tokens=usage.cache_creation_input_tokens if usage else None,
        usage_reasoning_output_tokens=usage.reasoning_output_tokens if usage else None,
        images=(usage.images or None) if usage else None,
        audio_input_s=(usage.audio_input_s or None) if usage else None,
        audio_output_s=(usage.audio_output_s or None) if usage else None,
        requests=usage.requests if usage else None,
        cost_nano_usd=settlement.cost_nano_usd,
        upstream_cost_nano_usd=settlement.upstream_cost_nano_usd,
        cost_basis=settlement.basis,
        price_id=exchange.price.price_id if exchange.price else None,
        duration_us=int((now - request.arrived) * 1e6),
        time_to_first_chunk_us=int((exchange.first_chunk - request.arrived) * 1e6) if exchange.first_chunk else None,
        overhead_us=int(_overhead_s(exchange, now) * 1e6),
    )


def _overhead_s(exchange: "Exchange", now: float) -> float:
    """The request's last byte to dispatch, and what follows the provider's last; all of it if none was asked."""
    ready, dispatched = exchange.request.complete, exchange.dispatched
    if not dispatched:
        return now - ready
    return (dispatched - ready) + (now - (exchange.upstream_ended or now))


def attempt_of(exchange: "Exchange", number: int, error: GatewayError | None, settlement: Settlement) -> Attempt:
    """The attempt that has just ended, and what the provider charges for it."""
    usage, started = settlement.usage, exchange.attempt_started
    assert exchange.endpoint is not None
    first = exchange.first_chunk
    return Attempt(
        generation_id=exchange.generation_id,
        attempt_no=number,
        ts=started[0],
        endpoint_id=exchange.endpoint.endpoint_id,
        status_code=exchange.upstream_status or None,
        error_type=error.code if error else None,
        usage_input_tokens=usage.input_tokens if usage else None,
        usage_output_tokens=usage.output_tokens if usage else None,
        usage_cache_read_input_tokens=usage.cache_read_input_tokens if usage else None,
        usage_cache_creation_input_tokens=usage.cache_creation_input_tokens if usage else None,
        usage_reasoning_output_tokens=usage.reasoning_output_tokens if usage else None,
        upstream_cost_nano_usd=settlement.upstream_cost_nano_usd,
        duration_us=int((time.monotonic() - started[1]) * 1e6),
        time_to_first_chunk_us=int((first - started[1]) * 1e6) if first else None,
    )


def split_variant(model: str) -> tuple[str, str]:
    """`author/model:free` as model and variant; the standard variant is empty."""
    slug, _, variant = model.partition(":")
    return slug, variant


def user_hash(pepper: bytes, tenant_id: str, user: str) -> str:
    """An end user as the ledger knows them: a keyed hash that cannot be compared across tenants."""
    return hashlib.blake2b(f"{tenant_id}\0{user}".encode(), key=pepper, digest_size=16).hexdigest()


def _session(exchange: "Exchange") -> str | None:
    given = exchange.head.session_id if exchange.head else None
    if not given and (header := exchange.request.headers.get(b"x-session-id")):
        given = header.decode("latin-1")
    return given[:NAME_CHARS_MAX] if given else None


def _app(exchange: "Exchange") -> str | None:
    """`X-Title`, else the host of `HTTP-Referer` or `Referer`: how OpenRouter's clients name themselves."""
    headers = exchange.request.headers
    if title := headers.get(b"x-title"):
        return title.decode("utf-8", "replace")[:APP_CHARS_MAX]
    if referer := headers.get(b"http-referer") or headers.get(b"referer"):
        try:
            host = urlsplit(referer.decode("latin-1")).hostname
        except ValueError:
            return None
        return host[:APP_CHARS_MAX] if host else None
    return None
