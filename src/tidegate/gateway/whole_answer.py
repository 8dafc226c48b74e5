"""A provider's reply that came whole: what the caller gets of it, whatever either of them had meant by it.

Providers stream to those who did not ask, answer whole to those who asked for a stream, name streams as something else,
and send errors or pages of HTML with status 200. A caller must not take any of these for an answer.
"""

import time
from typing import TYPE_CHECKING, Final

from tidegate.core.errors import GatewayError, UpstreamError
from tidegate.gateway.http import EVENT_STREAM, JSON
from tidegate.gateway.replies import message_in
from tidegate.wire.conversation import Ask
from tidegate.wire.dialect import Seen
from tidegate.wire.events import Stop
from tidegate.wire.surrogates import without_halves

if TYPE_CHECKING:
    from tidegate.gateway.call import Call
    from tidegate.gateway.whole_reply import WholeReply

_BEGINS_OF_STREAM: Final = (b"data:", b"event:", b": ")


Told = tuple[bytes, Seen | None, bytes, GatewayError | None]
"""Body for the caller, what was seen in the provider's (None: it could not be read), content-type, error.

Where the body is empty, the error is told in its place.
"""


def take_whole(exchange: "Call", reply: "WholeReply") -> bool:
    """Note what a reply that came in one piece says of itself; False where it must be told in parts, as a stream's."""
    head, headers = exchange.head, reply.headers
    if exchange.settlement is not None or head is None or head.is_stream or exchange.operation.is_media:
        return False
    if len(reply.body) > exchange.server.limits.response_bytes_max:
        return False
    exchange.upstream_status, exchange.upstream_ended = reply.status, time.monotonic()
    exchange.note_head(headers.get(b"content-type") or JSON, headers.get(b"retry-after", b""))
    if reply.body:
        exchange.first_chunk, exchange.body = exchange.upstream_ended, [reply.body]
    return True


def is_stream_by_look(exchange: "Call", data: bytes) -> bool:
    """The first bytes of a reply are events, whatever the provider called them, and events were asked for."""
    head = exchange.head
    is_wanted = head is not None and head.is_stream and exchange.upstream_status == 200
    return is_wanted and data.lstrip().startswith(_BEGINS_OF_STREAM)


def as_whole(exchange: "Call", body: bytes) -> bytes:
    """The provider's whole reply; made of its events where it streamed to a caller who had not asked for a stream."""
    head, serving = exchange.head, exchange.serving
    assert head is not None and serving is not None
    if head.is_stream or not exchange.content_type.lower().startswith(EVENT_STREAM):
        return body
    decoder = serving.dialect.stream_decoder(event_bytes_max=len(body) + 1)
    events = [*decoder.feed(body), *decoder.finish()]
    if not any(isinstance(event, Stop) for event in events):
        return body
    exchange.content_type = JSON
    created_s = exchange.request.arrived_us // 1_000_000
    ask = Ask(model=head.model, turns=())
    return serving.dialect.encode_reply(events, ask, generation_id=exchange.generation_id, created_s=created_s)


def whole_reply(exchange: "Call", body: bytes) -> Told:
    """What the caller gets.

    Events, where a stream was asked for: there may have been comments of one already. What cannot be read passes as it
    is only in the caller's own dialect and unstreamed; everybody else could not tell it from an answer without text.
    """
    way, serving, head, operation = exchange.way, exchange.serving, exchange.head, exchange.operation
    assert way is not None and serving is not None and head is not None
    told, seen = way.reply(body)
    if seen is None and (again := without_halves(body)) != body:
        told, seen = way.reply(again)
        body = again
    error = _error_in(exchange, body, seen)
    if head.is_stream and not operation.is_media:  # a picture or a sound is what it is, however it came
        events = way.as_stream(body) if error is None else None
        return events or b"", seen, operation.stream_type, error or (None if events else _unreadable(exchange))
    if serving.dialect is operation.dialect or operation.is_media:
        return told, seen, exchange.content_type, error
    if seen is None:
        error = _unreadable(exchange)
    return b"" if error else told, seen, JSON, error


def _error_in(exchange: "Call", body: bytes, seen: Seen | None) -> GatewayError | None:
    if seen is None or not seen.has_error:
        return None
    said = message_in(body)
    return UpstreamError(f"Provider {_name(exchange)} sent an error with status {exchange.upstream_status}: {said}")


def _unreadable(exchange: "Call") -> GatewayError:
    assert exchange.serving is not None
    name, dialect = _name(exchange), exchange.serving.dialect.name
    return UpstreamError(f"Provider {name} answered {exchange.upstream_status} with what is no answer in {dialect}.")


def _name(exchange: "Call") -> str:
    assert exchange.endpoint is not None
    return exchange.endpoint.provider
