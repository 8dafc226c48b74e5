"""One item of an answer while it is read: how its deltas and its end become blocks."""

from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.events import BlockKind, BlockStart, BlockStop, Citation, Delta, Event, Signature
from tidegate.wire.openai_responses_items import PARAGRAPH
from tidegate.wire.openai_responses_lenient import NULL, Lenient
from tidegate.wire.unreadable import UNREADABLE

TOOL_ITEMS: Final = frozenset(("function_call", "custom_tool_call"))
_CUSTOM_HEAD: Final = '{"input":"'
_CUSTOM_TAIL: Final = '"}'


class OutputPart(Struct, frozen=True):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None


class Output(Struct, frozen=True):
    """An item of `response.output`, also while it is still in progress."""

    type: str | None = None
    id: str | None = None
    content: list[Raw] | str | None = None
    summary: list[Raw] | str | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Raw = NULL
    input: str | None = None
    result: str | None = None
    output_format: str | None = None

    @property
    def kind(self) -> str:
        return self.type or "message"


class _Source(Struct, frozen=True):
    url: str | None = None
    title: str | None = None
    filename: str | None = None


OUTPUTS: Final = Lenient(Output)
_PARTS: Final = Lenient(OutputPart)
_SOURCES: Final = Lenient(_Source)


class Sink(Protocol):
    """Where an item's events go, and who numbers blocks."""

    out: list[Event]

    def next_block(self, kind: str) -> int: ...


class _Block:
    """`part`: of a thought, the part that grows. `sent`: characters of it, or of the block, so far."""

    __slots__ = ("citations", "index", "is_open", "part", "sent")

    def __init__(self, index: int) -> None:
        self.index = index
        self.part = 0
        self.sent = 0
        self.citations = 0
        self.is_open = True


class OpenItem:
    """An item of an answer. Nothing is sent twice, and nothing after `close`."""

    def __init__(self, output: Output, sink: Sink) -> None:
        self.item_id = output.id or ""
        self.kind = output.kind
        self.is_closed = False
        self._call_id = output.call_id or ""
        self._name = _name_of(output)
        self._whole_arguments = _arguments_of(output)
        self._sink = sink
        self._blocks: dict[int, _Block] = {}
        self._held: list[str] = []  # arguments of a call whose name has not come
        self._thought: Literal["", "summary", "content"] = ""
        if self.kind in TOOL_ITEMS and self._name and self._call_id:
            self._start(0, "tool")

    def is_same_as(self, output: Output) -> bool:
        """By name: ids of an item, and of a call, are never used twice."""
        if self.kind != output.kind:
            return False
        return bool(output.id and output.id == self.item_id) or bool(output.call_id and output.call_id == self._call_id)

    def is_other_than(self, output: Output) -> bool:
        """For certain: another kind or name, or this one is whole."""
        return self.is_closed or self.kind != output.kind or bool(output.id and self.item_id not in ("", output.id))

    def takes(self, kind: str) -> bool:
        """Deltas for an item of `kind` can be for this one."""
        return self.kind == kind or (self.kind in TOOL_ITEMS and kind in TOOL_ITEMS)

    def _start(self, key: int, kind: BlockKind, data: str = "", media_type: str = "") -> _Block:
        index = self._sink.next_block(kind)
        block = self._blocks[key] = _Block(index)
        is_tool = kind == "tool"
        self._sink.out.append(
            BlockStart(
                index,
                kind,
                call_id=(self._call_id or self.item_id or f"call_{index}") if is_tool else "",
                name=self._name if is_tool else "",
                data=data,
                media_type=media_type,
                origin="openai" if kind == "thinking" else "",
                item_id=self.item_id,
            )
        )
        return block

    def _send(self, block: _Block, text: str) -> None:
        if text:
            block.sent += len(text)
            self._sink.out.append(Delta(block.index, text))

    def _stop(self, block: _Block) -> None:
        if block.is_open:
            block.is_open = False
            self._sink.out.append(BlockStop(block.index))

    # What a message says.

    def grow(self, kind: Literal["text", "refusal"], key: int, text: str) -> None:
        if self.is_closed or self.kind != "message":
            return
        block = self._blocks.get(key) or self._start(key, kind)
        if block.is_open:
            self._send(block, text)

    def complete(self, kind: Literal["text", "refusal"], key: int, text: str) -> None:
        """All of a part is known: send what the deltas left out."""
        block = self._blocks.get(key)
        rest = text[block.sent :] if block else text
        if rest:
            self.grow(kind, key, rest)

    def cite(self, key: int, annotation: Raw) -> None:
        block = self._blocks.get(key)
        if self.is_closed or self.kind != "message" or (block and not block.is_open):
            return
        block = block or self._start(key, "text")
        block.citations += 1
        source = _SOURCES.decode(annotation) or _Source()
        title = source.title or source.filename or ""
        self._sink.out.append(Citation(block.index, source.url or "", title, annotation.copy()))

    def close_part(self, key: int, raw: Raw) -> None:
        """A part of a message is whole. (Parts of a thought are known by its end only.)"""
        if self.kind != "message" or self.is_closed:
            return
        self._complete_part(key, _PARTS.decode(raw) or OutputPart())
        if key in self._blocks:
            self._stop(self._blocks[key])

    def _complete_part(self, key: int, part: OutputPart) -> None:
        if part.type == "refusal":
            self.complete("refusal", key, part.refusal or "")
        else:
            self.complete("text", key, part.text or "")
        block = self._blocks.get(key)
        for annotation in (part.annotations or [])[block.citations if block else 0 :]:
            self.cite(key, annotation)

    # What it thinks.

    def think(self, kind: Literal["summary", "content"], part: int, text: str) -> None:
        """More of a thought. A provider shows it whole or in summary; where it does both, what comes first is taken."""
        if self.is_closed or self.kind != "reasoning" or (self._thought and self._thought != kind):
            return
        self._thought = kind
        block = self._blocks.get(0)
        if block is None:
            block = self._start(0, "thinking")
        elif part != block.part:
            self._sink.out.append(Delta(block.index, PARAGRAPH))
            block.sent = 0
        block.part = part
        self._send(block, text)

    # What it calls.

    def grow_arguments(self, text: str) -> None:
        block = self._blocks.get(0)
        if self.is_closed or self.kind not in TOOL_ITEMS:
            return
        if block is None:
            self._held.append(text)
            return
        if self.kind == "custom_tool_call":
            if not block.sent:
                self._sink.out.append(Delta(block.index, _CUSTOM_HEAD))
            block.sent += len(text)
            self._sink.out.append(Delta(block.index, msgspec.json.encode(text)[1:-1].decode()))
        else:
            self._send(block, text)

    def complete_arguments(self, text: str, name: str) -> None:
        """All of the arguments are known: send what the deltas left out."""
        self._name = self._name or name
        self._whole_arguments = text or self._whole_arguments
        if self.kind in TOOL_ITEMS and 0 in self._blocks:
            self._send_rest()

    def _send_rest(self) -> None:
        held, self._held = "".join(self._held), []
        if held:
            self.grow_arguments(held)
        rest = self._whole_arguments[self._blocks[0].sent :]
        if rest:
            self.grow_arguments(rest)

    # How it ends.

    def close(self, output: Output | None) -> None:
        """The item is whole, as `output` says, or (None) as far as it came."""
        if self.is_closed:
            return
        if self.kind in TOOL_ITEMS:
            self._close_call(output)
        elif self.kind == "message" and output is not None:
            self._close_message(output)
        elif self.kind == "reasoning" and output is not None:
            self._close_thought(output)
        elif self.kind == "image_generation_call" and output is not None and output.result:
            self._start(0, "image", output.result, f"image/{output.output_format or 'png'}")
        for block in self._blocks.values():
            self._stop(block)
        self.is_closed = True

    def _close_message(self, output: Output) -> None:
        if isinstance(output.content, str):
            self.complete("text", 0, output.content)
            return
        for key, raw in enumerate(output.content or ()):
            self._complete_part(key, _PARTS.decode(raw) or OutputPart())

    def _close_thought(self, output: Output) -> None:
        content, summary = _texts(output.content), _texts(output.summary)
        if content and self._thought != "summary":
            self._complete_thought("content", content)
        else:
            self._complete_thought("summary", summary)
        if output.encrypted_content:
            block = self._blocks.get(0) or self._start(0, "thinking")
            self._sink.out.append(Signature(block.index, output.encrypted_content))

    def _complete_thought(self, kind: Literal["summary", "content"], texts: list[tuple[int, str]]) -> None:
        for part, text in texts:
            block = self._blocks.get(0)
            if block is None or part > block.part:
                self.think(kind, part, text)
            elif part == block.part and len(text) > block.sent:
                self.think(kind, part, text[block.sent :])

    def _close_call(self, output: Output | None) -> None:
        if output is not None:
            self._call_id = self._call_id or output.call_id or ""
            self._whole_arguments = _arguments_of(output) or self._whole_arguments
            self._name = self._name or _name_of(output)
        if not self._name:
            return  # nobody can run it
        if 0 not in self._blocks:
            self._start(0, "tool")
        self._send_rest()
        if self.kind == "custom_tool_call":
            index = self._blocks[0].index
            self._sink.out.append(Delta(index, _CUSTOM_TAIL if self._blocks[0].sent else _CUSTOM_HEAD + _CUSTOM_TAIL))


def _texts(parts: list[Raw] | str | None) -> list[tuple[int, str]]:
    """The parts of a thought that say something, with their places."""
    if isinstance(parts, str):
        return [(0, parts)] if parts else []
    found = ((index, _PARTS.decode(raw)) for index, raw in enumerate(parts or ()))
    return [(index, part.text) for index, part in found if part is not None and part.text]


def _name_of(output: Output) -> str:
    name = output.name or ""
    return f"{output.namespace}__{name}" if output.namespace and name else name


def _arguments_of(output: Output) -> str:
    """The text of a call's arguments; some providers send the object itself."""
    if output.type == "custom_tool_call":
        return output.input or ""
    try:
        said: Any = msgspec.json.decode(output.arguments)
    except UNREADABLE:
        return ""
    if said is None:
        return ""
    return said if isinstance(said, str) else bytes(output.arguments).decode()
