"""Under `/api/v1`: what a call for media costs, in the usage object of its reply, as OpenRouter has it."""

from typing import Final

import msgspec

from tidegate.gateway.media_meter import settle_units
from tidegate.gateway.meter import settle
from tidegate.gateway.relay import PeekRelay
from tidegate.gateway.tariff import Tariff
from tidegate.wire.dialect import Peek, Seen
from tidegate.wire.sse import Framer, event_data
from tidegate.wire.usage_write import usd_number

NULL: Final = msgspec.Raw(b"null")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()


def with_cost(data: bytes, seen: Seen | None, tariff: Tariff) -> bytes:
    """A reply, or an event's data, with the cost of what was seen; as it is where no use was reported."""
    told = None
    if seen is not None and seen.reported_nano_usd is not None:
        told = settle(seen.usage, tariff.price, reported_nano_usd=seen.reported_nano_usd)
    elif seen is not None and seen.usage is not None:
        told = settle_units(seen.usage, tariff.price)
    if told is None:
        return data
    amount = tariff.charged(told).cost_nano_usd
    try:
        members = _members.decode(data)
        found = members.get("usage", NULL)
        given = _members.decode(found) if bytes(found) != b"null" else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data
    return _encoder.encode({**members, "usage": {**given, "cost": usd_number(amount), "is_byok": False}})


class PricedMediaRelay(PeekRelay):
    """A stream whose events that report use say what it costs."""

    __slots__ = ("_tariff", "_told")

    def __init__(self, peek: Peek, tariff: Tariff, *, event_bytes_max: int) -> None:
        super().__init__(peek, event_bytes_max=event_bytes_max)
        self._tariff, self._told = tariff, Framer(event_bytes_max)

    def feed(self, data: bytes) -> bytes:
        return self._priced(super().feed(data))

    def last(self, error_event: bytes) -> bytes:
        return error_event or self._priced(super().last(b""))

    def _priced(self, events: bytes) -> bytes:
        if b'"usage"' not in events:
            return events
        return b"".join([self._event(event) for event in self._told.feed(events)])

    def _event(self, event: bytes) -> bytes:
        data = event_data(event)
        if data is None or b'"usage"' not in data:
            return event
        name = event[: event.find(b"data:")] if event.startswith(b"event:") else b""
        return b"%bdata: %b\n\n" % (name, with_cost(data, self.seen, self._tariff))
