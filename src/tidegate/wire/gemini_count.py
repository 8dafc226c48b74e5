"""`countTokens`: how many tokens a request would enter.

The Gemini API counts a whole request under `generateContentRequest`, which must name its model; Vertex AI takes the
request's own members.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.facts import Quirks
from tidegate.wire.conversation import Ask, Encoded
from tidegate.wire.gemini_ask_read import decode_request
from tidegate.wire.gemini_ask_write import request_members
from tidegate.wire.gemini_body import is_sent
from tidegate.wire.gemini_spelling import in_camel_case
from tidegate.wire.gemini_turns_write import Json
from tidegate.wire.unreadable import UNREADABLE, refuse_body

_WHOLE: Final = "generateContentRequest"
_VERTEX: Final = ("contents", "systemInstruction", "tools", "generationConfig")
_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


class _Count(Struct):
    totalTokens: int


_count_decoder = msgspec.json.Decoder(_Count, strict=False)


def decode_count(body: bytes) -> Ask:
    """The request that is to be counted. Raises InvalidRequest as `decode_request` does."""
    try:
        whole = _object_decoder.decode(in_camel_case(body)).get(_WHOLE, Raw(b"null"))
    except UNREADABLE as error:
        refuse_body(error, "generateContent request")
    return decode_request(bytes(whole) if is_sent(whole) else body)


def encode_count(ask: Ask, upstream_model: str, quirks: Quirks, *, is_vertex: bool = False) -> Encoded:
    """The body of a count. Raises InvalidRequest as `encode_request` does."""
    members, dropped = request_members(ask, upstream_model, quirks)
    if is_vertex:
        body: Json = {name: members[name] for name in _VERTEX if name in members}
    else:
        body = {_WHOLE: {"model": f"models/{upstream_model}"} | members}
    return Encoded(_encoder.encode(body), tuple(dict.fromkeys(dropped)))


def encode_count_reply(tokens: int) -> bytes:
    return _encoder.encode({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})


def decode_count_reply(body: bytes) -> int | None:
    """The count; None where the reply has none."""
    try:
        found = _count_decoder.decode(in_camel_case(body)).totalTokens
    except UNREADABLE:
        return None
    return found if found >= 0 else None
