"""How the bytes of one call go: as they are, where caller and provider speak one dialect; through the hub otherwise."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from tidegate.core.errors import GatewayError, InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.gateway.openrouter import CostWriter, PricedRelay
from tidegate.gateway.openrouter_errors import Identity
from tidegate.gateway.operation import Operation
from tidegate.gateway.relay import PeekRelay, Relay, StreamRelay
from tidegate.gateway.relay_across import AcrossRelay, ArrayRelay, as_elements, seen_in
from tidegate.gateway.replies import PASSED_THROUGH, error_of
from tidegate.gateway.table import Serving
from tidegate.gateway.tariff import Tariff
from tidegate.wire.conversation import Ask
from tidegate.wire.dialect import Dialect, Head, Pieces, Seen
from tidegate.wire.events import Failure
from tidegate.wire.openai_chat_quirks import Fitted, fit_request

NOT_SENT = msgspec.Raw(b"")
FITS: Final[Mapping[str, Callable[[bytes, Head, str, Quirks], Fitted]]] = {"openai-chat": fit_request}
"""By dialect, what stands in for its `edit_request` because providers depart from it."""


class Way(Protocol):
    """A way is chosen once a call.

    `head`: of the request; of a stream's, without a view into its body, which would stay in memory. `pieces`: the body
    as the provider gets it, to be written in this order. `dropped`: the caller's fields that the provider's dialect
    cannot say.
    """

    head: Head
    pieces: Pieces
    dropped: tuple[str, ...]

    def relay(self, event_bytes_max: int) -> Relay:
        """What reads the provider's stream and makes the caller's."""
        ...

    def reply(self, body: bytes) -> tuple[bytes, Seen | None]:
        """A provider's whole reply, as the caller gets it, and what it told; None where it was not a reply."""
        ...

    def as_stream(self, body: bytes) -> bytes | None:
        """A provider's whole reply as the events of a stream, for a caller who asked for one; None: it cannot be."""
        ...

    def failure(self, status: int, body: bytes, provider: str) -> tuple[GatewayError, bytes]:
        """What a reply without success means, and the provider's body if it is the caller's to read, else empty."""
        ...


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What a reply written by us says of itself."""

    generation_id: str
    created_s: int


def way_of(operation: Operation, head: Head, body: bytes, serving: Serving, tariff: Tariff | None, stamp: Stamp) -> Way:
    """The way of a call. tariff: None where its reply tells no cost.

    Raises InvalidRequest where the provider's dialect cannot say what the caller means.
    """
    if serving.dialect is operation.dialect:
        way: Way = SameWay(operation, head, body, serving, stamp)
    else:
        way = AcrossWay(operation, head, body, serving, stamp)
    if way.dropped and _requires_parameters(body):
        refuse_dropped(way.dropped)
    if tariff is None:
        return way
    identity = Identity(stamp.generation_id, stamp.created_s, way.head.model)
    return PricedWay(way, operation.dialect.name, tariff, identity)


class _Preferences(msgspec.Struct):
    require_parameters: bool = False


class _Asked(msgspec.Struct):
    provider: _Preferences | None = None


def _requires_parameters(body: bytes) -> bool:
    try:
        asked = msgspec.json.decode(body, type=_Asked)
    except msgspec.ValidationError:
        return False
    return asked.provider is not None and asked.provider.require_parameters


class SameWay:
    """Same dialect on both sides: bytes pass, and are read in passing. A provider's quirks are heeded (FITS)."""

    __slots__ = ("_operation", "_stamp", "dropped", "head", "pieces")

    def __init__(self, operation: Operation, head: Head, body: bytes, serving: Serving, stamp: Stamp) -> None:
        self._operation, self._stamp = operation, stamp
        self.head = without_views(head) if head.is_stream else head
        self.dropped: tuple[str, ...] = ()
        fit = FITS.get(operation.dialect.name)
        if fit is None:
            self.pieces = operation.dialect.edit_request(body, head, serving.upstream_model)
        else:
            self.pieces, self.dropped = fit(body, head, serving.upstream_model, serving.quirks)

    def relay(self, event_bytes_max: int) -> Relay:
        operation, head = self._operation, self.head
        if operation.dialect.name == "openai-chat":
            wants_usage = head.wants_usage or operation.is_openrouter
            return StreamRelay(
                strip_usage=not wants_usage, event_bytes_max=event_bytes_max, is_priced=operation.is_openrouter
            )
        relay = PeekRelay(operation.dialect.peek(head), event_bytes_max=event_bytes_max)
        return ArrayRelay(relay, event_bytes_max) if operation.as_array else relay

    def reply(self, body: bytes) -> tuple[bytes, Seen | None]:
        return body, self._operation.dialect.see_reply(body)

    def as_stream(self, body: bytes) -> bytes | None:
        dialect, head = self._operation.dialect, self.head
        ask = Ask(model=head.model, turns=(), is_stream=True, wants_usage=head.wants_usage)
        return _streamed(dialect, dialect, body, ask, self._stamp, as_array=self._operation.as_array)

    def failure(self, status: int, body: bytes, provider: str) -> tuple[GatewayError, bytes]:
        return error_of(status, body, provider), body if status in PASSED_THROUGH else b""


class AcrossWay:
    """Two dialects: a request is decoded and encoded anew, and so is what comes back."""

    __slots__ = ("_ask", "_operation", "_provider", "_stamp", "dropped", "head", "pieces")

    def __init__(self, operation: Operation, head: Head, body: bytes, serving: Serving, stamp: Stamp) -> None:
        self._operation, self._provider, self._stamp = operation, serving.dialect, stamp
        self.head = without_views(head)
        ask = operation.dialect.decode_request(body)
        if operation.model:
            ask = msgspec.structs.replace(ask, model=head.model, is_stream=head.is_stream)
        if operation.is_openrouter:
            ask = msgspec.structs.replace(ask, wants_usage=True)
        encoded = serving.dialect.encode_request(ask, serving.upstream_model, serving.quirks)
        self.pieces: Pieces = (encoded.body,)
        self.dropped = tuple(dict.fromkeys((*ask.unsaid, *encoded.dropped)))
        self._ask = without_turns(ask)

    def relay(self, event_bytes_max: int) -> Relay:
        stamp = self._stamp
        encoder = self._operation.dialect.stream_encoder(
            self._ask, generation_id=stamp.generation_id, created_s=stamp.created_s
        )
        relay = AcrossRelay(self._provider.stream_decoder(event_bytes_max=event_bytes_max), encoder)
        return ArrayRelay(relay, event_bytes_max) if self._operation.as_array else relay

    def reply(self, body: bytes) -> tuple[bytes, Seen | None]:
        events = self._provider.decode_reply(body)
        if events is None:
            return body, None
        seen, stamp = seen_in(events), self._stamp
        if seen.has_error:
            return body, seen
        told = self._operation.dialect.encode_reply(
            events, self._ask, generation_id=stamp.generation_id, created_s=stamp.created_s
        )
        return told, seen

    def as_stream(self, body: bytes) -> bytes | None:
        operation = self._operation
        return _streamed(self._provider, operation.dialect, body, self._ask, self._stamp, as_array=operation.as_array)

    def failure(self, status: int, body: bytes, provider: str) -> tuple[GatewayError, bytes]:
        return error_of(status, body, provider), b""


class PricedWay:
    """Any way, under `/api/v1`: what reports usage to the caller also says what the call costs."""

    __slots__ = ("_dialect", "_identity", "_tariff", "_way", "dropped", "head", "pieces")

    def __init__(self, way: Way, dialect: str, tariff: Tariff, identity: Identity) -> None:
        self._way, self._dialect, self._tariff, self._identity = way, dialect, tariff, identity
        self.head, self.pieces, self.dropped = way.head, way.pieces, way.dropped

    def _writer(self, event_bytes_max: int) -> CostWriter:
        return CostWriter(self._dialect, self._tariff, self._identity, event_bytes_max)

    def relay(self, event_bytes_max: int) -> Relay:
        return PricedRelay(self._way.relay(event_bytes_max), self._writer(event_bytes_max))

    def reply(self, body: bytes) -> tuple[bytes, Seen | None]:
        told, seen = self._way.reply(body)
        return self._writer(len(told) + 1).body(told, seen), seen

    def as_stream(self, body: bytes) -> bytes | None:
        events, (_, seen) = self._way.as_stream(body), self._way.reply(body)
        if events is None or seen is None:
            return events
        return self._writer(len(events) + 1).events(events, seen)

    def failure(self, status: int, body: bytes, provider: str) -> tuple[GatewayError, bytes]:
        return self._way.failure(status, body, provider)[0], b""  # in the shape of this side, not the provider's


def _streamed(
    provider: Dialect, caller: Dialect, body: bytes, ask: Ask, stamp: Stamp, *, as_array: bool
) -> bytes | None:
    events = provider.decode_reply(body)
    if events is None or any(isinstance(event, Failure) for event in events):
        return None
    encoder = caller.stream_encoder(ask, generation_id=stamp.generation_id, created_s=stamp.created_s)
    told = b"".join([*(encoder.encode(event) for event in events), encoder.finish()])
    return as_elements(told) if as_array else told


def without_views(head: Head) -> Head:
    """The head alone: a dialect's own may look into the body, which would stay in memory for a whole stream."""
    if type(head) is Head:
        return head
    return Head(head.model, head.is_stream, head.wants_usage, head.tools_offered, head.user, head.session_id)


def without_turns(ask: Ask) -> Ask:
    """What an encoder of replies may look at: nothing that would keep the request's body in memory for a stream."""
    tools = tuple(msgspec.structs.replace(tool, schema=NOT_SENT, description="") for tool in ask.tools)
    form = ask.output_format and msgspec.structs.replace(ask.output_format, schema=NOT_SENT)
    return msgspec.structs.replace(ask, turns=(), tools=tools, output_format=form, extra={})


def refuse_dropped(dropped: tuple[str, ...]) -> None:
    """`require_parameters`: what cannot be said to the provider is an error, not a loss. Raises InvalidRequest."""
    if dropped:
        raise InvalidRequest(
            f"No provider of this model takes {', '.join(dropped)}, and the request demands it "
            "(provider.require_parameters). Leave these fields out, or set it to false.",
            param=dropped[0],
        )
