"""Whole replies of Amazon Bedrock's Converse into events, and the shapes that its streams share with them.

Blocks of tools that the provider runs by itself are left out: nobody asked for them.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.conversation import Origin
from tidegate.wire.events import (
    BlockStart,
    BlockStop,
    Citation,
    Delta,
    Event,
    MessageStart,
    Signature,
    Stop,
)
from tidegate.wire.stop_reasons import reason_of
from tidegate.wire.unreadable import UNREADABLE
from tidegate.wire.usage import decode_usage

SIGNED_BY: Final[Origin] = "anthropic"
"""Whose seals Bedrock's are. Claude's hold at Anthropic, Bedrock and Vertex alike; no other model there seals."""


class Thought(Struct, frozen=True):
    """In a delta: one of the three. In a reply: `reasoningText` or `redactedContent`."""

    text: str = ""
    signature: str = ""
    redactedContent: str = ""
    reasoningText: "Thought | None" = None


class ToolUse(Struct, frozen=True):
    """`input`: a piece of JSON as text in a delta, an object in a reply. `type`: empty for the caller's own tools."""

    toolUseId: str = ""
    name: str = ""
    input: Raw = Raw(b"")
    type: str = ""


class _Source(Struct, frozen=True):
    bytes: str = ""


class _Image(Struct, frozen=True):
    format: str = ""
    source: _Source = _Source()


class _Cited(Struct, frozen=True):
    content: tuple["_Block", ...] = ()
    citations: tuple[Raw, ...] = ()


class _Block(Struct, frozen=True):
    """A content block of a reply, or the start or a delta of one in a stream: one member of these, by its kind."""

    text: str | None = None
    toolUse: ToolUse | None = None
    reasoningContent: Thought | None = None
    image: _Image | None = None
    citation: Raw = Raw(b"")
    citationsContent: _Cited | None = None


class _Part(Struct, frozen=True):
    """A `contentBlock...` event."""

    contentBlockIndex: int = 0
    start: _Block = _Block()
    delta: _Block = _Block()


class End(Struct, frozen=True):
    """What ends an answer, in `messageStop`, `metadata` and whole replies."""

    stopReason: str = ""
    additionalModelResponseFields: Raw = Raw(b"")
    usage: Raw = Raw(b"")


class _Message(Struct, frozen=True):
    content: tuple[_Block, ...] = ()


class _Output(Struct, frozen=True):
    message: _Message


class _Reply(End, frozen=True):
    output: _Output | None = None


class _Web(Struct, frozen=True):
    url: str = ""


class _Location(Struct, frozen=True):
    web: _Web | None = None


class _CitedSource(Struct, frozen=True):
    title: str = ""
    source: str = ""
    location: _Location | None = None


class _Extra(Struct, frozen=True):
    stop_sequence: str | None = None


class _Error(Struct, frozen=True):
    """Bedrock writes `message`, the layers before it `Message`."""

    message: str = ""
    Message: str = ""


PART = msgspec.json.Decoder(_Part)
END = msgspec.json.Decoder(End)
_reply = msgspec.json.Decoder(_Reply)
_cited_source = msgspec.json.Decoder(_CitedSource)
_extra = msgspec.json.Decoder(_Extra)
_error = msgspec.json.Decoder(_Error)


def decode_reply(body: bytes) -> Sequence[Event] | None:
    """The events of a whole reply of Converse; None where it is not one."""
    try:
        reply = _reply.decode(body)
        if reply.output is None:
            return None
        events: list[Event] = [MessageStart()]
        count = 0
        for block in reply.output.message.content:
            count += _whole_block(count, block, events)
        events.append(stop_of(reply))
        append_usage(events, reply.usage)
    except UNREADABLE:
        return None
    return events


def _whole_block(index: int, block: _Block, events: list[Event]) -> int:
    """Append a block of a reply. 1 where it is one, 0 where it is left out."""
    before = len(events)
    if block.text is not None:
        events.append(BlockStart(index, "text"))
        append_text(events, index, block.text)
    elif block.toolUse is not None and not block.toolUse.type:
        events.append(BlockStart(index, "tool", call_id=block.toolUse.toolUseId, name=block.toolUse.name))
        arguments = str(block.toolUse.input, "utf-8")
        append_text(events, index, "" if arguments == "{}" else arguments)
    elif block.reasoningContent is not None:
        thought = block.reasoningContent
        if thought.reasoningText is None:
            events.append(BlockStart(index, "redacted", data=thought.redactedContent, origin=SIGNED_BY))
        else:
            events.append(BlockStart(index, "thinking", origin=SIGNED_BY))
            append_text(events, index, thought.reasoningText.text)
            if thought.reasoningText.signature:
                events.append(Signature(index, thought.reasoningText.signature))
    elif block.citationsContent is not None:
        events.append(BlockStart(index, "text"))
        append_text(events, index, "".join(piece.text or "" for piece in block.citationsContent.content))
        events += [citation_of(index, raw) for raw in block.citationsContent.citations]
    elif block.image is not None:
        media_type = f"image/{block.image.format}"
        events.append(BlockStart(index, "image", data=block.image.source.bytes, media_type=media_type))
    if len(events) == before:
        return 0
    events.append(BlockStop(index))
    return 1


def error_message(body: bytes) -> str:
    """What a refusal of Bedrock says, as a body or as an exception in a stream; empty where it says nothing."""
    try:
        error = _error.decode(body)
    except UNREADABLE:
        return ""
    return error.message or error.Message


def append_text(events: list[Event], index: int, text: str) -> None:
    if text:
        events.append(Delta(index, text))


def append_usage(events: list[Event], raw: Raw) -> None:
    seen = decode_usage(bytes(raw), "bedrock") if raw else None
    if seen is not None:
        events.append(seen)


def stop_of(end: End) -> Stop:
    sequence = None
    if end.additionalModelResponseFields:
        try:
            sequence = _extra.decode(end.additionalModelResponseFields).stop_sequence
        except UNREADABLE:  # the model's own fields, in a form of its own: only a hint is lost
            sequence = None
    return Stop(reason_of("bedrock", end.stopReason), native=end.stopReason, sequence=sequence or "")


def citation_of(index: int, raw: Raw) -> Citation:
    source = _cited_source.decode(raw)
    url = source.location.web.url if source.location is not None and source.location.web is not None else ""
    if not url and source.source.startswith(("https://", "http://")):
        url = source.source
    return Citation(index, url=url, title=source.title, raw=Raw(bytes(raw)))
