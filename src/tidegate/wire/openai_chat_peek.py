"""What the meter learns of a chat (or text) completion that passes through in its own dialect."""

import msgspec

from tidegate.wire.dialect import Seen
from tidegate.wire.openai_chat_parts import NULL, Choice, Completion, decode_completion
from tidegate.wire.openai_chat_reply import DONE, NOT_SENT, Reply, usage_from_wire
from tidegate.wire.sse import event_data
from tidegate.wire.stop_reasons import finish_word, reason_of
from tidegate.wire.unreadable import UNREADABLE
from tidegate.wire.usage import decode_usage

TOOL_CALLS_MAX = 10_000  # told apart in one answer; a provider that calls more is not counted any further
_simple_decoder = msgspec.json.Decoder(Reply)


class ChatPeek:
    """Reads events in passing. strip_usage: leave out the event of usage alone, which the caller did not want."""

    __slots__ = ("_strip_usage", "_tools", "seen")

    def __init__(self, *, strip_usage: bool) -> None:
        self._strip_usage = strip_usage
        self._tools: set[tuple[int, int | str | None]] = set()
        self.seen = Seen()

    def see(self, event: bytes) -> bool:
        if self.seen.is_done:
            return False  # nothing follows [DONE]
        data = event_data(event)
        if data is None:
            return True
        if data.startswith(DONE):
            self.seen.is_done = True
            return True
        found = decode_completion(data)
        if found is None:
            return True
        for choice in found.choices or ():
            message = choice.delta or choice.message
            for call in (message and message.tool_calls) or ():
                if len(self._tools) < TOOL_CALLS_MAX:
                    self._tools.add((choice.index, call.id if call.index is None else call.index))
        self.seen.tool_calls = max(len(self._tools), self.seen.tool_calls)
        learn(self.seen, found)
        return not (self._strip_usage and not found.choices and found.usage_object)


def learn(seen: Seen, found: Completion) -> None:
    """Add to `seen` what a chunk or a reply says, tool calls apart."""
    for choice in found.choices or ():
        if choice.finish_reason:
            seen.finish_reason = finish_word(reason_of("openai-chat", choice.finish_reason))
        seen.output_text_bytes += _text_bytes(choice)
    if found.model:
        seen.model = found.model
    if found.failure is not None:
        seen.has_error = True
    usage = found.usage_object
    if usage and (reported := decode_usage(usage, "openai-chat")) is not None:
        seen.usage, seen.reported_nano_usd = reported.usage, reported.cost_nano_usd


def _text_bytes(choice: Choice) -> int:
    """Of answer, thoughts and arguments. A thought that comes under two names counts once."""
    message = choice.delta or choice.message
    if message is None:
        return len((choice.text or "").encode(errors="replace"))
    content = message.content if isinstance(message.content, str) else ""
    texts = (content, message.reasoning_content or message.reasoning, message.refusal, choice.text)
    total = sum(len(text.encode(errors="replace")) for text in texts if text)
    functions = [call.function for call in message.tool_calls or ()] + [message.function_call]
    return total + sum(len(bytes(one.arguments)) for one in functions if one and one.arguments is not NULL)


def see_completion(body: bytes) -> Seen | None:
    """What a whole reply tells; None where it is neither a completion nor an error."""
    return _see_simple(body) or see_any_completion(body)


def _see_simple(body: bytes) -> Seen | None:
    """The fast twin, for nearly every reply: all members of their own types, usage at its place and of text alone."""
    try:
        reply = _simple_decoder.decode(body)
    except UNREADABLE:
        return None
    usage = reply.usage
    if not reply.choices or usage is None or reply.error is not NOT_SENT or not usage.is_simple:
        return None
    word = reply.finish_reason
    return Seen(
        usage=usage_from_wire(usage),
        finish_reason=finish_word(reason_of("openai-chat", word)) if word else None,
        tool_calls=reply.tool_calls,
        is_done=True,
        model=reply.model or "",
    )


def see_any_completion(body: bytes) -> Seen | None:
    """The obvious twin: any reply, whatever its members are."""
    found = decode_completion(body)
    if found is None or not (found.choices or found.failure):
        return None
    seen = Seen(is_done=True)
    learn(seen, found)
    messages = [choice.message for choice in found.choices or () if choice.message]
    seen.tool_calls = sum(len(message.tool_calls or ()) + bool(message.function_call) for message in messages)
    return seen
