"""The last bytes of a call to its caller, sent once its outcome is recorded."""

from typing import TYPE_CHECKING

from tidegate.core.errors import GatewayError
from tidegate.gateway.http import error_reply
from tidegate.gateway.replies import call_headers
from tidegate.wire.openai_chat import stream_error

if TYPE_CHECKING:
    from tidegate.gateway.exchange import Exchange


def send_answer(exchange: "Exchange") -> None:
    """The end of the stream, the provider's reply, or the error that came instead."""
    client = exchange.client
    if exchange.reply_started:
        client.end_stream(_last_event(exchange))
    elif exchange.error is not None and not exchange.body:
        client.finish(_error_reply(exchange, exchange.error))
    else:
        body = exchange.body[0] if exchange.body else b""
        client.reply(exchange.status, exchange.content_type, body, extra_headers(exchange))


def send_unrecorded(exchange: "Exchange", error: GatewayError) -> None:
    """The outcome could not be written: no reply of this call may look whole."""
    if exchange.reply_started:
        exchange.client.abort()
    else:
        exchange.client.finish(_error_reply(exchange, error))


def extra_headers(exchange: "Exchange") -> bytes:
    """The header lines of every reply to this call."""
    return call_headers(exchange.generation_id, exchange.request_id, exchange.retry_after)


def _last_event(exchange: "Exchange") -> bytes:
    assert exchange.relay is not None
    if exchange.error is not None and not exchange.relay.error_seen:
        return stream_error(exchange.error.message, exchange.error.code)
    return exchange.relay.held


def _error_reply(exchange: "Exchange", error: GatewayError) -> bytes:
    provider = exchange.endpoint.provider if exchange.endpoint and exchange.attempts else ""
    keep_alive, date = exchange.client.keeps_alive, exchange.server.date
    return error_reply(error, extra=extra_headers(exchange), keep_alive=keep_alive, date=date, provider_name=provider)
