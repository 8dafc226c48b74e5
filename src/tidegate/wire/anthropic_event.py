"""The events of a Messages stream, and the blocks of a whole message, as they stand in JSON. Unknown members pass.

One struct serves every kind of event: only `type` says which members count. A member of the wrong type counts as not
sent and does not cost the others.
"""

from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.unreadable import UNREADABLE

NOT_SENT: Final = Raw(b"")

T = TypeVar("T")


class WireDelta(Struct, frozen=True, gc=False):
    """Of a block, or of the message (`stop_reason`, `stop_sequence`)."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    citation: Raw = NOT_SENT
    stop_reason: str | None = None
    stop_sequence: str | None = None


class WireBlock(Struct, frozen=True, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = NOT_SENT
    citations: list[Raw] | None = None


class WireMessage(Struct, frozen=True, gc=False):
    id: str | None = None
    model: str | None = None
    usage: Raw = NOT_SENT


class WireError(Struct, frozen=True, gc=False):
    type: str | None = None
    message: str | None = None


class WireEvent(Struct, frozen=True, gc=False):
    type: str
    index: int = 0
    delta: WireDelta | None = None
    content_block: WireBlock | None = None
    message: WireMessage | None = None
    usage: Raw = NOT_SENT
    error: WireError | None = None


class WireReply(Struct, frozen=True, gc=False):
    """A whole message, or an error."""

    type: str = ""
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Raw = NOT_SENT
    error: WireError | None = None


class WireCitation(Struct, frozen=True, gc=False):
    """`source`: of a search result; `document_title`: of a document."""

    url: str | None = None
    source: str | None = None
    title: str | None = None
    document_title: str | None = None


_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_event_decoder = msgspec.json.Decoder(WireEvent)
_reply_decoder = msgspec.json.Decoder(WireReply)
_block_decoder = msgspec.json.Decoder(WireBlock)
_citation_decoder = msgspec.json.Decoder(WireCitation)


def decode_event(data: bytes) -> WireEvent | None:
    """None where the payload is not an event of this dialect."""
    return _decode(_event_decoder, WireEvent, data)


def decode_message(body: bytes) -> WireReply | None:
    """None where the body is neither a message nor an error of this dialect."""
    found = _decode(_reply_decoder, WireReply, body)
    return found if found is not None and found.type in ("message", "error") else None


def decode_block(raw: Raw) -> WireBlock | None:
    return _decode(_block_decoder, WireBlock, raw)


def decode_citation(raw: Raw) -> WireCitation:
    return _decode(_citation_decoder, WireCitation, raw) or WireCitation()


def _decode(decoder: msgspec.json.Decoder[T], kind: type[T], data: bytes | Raw) -> T | None:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        return _salvaged(kind, data)
    except UNREADABLE:
        return None


def _salvaged(kind: type[T], data: bytes | Raw) -> T | None:
    """Member by member; None where one is missing that the kind must have, or where it is no object."""
    try:
        members = _members_decoder.decode(data)
    except UNREADABLE:
        return None
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):  # type: ignore[arg-type]  # every kind here is a Struct
        value = _salvaged_member(field.type, members.get(field.encode_name))
        if value is not None:
            found[field.name] = value
        elif field.required:
            return None
    return kind(**found)


def _salvaged_member(kind: object, raw: Raw | None) -> object:
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE:
        inner = [one for one in getattr(kind, "__args__", ()) if isinstance(one, type) and issubclass(one, Struct)]
        return _salvaged(inner[0], raw) if inner else None
