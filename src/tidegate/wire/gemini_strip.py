"""Seals of other makers out of a request that passes to Gemini as it is: Google refuses what it did not seal itself.

Such seals came to the caller in an answer of another maker's model, earlier in the same conversation.
"""

from typing import Final

import msgspec
from msgspec import Raw

from tidegate.wire.gemini_seal import CARRIER_START, NOT_SEALED, unseal
from tidegate.wire.gemini_spelling import in_camel_case
from tidegate.wire.gemini_thinking import wants_seals
from tidegate.wire.unreadable import UNREADABLE

_MARK: Final = CARRIER_START.encode()
_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_array_decoder = msgspec.json.Decoder(list[Raw])
_text_decoder = msgspec.json.Decoder(str)
_encoder = msgspec.json.Encoder()

Members = dict[str, Raw]


def holds_carriers(body: bytes) -> bool:
    """Perhaps: the bytes of one are somewhere in the body."""
    return _MARK in body


def strip_carriers(body: bytes, upstream_model: str) -> bytes:
    """The same request without foreign seals: their thoughts go with them, calls keep their place unsealed."""
    try:
        members = _object_decoder.decode(in_camel_case(body))
        contents = _array_decoder.decode(members["contents"])
        members["contents"] = Raw(_encoder.encode([_content(one, wants_seals(upstream_model)) for one in contents]))
    except (KeyError, *UNREADABLE):
        return body  # for the provider to refuse
    return _encoder.encode(members)


def _content(content: Raw, needs_seals: bool) -> Raw:
    if _MARK not in bytes(content):
        return content
    members = _object_decoder.decode(content)
    parts = [_object_decoder.decode(part) for part in _array_decoder.decode(members["parts"])]
    kept = [stripped for part in parts if (stripped := _part(part)) is not None]
    first_call = next((part for part in kept if "functionCall" in part), None)
    if first_call is not None and needs_seals and "thoughtSignature" not in first_call:
        first_call["thoughtSignature"] = Raw(_encoder.encode(NOT_SEALED))
    members["parts"] = Raw(_encoder.encode(kept or [{"text": " "}]))
    return Raw(_encoder.encode(members))


def _part(part: Members) -> Members | None:
    """The part without a foreign seal; None where nothing is left that Google may read."""
    sealed = part.get("thoughtSignature")
    if sealed is None or not bytes(sealed).startswith(b'"' + _MARK):
        return part
    carried = unseal(_text_decoder.decode(sealed))
    if carried.origin == "gemini" and not carried.is_redacted:
        return part
    rest = {name: value for name, value in part.items() if name != "thoughtSignature"}
    is_thought = bytes(rest.get("thought", Raw(b"false"))) == b"true"
    is_empty = bytes(rest.get("text", Raw(b'""'))) == b'""' and not rest.keys() - {"text", "thought"}
    return None if is_thought or is_empty else rest
