"""Anthropic Messages, same dialect on both sides: the head of a request, and the edits on its way to the provider.

The head serves `messages` and `messages/count_tokens` alike: what only the provider judges is left to it.
"""

import re
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.anthropic_models import is_claude
from tidegate.wire.anthropic_strip import may_hold_foreign_thoughts, without_foreign_thoughts
from tidegate.wire.dialect import Head, Pieces
from tidegate.wire.routing_ask import ABSENT, routing_of
from tidegate.wire.unreadable import UNREADABLE, refuse_body

_COUNTED: Final = frozenset(
    ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed")
)
_KEY: Final = b'"model"'
_STRING_VALUE: Final = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*(?=")')
_ESCAPED_LETTER: Final = re.compile(rb"\\u00[67]")  # a letter of `model` may be written as an escape


class _Metadata(Struct, frozen=True, gc=False):
    user_id: str | None = None


class _Request(Struct, frozen=True, gc=False):
    model: str
    stream: bool | None = None
    tools: list[Raw] | None = None
    metadata: _Metadata | None = None
    session_id: str | None = None
    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    fallbacks: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


class _Deciding(Struct, frozen=True, gc=False):
    """The fields of `_Request` without which no call can be made."""

    model: str
    stream: bool | None = None
    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    fallbacks: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


_request_decoder = msgspec.json.Decoder(_Request)
_deciding_decoder = msgspec.json.Decoder(_Deciding)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def decode_head(body: bytes) -> Head:
    """Raises InvalidRequest naming the place and what was expected."""
    try:
        try:
            found = _request_decoder.decode(body)
        except msgspec.ValidationError:
            # What only the row would have told (`metadata`, `tools`, ...) is the provider's to judge.
            deciding = _deciding_decoder.decode(body)
            found = _Request(
                deciding.model, deciding.stream, provider=deciding.provider, models=deciding.models,
                route=deciding.route, fallbacks=deciding.fallbacks, prompt_cache_key=deciding.prompt_cache_key,
            )  # fmt: skip
    except UNREADABLE as error:
        refuse_body(error, "Messages request")
    return Head(
        model=found.model,
        is_stream=found.stream is True,
        tools_offered=len(found.tools or ()),
        user=(found.metadata and found.metadata.user_id) or "",
        session_id=found.session_id or "",
        routing=routing_of(found),
    )


def edit_request(body: bytes, head: Head, upstream_model: str) -> Pieces:
    """The request as the provider gets it. Only the model's name changes, and thoughts that another maker sealed (the
    caller has them from an answer of ours) are left out: Anthropic refuses a call that holds them."""
    keeps_unsigned = not is_claude(upstream_model)
    if may_hold_foreign_thoughts(body, keeps_unsigned=keeps_unsigned):
        body = without_foreign_thoughts(body, keeps_unsigned=keeps_unsigned)
    if head.model == upstream_model:
        return (body,)
    at = _model_value(body, head.model)
    if at is None:
        return (_rebuilt(body, upstream_model),)
    view = memoryview(body)
    return (view[: at[0]], _encoder.encode(upstream_model), view[at[1] :])


def _model_value(body: bytes, model: str) -> tuple[int, int] | None:
    """Where the model's name stands in the body, quotes included; None where the bytes leave a doubt.

    The top-level key is one of the places where `"model"` is followed by a string (inside a string its quotes would
    be escaped). Where there is one such place and it holds the name that was read, that is it; two may be a key that
    comes twice, which is one thing to us and may be another to the provider.
    """
    if b"\\u00" in body and _ESCAPED_LETTER.search(body):
        return None
    found = None
    at = body.find(_KEY)
    while at >= 0:
        value = _STRING_VALUE.match(body, at + len(_KEY))
        if value is not None:
            if found is not None:
                return None
            found = value.end()
        at = body.find(_KEY, at + len(_KEY))
    asked = b'"' + model.encode() + b'"'
    return (found, found + len(asked)) if found is not None and body.startswith(asked, found) else None


def _rebuilt(body: bytes, upstream_model: str) -> bytes:
    """The obvious twin of the splice: the object anew, each value as its raw bytes, each key once."""
    try:
        members = _members_decoder.decode(body)
    except UNREADABLE as error:
        refuse_body(error, "Messages request")
    members["model"] = Raw(_encoder.encode(upstream_model))
    return _encoder.encode(members)


def count_request(body: bytes) -> bytes:
    """A Messages request as `messages/count_tokens` takes it: that refuses what only an answer needs."""
    members = _members_decoder.decode(body)
    return _encoder.encode({name: value for name, value in members.items() if name in _COUNTED})


def token_count_body(tokens: int) -> bytes:
    """The reply of `messages/count_tokens`."""
    return _encoder.encode({"input_tokens": tokens})


def decode_token_count(body: bytes) -> int | None:
    """The count that a provider's `messages/count_tokens` replied; None where it is none."""
    try:
        return msgspec.json.decode(_members_decoder.decode(body).get("input_tokens", Raw(b"null")), type=int | None)
    except UNREADABLE:
        return None
