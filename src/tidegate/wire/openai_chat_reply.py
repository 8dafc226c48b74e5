"""What the meter needs of an OpenAI chat reply or chunk, and usage in the flavours seen in the field.

The flavours: OpenAI, DeepSeek, OpenRouter, xAI, Moonshot.
"""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.wire.unreadable import UNREADABLE

DONE: Final = b"[DONE]"
NOT_SENT: Final = Raw(b"")
TOKENS_MAX: Final = 1_000_000_000  # of one call; a report above it is nonsense, and its cost would not fit a column

T = TypeVar("T")


class _PromptDetails(Struct, frozen=True, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    video_tokens: int | None = None


class _CompletionDetails(Struct, frozen=True, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    video_tokens: int | None = None


class WireUsage(Struct, frozen=True, gc=False):
    """A `usage` object as providers write it. None: not sent."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek
    cached_tokens: int | None = None  # Moonshot
    cost: Raw = NOT_SENT
    estimated_cost: Raw = NOT_SENT
    cost_in_usd_ticks: Raw = NOT_SENT
    server_tool_use_details: Raw = NOT_SENT
    num_search_queries: Raw = NOT_SENT

    @property
    def is_simple(self) -> bool:
        """Tokens of text alone, at no price of the provider's own: `usage_from_wire` says all there is."""
        entered, left = self.prompt_tokens_details, self.completion_tokens_details
        if entered is not None and (entered.audio_tokens or entered.image_tokens or entered.video_tokens):
            return False
        if left is not None and (left.audio_tokens or left.image_tokens or left.video_tokens):
            return False
        return (
            self.cost is NOT_SENT
            and self.estimated_cost is NOT_SENT
            and self.cost_in_usd_ticks is NOT_SENT
            and self.server_tool_use_details is NOT_SENT
            and self.num_search_queries is NOT_SENT
        )


class _Message(Struct, frozen=True, gc=False):
    tool_calls: list[Raw] | None = None
    function_call: Raw = NOT_SENT


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

    model: str | None = None
    choices: list[_Choice] | None = None
    usage: WireUsage | None = None
    error: Raw = NOT_SENT

    @property
    def tool_calls(self) -> int:
        messages = [choice.message for choice in self.choices or () if choice.message]
        return sum(len(m.tool_calls or ()) + _is_set(m.function_call) for m in messages)

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
        """Nothing to be learnt from it but text: no usage, no error, no end, no tool call."""
        if self.usage is not None or self.has_error or not self.choices:
            return False
        return all(c.finish_reason is None and not (c.delta and c.delta.tool_calls) for c in self.choices)

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


_reply_decoder = msgspec.json.Decoder(Reply)
_chunk_decoder = msgspec.json.Decoder(Chunk)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_parts_decoder = msgspec.json.Decoder(_Parts)
# Lax ones: 12.0 and "12" are counts.
_choices_decoder = msgspec.json.Decoder(list[_Choice] | None, strict=False)
_chunk_choices_decoder = msgspec.json.Decoder(list[_ChunkChoice] | None, strict=False)
_usage_decoders = [
    (field.name, msgspec.json.Decoder(field.type, strict=False)) for field in msgspec.structs.fields(WireUsage)
]
_encoder = msgspec.json.Encoder()


def decode_reply(body: bytes) -> Reply | None:
    """Read an unstreamed reply; None where it is not a chat completion at all."""
    try:
        return _reply_decoder.decode(body)
    except msgspec.ValidationError:
        parts = _decode(_parts_decoder, body)
        if parts is None:
            return None
        return Reply(None, _decode(_choices_decoder, parts.choices), _usage_of(parts.usage), parts.error)
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
    found: dict[str, Any] = {
        name: _decode(decoder, members[name]) for name, decoder in _usage_decoders if name in members
    }
    return WireUsage(**found)


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
    reasoning = (spent and spent.reasoning_tokens) or 0
    if reasoning < 0:
        reasoning = 0
    if reasoning and wire.total_tokens == prompt + completion + reasoning:
        completion += reasoning
    read = (details and details.cached_tokens) or wire.prompt_cache_hit_tokens or wire.cached_tokens or 0
    written = (details and details.cache_write_tokens) or 0
    if read or written:
        read = min(max(read, 0), prompt)
        written = min(max(written, 0), prompt - read)
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        reasoning_output_tokens=reasoning if reasoning < completion else completion,
    )


def stream_error(message: str, code: str) -> bytes:
    """An event that tells a client of a failure after its 200: OpenAI's SDKs raise on its `error`."""
    chunk = {
        "object": "chat.completion.chunk",
        "error": {"message": message, "type": "api_error", "param": None, "code": code},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }
    return b"data: " + _encoder.encode(chunk) + b"\n\n"
