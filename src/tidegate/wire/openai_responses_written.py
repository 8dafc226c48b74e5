"""The items of an answer while it is written to a caller: what each event of a block becomes."""

from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from tidegate.wire.carrier import pack
from tidegate.wire.conversation import Origin, Tool
from tidegate.wire.events import BlockStart, Citation
from tidegate.wire.openai_responses_body import freeform_text

Body = dict[str, Any]

_encoder = msgspec.json.Encoder()


class Numbered:
    """Writes events, each with the next sequence number."""

    def __init__(self) -> None:
        self._sequence = -1

    def write(self, kind: str, members: Body) -> bytes:
        self._sequence += 1
        data = _encoder.encode({"type": kind, **members, "sequence_number": self._sequence})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def write_delta(self, head: bytes, text: str) -> bytes:
        """`head`: of `delta_head`, so that only the text of a delta is encoded anew."""
        self._sequence += 1
        return b'%b%b,"sequence_number":%d}\n\n' % (head, _encoder.encode(text), self._sequence)


def delta_head(kind: str, members: Body) -> bytes:
    data = _encoder.encode({"type": kind, **members})
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), data[:-1])


class Item(Protocol):
    """An item of `response.output`. `index`: its place there."""

    index: int
    item_id: str

    def body(self, status: str) -> Body: ...


def added(to: Numbered, item: Item) -> bytes:
    members = {"output_index": item.index, "item": item.body("in_progress")}
    return to.write("response.output_item.added", members)


def done(to: Numbered, item: Item, status: str) -> bytes:
    return to.write("response.output_item.done", {"output_index": item.index, "item": item.body(status)})


class Writer(Protocol):
    """What a block does with its events; each answers the bytes that the caller gets for it."""

    @property
    def item(self) -> Item: ...
    def start(self, to: Numbered) -> bytes: ...
    def grow(self, to: Numbered, text: str) -> bytes: ...
    def seal(self, signature: str) -> None: ...
    def cite(self, to: Numbered, citation: Citation) -> bytes: ...
    def stop(self, to: Numbered, status: str) -> bytes: ...


class _Writer:
    """What most blocks do: nothing."""

    def seal(self, signature: str) -> None:
        pass

    def cite(self, to: Numbered, citation: Citation) -> bytes:
        return b""

    def grow(self, to: Numbered, text: str) -> bytes:
        return b""


class Message:
    """Texts and refusals that follow each other. `open_parts`: how many of them still grow."""

    def __init__(self, index: int, item_id: str) -> None:
        self.index, self.item_id = index, item_id
        self.parts: list[TextWriter] = []
        self.open_parts = 0
        self.is_done = False

    def body(self, status: str) -> Body:
        content = [part.content() for part in self.parts]
        return {"type": "message", "id": self.item_id, "role": "assistant", "status": status, "content": content}


class TextWriter(_Writer):
    def __init__(self, message: Message, *, is_refusal: bool) -> None:
        self._message = message
        self._is_refusal = is_refusal
        self._pieces: list[str] = []
        self._annotations: list[Body] = []
        self._place = {
            "item_id": message.item_id,
            "output_index": message.index,
            "content_index": len(message.parts),
        }
        self._word = "refusal" if is_refusal else "output_text"
        more: Body = {} if is_refusal else {"logprobs": []}
        self._head = delta_head(f"response.{self._word}.delta", self._place | more)

    @property
    def item(self) -> Message:
        return self._message

    def content(self) -> Body:
        text = "".join(self._pieces)
        if self._is_refusal:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": self._annotations, "logprobs": []}

    def start(self, to: Numbered) -> bytes:
        out = b"" if self._message.parts else added(to, self._message)
        self._message.open_parts += 1
        out += to.write("response.content_part.added", {**self._place, "part": self.content()})
        self._message.parts.append(self)
        return out

    def grow(self, to: Numbered, text: str) -> bytes:
        self._pieces.append(text)
        return to.write_delta(self._head, text)

    def cite(self, to: Numbered, citation: Citation) -> bytes:
        if not citation.url or self._is_refusal:
            return b""
        start, end = _span(citation, sum(map(len, self._pieces)))
        annotation: Body = {"type": "url_citation", "url": citation.url, "title": citation.title}
        annotation |= {"start_index": start, "end_index": end}
        self._annotations.append(annotation)
        members = {**self._place, "annotation_index": len(self._annotations) - 1, "annotation": annotation}
        return to.write("response.output_text.annotation.added", members)

    def stop(self, to: Numbered, status: str) -> bytes:
        self._message.open_parts -= 1
        content = self.content()
        end: Body = {"refusal": content["refusal"]} if self._is_refusal else {"text": content["text"], "logprobs": []}
        out = to.write(f"response.{self._word}.done", self._place | end)
        return out + to.write("response.content_part.done", {**self._place, "part": content})


class _Span(Struct, frozen=True):
    start_index: int = 0
    end_index: int | None = None


class _Cited(_Span, frozen=True):
    url_citation: _Span | None = None  # chat completions put it one level deeper


_cited_decoder = msgspec.json.Decoder(_Cited)


def _span(citation: Citation, length: int) -> tuple[int, int]:
    """Where in the text a citation stands; all of the text so far where its maker does not say."""
    try:
        found = _cited_decoder.decode(citation.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0, length
    said = found.url_citation or found
    return (0, length) if said.end_index is None else (said.start_index, said.end_index)


class ThoughtWriter(_Writer):
    """A thought, shown as the one part of a summary; `redacted` and seals go into `encrypted_content`."""

    def __init__(self, index: int, item_id: str, start: BlockStart) -> None:
        self.index, self.item_id = index, item_id
        self._origin: Origin = start.origin
        self._sealed = [start.signature]
        self._redacted = start.data if start.kind == "redacted" else ""
        self._pieces: list[str] = []
        self._place = {"item_id": item_id, "output_index": index, "summary_index": 0}
        self._head = delta_head("response.reasoning_summary_text.delta", self._place)

    @property
    def item(self) -> "ThoughtWriter":
        return self

    def body(self, status: str) -> Body:
        text = "".join(self._pieces)
        summary = [{"type": "summary_text", "text": text}] if text else []
        body: Body = {"type": "reasoning", "id": self.item_id, "summary": summary}
        if status == "in_progress":
            body["summary"] = []
        elif sealed := self._encrypted():
            body["encrypted_content"] = sealed
        return body

    def _encrypted(self) -> str:
        if self._redacted:
            return pack(self._origin, self._redacted, is_redacted=True)
        signature = "".join(self._sealed)
        # Also where there is no seal: the mark of a thought that OpenAI does not know.
        return signature if self._origin == "openai" else pack(self._origin, signature)

    def start(self, to: Numbered) -> bytes:
        return added(to, self)

    def grow(self, to: Numbered, text: str) -> bytes:
        out = b""
        if not self._pieces:
            part = {"type": "summary_text", "text": ""}
            out = to.write("response.reasoning_summary_part.added", {**self._place, "part": part})
        self._pieces.append(text)
        return out + to.write_delta(self._head, text)

    def seal(self, signature: str) -> None:
        self._sealed.append(signature)

    def stop(self, to: Numbered, status: str) -> bytes:
        out = b""
        if self._pieces:
            text = "".join(self._pieces)
            part = {"type": "summary_text", "text": text}
            out = to.write("response.reasoning_summary_text.done", {**self._place, "text": text})
            out += to.write("response.reasoning_summary_part.done", {**self._place, "part": part})
        return out + done(to, self, status)


class SealWriter(_Writer):
    """The seal of a tool call, which has no room for it: a thought without words before it."""

    def __init__(self, index: int, item_id: str, start: BlockStart, signature: str) -> None:
        self.index, self.item_id = index, item_id
        self._carrier = pack(start.origin, signature, call_id=start.call_id)

    @property
    def item(self) -> "SealWriter":
        return self

    def body(self, status: str) -> Body:
        return {"type": "reasoning", "id": self.item_id, "summary": [], "encrypted_content": self._carrier}

    def start(self, to: Numbered) -> bytes:
        return added(to, self)

    def stop(self, to: Numbered, status: str) -> bytes:
        return done(to, self, status)


_KINDS: Final = {
    "function_call": "response.function_call_arguments",
    "custom_tool_call": "response.custom_tool_call_input",
}


class CallWriter(_Writer):
    """A call of a function, or of a custom tool, whose text is known only when its arguments are whole."""

    def __init__(self, index: int, item_id: str, call_id: str, name: str, tool: Tool | None) -> None:
        self.index, self.item_id = index, item_id
        self._call_id = call_id
        self._is_custom = tool is not None and tool.is_freeform
        self._namespace = tool.namespace if tool is not None else ""
        self._name = tool.bare_name if tool is not None else name
        self._pieces: list[str] = []
        self._kind = "custom_tool_call" if self._is_custom else "function_call"
        self._place = {"item_id": item_id, "output_index": index}
        self._head = delta_head(f"{_KINDS[self._kind]}.delta", self._place)

    def _text(self) -> str:
        text = "".join(self._pieces)
        if self._is_custom:
            found = freeform_text(text)
            return text if found is None else found
        return text or "{}"

    @property
    def item(self) -> "CallWriter":
        return self

    def body(self, status: str) -> Body:
        body: Body = {"type": self._kind, "id": self.item_id, "call_id": self._call_id, "name": self._name}
        body["input" if self._is_custom else "arguments"] = "" if status == "in_progress" else self._text()
        if not self._is_custom:
            body["status"] = status
        if self._namespace:
            body["namespace"] = self._namespace
        return body

    def start(self, to: Numbered) -> bytes:
        return added(to, self)

    def grow(self, to: Numbered, text: str) -> bytes:
        self._pieces.append(text)
        return b"" if self._is_custom else to.write_delta(self._head, text)

    def stop(self, to: Numbered, status: str) -> bytes:
        text = self._text()
        out = b""
        if text and (self._is_custom or not any(self._pieces)):
            out = to.write_delta(self._head, text)
        end = {"input": text} if self._is_custom else {"arguments": text, "name": self._name}
        return out + to.write(f"{_KINDS[self._kind]}.done", self._place | end) + done(to, self, status)


class ImageWriter(_Writer):
    def __init__(self, index: int, item_id: str, start: BlockStart) -> None:
        self.index, self.item_id = index, item_id
        self._data = start.data
        self._format = start.media_type.removeprefix("image/") or "png"

    @property
    def item(self) -> "ImageWriter":
        return self

    def body(self, status: str) -> Body:
        body: Body = {"type": "image_generation_call", "id": self.item_id}
        if status == "in_progress":
            return body | {"status": status, "result": None}
        return body | {"status": "completed", "result": self._data, "output_format": self._format}

    def start(self, to: Numbered) -> bytes:
        return added(to, self)

    def stop(self, to: Numbered, status: str) -> bytes:
        return done(to, self, status)
