"""OpenAI chat completions: the head of a request, what a reply means, and the few edits a relay makes.

Only the fields that decide something are decoded; every other byte passes through untouched. Usage follows the
OpenAI-compatible flavours seen in the field (OpenAI, DeepSeek, OpenRouter, xAI, Moonshot).
"""

import re
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidegate.core.errors import InvalidRequest
from tidegate.core.usage import Usage

DONE: Final = b"[DONE]"
NOT_SENT: Final = Raw(b"")
SPLICE_BYTES_MIN: Final = 16 * 1024  # below it, building a body anew costs less than finding the place of an edit
TOKENS_MAX: Final = 1_000_000_000  # of one call; a report above it is nonsense, and its cost would not fit a column

T = TypeVar("T")


class StreamOptions(Struct, frozen=True, gc=False):
    include_usage: bool | None = None


class RequestHead(Struct, frozen=True, gc=False):
    """What the gateway reads of a request. Unknown fields are left alone."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | UnsetType | None = UNSET
    tools: list[Raw] | None = None
    functions: list[Raw] | None = None
    user: str | None = None
    session_id: str | None = None
    messages: Raw = Raw(b"")

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


class _PromptDetails(Struct, frozen=True, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(Struct, frozen=True, gc=False):
    reasoning_tokens: int | None = None


class WireUsage(Struct, frozen=True, gc=False):
    """A `usage` object as providers write it. None: not sent."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek
    cached_tokens: int | None = None  # Moonshot


class _Message(Struct, frozen=True, gc=False):
    tool_calls: list[Raw] | None = None


class _ToolCall(Struct, frozen=True, gc=False):
    index: int | None = None
    id: str | int | None = None


class _Delta(Struct, frozen=True, gc=False):
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct, frozen=True, gc=False):
    finish_reason: str | None = None
    message: _Message | None = None
    index: int = 0


class _ChunkChoice(Struct, frozen=True, gc=False):
    finish_reason: str | None = None
    delta: _Delta | None = None
    index: int = 0


class Reply(Struct, frozen=True, gc=False):
    """An unstreamed reply: what the meter needs of it."""

    choices: list[_Choice] | None = None
    usage: WireUsage | None = None
    error: Raw = NOT_SENT

    @property
    def tool_calls(self) -> int:
        return sum(len(c.message.tool_calls or ()) for c in self.choices or () if c.message)

    @property
    def is_error(self) -> bool:
        """An error that came with status 200, in place of an answer."""
        return not self.choices and _is_set(self.error)

    @property
    def finish_reason(self) -> str | None:
        return next((c.finish_reason for c in self.choices or () if c.finish_reason), None)


class Chunk(Struct, frozen=True, gc=False):
    """One event of a stream: what the meter needs of it."""

    choices: list[_ChunkChoice] | None = None
    usage: WireUsage | None = None
    error: Raw = NOT_SENT

    @property
    def is_plain(self) -> bool:
        """Nothing to be learnt from it: no usage, no error, no end, no tool call."""
        if self.usage is not None or self.has_error:
            return False
        return all(c.finish_reason is None and not (c.delta and c.delta.tool_calls) for c in self.choices or ())

    @property
    def has_error(self) -> bool:
        return self.error is not NOT_SENT and _is_set(self.error)

    @property
    def is_usage_only(self) -> bool:
        """The extra event that `include_usage` adds: no choices, only counts."""
        return self.usage is not None and not self.choices


class _Parts(Struct, frozen=True, gc=False):
    """A reply or a chunk whose members do not all have the types they should."""

    choices: Raw = Raw(b"null")
    usage: Raw = Raw(b"null")
    error: Raw = NOT_SENT


def _is_set(value: Raw) -> bool:
    return bytes(value) not in (b"", b"null")


UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_head_decoder = msgspec.json.Decoder(RequestHead)
_reply_decoder = msgspec.json.Decoder(Reply)
_chunk_decoder = msgspec.json.Decoder(Chunk)
_deciding_decoder = msgspec.json.Decoder(_Deciding)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_parts_decoder = msgspec.json.Decoder(_Parts)
# Lax ones: 12.0 and "12" are counts.
_choices_decoder = msgspec.json.Decoder(list[_Choice] | None, strict=False)
_chunk_choices_decoder = msgspec.json.Decoder(list[_ChunkChoice] | None, strict=False)
_usage_decoders = [
    (field.name, msgspec.json.Decoder(field.type, strict=False)) for field in msgspec.structs.fields(WireUsage)
]
_encoder = msgspec.json.Encoder()


def decode_request(body: bytes | bytearray) -> RequestHead:
    """Read the head of a request body. Raises InvalidRequest naming the place and what was expected."""
    try:
        try:
            return _head_decoder.decode(body)
        except msgspec.ValidationError:
            # What only the row would have told (`user`, `tools`, ...) is the provider's to judge.
            found = _deciding_decoder.decode(body)
            return RequestHead(found.model, found.stream, found.stream_options)
    except msgspec.ValidationError as error:
        text = str(error)
        param = text.rpartition("`$.")[2].rstrip("`") if "`$." in text else None
        if "missing required field `model`" in text:
            text, param = "the field `model` is missing: name a model, for example one of GET /v1/models", "model"
        raise InvalidRequest(f"The request body is not a chat completion request: {text}.", param=param) from None
    except RecursionError:
        raise InvalidRequest("The request body is nested too deeply.") from None
    except UNREADABLE as error:
        # Not the text of the body: it may hold what nobody should log.
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None


def without_body(head: RequestHead) -> RequestHead:
    """The head without its views into the body, which would keep all of it in memory; the counts stay."""
    tools, functions = ([Raw(b"")] * len(found) if found else None for found in (head.tools, head.functions))
    return msgspec.structs.replace(head, messages=Raw(b""), tools=tools, functions=functions)


def decode_reply(body: bytes) -> Reply | None:
    """Read an unstreamed reply; None where it is not a chat completion at all."""
    try:
        return _reply_decoder.decode(body)
    except msgspec.ValidationError:
        parts = _decode(_parts_decoder, body)
        if parts is None:
            return None
        return Reply(_decode(_choices_decoder, parts.choices), _usage_of(parts.usage), parts.error)
    except UNREADABLE:
        return None


def decode_chunk(data: bytes) -> Chunk | None:
    """Read one event's payload; None where it is not a chat completion chunk."""
    try:
        return _chunk_decoder.decode(data)
    except msgspec.ValidationError:
        parts = _decode(_parts_decoder, data)
        if parts is None:
            return None
        return Chunk(_decode(_chunk_choices_decoder, parts.choices), _usage_of(parts.usage), parts.error)
    except UNREADABLE:
        return None


def _decode(decoder: msgspec.json.Decoder[T], data: bytes | Raw) -> T | None:
    try:
        return decoder.decode(data)
    except UNREADABLE:
        return None


def _usage_of(data: Raw) -> WireUsage | None:
    """A usage object member by member, so that one of the wrong type does not cost the others."""
    members = _decode(_members_decoder, data)
    if members is None:
        return None
    return WireUsage(**{name: _decode(decoder, members.get(name, Raw(b"null"))) for name, decoder in _usage_decoders})


def usage_from_wire(wire: WireUsage) -> Usage | None:
    """Usage as counts that agree with each other; None where a total is missing, negative or above TOKENS_MAX.

    A part larger than its total is cut to the total: such replies exist (reasoning above completion), and a call
    must not fail for it. Where `total_tokens` exceeds prompt and completion by exactly the reasoning tokens, the
    provider leaves reasoning out of completion (xAI): it is added. A completion that is not sent is what
    `total_tokens` leaves for it.
    """
    prompt, completion = wire.prompt_tokens, wire.completion_tokens
    if completion is None and prompt is not None and wire.total_tokens is not None:
        completion = wire.total_tokens - prompt
    if prompt is None or completion is None or not (0 <= prompt <= TOKENS_MAX and 0 <= completion <= TOKENS_MAX):
        return None
    details, spent = wire.prompt_tokens_details, wire.completion_tokens_details
    reasoning = max((spent and spent.reasoning_tokens) or 0, 0)
    if reasoning and wire.total_tokens == prompt + completion + reasoning:
        completion += reasoning
    read = (details and details.cached_tokens) or wire.prompt_cache_hit_tokens or wire.cached_tokens or 0
    written = (details and details.cache_write_tokens) or 0
    read = min(max(read, 0), prompt)
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=min(max(written, 0), prompt - read),
        reasoning_output_tokens=min(reasoning, completion),
    )


def edit_request(body: bytes, head: RequestHead, upstream_model: str) -> tuple[bytes | memoryview, ...]:
    """The request as the provider gets it, in pieces to be written one after the other.

    The model's name becomes the provider's, and a stream always asks for its usage. Every other value keeps its
    bytes. A large body is spliced where that is provably safe; any other is rebuilt from its raw members.
    """
    is_edited = head.model != upstream_model or (head.is_stream and not head.wants_usage)
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
    except UNREADABLE as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None
    if head.model != upstream_model:
        members["model"] = Raw(_encoder.encode(upstream_model))
    if head.is_stream and not head.wants_usage:
        options = _members_decoder.decode(members["stream_options"]) if head.stream_options else {}
        options["include_usage"] = Raw(b"true")
        members["stream_options"] = Raw(_encoder.encode(options))
    return _encoder.encode(members)


def stream_error(message: str, code: str) -> bytes:
    """An event that tells a client of a failure after its 200: OpenAI's SDKs raise on its `error`."""
    chunk = {
        "object": "chat.completion.chunk",
        "error": {"message": message, "type": "api_error", "param": None, "code": code},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }
    return b"data: " + _encoder.encode(chunk) + b"\n\n"
