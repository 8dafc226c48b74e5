"""Gemini's two spellings of a member: `inlineData` and `inline_data` mean the same (proto3 JSON), also mixed.

What is inside a caller's own objects (arguments, schemas, labels) is no member of ours and keeps its bytes.
"""

import re
from typing import Final

import msgspec
from msgspec import Raw

DEPTH_MAX: Final = 14  # levels at which the API has members of its own; deeper ones are nobody's to respell

_SNAKE_KEY: Final = re.compile(rb'"[a-z0-9]+(?:_[a-z0-9]+)+"[ \t\r\n]*:')
_OPAQUE: Final = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseJsonSchema",
        "responseSchema",
        "labels",
        "partMetadata",
    }
)
_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_array_decoder = msgspec.json.Decoder(list[Raw])
_encoder = msgspec.json.Encoder()


def camel_case(name: str) -> str:
    """`inline_data` as `inlineData`; a name without underscores stays."""
    first, *others = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others) if first else name


def in_camel_case(body: bytes) -> bytes:
    """The same JSON with every member of the API in camel case.

    Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError where it is not JSON.
    """
    if b"_" not in body or not _SNAKE_KEY.search(body):
        return body
    return bytes(_respelled(Raw(body.strip()), DEPTH_MAX))


def _respelled(value: Raw, depth: int) -> Raw:
    first = bytes(value)[:1]
    if depth == 0 or first not in (b"{", b"["):
        return value
    if first == b"[":
        return Raw(_encoder.encode([_respelled(one, depth - 1) for one in _array_decoder.decode(value)]))
    members: dict[str, Raw] = {}
    for spelt, inner in _object_decoder.decode(value).items():
        name = camel_case(spelt)
        members[name] = inner if name in _OPAQUE else _respelled(inner, depth - 1)
    return Raw(_encoder.encode(members))
