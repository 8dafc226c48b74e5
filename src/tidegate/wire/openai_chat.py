"""OpenAI chat completions: the head of a request, what a reply means, and the few edits a relay makes.

Only the fields that decide something are decoded; every other byte passes through untouched. Usage follows the
OpenAI-compatible flavours seen in the field (OpenAI, DeepSeek, OpenRouter, xAI, Moonshot).
"""

from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidegate.core.errors import InvalidRequest
from tidegate.core.usage import Usage

DONE: Final = b"[DONE]"


class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class RequestHead(Struct, frozen=True):
    """What the gateway reads of a request. Unknown fields are left alone."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | UnsetType | None = UNSET
    tools: list[Raw] | None = None
    functions: list[Raw] | None = None
    user: str | None = None
    session_id: str | None = None

    @property
    def is_stream(self) -> bool:
        return self.stream is True

    @property
    def wants_usage(self) -> bool:
        """The caller asked for usage in the stream."""
        return isinstance(self.stream_options, StreamOptions) and self.stream_options.include_usage is True


class _PromptDetails(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(Struct, frozen=True):
    reasoning_tokens: int | None = None


class WireUsage(Struct, frozen=True):
    """A `usage` object as providers write it. None: not sent."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek
    cached_tokens: int | None = None  # Moonshot


class _Message(Struct, frozen=True):
    tool_calls: list[Raw] | None = None


class _ToolCall(Struct, frozen=True):
    index: int | None = None
    id: str | None = None


class _Delta(Struct, frozen=True):
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct, frozen=True):
    finish_reason: str | None = None
    message: _Message | None = None
    index: int = 0


class _ChunkChoice(Struct, frozen=True):
    finish_reason: str | None = None
    delta: _Delta | None = None
    index: int = 0


class Reply(Struct, frozen=True):
    """An unstreamed reply: what the meter needs of it."""

    model: str | None = None
    choices: list[_Choice] | None = None
    usage: WireUsage | None = None

    @property
    def tool_calls(self) -> int:
        return sum(len(c.message.tool_calls or ()) for c in self.choices or () if c.message)

    @property
    def finish_reason(self) -> str | None:
        return next((c.finish_reason for c in self.choices or () if c.finish_reason), None)


class Chunk(Struct, frozen=True):
    """One event of a stream: what the meter needs of it."""

    choices: list[_ChunkChoice] | None = None
    usage: WireUsage | None = None
    error: Raw = Raw(b"")

    @property
    def has_error(self) -> bool:
        return bytes(self.error) not in (b"", b"null")

    @property
    def is_usage_only(self) -> bool:
        """The extra event that `include_usage` adds: no choices, only counts."""
        return self.usage is not None and not self.choices


_head_decoder = msgspec.json.Decoder(RequestHead)
_reply_decoder = msgspec.json.Decoder(Reply)
_chunk_decoder = msgspec.json.Decoder(Chunk)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def decode_request(body: bytes | bytearray) -> RequestHead:
    """Read the head of a request body. Raises InvalidRequest naming the place and what was expected."""
    try:
        return _head_decoder.decode(body)
    except msgspec.ValidationError as error:
        text = str(error)
        param = text.rpartition("`$.")[2].rstrip("`") if "`$." in text else None
        if "missing required field `model`" in text:
            text, param = "the field `model` is missing: name a model, for example one of GET /v1/models", "model"
        raise InvalidRequest(f"The request body is not a chat completion request: {text}.", param=param) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Not the text of the body: it may hold what nobody should log.
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None


def decode_reply(body: bytes) -> Reply | None:
    """Read an unstreamed reply; None where it is not a chat completion at all."""
    try:
        return _reply_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def decode_chunk(data: bytes) -> Chunk | None:
    """Read one event's payload; None where it is not a chat completion chunk."""
    try:
        return _chunk_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def usage_from_wire(wire: WireUsage) -> Usage | None:
    """Usage as counts that agree with each other; None where no total was sent or a count is negative.

    A part larger than its total is cut to the total: such replies exist (reasoning above completion), and a call
    must not fail for it. Where `total_tokens` exceeds prompt and completion by exactly the reasoning tokens, the
    provider leaves reasoning out of completion (xAI): it is added.
    """
    prompt, completion = wire.prompt_tokens, wire.completion_tokens or 0
    if prompt is None or prompt < 0 or completion < 0:
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

    The model's name becomes the provider's, and a stream always asks for its usage. Everything else keeps its
    bytes: the edits are spliced in where that is provably safe, else the object is rebuilt from its raw members.
    """
    add_usage = head.is_stream and not head.wants_usage
    rename = head.model != upstream_model
    if not rename and not add_usage:
        return (body,)
    if add_usage and head.stream_options is not UNSET:
        return (edit_request_slowly(body, head, upstream_model),)
    view = memoryview(body)
    end = len(body)
    tail: tuple[bytes | memoryview, ...] = ()
    if add_usage:
        end = body.rindex(b"}")
        tail = (b',"stream_options":{"include_usage":true}', view[end:])
    if not rename:
        return (view[:end], *tail)
    # The top-level value stands in the body literally; where its text occurs once, that occurrence is it.
    asked = b'"' + head.model.encode() + b'"'
    at = body.find(asked)
    if at < 0 or body.rfind(asked) != at:
        return (edit_request_slowly(body, head, upstream_model),)
    return (view[:at], _encoder.encode(upstream_model), view[at + len(asked) : end], *tail)


def edit_request_slowly(body: bytes, head: RequestHead, upstream_model: str) -> bytes:
    """The obvious twin of `edit_request`: rebuild the object, each value as its raw bytes."""
    members = _members_decoder.decode(body)
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
