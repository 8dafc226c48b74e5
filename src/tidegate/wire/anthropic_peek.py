"""What a Messages reply tells the meter while it passes through as it is, streamed or whole.

Server tools, and whatever else Anthropic adds, pass untouched: an event of a kind that is not known is forwarded.
"""

from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.dialect import Seen
from tidegate.wire.sse import event_data
from tidegate.wire.stop_reasons import finish_word, reason_of
from tidegate.wire.usage import decode_usage, merge_usage

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NOT_SENT: Final = Raw(b"")

T = TypeVar("T")


class _Delta(Struct, frozen=True, gc=False):
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Block(Struct, frozen=True, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    input: Raw = NOT_SENT


class _Message(Struct, frozen=True, gc=False):
    model: str | None = None
    usage: Raw = NOT_SENT


class _Event(Struct, frozen=True, gc=False):
    type: str
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: Raw = NOT_SENT


class _Parts(Struct, frozen=True, gc=False):
    """An event or a reply member by member, so that one of the wrong type does not cost the others."""

    type: str = ""
    delta: Raw = NOT_SENT
    content_block: Raw = NOT_SENT
    message: Raw = NOT_SENT
    usage: Raw = NOT_SENT
    model: Raw = NOT_SENT
    stop_reason: Raw = NOT_SENT
    content: Raw = NOT_SENT


_event_decoder = msgspec.json.Decoder(_Event)
_parts_decoder = msgspec.json.Decoder(_Parts)
_delta_decoder = msgspec.json.Decoder(_Delta)
_block_decoder = msgspec.json.Decoder(_Block)
_message_decoder = msgspec.json.Decoder(_Message)
_text_decoder = msgspec.json.Decoder(str)
_list_decoder = msgspec.json.Decoder(list[Raw])


def _decode(decoder: msgspec.json.Decoder[T], data: bytes | Raw) -> T | None:
    try:
        return decoder.decode(data)
    except UNREADABLE:
        return None


def _event_of(data: bytes) -> _Event | None:
    try:
        return _event_decoder.decode(data)
    except msgspec.ValidationError:
        parts = _decode(_parts_decoder, data)
        if parts is None:
            return None
        return _Event(
            parts.type,
            _decode(_delta_decoder, parts.delta),
            _decode(_block_decoder, parts.content_block),
            _decode(_message_decoder, parts.message),
            parts.usage,
        )
    except UNREADABLE:
        return None


class AnthropicPeek:
    """Learns from the events of a stream. Usage comes twice: the input's with the first event, the rest later."""

    __slots__ = ("_usage", "seen")

    def __init__(self) -> None:
        self.seen = Seen()
        self._usage = b"{}"

    def see(self, event: bytes) -> bool:
        """Always true until the message has ended; what follows its end is left out."""
        seen = self.seen
        if seen.is_done:
            return False
        data = event_data(event)
        if data is None or (found := _event_of(data)) is None:
            return True
        delta, block = found.delta, found.content_block
        if found.type == "content_block_delta":
            if delta is not None:
                seen.output_text_bytes += _bytes_of(delta.text or delta.thinking or delta.partial_json)
        elif found.type == "content_block_start":
            if block is not None:
                seen.tool_calls += block.type == "tool_use"
                seen.output_text_bytes += _bytes_of(block.text or block.thinking)
        elif found.type == "message_delta":
            if delta is not None and delta.stop_reason is not None:
                seen.finish_reason = finish_word(reason_of("anthropic", delta.stop_reason))
            self._see_usage(found.usage)
        elif found.type == "message_start":
            if found.message is not None:
                seen.model = found.message.model or seen.model
                self._see_usage(found.message.usage)
        elif found.type == "message_stop":
            seen.is_done = True
        elif found.type == "error":
            seen.has_error = True
        return True

    def _see_usage(self, raw: Raw) -> None:
        if not raw:
            return
        self._usage = merge_usage(self._usage, bytes(raw))
        _note_usage(self.seen, self._usage)


def _bytes_of(text: str | None) -> int:
    if not text:
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _note_usage(seen: Seen, raw: bytes) -> None:
    found = decode_usage(raw, "anthropic")
    if found is not None:
        seen.usage, seen.reported_nano_usd = found.usage, found.cost_nano_usd


def see_reply(body: bytes) -> Seen | None:
    """What a whole reply tells the meter; None where it is neither a message nor an error of this dialect."""
    parts = _decode(_parts_decoder, body)
    if parts is None or parts.type not in ("message", "error"):
        return None
    if parts.type == "error":
        return Seen(has_error=True, is_done=True)
    seen = Seen(is_done=True, model=_decode(_text_decoder, parts.model) or "")
    _note_usage(seen, bytes(parts.usage))
    stop_reason = _decode(_text_decoder, parts.stop_reason)
    if stop_reason is not None:
        seen.finish_reason = finish_word(reason_of("anthropic", stop_reason))
    for raw in _decode(_list_decoder, parts.content) or ():
        block = _decode(_block_decoder, raw)
        if block is not None:
            is_call = block.type == "tool_use"
            seen.tool_calls += is_call
            seen.output_text_bytes += _bytes_of(block.text or block.thinking) + (
                len(bytes(block.input)) if is_call else 0
            )
    return seen
