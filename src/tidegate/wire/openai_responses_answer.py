"""A provider's Responses stream, or whole response, into events.

Both are read by one state: an item of the answer opens, grows by deltas and closes with what its `done` event (or the
whole response) says it is. What the deltas left out is sent then, so a provider may send deltas, or only the end.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.events import Event, Failure, MessageStart, Stop, StopReason
from tidegate.wire.openai_responses_lenient import NULL, Lenient, is_said
from tidegate.wire.openai_responses_output import OUTPUTS, OpenItem, Output
from tidegate.wire.sse import Framer, event_data
from tidegate.wire.stop_reasons import reason_of
from tidegate.wire.unreadable import UNREADABLE
from tidegate.wire.usage import decode_usage

FLAVOUR: Final = "openai-responses"
TERMINAL: Final = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))


class Incomplete(Struct, frozen=True):
    reason: str | None = None


class Response(Struct, frozen=True):
    """A response as providers write it. `object` and `output` tell it from other replies."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    error: Raw = NULL
    incomplete_details: Incomplete | None = None
    output: list[Raw] | None = None
    usage: Raw = NULL


class StreamEvent(Struct, frozen=True):
    type: str = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item_id: str | None = None
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    name: str | None = None
    item: Raw = NULL
    part: Raw = NULL
    annotation: Raw = NULL
    response: Raw = NULL
    error: Raw = NULL
    code: Raw = NULL
    message: Raw = NULL


class _Error(Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None
    message: str | None = None


EVENTS: Final = Lenient(StreamEvent)
RESPONSES: Final = Lenient(Response)
_error_decoder = msgspec.json.Decoder(_Error | str | None)


def failure_of(raw: Raw, status: str) -> Failure:
    """A provider's error object, its bare text, or a status alone."""
    try:
        said = _error_decoder.decode(raw)
    except UNREADABLE:
        said = None
    if isinstance(said, str):
        return Failure(status, said)
    if said is None:
        return Failure(status, f"The provider ended its answer with status {status!r} and gave no reason.")
    code = str(said.code) if said.code is not None else (said.type or status)
    return Failure(code, said.message or f"The provider ended its answer with status {status!r}.")


def stop_of(response: Response, *, has_calls: bool, has_refusal: bool) -> Stop | Failure:
    """How an answer ended."""
    status = response.status or ("incomplete" if response.incomplete_details else "completed")
    if status in ("failed", "cancelled", "queued", "in_progress") or (not response.status and is_said(response.error)):
        return failure_of(response.error, "failed" if status in ("completed", "incomplete") else status)
    native = status
    if status == "incomplete" and response.incomplete_details is not None:
        native = response.incomplete_details.reason or status
    reason: StopReason = reason_of(FLAVOUR, native)
    if status == "incomplete" and reason == "stop":
        reason = "length"  # a reason that nobody knows yet; whole it is not
    if reason == "stop" and (has_calls or has_refusal):
        reason = "tool_calls" if has_calls else "refusal"
    return Stop(reason, native)


class _State:
    """An answer as far as it has come. `out`: events not yet handed over.

    `_items`: by `output_index`; one whose place another took is kept under a negative one.
    """

    def __init__(self) -> None:
        self.out: list[Event] = []
        self.is_done = False
        self._items: dict[int, OpenItem] = {}
        self._last = 0
        self._blocks = 0
        self._has_started = False
        self._has_calls = False
        self._has_refusal = False
        self._is_misnumbered = False

    def next_block(self, kind: str) -> int:
        self._has_calls = self._has_calls or kind == "tool"
        self._has_refusal = self._has_refusal or kind == "refusal"
        self._blocks += 1
        return self._blocks - 1

    def begin(self, response: Response | None = None) -> None:
        if self._has_started:
            return
        self._has_started = True
        said = response or Response()
        self.out.append(MessageStart(said.id or "", said.model or "", int(said.created_at or 0)))

    def item(self, event: StreamEvent, kind: str) -> OpenItem:
        """The item that a delta belongs to; opened now where the provider did not say so before."""
        self.begin()
        index = event.output_index
        if index is None:
            named = (i for i, item in self._items.items() if event.item_id and item.item_id == event.item_id)
            index = next(named, self._last)
        found = self._items.get(index)
        if found is None or not found.takes(kind):
            self.add(Output(type=kind, id=event.item_id, name=event.name), event.output_index)
            return self._items[self._last]
        self._last = index
        return found

    def add(self, output: Output, index: int | None) -> None:
        """A provider says that an item begins."""
        self.begin()
        index = max(self._items, default=-1) + 1 if index is None else index
        before = self._items.get(index)
        if before is not None:
            if not before.is_other_than(output):
                self._last = index
                return
            # Some providers number all items alike.
            before.close(None)
            self._items[-1 - len(self._items)] = before
            self._is_misnumbered = True
        self._items[index] = OpenItem(output, self)
        self._last = index

    def close(self, output: Output, index: int | None) -> None:
        """A provider says what an item is, now that it is whole."""
        self.begin()
        found = self._find(output)
        if found is None:
            index = self._last if index is None else index
            found = self._items.get(index)
            if found is None or found.kind != output.kind or (found.is_closed and found.is_other_than(output)):
                self.add(output, index if found is None else None)
                found = self._items[self._last]
        found.close(output)

    def _find(self, output: Output) -> OpenItem | None:
        return next((item for item in self._items.values() if item.is_same_as(output)), None)

    def end(self, response: Response) -> None:
        """The whole response: what of it has not come yet, its usage, and how it ended."""
        if self.is_done:
            return
        self.is_done = True
        self.begin(response)
        for place, raw in enumerate(response.output or ()):
            output = OUTPUTS.decode(raw)
            if output is not None:
                self._close_at_end(output, place)
        for item in self._items.values():
            item.close(None)
        usage = decode_usage(bytes(response.usage), FLAVOUR) if is_said(response.usage) else None
        if usage is not None:
            self.out.append(usage)
        self.out.append(stop_of(response, has_calls=self._has_calls, has_refusal=self._has_refusal))

    def _close_at_end(self, output: Output, place: int) -> None:
        """Known by name, or else by place: some providers name an item anew whenever they speak of it."""
        found = self._find(output)
        if found is None and self._is_misnumbered and not (output.id or output.call_id):
            return  # nothing tells whether it has come
        if found is None and not self._is_misnumbered:
            found = self._items.get(place)
        if found is None or found.kind != output.kind:
            self.add(output, None)
            found = self._items[self._last]
        found.close(output)

    def fail(self, failure: Failure) -> None:
        if self.is_done:
            return
        self.is_done = True
        self.begin()
        for item in self._items.values():
            item.close(None)
        self.out.append(failure)


class ResponsesDecoder:
    """A stream into events; see `wire.dialect.StreamDecoder`."""

    def __init__(self, event_bytes_max: int) -> None:
        self._framer = Framer(event_bytes_max)
        self._state = _State()
        self.is_done = False

    def feed(self, data: bytes) -> list[Event]:
        for raw in self._framer.feed(data):
            self._read(raw)
        return self._taken()

    def finish(self) -> list[Event]:
        if not self._framer.is_empty:
            self._read(self._framer.rest)
        return self._taken()

    def _taken(self) -> list[Event]:
        out, self._state.out = self._state.out, []
        self.is_done = self._state.is_done
        return out

    def _read(self, raw: bytes) -> None:
        data = event_data(raw)
        if data is None or self._state.is_done:
            return
        event = EVENTS.decode(data)
        if event is None:
            return
        act = _ACTS.get(event.type)
        if act is not None:
            act(self._state, event)
        elif event.type in TERMINAL:
            # The event's own name decides: some providers leave an older status in the response.
            said = RESPONSES.decode(event.response) or Response()
            self._state.end(msgspec.structs.replace(said, status=event.type.partition(".")[2]))
        elif not event.type and is_said(event.error):
            self._state.fail(failure_of(event.error, "error"))


def _on_start(state: _State, event: StreamEvent) -> None:
    state.begin(RESPONSES.decode(event.response))


def _on_added(state: _State, event: StreamEvent) -> None:
    output = OUTPUTS.decode(event.item)
    if output is not None:
        state.add(output, event.output_index)


def _on_item_done(state: _State, event: StreamEvent) -> None:
    output = OUTPUTS.decode(event.item)
    if output is not None:
        state.close(output, event.output_index)


def _on_part_done(state: _State, event: StreamEvent) -> None:
    state.item(event, "message").close_part(event.content_index or 0, event.part)


def _on_text(state: _State, event: StreamEvent) -> None:
    if event.delta:
        state.item(event, "message").grow("text", event.content_index or 0, event.delta)


def _on_text_done(state: _State, event: StreamEvent) -> None:
    state.item(event, "message").complete("text", event.content_index or 0, event.text or "")


def _on_refusal(state: _State, event: StreamEvent) -> None:
    if event.delta:
        state.item(event, "message").grow("refusal", event.content_index or 0, event.delta)


def _on_refusal_done(state: _State, event: StreamEvent) -> None:
    state.item(event, "message").complete("refusal", event.content_index or 0, event.refusal or "")


def _on_annotation(state: _State, event: StreamEvent) -> None:
    if is_said(event.annotation):
        state.item(event, "message").cite(event.content_index or 0, event.annotation)


def _on_summary(state: _State, event: StreamEvent) -> None:
    if event.delta:
        state.item(event, "reasoning").think("summary", event.summary_index or 0, event.delta)


def _on_thought(state: _State, event: StreamEvent) -> None:
    if event.delta:
        state.item(event, "reasoning").think("content", event.content_index or 0, event.delta)


def _on_arguments(state: _State, event: StreamEvent) -> None:
    if event.delta:
        state.item(event, "function_call").grow_arguments(event.delta)


def _on_arguments_done(state: _State, event: StreamEvent) -> None:
    state.item(event, "function_call").complete_arguments(event.arguments or "", event.name or "")


def _on_input(state: _State, event: StreamEvent) -> None:
    if event.delta:
        state.item(event, "custom_tool_call").grow_arguments(event.delta)


def _on_input_done(state: _State, event: StreamEvent) -> None:
    state.item(event, "custom_tool_call").complete_arguments(event.input or "", event.name or "")


def _on_error(state: _State, event: StreamEvent) -> None:
    raw = event.error
    if not is_said(raw):
        raw = Raw(msgspec.json.encode({"code": event.code, "message": event.message}))
    state.fail(failure_of(raw, "error"))


_ACTS: Final[dict[str, Callable[[_State, StreamEvent], None]]] = {
    "response.created": _on_start,
    "response.queued": _on_start,
    "response.in_progress": _on_start,
    "response.output_item.added": _on_added,
    "response.output_item.done": _on_item_done,
    "response.content_part.done": _on_part_done,
    "response.output_text.delta": _on_text,
    "response.output_text.done": _on_text_done,
    "response.output_text.annotation.added": _on_annotation,
    "response.refusal.delta": _on_refusal,
    "response.refusal.done": _on_refusal_done,
    "response.reasoning_summary_text.delta": _on_summary,
    "response.reasoning_text.delta": _on_thought,
    "response.reasoning.delta": _on_thought,
    "response.function_call_arguments.delta": _on_arguments,
    "response.function_call_arguments.done": _on_arguments_done,
    "response.custom_tool_call_input.delta": _on_input,
    "response.custom_tool_call_input.done": _on_input_done,
    "error": _on_error,
    "response.error": _on_error,
}


def decode_reply(body: bytes) -> Sequence[Event] | None:
    """The events of a whole response; None where it is not one."""
    response = RESPONSES.decode(body)
    if response is None:
        return None
    state = _State()
    if response.output is None and response.object != "response":
        if not is_said(response.error):
            return None
        state.fail(failure_of(response.error, "error"))
    else:
        state.end(response)
    return state.out
