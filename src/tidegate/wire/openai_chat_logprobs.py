"""Log-probabilities in OpenAI's chat: asked of a provider for us, read, and taken out for a caller who did not ask."""

import math
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.sse import Framer, event_data
from tidegate.wire.unreadable import UNREADABLE

TRUE: Final = Raw(b"true")
NULL: Final = Raw(b"null")
NAME: Final = b'"logprobs"'

_members = msgspec.json.Decoder(dict[str, Raw])
_choices = msgspec.json.Decoder(list[dict[str, Raw]])
_encoder = msgspec.json.Encoder()


class _Token(Struct, frozen=True, gc=False):
    logprob: float | None = None


class _Logprobs(Struct, frozen=True):
    content: list[_Token] | None = None


class _Choice(Struct, frozen=True):
    index: int = 0
    logprobs: _Logprobs | None = None


class _Reply(Struct, frozen=True):
    choices: list[_Choice] | None = None


_decoder = msgspec.json.Decoder(_Reply)


def asks_for_logprobs(body: bytes) -> bool:
    """Whether a request asks for them itself."""
    if NAME not in body:
        return False
    try:
        return bytes(_members.decode(body).get("logprobs", NULL)) == b"true"
    except UNREADABLE:
        return False


def with_logprobs(body: bytes) -> bytes:
    """A request that asks for them; one that cannot be read stays as it is. Every other value keeps its bytes."""
    try:
        members = _members.decode(body)
    except UNREADABLE:
        return body
    members["logprobs"] = TRUE
    return _encoder.encode(members)


def mean_logprob(reply: bytes, *, is_stream: bool) -> float | None:
    """The mean over all tokens of a reply's first choice; None where the provider told none."""
    parts = [data for event in _events(reply) if (data := event_data(event))] if is_stream else [reply]
    found: list[float] = []
    for part in parts:
        if NAME not in part:
            continue
        try:
            choices = _decoder.decode(part).choices or ()
        except UNREADABLE:
            continue
        tokens = [token for one in choices if one.index == 0 and one.logprobs for token in one.logprobs.content or ()]
        found += [token.logprob for token in tokens if token.logprob is not None and math.isfinite(token.logprob)]
    return sum(found) / len(found) if found else None


def without_logprobs(reply: bytes, *, is_stream: bool) -> bytes:
    """A reply, or whole events of one, as it would have come had nobody asked."""
    if NAME not in reply:
        return reply
    if not is_stream:
        return _cleared(reply)
    out = []
    for event in _events(reply):
        data = event_data(event) if NAME in event else None
        out.append(event if data is None else b"data: " + _cleared(data) + b"\n\n")
    return b"".join(out)


def _events(stream: bytes) -> list[bytes]:
    return Framer(len(stream) + 1).feed(stream)


def _cleared(data: bytes) -> bytes:
    try:
        members: dict[str, Any] = dict(_members.decode(data))
        choices = _choices.decode(members.get("choices", Raw(b"[]")))
    except UNREADABLE:
        return data
    members["choices"] = [choice | {"logprobs": NULL} if "logprobs" in choice else choice for choice in choices]
    return _encoder.encode(members)
