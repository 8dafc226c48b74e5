"""Streams of Amazon Bedrock's Converse into events.

Only tool calls and images say that they begin; a block of text or thought begins with its first delta. The last event
of a stream is `metadata`, with the usage, after `messageStop`.
"""

import base64
import binascii
from collections.abc import Callable

import msgspec
from msgspec import Struct

from tidegate.core.errors import UpstreamError
from tidegate.wire.aws_event_stream import Message, MessageFramer
from tidegate.wire.bedrock_answer import (
    END,
    PART,
    SIGNED_BY,
    Thought,
    ToolUse,
    append_text,
    append_usage,
    citation_of,
    error_message,
    stop_of,
)
from tidegate.wire.conversation import Origin
from tidegate.wire.events import BlockKind, BlockStart, BlockStop, Delta, Event, Failure, MessageStart, Signature
from tidegate.wire.unreadable import UNREADABLE


class _Open(Struct):
    """A block that has begun. `index`: ours; None: left out. `held`: pieces of what can only be sent whole."""

    index: int | None
    kind: BlockKind
    media_type: str = ""
    held: list[str] = []


class _Blocks:
    """Numbers blocks from 0 in the order in which they show, and opens those that begin without a word."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._count = 0

    def start(self, place: int, kind: BlockKind, events: list[Event], tool: ToolUse | None = None) -> _Open:
        """Open the block that the provider has at `place`."""
        self.stop(place, events)
        opened = self._open[place] = _Open(self._count, kind)
        self._count += 1
        assert opened.index is not None
        if tool is not None:
            events.append(BlockStart(opened.index, "tool", call_id=tool.toolUseId, name=tool.name))
        elif kind == "thinking":
            events.append(BlockStart(opened.index, kind, origin=SIGNED_BY))
        else:
            events.append(BlockStart(opened.index, kind))
        return opened

    def hold(self, place: int, kind: BlockKind, events: list[Event]) -> _Open:
        """A block whose data comes in pieces but goes out with its start; it gets its number when it is whole."""
        opened = self._open.get(place)
        if opened is None or opened.kind != kind or opened.index is not None:
            self.stop(place, events)
            opened = self._open[place] = _Open(None, kind)
        return opened

    def leave_out(self, place: int, events: list[Event]) -> None:
        self.stop(place, events)
        self._open[place] = _Open(None, "tool")

    def at(self, place: int, kind: BlockKind, events: list[Event]) -> int | None:
        """The number of the block at `place`, opened if it has not begun; None where it is left out."""
        opened = self._open.get(place)
        if opened is None or (opened.kind != kind and opened.kind != "tool"):
            opened = self.start(place, kind, events)
        return opened.index if opened.kind == kind else None

    def stop(self, place: int, events: list[Event]) -> None:
        opened = self._open.pop(place, None)
        if opened is None:
            return
        if opened.index is None and opened.kind in ("redacted", "image"):
            data = _joined(opened.held)
            index, self._count = self._count, self._count + 1
            origin: Origin = SIGNED_BY if opened.kind == "redacted" else ""
            events.append(BlockStart(index, opened.kind, data=data, media_type=opened.media_type, origin=origin))
            events.append(BlockStop(index))
        elif opened.index is not None:
            events.append(BlockStop(opened.index))

    def stop_all(self, events: list[Event]) -> None:
        for place in sorted(self._open):
            self.stop(place, events)


class BedrockStream:
    """A ConverseStream, as the bytes of its event stream, into events."""

    def __init__(self, event_bytes_max: int) -> None:
        self._framer = MessageFramer(event_bytes_max)
        self._blocks = _Blocks()
        self._readers: dict[str, Callable[[bytes, list[Event]], None]] = {
            "contentBlockDelta": self._on_delta,
            "messageStart": self._on_start,
            "contentBlockStart": self._on_block_start,
            "contentBlockStop": self._on_block_stop,
            "messageStop": self._on_stop,
            "metadata": self._on_metadata,
        }
        self.is_done = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises UpstreamError for damage, or an event that makes no sense."""
        events: list[Event] = []
        for message in self._framer.feed(data):
            self._read(message, events)
        return events

    def finish(self) -> list[Event]:
        """The connection ended: a last block that was never closed."""
        events: list[Event] = []
        self._blocks.stop_all(events)
        return events

    def _read(self, message: Message, events: list[Event]) -> None:
        headers = message.headers
        kind = headers.get(":message-type", "event")
        if kind != "event":
            word = headers.get(":exception-type") or headers.get(":error-code") or kind
            events.append(Failure(word, headers.get(":error-message") or error_message(message.payload) or word))
            self.is_done = True
            return
        name = headers.get(":event-type", "")
        reader = self._readers.get(name)
        if reader is None:
            return  # an event that is not known yet
        try:
            reader(message.payload, events)
        except UNREADABLE as error:
            raise UpstreamError(f"Bedrock sent an event {name} that cannot be read: {error}") from error

    def _on_start(self, _payload: bytes, events: list[Event]) -> None:
        events.append(MessageStart())

    def _on_block_start(self, payload: bytes, events: list[Event]) -> None:
        part = PART.decode(payload)
        start = part.start
        if start.toolUse is not None and not start.toolUse.type:
            self._blocks.start(part.contentBlockIndex, "tool", events, start.toolUse)
        elif start.image is not None:
            self._blocks.hold(part.contentBlockIndex, "image", events).media_type = f"image/{start.image.format}"
        elif start.text is None:  # a tool of the provider's own, or its result
            self._blocks.leave_out(part.contentBlockIndex, events)

    def _on_delta(self, payload: bytes, events: list[Event]) -> None:
        part = PART.decode(payload)
        place, delta, blocks = part.contentBlockIndex, part.delta, self._blocks
        if delta.text is not None:
            if (index := blocks.at(place, "text", events)) is not None and delta.text:
                events.append(Delta(index, delta.text))
        elif delta.toolUse is not None:
            if (index := blocks.at(place, "tool", events)) is not None:
                append_text(events, index, msgspec.json.decode(delta.toolUse.input, type=str))
        elif delta.reasoningContent is not None:
            self._on_thought(place, delta.reasoningContent, events)
        elif delta.image is not None:
            blocks.hold(place, "image", events).held.append(delta.image.source.bytes)
        elif delta.citation and (index := blocks.at(place, "text", events)) is not None:
            events.append(citation_of(index, delta.citation))

    def _on_thought(self, place: int, thought: Thought, events: list[Event]) -> None:
        if thought.redactedContent:
            self._blocks.hold(place, "redacted", events).held.append(thought.redactedContent)
            return
        index = self._blocks.at(place, "thinking", events)
        if index is not None:
            append_text(events, index, thought.text)
            if thought.signature:
                events.append(Signature(index, thought.signature))

    def _on_block_stop(self, payload: bytes, events: list[Event]) -> None:
        self._blocks.stop(PART.decode(payload).contentBlockIndex, events)

    def _on_stop(self, payload: bytes, events: list[Event]) -> None:
        self._blocks.stop_all(events)
        events.append(stop_of(END.decode(payload)))

    def _on_metadata(self, payload: bytes, events: list[Event]) -> None:
        self.is_done = True
        append_usage(events, END.decode(payload).usage)


def _joined(pieces: list[str]) -> str:
    """Pieces that were encoded in base64 each by itself, as one."""
    if len(pieces) <= 1:
        return "".join(pieces)
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece, validate=True) for piece in pieces)).decode()
    except (binascii.Error, ValueError):
        return "".join(pieces)
