"""Content blocks of a Messages request, read into parts of a turn. `place` is where they stand, for who must mend them.

A block that only its own provider can run or read (server tools and their results, uploads to a container) is refused:
without it the model would be told another story.
"""

import base64
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
from tidegate.wire.carrier import PREFIX, Carried, unpack
from tidegate.wire.conversation import CacheMark, Media, Part, Text, Thinking, ToolCall, ToolResult

NOT_SENT: Final = Raw(b"")
T = TypeVar("T")


class Cache(Struct, frozen=True):
    type: str = "ephemeral"
    ttl: str | None = None


class _Source(Struct, frozen=True):
    """Where an image or a document is. `content`: of type "content": text, or blocks of text and images."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Raw] | None = None


class TextBlock(Struct, frozen=True, tag_field="type", tag="text"):
    text: str
    cache_control: Cache | None = None
    citations: list[Raw] | None = None


class _Image(Struct, frozen=True, tag_field="type", tag="image"):
    source: _Source
    cache_control: Cache | None = None
    transformations: Raw = NOT_SENT


class _Citing(Struct, frozen=True):
    enabled: bool | None = None


class _Document(Struct, frozen=True, tag_field="type", tag="document"):
    source: _Source
    title: str | None = None
    context: str | None = None
    citations: _Citing | None = None
    cache_control: Cache | None = None


class _SearchResult(Struct, frozen=True, tag_field="type", tag="search_result"):
    source: str
    title: str
    content: list[TextBlock]
    citations: _Citing | None = None
    cache_control: Cache | None = None


class _Thought(Struct, frozen=True, tag_field="type", tag="thinking"):
    thinking: str
    signature: str | None = None


class _Redacted(Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    data: str


class _ToolUse(Struct, frozen=True, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: dict[str, Raw] = {}
    cache_control: Cache | None = None


class _ToolResult(Struct, frozen=True, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None
    cache_control: Cache | None = None


_Block = TextBlock | _Image | _Document | _SearchResult | _Thought | _Redacted | _ToolUse | _ToolResult
_KINDS: Final = frozenset(
    ("text", "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use", "tool_result")
)


class _Kind(Struct, frozen=True):
    type: str


_block_decoder: msgspec.json.Decoder[_Block] = msgspec.json.Decoder(_Block)
_kind_decoder = msgspec.json.Decoder(_Kind)
_encoder = msgspec.json.Encoder()


def decode_at(decoder: msgspec.json.Decoder[T], raw: bytes | Raw, place: str) -> T:
    """Raises InvalidRequest whose text and param say the whole place."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        expected, _, inside = str(error).partition(" - at `$")
        inside = inside.rstrip("`")
        raise InvalidRequest(f"{place}{inside}: {expected}.", param=f"{place}{inside}") from None


def cache_mark(cache: Cache | None) -> CacheMark | None:
    """Five minutes is the default of every provider that keeps prompts: only an hour is worth a word."""
    if cache is None:
        return None
    return CacheMark("1h" if cache.ttl == "1h" else "")


def object_of(arguments: str) -> Raw:
    """A call's arguments as the object that this dialect wants.

    Nothing is `{}`. What is no object (a model may have been cut off in the middle of it, or have written nonsense) is
    kept as text inside one, so that the next model sees what was written and no conversation ends for it.
    """
    if not arguments.strip():
        return Raw(b"{}")
    try:
        msgspec.json.decode(arguments, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):
        return Raw(_encoder.encode({"arguments": arguments}))
    return Raw(arguments.encode())


class BlockReader:
    """Reads the content of one request's messages; `unsaid` gathers the fields that a part cannot hold."""

    def __init__(self) -> None:
        self.unsaid: list[str] = []

    def parts(self, content: str | list[Raw], place: str) -> tuple[Part, ...]:
        if isinstance(content, str):
            return (Text(content),) if content else ()
        parts: list[Part] = []
        seals: list[tuple[int, Carried]] = []
        for number, raw in enumerate(content):
            block = self._block(raw, f"{place}[{number}]")
            if isinstance(block, _Redacted) and block.data.startswith(PREFIX):
                carried = unpack(block.data)
                if carried is not None and not carried.is_redacted:
                    seals.append((len(parts), carried))
                    continue
            parts += self._read(block, f"{place}[{number}]")
        return _sealed(parts, seals)

    def _block(self, raw: Raw, place: str) -> _Block:
        try:
            return _block_decoder.decode(raw)
        except msgspec.ValidationError:
            kind = decode_at(_kind_decoder, raw, place).type
            if kind not in _KINDS:
                raise InvalidRequest(
                    f"{place}: a block of type {kind[:100]!r} can only be sent to a provider that speaks Anthropic's "
                    "Messages itself; choose such a model, or leave the block out.",
                    param=f"{place}.type",
                ) from None
            return decode_at(_block_decoder, raw, place)

    def _read(self, block: _Block, place: str) -> tuple[Part, ...]:
        if isinstance(block, TextBlock):
            return (self.text(block, place),)
        if isinstance(block, _Thought):
            return (_thought(block),)
        if isinstance(block, _Redacted):
            return _redacted(block)
        if isinstance(block, _ToolUse):
            return (_tool_call(block),)
        if isinstance(block, _ToolResult):
            return (self._tool_result(block, place),)
        return self._given(block, place)

    def text(self, block: TextBlock, place: str) -> Text:
        if block.citations:
            self.unsaid.append(f"{place}.citations")
        return Text(block.text, cache_mark(block.cache_control))

    def _given(self, block: _Image | _Document | _SearchResult, place: str) -> tuple[Text | Media, ...]:
        """What the caller hands in beside text: in a message, or in a tool's result."""
        cache = cache_mark(block.cache_control)
        if isinstance(block, _Image):
            if block.transformations not in (NOT_SENT, Raw(b"null")):
                self.unsaid.append(f"{place}.transformations")
            return (_media("image", block.source, "", cache, f"{place}.source"),)
        if block.citations is not None and block.citations.enabled:
            self.unsaid.append(f"{place}.citations")
        if isinstance(block, _SearchResult):
            texts = [Text(f"{block.title}\n{block.source}"), *(Text(one.text) for one in block.content)]
            texts[-1] = Text(texts[-1].text, cache)
            return tuple(texts)
        context = (Text(block.context),) if block.context else ()
        return (*context, *self._document(block, cache, f"{place}.source"))

    def _document(self, block: _Document, cache: CacheMark | None, place: str) -> tuple[Text | Media, ...]:
        source, title = block.source, block.title or ""
        if source.type == "text":
            data = base64.b64encode((source.data or "").encode()).decode()
            return (Media("document", data=data, media_type="text/plain", name=title, cache=cache),)
        if source.type == "content":
            heading = (Text(title),) if title else ()
            inside = (*heading, *self._given_parts(source.content or "", f"{place}.content"))
            return (*inside[:-1], msgspec.structs.replace(inside[-1], cache=cache)) if inside else ()
        return (_media("document", source, title, cache, place),)

    def _tool_result(self, block: _ToolResult, place: str) -> ToolResult:
        return ToolResult(
            call_id=block.tool_use_id,
            parts=self._given_parts(block.content or "", f"{place}.content"),
            is_error=block.is_error is True,
            cache=cache_mark(block.cache_control),
        )

    def _given_parts(self, content: str | list[Raw], place: str) -> tuple[Text | Media, ...]:
        parts = self.parts(content, place)
        for part in parts:
            if not isinstance(part, Text | Media):
                raise InvalidRequest(f"{place}: only text, images and documents can stand here.", param=place)
        return tuple(part for part in parts if isinstance(part, Text | Media))


def _sealed(parts: list[Part], seals: list[tuple[int, Carried]]) -> tuple[Part, ...]:
    """The parts with the seals of other makers back on them: a call by its id, else the text just before."""
    added = 0
    for position, carried in seals:
        seal: dict[str, str] = {"signature": carried.signature, "origin": carried.origin}
        if carried.call_id:
            for number, part in enumerate(parts):
                if isinstance(part, ToolCall) and part.call_id == carried.call_id:
                    parts[number] = msgspec.structs.replace(part, **seal, item_id=carried.item_id)
            continue
        before = parts[position + added - 1] if position + added else None
        if isinstance(before, Text):
            parts[position + added - 1] = msgspec.structs.replace(before, **seal)
        else:
            thought = Thinking(signature=carried.signature, origin=carried.origin, item_id=carried.item_id)
            parts.insert(position + added, thought)
            added += 1
    return tuple(parts)


def _thought(block: _Thought) -> Thinking:
    signature = block.signature or ""
    if not signature.startswith(PREFIX):
        return Thinking(block.thinking, signature, origin="anthropic" if signature else "")
    carried = unpack(signature)
    if carried is None:
        return Thinking(block.thinking)  # a damaged seal is none
    return Thinking(block.thinking, carried.signature, origin=carried.origin, item_id=carried.item_id)


def _redacted(block: _Redacted) -> tuple[Thinking, ...]:
    if not block.data.startswith(PREFIX):
        return (Thinking(redacted=block.data, origin="anthropic"),)
    carried = unpack(block.data)
    if carried is None:
        return ()
    return (Thinking(redacted=carried.signature, origin=carried.origin, item_id=carried.item_id),)


def _tool_call(block: _ToolUse) -> ToolCall:
    arguments = _encoder.encode(block.input).decode()
    return ToolCall(block.id, block.name, arguments, cache=cache_mark(block.cache_control))


def _media(
    kind: Literal["image", "document"], source: _Source, name: str, cache: CacheMark | None, place: str
) -> Media:
    if source.type == "base64" and source.data is not None:
        media_type = source.media_type or ("application/pdf" if kind == "document" else "")
        return Media(kind, data=source.data, media_type=media_type, name=name, cache=cache)
    if source.type == "url" and source.url is not None:
        return Media(kind, url=source.url, name=name, cache=cache)
    if source.type == "file" and source.file_id is not None:
        return Media(kind, file_id=source.file_id, name=name, cache=cache)
    raise InvalidRequest(
        f'{place}: expected a source of type "base64" with `data`, "url" with `url` or "file" with `file_id`, '
        f"not {source.type[:100]!r}.",
        param=place,
    )
