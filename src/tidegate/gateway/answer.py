"""The last bytes of a call to its caller, sent once its outcome is recorded."""

from typing import TYPE_CHECKING, Any, Final

from tidegate.core.errors import GatewayError
from tidegate.gateway.error_shapes import error_at, in_language_of
from tidegate.gateway.http import error_reply
from tidegate.gateway.openrouter import estimate_event, usage_object, with_estimate
from tidegate.gateway.openrouter_errors import CHUNKED, Identity, own_error
from tidegate.gateway.quota_headers import quota_lines
from tidegate.gateway.replies import call_headers, header_list

if TYPE_CHECKING:
    from tidegate.gateway.call import Call


REQUEST_IDS: Final = {"anthropic": b"request-id"}  # where a dialect's SDKs look for it, beside `x-request-id`
COMMENT: Final = b": the provider is at work\n\n"  # strict readers of events skip it, proxies see a live stream
SIGNS_OF_LIFE: Final = {"gemini": b"\n\n"}
"""Google's SDKs take any line that is not empty and no `data:` for an error's; an event without lines they skip."""


def show_life(exchange: "Call") -> None:
    """Let the caller of a stream, and proxies on the way, see that it lives; where nothing may stand, nothing."""
    client, relay = exchange.client, exchange.relay
    if not exchange.client_gone and not client.is_clogged and (relay is None or relay.is_between_events):
        begin_stream(exchange)
        client.write_stream(SIGNS_OF_LIFE.get(exchange.operation.dialect.name, COMMENT))


def begin_stream(exchange: "Call") -> None:
    """The head of a streamed reply, unless it was sent or nobody is there."""
    if exchange.client_gone or exchange.reply_started:
        return
    exchange.status = 200
    exchange.reply_started = True
    extra = extra_headers(exchange) + b"cache-control: no-cache\r\n"
    exchange.client.begin_stream(exchange.operation.stream_type, extra)


def send_answer(exchange: "Call") -> None:
    """The end of the stream, the provider's reply, or the error that came instead."""
    client = exchange.client
    if exchange.reply_started:
        client.end_stream(_last_event(exchange))
    elif exchange.error is not None and not exchange.body:
        client.finish(_error_reply(exchange, exchange.error))
    else:
        body = exchange.body[0] if exchange.body else b""
        if (usage := _estimate(exchange)) is not None:
            body = with_estimate(body, usage)
        client.reply(exchange.status, exchange.content_type, body, extra_headers(exchange))


def send_unrecorded(exchange: "Call", error: GatewayError) -> None:
    """The outcome could not be written: no reply of this call may look whole."""
    if exchange.reply_started:
        exchange.client.abort()
    else:
        exchange.client.finish(_error_reply(exchange, error))


def extra_headers(exchange: "Call") -> bytes:
    """The header lines of every reply to this call."""
    lines = call_headers(exchange.generation_id, exchange.request_id, exchange.retry_after)
    if (name := REQUEST_IDS.get(exchange.operation.dialect.name)) is not None:
        lines += b"%b: %b\r\n" % (name, exchange.request_id.encode("latin-1"))
    if exchange.way is not None and exchange.way.dropped:
        lines += b"x-tidegate-dropped-parameters: %b\r\n" % header_list(exchange.way.dropped)
    if exchange.share is not None:
        lines += exchange.share.lines
    if exchange.ladder_told:
        lines += exchange.ladder_told
    if exchange.claim is not None:
        lines += quota_lines(exchange.claim, exchange.request.arrived_us // 1_000_000)
    return lines


def _last_event(exchange: "Call") -> bytes:
    relay, error = exchange.relay, exchange.error
    if relay is None:  # only comments have been sent
        if error is None:
            return exchange.body[0] if exchange.body else b""
        return _error_event(exchange, error)
    if error is not None:  # one of the provider's own has been passed on
        return relay.last(b"" if relay.seen.has_error else _error_event(exchange, error))
    usage = _estimate(exchange)
    event = b"" if usage is None else estimate_event(exchange.operation.dialect.name, usage, _identity(exchange))
    return event + relay.last(b"")


def _error_event(exchange: "Call", error: GatewayError) -> bytes:
    operation, error = exchange.operation, _spoken(exchange, error)
    if operation.is_openrouter and operation.dialect.name in CHUNKED:
        return own_error(error, operation.dialect.name, _identity(exchange))
    return operation.dialect.stream_error(error)


def _estimate(exchange: "Call") -> dict[str, Any] | None:
    """The usage that OpenRouter's callers are told of a call that was counted here; None of any other."""
    settlement, operation = exchange.settlement, exchange.operation
    if not operation.is_openrouter or operation.dialect.name not in CHUNKED or exchange.price is None:
        return None
    if settlement is None or settlement.basis != "estimated_partial":
        return None
    return usage_object(settlement, operation.dialect.name, exchange.price)


def _identity(exchange: "Call") -> Identity:
    model = exchange.head.model if exchange.head is not None else ""
    return Identity(exchange.generation_id, exchange.request.arrived_us // 1_000_000, model)


def _error_reply(exchange: "Call", error: GatewayError) -> bytes:
    provider = exchange.endpoint.provider if exchange.endpoint and exchange.attempts else ""
    keep_alive, date = exchange.client.keeps_alive, exchange.server.date
    error = _spoken(exchange, error)
    body = error_at(exchange.request.path, error, request_id=exchange.request_id, provider_name=provider)
    return error_reply(error, body, extra=extra_headers(exchange), keep_alive=keep_alive, date=date)


def _spoken(exchange: "Call", error: GatewayError) -> GatewayError:
    language = exchange.server.gate.languages.get(exchange.key.tenant_id, "")
    return in_language_of(error, exchange.request.headers, language)
