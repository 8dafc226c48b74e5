"""Messages replies, streamed or whole, into events.

Blocks that only a caller of the same dialect could use (server tools and their results, unknown kinds) are left out:
an answer across dialects never has them, since a request for them is refused.
"""

from collections.abc import Sequence

from msgspec import Raw

from tidegate.wire.anthropic_event import (
    WireBlock,
    WireDelta,
    WireError,
    WireEvent,
    decode_block,
    decode_citation,
    decode_event,
    decode_message,
)
from tidegate.wire.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    Citation,
    Delta,
    Event,
    Failure,
    MessageStart,
    Signature,
    Stop,
    StopReason,
    UsageSeen,
)
from tidegate.wire.sse import Framer, event_data
from tidegate.wire.stop_reasons import reason_of, with_calls
from tidegate.wire.usage import decode_usage, merge_usage

KINDS: dict[str | None, BlockKind] = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "redacted",
    "tool_use": "tool",
}
_OF_DELTA: dict[str | None, BlockKind] = {"text_delta": "text", "thinking_delta": "thinking"}
EMPTY_OBJECT = "{}"


class _Open:
    """A block that has begun and not ended. `whole_input`: arguments that came with its start."""

    __slots__ = ("has_text", "index", "kind", "whole_input")

    def __init__(self, index: int, kind: BlockKind, whole_input: str) -> None:
        self.index, self.kind, self.whole_input = index, kind, whole_input
        self.has_text = False


class AnthropicDecoder:
    """One per stream. An answer that ends without `message_stop` gives no Stop, unless its reason was said."""

    __slots__ = ("_count", "_framer", "_is_started", "_is_stopped", "_open", "_usage", "has_calls", "is_done")

    def __init__(self, event_bytes_max: int) -> None:
        self._framer = Framer(event_bytes_max)
        self._open: dict[int, _Open] = {}  # by the provider's index
        self._count = 0
        self._usage = b"{}"
        self._is_started = self._is_stopped = False
        self.has_calls = False
        self.is_done = False

    def feed(self, data: bytes) -> list[Event]:
        return self._read(self._framer.feed(data))

    def finish(self) -> list[Event]:
        rest = self._framer.rest
        return self._read([rest + b"\n\n"]) if rest.strip() else []

    def _read(self, raw_events: Sequence[bytes]) -> list[Event]:
        events: list[Event] = []
        for raw in raw_events:
            data = None if self.is_done else event_data(raw)
            found = None if data is None else decode_event(data)
            if found is not None:
                events += self.read(found)
        return events

    def read(self, found: WireEvent) -> list[Event]:
        """What one event of the provider's means. An event of an unknown kind means nothing."""
        delta = found.delta
        if found.type == "content_block_delta":
            return self._delta(found.index, delta) if delta is not None else []
        if found.type == "content_block_start":
            return self._start_block(found.index, found.content_block) if found.content_block is not None else []
        if found.type == "content_block_stop":
            return self._stop_block(found.index)
        if found.type == "message_start":
            return self._start(found)
        if found.type == "message_delta":
            events = self._see_usage(found.usage)
            if delta is not None and delta.stop_reason is not None:
                events += self.stop(delta.stop_reason, delta.stop_sequence)
            return events
        if found.type == "message_stop":
            self.is_done = True
            return self.stop("", None)
        if found.type == "error":
            self.is_done = True
            return [failure(found.error)]
        return []

    def _start(self, found: WireEvent) -> list[Event]:
        if self._is_started or found.message is None:
            return []
        self._is_started = True
        start = MessageStart(found.message.id or "", found.message.model or "")
        return [start, *self._see_usage(found.message.usage)]

    def _see_usage(self, raw: Raw) -> list[Event]:
        """The input's counts come first, the output's later; a later count replaces an earlier one."""
        if not raw:
            return []
        self._usage = merge_usage(self._usage, bytes(raw))
        seen = decode_usage(self._usage, "anthropic")
        return [seen] if seen is not None else []

    def _start_block(self, place: int, block: WireBlock) -> list[Event]:
        kind = KINDS.get(block.type)
        if kind is None:
            return []
        events = self._stop_block(place)  # a second start in one place ends the first
        index = self._count
        self._count += 1
        arguments = bytes(block.input).decode(errors="replace") if kind == "tool" else ""
        self._open[place] = _Open(index, kind, "" if arguments in ("", "null", EMPTY_OBJECT) else arguments)
        self.has_calls = self.has_calls or kind == "tool"
        events.append(
            BlockStart(
                index,
                kind,
                call_id=(block.id or "") if kind == "tool" else "",
                name=(block.name or "") if kind == "tool" else "",
                data=block.data or "",
                origin="anthropic" if kind in ("thinking", "redacted") else "",
            )
        )
        text = block.thinking if kind == "thinking" else block.text if kind == "text" else None
        if text:
            events.append(Delta(index, text))
        if kind == "thinking" and block.signature:
            events.append(Signature(index, block.signature))
        events += [_citation(index, raw) for raw in block.citations or ()]
        return events

    def _delta(self, place: int, delta: WireDelta) -> list[Event]:
        block = self._open.get(place)
        if block is None:
            kind = _OF_DELTA.get(delta.type)
            if kind is None:
                return []
            # Servers exist that send no start for a text.
            return [*self._start_block(place, WireBlock(kind)), *self._delta(place, delta)]
        text = delta.text or delta.thinking or delta.partial_json
        if text:
            block.has_text = True
            return [Delta(block.index, text)]
        if delta.signature and block.kind == "thinking":
            return [Signature(block.index, delta.signature)]
        return [_citation(block.index, delta.citation)] if delta.citation else []

    def _stop_block(self, place: int) -> list[Event]:
        block = self._open.pop(place, None)
        if block is None:
            return []
        if block.kind == "tool" and not block.has_text:
            return [Delta(block.index, block.whole_input or EMPTY_OBJECT), BlockStop(block.index)]
        return [BlockStop(block.index)]

    def stop(self, word: str, sequence: str | None) -> list[Event]:
        """The end of the answer; the first word for it counts. A block that was left open ends before it."""
        if self._is_stopped:
            return []
        self._is_stopped = True
        events = [event for place in list(self._open) for event in self._stop_block(place)]
        reason: StopReason = reason_of("anthropic", word)
        reason = with_calls(reason) if self.has_calls else reason
        return [*events, Stop(reason, word, sequence or "")]


def failure(error: WireError | None) -> Failure:
    error = error or WireError()
    return Failure(error.type or "api_error", error.message or "The provider reported an error without a message.")


def _citation(index: int, raw: Raw) -> Citation:
    found = decode_citation(raw)
    return Citation(index, found.url or found.source or "", found.title or found.document_title or "", Raw(bytes(raw)))


def decode_reply(body: bytes) -> Sequence[Event] | None:
    """The events of a whole message, through the stream's own decoder; None where it is no reply of this dialect."""
    found = decode_message(body)
    if found is None:
        return None
    if found.type == "error":
        return [failure(found.error)]
    decoder = AnthropicDecoder(0)
    events: list[Event] = [MessageStart(found.id or "", found.model or "")]
    for place, raw in enumerate(found.content or ()):
        block = decode_block(raw)
        if block is not None:
            events += decoder.read(WireEvent("content_block_start", place, content_block=block))
            events += decoder.read(WireEvent("content_block_stop", place))
    usage: UsageSeen | None = decode_usage(bytes(found.usage), "anthropic")
    if usage is not None:
        events.append(usage)
    if found.stop_reason is not None:
        events += decoder.stop(found.stop_reason, found.stop_sequence)
    return events
