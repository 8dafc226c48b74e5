"""Rows and attempts as an exchange writes them: at dispatch what is known, at the end everything."""

import hashlib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from tidegate.core.errors import GatewayError
from tidegate.core.facts import Endpoint
from tidegate.core.price import Price
from tidegate.core.row import Attempt, Intent, Row
from tidegate.core.usage import NO_USAGE, Usage
from tidegate.gateway.meter import Settlement

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.gateway.call import Call

APP_CHARS_MAX = 128
REASON_CHARS_MAX = 64  # of what a provider may put into a row
NAME_CHARS_MAX = 200  # of what a caller may put into a row
KINDS_MAX = 10_000  # kinds of rows remembered; then they are made anew


Draft: Any = msgspec.defstruct("Draft", (), bases=(Row,), frozen=False, gc=False)
"""A row on its way to the journal: a copy of what its kind shares, with what is the call's own written in.

A copy with twenty fields set takes half the time of a struct with fifty arguments. Any, since to a type checker the
fields of a frozen struct stay frozen; whoever gets one takes it for the `Row` that it is.
"""


class Kinds:
    """What all rows of one key, endpoint and operation share, made once and copied for each."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str, str], tuple[Key, Endpoint, Price | None, Any]] = {}

    def draft(self, exchange: "Call", endpoint: Endpoint) -> Any:
        """A row of this exchange's kind, without anything that is the call's own."""
        key, price, operation = exchange.key, exchange.price, exchange.operation
        name = (key.key_id, endpoint.endpoint_id, operation.dialect.name, operation.name)
        kept = self._kept.get(name)
        if kept is None or kept[0] is not key or kept[1] is not endpoint or kept[2] is not price:
            if len(self._kept) >= KINDS_MAX:
                self._kept.clear()
            kept = self._kept[name] = (key, endpoint, price, _shared(exchange, endpoint))
        return kept[3].__copy__()


def _shared(exchange: "Call", endpoint: Endpoint | None) -> Any:
    key, server = exchange.key, exchange.server
    model, variant = split_variant(endpoint.model) if endpoint else (None, None)
    return Draft(
        generation_id="",
        ts=0,
        source_id="own",
        gateway_id=server.gateway_id,
        tenant_id=key.tenant_id,
        project_id=key.project_id,
        key_id=key.key_id,
        billing_country=key.billing_country,
        operation_name=exchange.operation.name,
        dialect=exchange.operation.dialect.name,
        response_model=model,
        model_variant=variant,
        provider_name=endpoint.provider if endpoint else None,
        endpoint_id=endpoint.endpoint_id if endpoint else None,
        endpoint_region=(endpoint.region or None) if endpoint else None,
        price_id=exchange.price.price_id if exchange.price else None,
    )


def identity_row(exchange: "Call") -> Any:
    """What is known at dispatch: enough for a row if this process dies now."""
    endpoint, head = exchange.endpoint, exchange.head
    row = exchange.server.kinds.draft(exchange, endpoint) if endpoint else _shared(exchange, None)
    row.generation_id, row.ts = exchange.generation_id, exchange.request.arrived_us
    row.request_id, row.session_id, row.app = exchange.request_id, _session(exchange), _app(exchange)
    row.ip_country = exchange.client.caller.country(exchange.request.headers)
    if exchange.course is not None:
        row.route_reason = exchange.course.reason
    if head is not None:
        row.request_model, row.is_stream = head.model[:NAME_CHARS_MAX], head.is_stream
        if head.user and endpoint is not None:
            row.user_hash = user_hash(exchange.server.pepper, exchange.key.tenant_id, head.user)
    return row


def intent_of(exchange: "Call", number: int, now_us: int) -> Intent:
    """What the journal holds before an attempt's bytes leave."""
    assert exchange.endpoint is not None and exchange.identity is not None
    return Intent(
        generation_id=exchange.generation_id,
        attempt_no=number,
        ts=now_us,
        endpoint_id=exchange.endpoint.endpoint_id,
        row=exchange.identity,
    )


def outcome_row(exchange: "Call", attempts: list[Attempt]) -> Row:
    """The row of a finished call, at the recorder's next position."""
    settlement, seen, request, now = exchange.settlement, exchange.seen, exchange.request, time.monotonic()
    assert settlement is not None
    row: Any = exchange.identity.__copy__() if exchange.identity else identity_row(exchange)
    row.segment_id, row.segment_seq = exchange.server.recorder.position
    row.attempt_count, row.status_code = len(attempts), exchange.status
    row.is_cancelled, row.is_byok = exchange.client_gone, False
    row.is_cached = exchange.share is not None and exchange.share.is_taken
    row.price_id = _price_id(exchange)
    if exchange.course is not None and exchange.course.faults:
        row.route_reason = exchange.course.reason
    if exchange.error is not None:
        row.error_type = exchange.error.code
    if exchange.head is not None:
        row.tools_offered = exchange.head.tools_offered
    if seen is not None:
        row.tool_calls = seen.tool_calls
        row.finish_reason = seen.finish_reason[:REASON_CHARS_MAX] if seen.finish_reason else None
    if settlement.usage is not None:
        _write_usage(row, settlement.usage)
    row.cost_nano_usd, row.upstream_cost_nano_usd = settlement.cost_nano_usd, settlement.upstream_cost_nano_usd
    if len(attempts) > 1 or (attempts and settlement.usage is NO_USAGE):  # one that failed, then the next was refused
        row.upstream_cost_nano_usd = _upstream_cost(attempts)
    row.cost_basis, row.operator_loss_nano_usd = settlement.basis, settlement.operator_loss_nano_usd
    row.duration_us = int((now - request.arrived) * 1e6)
    if exchange.first_chunk:
        row.time_to_first_chunk_us = int((exchange.first_chunk - request.arrived) * 1e6)
    row.overhead_us = int(_overhead_s(exchange, now) * 1e6)
    return row  # type: ignore[no-any-return]


def _upstream_cost(attempts: list[Attempt]) -> int | None:
    """What providers charge for all attempts, as far as that is known; None where it is of none."""
    known = [attempt.upstream_cost_nano_usd for attempt in attempts if attempt.upstream_cost_nano_usd is not None]
    return sum(known) if known else None


def _price_id(exchange: "Call") -> str | None:
    """Of the tenant's own rates, where it has any for the model."""
    if exchange.claim is not None and exchange.claim.charge.price is not None:
        return exchange.claim.charge.price.price_id
    return exchange.price.price_id if exchange.price else None


def _write_usage(row: Any, usage: Usage) -> None:
    row.usage_input_tokens, row.usage_output_tokens = usage.input_tokens, usage.output_tokens
    row.usage_cache_read_input_tokens = usage.cache_read_input_tokens
    row.usage_cache_creation_input_tokens = usage.cache_creation_input_tokens
    row.usage_reasoning_output_tokens = usage.reasoning_output_tokens
    row.images, row.requests = usage.images or None, usage.requests
    row.audio_input_s, row.audio_output_s = usage.audio_input_s or None, usage.audio_output_s or None


def _overhead_s(exchange: "Call", now: float) -> float:
    """The request's last byte to dispatch, and what follows the provider's last; all of it if none was asked."""
    ready, dispatched = exchange.request.complete, exchange.dispatched
    if not dispatched:
        return now - ready
    return (dispatched - ready) + (now - (exchange.upstream_ended or now))


def attempt_of(exchange: "Call", number: int, error: GatewayError | None, settlement: Settlement) -> Attempt:
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


def _session(exchange: "Call") -> str | None:
    given = exchange.head.session_id if exchange.head else None
    if not given and (header := exchange.request.headers.get(b"x-session-id")):
        given = header.decode("latin-1")
    return given[:NAME_CHARS_MAX] if given else None


def _app(exchange: "Call") -> str | None:
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
