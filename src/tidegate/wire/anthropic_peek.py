"""What a Messages reply tells the meter while it passes through as it is, streamed or whole.

Server tools, and whatever else Anthropic adds, pass untouched: an event of a kind that is not known is forwarded.
"""

from msgspec import Raw

from tidegate.wire.anthropic_event import decode_block, decode_event, decode_message
from tidegate.wire.dialect import Seen
from tidegate.wire.sse import event_data
from tidegate.wire.stop_reasons import finish_word, reason_of
from tidegate.wire.usage import decode_usage, merge_usage


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
        if data is None or (found := decode_event(data)) is None:
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
    found = decode_message(body)
    if found is None:
        return None
    if found.type == "error":
        return Seen(has_error=True, is_done=True)
    seen = Seen(is_done=True, model=found.model or "")
    _note_usage(seen, bytes(found.usage))
    if found.stop_reason is not None:
        seen.finish_reason = finish_word(reason_of("anthropic", found.stop_reason))
    for raw in found.content or ():
        block = decode_block(raw)
        if block is not None:
            seen.output_text_bytes += _bytes_of(block.text or block.thinking)
            if block.type == "tool_use":
                seen.tool_calls += 1
                seen.output_text_bytes += len(bytes(block.input))
    return seen
