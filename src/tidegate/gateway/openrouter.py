"""What callers under `/api/v1` get beside their own dialect: OpenRouter's `usage`, with the cost of the call."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.core.price import Price
from tidegate.gateway.meter import Settlement, cost_split
from tidegate.gateway.openrouter_errors import CHUNKED, Identity, providers_error
from tidegate.gateway.relay import Relay, StreamRelay
from tidegate.gateway.tariff import Tariff
from tidegate.wire.dialect import Seen
from tidegate.wire.events import UsageSeen
from tidegate.wire.sse import Framer, event_data
from tidegate.wire.usage import encode_usage

PLACES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "openai-chat": (("usage",),),
    "openai-completions": (("usage",),),
    "openai-embeddings": (("usage",),),
    "openai-responses": (("response", "usage"), ("usage",)),
    "anthropic": (("usage",), ("message", "usage")),
}
"""Where a reply or an event of a dialect holds its usage object; the first that is there is written to."""

_members = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


class CostWriter:
    """Adds the cost to the usage objects of one call's reply. What the provider wrote of usage stays, but its cost."""

    def __init__(self, dialect: str, tariff: Tariff, identity: Identity, event_bytes_max: int) -> None:
        self._dialect, self._tariff, self._identity = dialect, tariff, identity
        self._framer = Framer(event_bytes_max)

    def events(self, data: bytes, seen: Seen) -> bytes:
        """Whole events, with the cost of what was seen so far where they report usage, and errors in their shape."""
        has_usage = seen.usage is not None and b'"usage"' in data
        if not has_usage and not (seen.has_error and b'"error"' in data):
            return data
        return b"".join([self._event(event, seen) for event in self._framer.feed(data)])

    def body(self, data: bytes, seen: Seen | None) -> bytes:
        """A whole reply, with its cost."""
        if seen is None or seen.usage is None:
            return data
        return self._with_cost(data, seen) or data

    def _event(self, event: bytes, seen: Seen) -> bytes:
        data = event_data(event)
        edited = None
        if data is not None and seen.has_error and self._dialect in CHUNKED:
            edited = self._as_error(data)
        if edited is None and data is not None and seen.usage is not None and b'"usage"' in data:
            edited = self._with_cost(data, seen)
        if edited is None:
            return event
        name = event[: event.find(b"data:")] if event.startswith(b"event:") else b""
        return name + b"data: " + edited + b"\n\n"

    def _as_error(self, data: bytes) -> bytes | None:
        try:
            return providers_error(data, self._dialect, self._identity)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def _with_cost(self, data: bytes, seen: Seen) -> bytes | None:
        """The object with its usage rewritten; None where it holds none."""
        try:
            for place in PLACES.get(self._dialect, ()):
                edited = _edit(data, place, self._usage(seen))
                if edited is not None:
                    return edited
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        return None

    def _usage(self, seen: Seen) -> dict[str, Any]:
        settlement = self._tariff.settle(seen.usage, seen.reported_nano_usd)
        return usage_object(settlement, self._dialect, self._tariff.price)


def usage_object(settlement: Settlement, dialect: str, price: Price) -> dict[str, Any]:
    """OpenRouter's usage of a call whose usage is known."""
    assert settlement.usage is not None
    told = UsageSeen(settlement.usage, settlement.cost_nano_usd)
    return encode_usage(told, dialect, openrouter=True, cost_split=cost_split(settlement, price))


def with_estimate(data: bytes, usage: dict[str, Any]) -> bytes:
    """A whole reply that reports no usage, with what was counted here."""
    try:
        members = _members.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data
    return _encoder.encode({**members, "usage": usage})


def estimate_event(dialect: str, usage: dict[str, Any], identity: Identity) -> bytes:
    """The usage event of a stream whose provider sent none."""
    chunk = {"id": identity.generation_id, "object": CHUNKED[dialect], "created": identity.created_s}
    data = _encoder.encode({**chunk, "model": identity.model, "choices": [], "usage": usage})
    return b"data: " + data + b"\n\n"


class PricedRelay:
    """A stream whose usage says what the call costs."""

    def __init__(self, relay: Relay, costs: CostWriter) -> None:
        self._relay, self._costs = relay, costs

    @property
    def seen(self) -> Seen:
        return self._relay.seen

    @property
    def short(self) -> StreamRelay | None:
        return self._relay.short

    @property
    def is_between_events(self) -> bool:
        return self._relay.is_between_events

    def feed(self, data: bytes) -> bytes:
        return self._costs.events(self._relay.feed(data), self.seen)

    def finish(self) -> bytes:
        return self._costs.events(self._relay.finish(), self.seen)

    def last(self, error_event: bytes) -> bytes:
        return self._costs.events(self._relay.last(error_event), self.seen)


def _edit(data: bytes | Raw, place: tuple[str, ...], usage: dict[str, Any]) -> bytes | None:
    members = _members.decode(data)
    value = members.get(place[0])
    if value is None or bytes(value) == b"null":
        return None
    if len(place) > 1:
        inner = _edit(value, place[1:], usage)
    else:
        inner = _encoder.encode(_merged(_members.decode(value), usage))
    if inner is None:
        return None
    members[place[0]] = Raw(inner)
    return _encoder.encode(members)


def _merged(given: dict[str, Raw], ours: dict[str, Any]) -> dict[str, Any]:
    """The provider's members, with ours where it has none; the cost is always ours, what the caller is charged."""
    return {**ours, **given, **{name: ours[name] for name in ("cost", "cost_details", "is_byok") if name in ours}}
