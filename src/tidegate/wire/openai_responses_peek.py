"""What the meter learns of a Responses answer that passes through unchanged."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.dialect import Seen
from tidegate.wire.events import Stop
from tidegate.wire.openai_responses_answer import EVENTS, FLAVOUR, RESPONSES, TERMINAL, Response, stop_of
from tidegate.wire.openai_responses_lenient import Lenient, is_said
from tidegate.wire.openai_responses_output import TOOL_ITEMS
from tidegate.wire.sse import event_data
from tidegate.wire.stop_reasons import finish_word
from tidegate.wire.usage import decode_usage

# Most of a stream: events that say nothing but a text. `event:` first, as OpenAI writes, or no such line.
_TEXT_EVENTS: Final = tuple(
    form % name
    for name in (
        b"response.output_text.delta",
        b"response.function_call_arguments.delta",
        b"response.reasoning_summary_text.delta",
        b"response.reasoning_text.delta",
        b"response.refusal.delta",
        b"response.custom_tool_call_input.delta",
    )
    for form in (b"event: %b\n", b'data: {"type":"%b"')
)
_DELTA: Final = b'"delta":"'
_TEXT_TYPES: Final = frozenset(form[7:-1].decode() for form in _TEXT_EVENTS if form.startswith(b"event: "))


class _Typed(Struct, frozen=True):
    type: str | None = None
    content: list[Raw] | str | None = None


_TYPED: Final = Lenient(_Typed)


class ResponsesPeek:
    """Reads only what it must: a plain delta is known by the bytes around its text; see `wire.dialect.Peek`."""

    __slots__ = ("_has_refusal", "seen")

    def __init__(self) -> None:
        self.seen = Seen()
        self._has_refusal = False

    def see(self, event: bytes) -> bool:
        if event.startswith(_TEXT_EVENTS):
            length = plain_delta_bytes(event)
            if length is not None:
                self.seen.output_text_bytes += length
                self._has_refusal = self._has_refusal or b"response.refusal" in event[:40]
                return True
        data = event_data(event)
        if data is not None:
            self.see_data(data)
        return True

    def see_data(self, data: bytes) -> None:
        said = EVENTS.decode(data)
        if said is None:
            return
        seen = self.seen
        if said.type in _TEXT_TYPES:
            seen.output_text_bytes += len((said.delta or "").encode(errors="replace"))
            self._has_refusal = self._has_refusal or said.type == "response.refusal.delta"
        elif said.type == "response.output_item.added":
            item = _TYPED.decode(said.item)
            seen.tool_calls += item is not None and item.type in TOOL_ITEMS
        elif said.type in TERMINAL:
            response = RESPONSES.decode(said.response) or Response()
            response = msgspec.structs.replace(response, status=said.type.partition(".")[2])
            see_response(seen, response, has_refusal=self._has_refusal)
        elif said.type in ("response.created", "response.in_progress") and not seen.model:
            response = RESPONSES.decode(said.response) or Response()
            seen.model = response.model or ""
        elif said.type == "error" or is_said(said.error):
            seen.has_error = True
            seen.finish_reason = "error"


def plain_delta_bytes(event: bytes) -> int | None:
    """How many bytes of text a delta event holds; None where its JSON must be read to know."""
    start = event.find(_DELTA)
    if start < 0:
        return None
    start += len(_DELTA)
    end = event.find(b'"', start)
    if end < 0 or event.find(b"\\", start, end) >= 0 or event.find(_DELTA, end) >= 0:
        return None
    return end - start


def see_response(seen: Seen, response: Response, *, has_refusal: bool = False) -> None:
    """A whole response, or the one that a stream's last event holds."""
    seen.is_done = True
    seen.model = response.model or seen.model
    calls = 0
    for raw in response.output or ():
        item = _TYPED.decode(raw)
        if item is None:
            continue
        calls += item.type in TOOL_ITEMS
        parts = item.content if isinstance(item.content, list) else ()
        found = (_TYPED.decode(part) for part in parts)
        has_refusal = has_refusal or any(part is not None and part.type == "refusal" for part in found)
    seen.tool_calls = max(calls, seen.tool_calls)
    if is_said(response.usage):
        usage = decode_usage(bytes(response.usage), FLAVOUR)
        if usage is not None:
            seen.usage, seen.reported_nano_usd = usage.usage, usage.cost_nano_usd
    end = stop_of(response, has_calls=seen.tool_calls > 0, has_refusal=has_refusal)
    seen.has_error = not isinstance(end, Stop)
    seen.finish_reason = finish_word(end.reason) if isinstance(end, Stop) else "error"


def see_reply(body: bytes) -> Seen | None:
    """What a whole response tells the meter; None where it is not one."""
    response = RESPONSES.decode(body)
    if response is None or (response.output is None and response.object != "response" and not is_said(response.error)):
        return None
    seen = Seen()
    see_response(seen, response)
    if response.output is None and response.object != "response":
        seen.has_error, seen.finish_reason = True, "error"
    return seen
