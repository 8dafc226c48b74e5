"""A provider's chat completion, streamed or whole, into events.

A whole message is read as the delta that says everything at once, so both ways share one path. Text, thoughts and
refusals follow each other, each closed where another begins; tool calls stay open to the end, since their pieces may
come interleaved. `Stop` is held back until the stream is over: some providers send more after their finish reason.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.conversation import Origin
from tidegate.wire.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    Citation,
    Delta,
    Event,
    Failure,
    MessageStart,
    Signature,
    Stop,
)
from tidegate.wire.openai_chat_parts import (
    Call,
    Choice,
    Completion,
    Content,
    Detail,
    Image,
    Message,
    arguments_text,
    decode_completion,
)
from tidegate.wire.openai_chat_reply import DONE
from tidegate.wire.sse import Framer, event_data
from tidegate.wire.stop_reasons import reason_of, with_calls
from tidegate.wire.unreadable import UNREADABLE
from tidegate.wire.usage import decode_usage


class _UrlCitation(Struct, frozen=True):
    url: str = ""
    title: str = ""


class _Annotation(Struct, frozen=True):
    url_citation: _UrlCitation = _UrlCitation()


SECONDS_MAX: Final = 10**11  # later than any clock; some providers count in other units
_annotation_decoder = msgspec.json.Decoder(_Annotation)


class _Tool(Struct):
    """A tool call on its way. `index`: of its block, -1 until its name is known; `held`: arguments before that."""

    call_id: str
    index: int = -1
    name: str = ""
    held: str = ""
    seal: str = ""


class AnswerReader:
    """Events of one answer. `take` hands out what has come since it was last called."""

    __slots__ = (
        "_audio",
        "_events",
        "_finish",
        "_flow",
        "_flow_item",
        "_has_refusal",
        "_is_over",
        "_key",
        "_last_usage",
        "_loose_seal",
        "_message_id",
        "_next",
        "_seals",
        "_started",
        "_tools",
        "_tools_by_index",
    )

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._next = 0
        self._started = self._is_over = self._has_refusal = False
        self._message_id = ""
        self._flow = -1  # index of the open block of text, thoughts or refusal
        self._flow_item = ""
        self._key: tuple[BlockKind, str] = ("text", "")  # what that block holds; thoughts have names
        self._audio = -1
        self._tools: list[_Tool] = []
        self._tools_by_index: dict[int, _Tool] = {}
        self._seals: dict[str, tuple[str, Origin]] = {}  # by call, before the call has come
        self._loose_seal = ("", "")  # of text that has not come
        self._finish: Choice | None = None
        self._last_usage = b""

    def take(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def read(self, found: Completion, *, is_whole: bool = False) -> None:
        """One chunk, or a whole reply."""
        if self._is_over:
            return
        failure = found.failure
        if failure is not None:
            self._start(found)
            self._is_over = True
            self._events.append(Failure(*failure))
            return
        choices = found.choices
        if choices:
            self._start(found)
            choice = choices[0]
            message = choice.delta or choice.message
            if choice.index == 0 and message is not None:
                self._message(message, is_whole=is_whole)
            if choice.text:
                self._more("text", choice.text)
            if choice.finish_reason:
                self._finish = choice
        usage = found.usage_object
        if usage and usage != self._last_usage:
            self._start(found)
            self._last_usage = usage
            seen = decode_usage(usage, "openai-chat")
            if seen is not None:
                self._events.append(seen)

    def end(self, *, is_done: bool) -> None:
        """The stream is over. is_done: the provider said so; without that, or a finish reason, there is no `Stop`."""
        if self._is_over or not (is_done or self._finish) or not self._started:
            return
        self._is_over = True
        for tool in self._tools:
            if tool.index < 0:
                self._open_tool(tool)
        for data, origin in [*self._seals.values(), self._loose_seal]:
            if data:
                self._redacted(data, origin)  # type: ignore[arg-type]  # an Origin, as read
        self._close()
        for index in [*([self._audio] if self._audio >= 0 else []), *(tool.index for tool in self._tools)]:
            self._events.append(BlockStop(index))
        self._events.append(self._stop())

    def _stop(self) -> Stop:
        choice = self._finish or Choice()
        word = choice.finish_reason or ""
        reason, sequence = reason_of("openai-chat", word), ""
        if self._tools:
            reason = with_calls(reason)
        elif self._has_refusal and reason == "stop":
            reason = "refusal"
        elif reason == "stop" and isinstance(choice.stop_reason, str) and choice.stop_reason:
            reason, sequence = "stop_sequence", choice.stop_reason
        return Stop(reason, choice.native_finish_reason or word, sequence)

    def _start(self, found: Completion) -> None:
        if not self._started:
            self._started = True
            self._message_id = found.id or ""
            created = found.created or 0
            created_s = int(created) if 0 <= created <= SECONDS_MAX else 0
            self._events.append(MessageStart(self._message_id, found.model or "", created_s))

    def _message(self, message: Message, *, is_whole: bool) -> None:
        details = message.reasoning_details
        if details:
            for detail in details:
                self._detail(detail)
        if not details or not any(detail.text or detail.summary for detail in details):
            thought = message.reasoning_content or message.reasoning
            if thought:
                self._more("thinking", thought)
        content = message.content
        if content:
            if isinstance(content, str):
                self._more("text", content)
            else:
                self._contents(content)
        if message.refusal:
            self._has_refusal = True
            self._more("refusal", message.refusal)
        if message.audio is not None:
            if message.audio.transcript:
                self._more("text", message.audio.transcript)
            if message.audio.data:
                self._sound(message.audio.data)
        for raw in message.annotations or ():
            self._citation(raw)
        for image in message.images or ():
            self._image(image)
        for call in message.tool_calls or ():
            self._call(call, is_new=is_whole)
        if message.function_call is not None:
            self._call(Call(index=-1, function=message.function_call), is_new=False)

    def _contents(self, parts: list[Content]) -> None:
        for part in parts:
            thoughts = part.thinking
            if isinstance(thoughts, str):
                thoughts = [Content(text=thoughts)]
            for thought in thoughts or ():
                if thought.text:
                    self._more("thinking", thought.text)
            if part.text:
                self._more("text", part.text)

    # Blocks.

    def _open(self, kind: BlockKind, **known: str) -> int:
        index, self._next = self._next, self._next + 1
        self._events.append(BlockStart(index, kind, **known))  # type: ignore[arg-type]  # `origin` is an Origin
        return index

    def _close(self) -> None:
        if self._flow >= 0:
            self._events.append(BlockStop(self._flow))
            self._flow = -1

    def _more(self, kind: BlockKind, text: str, key: str = "") -> None:
        if self._flow < 0 or self._key[0] != kind:
            self._flow_into(kind, key)
        self._events.append(Delta(self._flow, text))

    def _flow_into(self, kind: BlockKind, key: str, origin: Origin = "", item_id: str = "") -> None:
        self._close()
        seal = self._loose_seal if kind == "text" else ("", "")
        if seal[0]:
            self._loose_seal, origin = ("", ""), seal[1]  # type: ignore[assignment]
        self._flow = self._open(kind, signature=seal[0], origin=origin, item_id=item_id)
        self._key, self._flow_item = (kind, key), item_id

    def _redacted(self, data: str, origin: Origin) -> None:
        self._close()
        self._events.append(BlockStop(self._open("redacted", data=data, origin=origin)))

    def _sound(self, data: str) -> None:
        if self._audio < 0:
            self._audio = self._open("audio")
        self._events.append(Delta(self._audio, data))

    def _image(self, image: Image) -> None:
        url = (image.image_url and image.image_url.url) or ""
        head, comma, data = url.partition(",")
        if not url:
            return
        if not (head.startswith("data:") and comma):
            self._more("text", f"![]({url})")
            return
        self._close()
        media_type = head.removeprefix("data:").removesuffix(";base64")
        self._events.append(BlockStop(self._open("image", data=data, media_type=media_type)))

    def _citation(self, raw: Raw) -> None:
        if self._flow < 0 or self._key[0] != "text":
            return
        try:
            found = _annotation_decoder.decode(raw).url_citation
        except UNREADABLE:
            return
        self._events.append(Citation(self._flow, found.url, found.title, Raw(bytes(raw))))

    # Thoughts with their seals.

    def _detail(self, detail: Detail) -> None:
        if detail.type == "reasoning.encrypted":
            if detail.data:
                self._sealed(detail, detail.data)
            return
        text = detail.text or detail.summary
        if text or detail.signature:
            self._into_thought(detail)
            if text:
                self._events.append(Delta(self._flow, text))
            if detail.signature:
                self._events.append(Signature(self._flow, detail.signature))

    def _into_thought(self, detail: Detail) -> None:
        """Open the thought that this detail is of, unless it is open: by its index, else by its name."""
        key = str(detail.index) if detail.index is not None else detail.id or ""
        if self._flow < 0 or self._key != ("thinking", key):
            self._flow_into("thinking", key, detail.origin, detail.id or "")

    def _sealed(self, detail: Detail, data: str) -> None:
        origin, name = detail.origin, detail.id or ""
        if origin == "openai":
            # The seal of the item whose summary is open, or of one that has no summary.
            if self._flow < 0 or self._key[0] != "thinking" or self._flow_item != name:
                self._flow_into("thinking", name, origin, name)
            self._events.append(Signature(self._flow, data))
        elif name and (tool := next((tool for tool in self._tools if tool.call_id == name), None)):
            if tool.index < 0:
                tool.seal = data
            else:
                self._events.append(Signature(tool.index, data))
        elif name and origin != "anthropic":
            self._seals[name] = (data, origin)
        elif origin == "gemini":
            self._loose_seal = (data, origin)
        else:
            self._redacted(data, origin)

    # Tool calls.

    def _call(self, call: Call, *, is_new: bool) -> None:
        function = call.function
        name = (function and function.name) or ""
        tool = None if is_new else self._find_tool(call, name)
        if tool is None:
            tool = _Tool(call.id or f"call_{self._message_id}_{len(self._tools)}", name=name)
            self._tools.append(tool)
            if call.index is not None:
                self._tools_by_index[call.index] = tool
        if call.seal:
            tool.seal = call.seal
        tool.name = tool.name or name
        arguments = arguments_text(function.arguments) if function else ""
        if tool.index < 0 and tool.name:
            self._open_tool(tool)
        if arguments and tool.index >= 0:
            self._events.append(Delta(tool.index, arguments))
        else:
            tool.held += arguments

    def _find_tool(self, call: Call, name: str) -> _Tool | None:
        """The call that a piece is of. Some providers give no index, some the same to all, some repeat the id."""
        if call.index is not None:
            tool = self._tools_by_index.get(call.index)
            is_other = tool is not None and call.id and name and call.id != tool.call_id
            return None if is_other else tool
        if call.id:
            return next((tool for tool in self._tools if tool.call_id == call.id), None)
        return self._tools[-1] if self._tools and not name else None

    def _open_tool(self, tool: _Tool) -> None:
        self._close()
        seal, origin = self._seals.pop(tool.call_id, (tool.seal, "gemini" if tool.seal else ""))
        tool.index = self._open("tool", call_id=tool.call_id, name=tool.name, signature=seal, origin=origin)
        if tool.held:
            self._events.append(Delta(tool.index, tool.held))
            tool.held = ""


class ChatStreamDecoder:
    """A provider's stream of chunks into events."""

    __slots__ = ("_framer", "_reader", "is_done")

    def __init__(self, event_bytes_max: int) -> None:
        self._framer = Framer(event_bytes_max)
        self._reader = AnswerReader()
        self.is_done = False

    def feed(self, data: bytes) -> list[Event]:
        for event in self._framer.feed(data):
            self._event(event)
        return self._reader.take()

    def finish(self) -> list[Event]:
        rest = self._framer.rest
        if rest.strip():
            self._event(rest + b"\n\n")
        self._reader.end(is_done=self.is_done)
        return self._reader.take()

    def _event(self, event: bytes) -> None:
        data = event_data(event)
        if data is None or self.is_done:
            return
        if data.startswith(DONE):
            self.is_done = True
            self._reader.end(is_done=True)
            return
        found = decode_completion(data)
        if found is not None:
            self._reader.read(found)


def decode_answer(body: bytes) -> list[Event] | None:
    """The events of a whole reply; None where it is neither a completion nor an error."""
    found = decode_completion(body)
    if found is None or not (found.choices or found.failure):
        return None
    reader = AnswerReader()
    reader.read(found, is_whole=True)
    reader.end(is_done=True)
    return reader.take()
