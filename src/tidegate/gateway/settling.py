"""What a call comes to when it ends, whatever of it is known."""

from typing import TYPE_CHECKING, Final

from tidegate.gateway.estimate import estimate_of, estimate_usage
from tidegate.gateway.hourly import price_of_hour
from tidegate.gateway.media_meter import media_settled
from tidegate.gateway.meter import NOTHING_SPENT, Settlement, settle
from tidegate.wire.events import fold

if TYPE_CHECKING:
    from tidegate.core.usage import Usage
    from tidegate.gateway.call import Call
    from tidegate.wire.dialect import Pieces

PROMPT_BYTES_MAX: Final = 64 * 1024
"""A stream's request is kept up to this size, to count its tokens should the provider not say; above it, its length."""


def prompt_of(pieces: "Pieces") -> bytes | int:
    """What is kept of a request while its stream runs."""
    length = sum(map(len, pieces))
    return b"".join(pieces) if length <= PROMPT_BYTES_MAX else length


def settled(exchange: "Call", body: bytes = b"") -> Settlement:
    """What the provider has reported so far, and what that costs; counted here where it has reported nothing.

    body: the provider's whole reply, where the answer was no stream.
    """
    settlement = _settled(exchange, body)
    if exchange.claim is not None:
        exchange.claim.charged(settlement)
    return settlement


def _settled(exchange: "Call", body: bytes) -> Settlement:
    seen, price = exchange.seen, exchange.price
    assert price is not None
    if exchange.operation.counts_only:
        return NOTHING_SPENT
    if price.faces:
        price = price_of_hour(exchange, price)
    if exchange.operation.is_media:
        return media_settled(exchange)
    is_left = exchange.client_gone or exchange.is_cut_off
    if seen is None:
        return settle(None, price, estimate=_left_behind(exchange) if is_left else None)
    estimate = _estimate(exchange, body) if seen.usage is None else None
    return settle(seen.usage, price, reported_nano_usd=seen.reported_nano_usd, estimate=estimate)


def _left_behind(exchange: "Call", output: str | int = 0) -> "Usage | None":
    """A call that was left, or cut off, after it was sent: the provider reads the prompt, and charges for it."""
    serving, way = exchange.serving, exchange.way
    if not exchange.dispatched or serving is None or way is None:
        return None
    prompt = exchange.prompt if exchange.prompt is not None else b"".join(way.pieces)
    return estimate_usage(prompt, output, serving.upstream_model)


def _estimate(exchange: "Call", body: bytes) -> "Usage | None":
    """Tokens counted here, some milliseconds for the rare call whose provider does not report."""
    seen, serving, way = exchange.seen, exchange.serving, exchange.way
    assert seen is not None and serving is not None and way is not None
    output: str | int = seen.output_text_bytes
    events = serving.dialect.decode_reply(body) if body else None
    if events:
        output = "".join([block.text for block in fold(events).blocks])
    if exchange.client_gone or exchange.is_cut_off:
        return _left_behind(exchange, output)
    prompt = exchange.prompt if exchange.prompt is not None else b"".join(way.pieces)
    return estimate_of(seen, prompt, output, serving.upstream_model)
