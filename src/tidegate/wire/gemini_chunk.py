"""A `GenerateContentResponse`, whole or one of a stream: both have the same shape.

Members of wrong types cost themselves, not the answer: such a chunk is read again, part by part.
"""

from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.gemini_spelling import in_camel_case
from tidegate.wire.sse import event_data
from tidegate.wire.surrogates import without_halves
from tidegate.wire.unreadable import UNREADABLE

NOT_SENT: Final = Raw(b"")
MARKS: Final = ("candidates", "promptFeedback", "usageMetadata", "responseId", "modelVersion", "error")

T = TypeVar("T")


class Blob(Struct, frozen=True, gc=False):
    mimeType: str = ""
    data: str = ""


class Call(Struct, frozen=True, gc=False):
    name: str = ""
    id: str | None = None
    args: Raw = NOT_SENT


class ReplyPart(Struct, frozen=True, gc=False):
    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None
    functionCall: Call | None = None
    inlineData: Blob | None = None


class ReplyContent(Struct, frozen=True, gc=False):
    parts: list[ReplyPart] | None = None


class Source(Struct, frozen=True, gc=False):
    """Where a passage is from; `web` in a grounding chunk, `citationSources` (Gemini) or `citations` (Vertex)."""

    uri: str | None = None
    title: str | None = None


class GroundingChunk(Struct, frozen=True, gc=False):
    web: Source | None = None


class Grounding(Struct, frozen=True, gc=False):
    groundingChunks: list[GroundingChunk] | None = None


class Citations(Struct, frozen=True, gc=False):
    citationSources: list[Source] | None = None
    citations: list[Source] | None = None


class Candidate(Struct, frozen=True, gc=False):
    content: ReplyContent | None = None
    finishReason: str | None = None
    index: int | None = None
    citationMetadata: Citations | None = None
    groundingMetadata: Grounding | None = None

    @property
    def parts(self) -> list[ReplyPart]:
        return (self.content and self.content.parts) or []


class Feedback(Struct, frozen=True, gc=False):
    blockReason: str | None = None


class WireError(Struct, frozen=True, gc=False):
    code: int | str | None = None
    message: str | None = None
    status: str | None = None


class Chunk(Struct, frozen=True, gc=False):
    candidates: list[Candidate] | None = None
    promptFeedback: Feedback | None = None
    usageMetadata: Raw = NOT_SENT
    modelVersion: str | None = None
    responseId: str | None = None
    error: WireError | None = None


_chunk_decoder = msgspec.json.Decoder(Chunk)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_items_decoder = msgspec.json.Decoder(list[Raw])
_part_decoder = msgspec.json.Decoder(ReplyPart, strict=False)
_text_decoder = msgspec.json.Decoder(str)
_error_decoder = msgspec.json.Decoder(WireError)


def payload(event: bytes) -> bytes | None:
    """`sse.event_data`, with a short way for events as Google writes them: one line, ended by CR LF."""
    if event.startswith(b"data: ") and event.endswith(b"\r\n\r\n"):
        data = event[6:-4]
        if b"\n" not in data and b"\r" not in data:
            return without_halves(data)
    return event_data(event)


def read_chunk(data: bytes) -> Chunk | None:
    """One response; None where it is not JSON of an object."""
    try:
        chunk = _chunk_decoder.decode(data)
        # Who writes `usageMetadata` does not write `finish_reason`: only a chunk without it is looked at twice.
        if not chunk.usageMetadata and b"_" in data and (spelt := in_camel_case(data)) is not data:
            return _chunk_decoder.decode(spelt)
        return chunk
    except msgspec.ValidationError:
        return _salvaged(data)
    except UNREADABLE:
        return None


def read_chunks(body: bytes) -> list[Chunk] | None:
    """All responses of a body: one object, or the array that a stream without `alt=sse` is.

    None where it is neither, or where an object has nothing that a response of Gemini's has.
    """
    bodies = [body]
    if body.lstrip()[:1] == b"[":
        items = _decode(_items_decoder, body)
        if items is None:
            return None
        bodies = [bytes(item) for item in items]
    chunks = []
    for one in bodies:
        members = _decode(_members_decoder, one)
        if members is None or not any(mark in members or _snake(mark) in members for mark in MARKS):
            return None
        chunk = read_chunk(one)
        if chunk is None:
            return None
        chunks.append(chunk)
    return chunks


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _decode(decoder: msgspec.json.Decoder[T], data: bytes | Raw) -> T | None:
    try:
        return decoder.decode(data)
    except UNREADABLE:
        return None


def _salvaged(data: bytes) -> Chunk | None:
    """What can be read of a chunk whose members do not all have their types."""
    try:
        members = _members_decoder.decode(in_camel_case(data))
    except UNREADABLE:
        return None
    candidates = _decode(_items_decoder, members.get("candidates", Raw(b"[]"))) or []
    feedback = _object(members.get("promptFeedback"))
    error = members.get("error", Raw(b"null"))
    return Chunk(
        candidates=[_salvaged_candidate(_object(one)) for one in candidates],
        promptFeedback=Feedback(_text(feedback.get("blockReason"))) if feedback else None,
        usageMetadata=members.get("usageMetadata", NOT_SENT),
        modelVersion=_text(members.get("modelVersion")),
        responseId=_text(members.get("responseId")),
        error=None if bytes(error) == b"null" else _decode(_error_decoder, error) or WireError(message=_text(error)),
    )


def _salvaged_candidate(members: dict[str, Raw]) -> Candidate:
    content = _object(members.get("content"))
    items = _decode(_items_decoder, content.get("parts", Raw(b"[]"))) or []
    parts = [part for item in items if (part := _decode(_part_decoder, item)) is not None]
    index = _decode(msgspec.json.Decoder(int, strict=False), members.get("index", Raw(b"0")))
    return Candidate(ReplyContent(parts), _text(members.get("finishReason")), index)


def _object(data: Raw | None) -> dict[str, Raw]:
    return (data and _decode(_members_decoder, data)) or {}


def _text(data: Raw | None) -> str | None:
    return _decode(_text_decoder, data) if data else None
