"""Streams between two dialects: a provider's events decoded, and encoded anew for the caller. Knows no sockets."""

from collections.abc import Iterable, Sequence
from typing import Final

from tidegate.core.errors import UpstreamError
from tidegate.gateway.relay import Relay
from tidegate.wire.dialect import Seen, StreamDecoder, StreamEncoder
from tidegate.wire.events import BlockStart, Delta, Event, Failure, MessageStart, Stop, UsageSeen
from tidegate.wire.sse import Framer, event_data
from tidegate.wire.stop_reasons import finish_word

STREAM_BYTES_MAX: Final = 256 * 1024 * 1024  # of a provider's stream; far above any answer, far below a full memory
CALLS_MAX = 1_000  # of tools in one answer: each is kept until its turn comes
EVENTS_MAX: Final = 2_000_000  # of one answer, its cuts included


def seen_in(events: Iterable[Event]) -> Seen:
    """What a whole answer told the meter."""
    seen = Seen()
    for event in events:
        note(seen, event)
    return seen


def note(seen: Seen, event: Event) -> None:
    """Add one event to what was seen."""
    if isinstance(event, Delta):
        text = event.text
        seen.output_text_bytes += len(text) if text.isascii() else len(text.encode(errors="replace"))
    elif isinstance(event, BlockStart):
        seen.tool_calls += event.kind == "tool"
    elif isinstance(event, UsageSeen):
        seen.usage = event.usage
        seen.reported_nano_usd = event.cost_nano_usd
    elif isinstance(event, Stop):
        seen.finish_reason = finish_word(event.reason)
    elif isinstance(event, Failure):
        seen.has_error = True
    elif isinstance(event, MessageStart):
        seen.model = event.model


class AcrossRelay:
    """A stream of one dialect, told in another."""

    __slots__ = ("_bytes", "_decoder", "_encoder", "_events", "_held", "seen")

    def __init__(self, decoder: StreamDecoder, encoder: StreamEncoder) -> None:
        self._decoder, self._encoder = decoder, encoder
        self._bytes = self._events = 0
        self.seen = Seen()
        self._held = b""

    @property
    def short(self) -> None:
        return None

    @property
    def is_between_events(self) -> bool:
        return not self.seen.is_done  # what is written to the caller is always whole events

    def feed(self, data: bytes) -> bytes:
        if self.seen.is_done:
            return b""
        events = self._decoder.feed(data)
        self._bytes += len(data)
        self._events += len(events)
        is_endless = self._bytes > STREAM_BYTES_MAX or self._events > EVENTS_MAX or self.seen.tool_calls > CALLS_MAX
        if is_endless:  # dialects keep what must wait for its turn
            raise UpstreamError("the provider's stream is longer than any answer; it does not seem to end")
        out = self._tell(events)
        if self._decoder.is_done:
            self._end()
        return out

    def finish(self) -> bytes:
        out = self._tell(self._decoder.finish())
        if self.seen.finish_reason is not None:
            self._end()
        return out

    def last(self, error_event: bytes) -> bytes:
        return error_event or self._held

    def _tell(self, events: Sequence[Event]) -> bytes:
        out = []
        for event in events:
            note(self.seen, event)
            out.append(self._encoder.encode(event))
        return b"".join(out)

    def _end(self) -> None:
        if not self.seen.is_done:
            self.seen.is_done = True
            self._held = self._encoder.finish()


class ArrayRelay:
    """A stream of events as the elements of one JSON array, for callers who did not ask for events (Gemini)."""

    def __init__(self, relay: Relay, event_bytes_max: int) -> None:
        self._relay, self._framer = relay, Framer(event_bytes_max)
        self._is_begun = False

    @property
    def seen(self) -> Seen:
        return self._relay.seen

    @property
    def short(self) -> None:
        return None

    @property
    def is_between_events(self) -> bool:
        return False  # no comment may stand inside the array, and no chunk passes as it is

    def feed(self, data: bytes) -> bytes:
        return self._as_elements(self._relay.feed(data))

    def finish(self) -> bytes:
        return self._as_elements(self._relay.finish())

    def last(self, error_event: bytes) -> bytes:
        elements = self._as_elements(self._relay.last(error_event))
        return elements + (b"]" if self._is_begun else b"[]")

    def _as_elements(self, events: bytes) -> bytes:
        """Whole events as elements, with what separates them from those before."""
        out = []
        for event in self._framer.feed(events):
            data = event_data(event)
            if data is not None:
                out.append((b",\r\n" if self._is_begun else b"[") + data)
                self._is_begun = True
        return b"".join(out)


def as_elements(events: bytes) -> bytes:
    """A whole stream as one JSON array."""
    found = [event_data(event) for event in Framer(len(events) + 1).feed(events)]
    return b"[" + b",\r\n".join([data for data in found if data is not None]) + b"]"
