"""Events into a chat completion as callers get it, streamed or whole.

Beside OpenAI's members: thoughts as `reasoning`, as `reasoning_content` (the same text), and with their seals as
OpenRouter's `reasoning_details`; a seal of a tool call is a detail whose `id` is the call's.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.conversation import Ask, Origin
from tidegate.wire.events import (
    BlockStart,
    BlockStop,
    Citation,
    Delta,
    Event,
    Failure,
    MessageStart,
    Signature,
    Stop,
    UsageSeen,
)
from tidegate.wire.events import fold as fold_events
from tidegate.wire.openai_chat_parts import FORMATS
from tidegate.wire.openai_chat_reply import stream_error
from tidegate.wire.stop_reasons import word_for
from tidegate.wire.usage import encode_usage

DONE_EVENT: Final = b"data: [DONE]\n\n"
_encode = msgspec.json.Encoder().encode


class _Place(Struct):
    index: int | None = None
    url_citation: Raw | None = None
    start_index: int = 0
    end_index: int = 0


class _Block(Struct):
    """A block on its way out. `place`: among tool calls, or among details. `sealed`: its signature so far."""

    start: BlockStart
    place: int = 0
    sealed: str = ""
    is_empty: bool = True


def hides_thoughts(ask: Ask) -> bool:
    return ask.reasoning is not None and ask.reasoning.shown is False


def thought_detail(start: BlockStart, place: int, *, text: str = "", signature: str = "") -> list[dict[str, Any]]:
    """What OpenRouter's details say of a thought's text and seal: OpenAI's are summaries, sealed apart."""
    common = {"format": FORMATS[start.origin], "index": place} | ({"id": start.item_id} if start.item_id else {})
    if start.origin == "openai":
        details = [{"type": "reasoning.summary", "summary": text} | common] if text else []
        sealed = [{"type": "reasoning.encrypted", "data": signature} | common] if signature else []
        return details + sealed
    said = ({"text": text} if text else {}) | ({"signature": signature} if signature else {})
    return [{"type": "reasoning.text"} | said | common] if said else []


def sealed_detail(data: str, origin: Origin, place: int, name: str = "") -> dict[str, Any]:
    return {
        "type": "reasoning.encrypted",
        "data": data,
        "id": name or None,
        "format": FORMATS[origin],
        "index": place,
    }


def annotation(event: Citation, at: int) -> dict[str, Any] | Raw | None:
    """A citation as OpenAI's; None for one without an address. at: characters of the text so far."""
    place = _Place()
    if event.raw:
        try:
            place = msgspec.json.decode(event.raw, type=_Place)
        except msgspec.DecodeError:
            place = _Place()
    if place.url_citation is not None:
        return event.raw
    if not event.url:
        return None
    said = {"url": event.url, "title": event.title, "start_index": place.start_index}
    return {"type": "url_citation", "url_citation": said | {"end_index": place.end_index or at}}


def image_part(start: BlockStart, place: int) -> dict[str, Any]:
    url = f"data:{start.media_type or 'image/png'};base64,{start.data}"
    return {"type": "image_url", "image_url": {"url": url}, "index": place}


def finish_reason(stop: Stop, *, has_refusal: bool, is_legacy: bool) -> str:
    """A refusal in words ends with `stop`, as OpenAI has it; one without words looks like the filter's."""
    if stop.reason == "refusal" and has_refusal:
        return "stop"
    if stop.reason == "tool_calls" and is_legacy:
        return "function_call"
    return word_for("openai-chat", stop.reason)


class ChatStreamEncoder:
    """Events into chunks. `usage_object`: what the last chunk says in place of the usage seen, for who knows a cost."""

    def __init__(self, ask: Ask, generation_id: str, created_s: int) -> None:
        self.dropped: list[str] = []
        self.usage_object: dict[str, Any] | None = None
        self._ask, self._id, self._created_s = ask, generation_id, created_s
        self._is_hiding = hides_thoughts(ask)
        self._blocks: dict[int, _Block] = {}
        self._tools = self._details = self._images = self._characters = 0
        self._has_refusal = self._is_over = False
        self._usage: UsageSeen | None = None
        self._common = self._head = self._text_head = b""
        self._write: dict[type, Callable[[Any], bytes]] = {
            Delta: self._delta,
            BlockStart: self._block_start,
            BlockStop: self._block_stop,
            Signature: self._signature,
            Citation: self._citation,
            UsageSeen: self._seen,
            MessageStart: self._message_start,
            Stop: self._stop,
            Failure: self._failure,
        }

    def encode(self, event: Event) -> bytes:
        if self._is_over:
            return self._seen(event) if isinstance(event, UsageSeen) else b""
        if not self._head and not isinstance(event, MessageStart):
            return self._message_start(MessageStart()) + self._write[type(event)](event)
        return self._write[type(event)](event)

    def finish(self) -> bytes:
        if not self._is_over:
            return b""
        usage = self.usage_object
        if usage is None and self._usage is not None:
            usage = encode_usage(self._usage, "openai-chat")
        if usage is None or not self._ask.wants_usage:
            return DONE_EVENT
        return self._common + b'"choices":[],"usage":' + _encode(usage) + b"}\n\n" + DONE_EVENT

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return self._head + _encode(delta) + b',"finish_reason":null}]}\n\n'

    def _message_start(self, event: MessageStart) -> bytes:
        if self._head:
            return b""
        known = {"id": self._id, "object": "chat.completion.chunk", "created": self._created_s}
        self._common = b"data: " + _encode(known | {"model": event.model or self._ask.model})[:-1] + b","
        self._head = self._common + b'"choices":[{"index":0,"delta":'
        self._text_head = self._head + b'{"content":'
        return self._chunk({"role": "assistant", "content": ""})

    def _block_start(self, event: BlockStart) -> bytes:
        block = self._blocks[event.index] = _Block(event)
        kind = event.kind
        if kind == "tool":
            return self._seal(block, event.signature) + self._tool_start(block)
        if kind == "text":
            return self._seal(block, event.signature)
        if kind in ("thinking", "redacted"):
            block.place, self._details = self._details, self._details + 1
            if kind == "redacted" and not self._is_hiding:
                detail = sealed_detail(event.data, event.origin, block.place, event.item_id)
                return self._chunk({"reasoning_details": [detail]})
        elif kind == "image":
            self._images += 1
            return self._chunk({"images": [image_part(event, self._images - 1)]})
        elif kind == "refusal":
            self._has_refusal = True
        return b""

    def _tool_start(self, block: _Block) -> bytes:
        block.place, self._tools = self._tools, self._tools + 1
        start = block.start
        function = {"name": start.name, "arguments": ""}
        if self._ask.legacy_functions:
            return self._chunk({"function_call": function}) if block.place == 0 else b""
        call = {"index": block.place, "id": start.call_id, "type": "function", "function": function}
        return self._chunk({"tool_calls": [call]})

    def _delta(self, event: Delta) -> bytes:
        block = self._blocks.get(event.index)
        if block is None or not event.text:
            return b""
        block.is_empty = False
        kind, text = block.start.kind, event.text
        if kind == "text":
            self._characters += len(text)
            return self._text_head + _encode(text) + b'},"finish_reason":null}]}\n\n'
        if kind == "tool":
            return self._arguments(block, text)
        if kind == "thinking":
            if self._is_hiding:
                return b""
            details = thought_detail(block.start, block.place, text=text)
            return self._chunk({"reasoning": text, "reasoning_content": text, "reasoning_details": details})
        if kind == "refusal":
            return self._chunk({"refusal": text})
        return self._chunk({"audio": {"id": f"audio_{self._id}", "data": text}}) if kind == "audio" else b""

    def _arguments(self, block: _Block, text: str) -> bytes:
        if not self._ask.legacy_functions:
            return self._chunk({"tool_calls": [{"index": block.place, "function": {"arguments": text}}]})
        return self._chunk({"function_call": {"arguments": text}}) if block.place == 0 else b""

    def _signature(self, event: Signature) -> bytes:
        """Held back until the block ends: the pieces add up, and a caller wants one."""
        if event.index in self._blocks:
            self._blocks[event.index].sealed += event.signature
        return b""

    def _block_stop(self, event: BlockStop) -> bytes:
        block = self._blocks.pop(event.index, None)
        if block is None:
            return b""
        start, out = block.start, b""
        if start.kind == "tool" and block.is_empty:
            out = self._arguments(block, "{}")
        sealed = start.signature + block.sealed
        if start.kind != "thinking":
            return out + (self._seal(block, sealed) if block.sealed else b"")
        if not sealed or self._is_hiding:
            return out
        return out + self._chunk({"reasoning_details": thought_detail(start, block.place, signature=sealed)})

    def _seal(self, block: _Block, sealed: str) -> bytes:
        """The seal of a call or a text, before it where it is known then: so its reader knows the maker in time."""
        if not sealed or self._is_hiding:
            return b""
        place, self._details = self._details, self._details + 1
        detail = sealed_detail(sealed, block.start.origin, place, block.start.call_id)
        return self._chunk({"reasoning_details": [detail]})

    def _citation(self, event: Citation) -> bytes:
        said = annotation(event, self._characters)
        if said is None:
            if "citations" not in self.dropped:
                self.dropped.append("citations")
            return b""
        return self._chunk({"annotations": [said]})

    def _seen(self, event: UsageSeen) -> bytes:
        self._usage = event
        return b""

    def _stop(self, event: Stop) -> bytes:
        out = b"".join([self._block_stop(BlockStop(index)) for index in sorted(self._blocks)])
        word = finish_reason(event, has_refusal=self._has_refusal, is_legacy=self._ask.legacy_functions)
        self._is_over = True
        native = b',"native_finish_reason":' + _encode(event.native) if event.native else b""
        return out + self._head + b'{},"finish_reason":"' + word.encode() + b'"' + native + b"}]}\n\n"

    def _failure(self, event: Failure) -> bytes:
        self._is_over = True
        return stream_error(event.message, event.error_type)


def encode_answer(
    events: Iterable[Event], ask: Ask, generation_id: str, created_s: int, usage_object: dict[str, Any] | None = None
) -> bytes:
    """A whole reply. usage_object: what it says instead of the usage seen."""
    answer = fold_events(events)
    if answer.failure is not None:
        failure = answer.failure
        error = {"message": failure.message, "type": "api_error", "param": None, "code": failure.error_type}
        return _encode({"error": error})
    message = _Message(hides_thoughts(ask))
    for block in answer.blocks:
        message.add(block.start, block.text, block.signature, block.citations)
    stop = answer.stop or Stop("stop")
    has_refusal = bool(message.refusal)
    choice: dict[str, Any] = {
        "index": 0,
        "message": message.members(f"audio_{generation_id}", created_s, is_legacy=ask.legacy_functions),
        "logprobs": None,
        "finish_reason": finish_reason(stop, has_refusal=has_refusal, is_legacy=ask.legacy_functions),
    }
    if stop.native:
        choice["native_finish_reason"] = stop.native
    reply: dict[str, Any] = {
        "id": generation_id,
        "object": "chat.completion",
        "created": created_s,
        "model": answer.start.model or ask.model,
        "choices": [choice],
    }
    if usage_object is None and answer.usage is not None:
        usage_object = encode_usage(answer.usage, "openai-chat")
    return _encode(reply | ({"usage": usage_object} if usage_object is not None else {}))


class _Message:
    """The message of a whole reply, block by block."""

    def __init__(self, is_hiding: bool) -> None:
        self._is_hiding = is_hiding
        self.text = self.refusal = self.reasoning = self.audio = ""
        self.details: list[dict[str, Any]] = []
        self.seals: list[tuple[str, Origin, str]] = []
        self.calls: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any] | Raw] = []
        self._thoughts = 0

    def add(self, start: BlockStart, text: str, signature: str, citations: tuple[Citation, ...]) -> None:
        kind = start.kind
        if kind in ("thinking", "redacted"):
            self._thought(start, text, signature)
            return
        if signature:
            self.seals.append((signature, start.origin, start.call_id))
        if kind == "text":
            self.text += text
            found = [said for one in citations if (said := annotation(one, len(self.text))) is not None]
            self.annotations += found
        elif kind == "refusal":
            self.refusal += text
        elif kind == "tool":
            function = {"name": start.name, "arguments": text or "{}"}
            self.calls.append({"id": start.call_id, "type": "function", "function": function})
        elif kind == "image":
            self.images.append(image_part(start, len(self.images)))
        else:
            self.audio += text

    def _thought(self, start: BlockStart, text: str, signature: str) -> None:
        place, self._thoughts = self._thoughts, self._thoughts + 1
        if self._is_hiding:
            return
        if start.kind == "redacted":
            self.details.append(sealed_detail(start.data, start.origin, place, start.item_id))
            return
        self.reasoning += text
        self.details += thought_detail(start, place, text=text, signature=signature)

    def members(self, audio_id: str, created_s: int, *, is_legacy: bool) -> dict[str, Any]:
        has_other = bool(self.calls or self.refusal or self.audio)
        found: dict[str, Any] = {
            "role": "assistant",
            "content": self.text or (None if has_other else ""),
            "refusal": self.refusal or None,
        }
        if self.reasoning:
            found |= {"reasoning": self.reasoning, "reasoning_content": self.reasoning}
        if not self._is_hiding:
            seals = enumerate(self.seals, start=self._thoughts)
            sealed = [sealed_detail(data, origin, place, name) for place, (data, origin, name) in seals]
            if self.details or sealed:
                found["reasoning_details"] = self.details + sealed
        if self.calls and is_legacy:
            found["function_call"] = self.calls[0]["function"]
        elif self.calls:
            found["tool_calls"] = self.calls
        if self.annotations:
            found["annotations"] = self.annotations
        if self.images:
            found["images"] = self.images
        if self.audio:
            found["audio"] = {"id": audio_id, "data": self.audio, "expires_at": created_s, "transcript": self.text}
        return found
