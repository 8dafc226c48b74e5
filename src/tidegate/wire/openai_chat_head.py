"""The head of an OpenAI request, and the few edits that a relay makes to one.

Only the fields that decide something are decoded; every other byte passes through untouched.
"""

import re
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidegate.core.errors import InvalidRequest
from tidegate.wire.routing_ask import ABSENT
from tidegate.wire.unreadable import UNREADABLE, refuse_body

SPLICE_BYTES_MIN: Final = 16 * 1024  # below it, building a body anew costs less than finding the place of an edit


class StreamOptions(Struct, frozen=True, gc=False):
    include_usage: bool | None = None


class RequestHead(Struct, frozen=True, gc=False):
    """What the gateway reads of a request. Unknown fields are left alone.

    The fields from `max_tokens` on matter to `openai_chat_quirks`, which asks no more than whether they are there, and
    to the bounds of what a call may cost.
    """

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | UnsetType | None = UNSET
    tools: list[Raw] | None = None
    functions: list[Raw] | None = None
    user: str | None = None
    session_id: str | None = None
    messages: Raw = ABSENT
    max_tokens: Raw = ABSENT
    max_completion_tokens: Raw = ABSENT
    n: Raw = ABSENT
    parallel_tool_calls: Raw = ABSENT
    response_format: Raw = ABSENT
    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    plugins: Raw = ABSENT
    transforms: Raw = ABSENT
    preset: Raw = ABSENT
    fallbacks: Raw = ABSENT
    trace: Raw = ABSENT
    debug: Raw = ABSENT
    usage: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT

    @property
    def is_stream(self) -> bool:
        return self.stream is True

    @property
    def wants_usage(self) -> bool:
        """The caller asked for usage in the stream."""
        return isinstance(self.stream_options, StreamOptions) and self.stream_options.include_usage is True


class _Deciding(Struct, frozen=True, gc=False):
    """The fields of `RequestHead` without which no call can be made."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | UnsetType | None = UNSET
    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    fallbacks: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


_head_decoder = msgspec.json.Decoder(RequestHead)
_deciding_decoder = msgspec.json.Decoder(_Deciding)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def decode_request(body: bytes | bytearray, kind: str = "chat completion request") -> RequestHead:
    """Read the head of a request body. Raises InvalidRequest naming the place and what was expected.

    kind: what the body should be, for the error's words; text completions and embeddings have the same head.
    """
    try:
        try:
            return _head_decoder.decode(body)
        except msgspec.ValidationError:
            # What only the row would have told (`user`, `tools`, ...) is the provider's to judge.
            found = _deciding_decoder.decode(body)
            return RequestHead(
                found.model, found.stream, found.stream_options, provider=found.provider, models=found.models,
                route=found.route, fallbacks=found.fallbacks, prompt_cache_key=found.prompt_cache_key,
            )  # fmt: skip
    except UNREADABLE as error:
        refuse_body(error, kind)


def edit_request(body: bytes, head: RequestHead, upstream_model: str) -> tuple[bytes | memoryview, ...]:
    """The request as the provider gets it, in pieces to be written one after the other.

    The model's name becomes the provider's, and a stream always asks for its usage. Every other value keeps its
    bytes. A large body is spliced where that is provably safe; any other is rebuilt from its raw members.
    """
    is_edited = head.model != upstream_model or (head.is_stream and not head.wants_usage)
    if not is_edited and len(body) < SPLICE_BYTES_MIN and _names_each_key_once(body, head):
        return (body,)
    if len(body) >= SPLICE_BYTES_MIN or not is_edited:
        pieces = splice_request(body, head, upstream_model)
        if pieces is not None:
            return pieces
    return (rebuild_request(body, head, upstream_model),)


def splice_request(body: bytes, head: RequestHead, upstream_model: str) -> tuple[bytes | memoryview, ...] | None:
    """The edited request without a copy of what stays; None where the place of an edit is in doubt."""
    add_usage = head.is_stream and not head.wants_usage
    value = _model_value(body, head)
    if value is None or (add_usage and head.stream_options is not UNSET):
        return None
    view = memoryview(body)
    end = len(body)
    tail: tuple[bytes | memoryview, ...] = ()
    if add_usage:
        end = body.rindex(b"}")
        tail = (b',"stream_options":{"include_usage":true}', view[end:])
    if head.model != upstream_model:
        return (view[: value[0]], _encoder.encode(upstream_model), view[value[1] : end], *tail)
    return (view[:end], *tail) if tail else (body,)


def _names_each_key_once(body: bytes, head: RequestHead) -> bool:
    """Whether a small body can be seen, without finding them, to have its deciding keys once: see `_model_value`."""
    streams = 1 if head.stream_options is UNSET else 2
    return body.count(b'"model"') == 1 and body.count(b'"stream') <= streams and b"\\u00" not in body


def _model_value(body: bytes, head: RequestHead) -> tuple[int, int] | None:
    """Where the model's name stands in the body, quotes included; None where the bytes leave a doubt.

    A key that comes twice is one thing to us and may be another to the provider: what would be served is not what
    would be charged. So every key that we read must be there once and spelt out; `messages`, the bulk of a body,
    need not be searched, since what is inside them is no key of the request.
    """
    found = _MESSAGES.search(body)
    start = end = 0
    if found is not None and head.messages and body.startswith(head.messages, found.end()):
        start, end = found.end(), found.end() + len(memoryview(head.messages))
    rest = body[:start] + body[end:]
    if _ESCAPED_KEY.search(rest) or rest.count(b'"stream') > (1 if head.stream_options is UNSET else 2):
        return None
    at = rest.find(b'"model"')
    key = _MODEL.match(rest, at) if at >= 0 and rest.find(b'"model"', at + 7) < 0 else None
    asked = b'"' + head.model.encode() + b'"'
    if key is None or not rest.startswith(asked, key.end()):
        return None
    place = key.end() + (end - start if key.end() > start else 0)
    return place, place + len(asked)


_MESSAGES: Final = re.compile(rb'"messages"[ \t\r\n]*:[ \t\r\n]*')
_MODEL: Final = re.compile(rb'"model"[ \t\r\n]*:[ \t\r\n]*')
_ESCAPED_KEY: Final = re.compile(rb"\\u00[67]")  # a letter of `model` or `stream` written as an escape


def rebuild_request(body: bytes, head: RequestHead, upstream_model: str) -> bytes:
    """The obvious twin of `splice_request`: the object anew, each value as its raw bytes, each key once."""
    try:
        members = _members_decoder.decode(body)
        options = _members_decoder.decode(members["stream_options"]) if head.stream_options else {}
    except UNREADABLE as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None
    if head.model != upstream_model:
        members["model"] = Raw(_encoder.encode(upstream_model))
    if head.is_stream and not head.wants_usage:
        options["include_usage"] = Raw(b"true")
        members["stream_options"] = Raw(_encoder.encode(options))
    return _encoder.encode(members)
