"""The `input` of a Responses request into turns.

An item is smaller than a turn: what the model said, thought and called between two turns of the user are several
items and one assistant turn; the results of its calls are one user turn.
"""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
from tidegate.wire.carrier import unpack
from tidegate.wire.conversation import (
    CacheMark,
    Media,
    Origin,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from tidegate.wire.openai_responses_lenient import NULL, is_said

T = TypeVar("T")

# What OpenAI's own tools left behind. The answers that rest on them are in messages, so the rest may go.
_LEAVINGS: Final = frozenset(("web_search_call", "file_search_call", "mcp_list_tools"))
_MEDIA_TYPES: Final = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "xml": "text/xml",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
PARAGRAPH: Final = "\n\n"
"""Between the parts of a thought's summary."""


class _Item(Struct, frozen=True):
    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: Raw = NULL
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Raw = NULL
    input: str | None = None
    output: Raw = NULL
    summary: Raw = NULL
    encrypted_content: str | None = None


class _Cache(Struct, frozen=True):
    ttl: str | None = None


class _Audio(Struct, frozen=True):
    data: str
    format: str | None = None


class _Part(Struct, frozen=True):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    input_audio: _Audio | None = None
    prompt_cache_breakpoint: _Cache | None = None
    cache_control: _Cache | None = None


_list_decoder = msgspec.json.Decoder(list[Raw])
_input_decoder = msgspec.json.Decoder(str | list[Raw])
_item_decoder = msgspec.json.Decoder(_Item)
_content_decoder = msgspec.json.Decoder(str | list[Raw] | None)
_part_decoder = msgspec.json.Decoder(_Part)


def decode_member(decoder: msgspec.json.Decoder[T], raw: Raw, place: str) -> T:
    """Raises InvalidRequest naming `place` where `raw` has another form."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{place}: {error}.", param=place) from None


def decode_input(raw: Raw) -> tuple[Turn, ...]:
    """The turns of a conversation. Raises InvalidRequest naming the place."""
    if not is_said(raw):
        raise InvalidRequest("The field `input` is missing: send a text or a list of items.", param="input")
    said = decode_member(_input_decoder, raw, "input")
    if isinstance(said, str):
        return (Turn("user", (Text(said),)),)
    reader = _Reader()
    for index, item in enumerate(said):
        place = f"input[{index}]"
        reader.read(decode_member(_item_decoder, item, place), place)
    return reader.turns()


class _Reader:
    """Gathers items into turns. `_seals`: of tool calls, which a carrier before or after the call brings back."""

    def __init__(self) -> None:
        self._turns: list[tuple[Role, list[Part]]] = []
        self._seals: dict[str, tuple[Origin, str]] = {}
        self._is_open = False  # the last turn may take more parts of its role

    def turns(self) -> tuple[Turn, ...]:
        return tuple(Turn(role, tuple(map(self._sealed, parts))) for role, parts in self._turns if parts)

    def _sealed(self, part: Part) -> Part:
        if isinstance(part, ToolCall) and part.call_id in self._seals:
            origin, signature = self._seals[part.call_id]
            return msgspec.structs.replace(part, origin=origin, signature=signature)
        return part

    def _add(self, role: Role, parts: list[Part], *, is_open: bool) -> None:
        if self._is_open and is_open and self._turns and self._turns[-1][0] == role:
            self._turns[-1][1].extend(parts)
        else:
            self._turns.append((role, parts))
        self._is_open = is_open

    def read(self, item: _Item, place: str) -> None:
        kind = item.type or "message"
        if kind == "message":
            self._read_message(item, place)
        elif kind in ("function_call", "custom_tool_call"):
            self._add("assistant", [_call(item, place)], is_open=True)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._add("user", [_result(item, place)], is_open=True)
        elif kind == "reasoning":
            self._read_thought(item, place)
        elif kind not in _LEAVINGS:
            raise InvalidRequest(
                f"{place}: items of type {kind[:40]!r} mean something to OpenAI's own service only, and this model is "
                "served elsewhere. Leave it out, or choose a model that its maker serves.",
                param=place,
            )

    def _read_message(self, item: _Item, place: str) -> None:
        role = item.role
        if role not in ("user", "assistant", "system", "developer"):
            raise InvalidRequest(
                f"{place}.role is {role!r:.40}; known are user, assistant, system and developer.", param=f"{place}.role"
            )
        parts: list[Part] = list(_parts(item.content, f"{place}.content", takes_refusal=role == "assistant"))
        self._add(role, parts, is_open=role == "assistant")  # type: ignore[arg-type]  # a Role, as seen above

    def _read_thought(self, item: _Item, place: str) -> None:
        text = _thought_text(item.content, f"{place}.content") or _thought_text(item.summary, f"{place}.summary")
        sealed = item.encrypted_content or ""
        carried = unpack(sealed) if sealed else None
        if carried is None:
            thought = Thinking(text, sealed, origin="openai" if sealed else "", item_id=item.id or "")
        elif carried.call_id:
            self._seals[carried.call_id] = (carried.origin, carried.signature)
            thought = Thinking(text)
        elif carried.is_redacted:
            thought = Thinking(text, redacted=carried.signature, origin=carried.origin)
        else:
            thought = Thinking(text, carried.signature, origin=carried.origin, item_id=carried.item_id)
        is_empty = not (thought.text or thought.signature or thought.redacted)
        self._add("assistant", [] if is_empty else [thought], is_open=True)


def _thought_text(raw: Raw, place: str) -> str:
    said = decode_member(_content_decoder, raw, place)
    if isinstance(said, str):
        return said
    texts = (decode_member(_part_decoder, part, f"{place}[{index}]").text for index, part in enumerate(said or ()))
    return PARAGRAPH.join(text for text in texts if text)


def _call(item: _Item, place: str) -> ToolCall:
    if not item.call_id or not item.name:
        missing = "name" if item.call_id else "call_id"
        raise InvalidRequest(f"{place}.{missing} is missing.", param=f"{place}.{missing}")
    if item.type == "custom_tool_call":
        arguments = msgspec.json.encode({"input": item.input or ""}).decode()
    else:
        # Some frameworks send the object itself.
        text: Any = msgspec.json.decode(item.arguments)
        arguments = (text if isinstance(text, str) else bytes(item.arguments).decode()).strip()
    name = f"{item.namespace}__{item.name}" if item.namespace else item.name
    return ToolCall(item.call_id, name, arguments if arguments not in ("", "null") else "{}", item_id=item.id or "")


def _result(item: _Item, place: str) -> ToolResult:
    if not item.call_id:
        raise InvalidRequest(
            f"{place}.call_id is missing: it names the call that this answers.", param=f"{place}.call_id"
        )
    raw = item.output
    if is_said(raw) and bytes(raw)[:1] not in (b'"', b"["):
        return ToolResult(item.call_id, (Text(bytes(raw).decode()),))  # JSON that was not put into a text
    parts = _parts(raw, f"{place}.output", takes_refusal=False)
    return ToolResult(item.call_id, tuple(part for part in parts if isinstance(part, Text | Media)))


def _parts(raw: Raw, place: str, *, takes_refusal: bool) -> list[Text | Media | Refusal]:
    said = decode_member(_content_decoder, raw, place)
    if isinstance(said, str):
        return [Text(said)] if said else []
    parts = []
    for index, member in enumerate(said or ()):
        found = decode_member(_part_decoder, member, f"{place}[{index}]")
        part = _part(found, f"{place}[{index}]")
        if isinstance(part, Refusal) and not takes_refusal:
            raise InvalidRequest(f"{place}[{index}]: only an assistant refuses.", param=f"{place}[{index}]")
        parts.append(part)
    return parts


def _part(said: _Part, place: str) -> Text | Media | Refusal:
    mark = said.prompt_cache_breakpoint or said.cache_control
    # Lifetimes are 30m (the default) and 12h here, 5m and 1h elsewhere.
    cache = None if mark is None else CacheMark("1h" if mark.ttl in ("12h", "1h") else "")
    if said.type in ("input_text", "output_text", "text", "summary_text"):
        if said.text is None:
            raise InvalidRequest(f"{place}.text is missing.", param=f"{place}.text")
        return Text(said.text, cache)
    if said.type == "refusal":
        return Refusal(said.refusal or "")
    if said.type == "input_image":
        url, media_type, data = _source(said.image_url)
        detail = said.detail if said.detail not in (None, "auto") else ""
        media = Media("image", url, data, said.file_id or "", media_type, detail=detail or "", cache=cache)
    elif said.type == "input_file":
        url, media_type, data = _source(said.file_url or said.file_data)
        if said.file_data and not data:
            url, data = "", said.file_data  # plain base64
        name = said.filename or ""
        media_type = media_type or (_MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "") if data else "")
        media = Media("document", url, data, said.file_id or "", media_type, name, cache=cache)
    elif said.type == "input_audio" and said.input_audio:
        sound = said.input_audio
        media = Media("audio", data=sound.data, media_type=f"audio/{sound.format}" if sound.format else "", cache=cache)
    else:
        raise InvalidRequest(
            f"{place}.type is {said.type!r:.40}; known are input_text, output_text, refusal, input_image, input_file "
            "and input_audio.",
            param=f"{place}.type",
        )
    if bool(media.url) + bool(media.data) + bool(media.file_id) != 1:
        raise InvalidRequest(f"{place}: exactly one source is needed: a URL, data or a file's id.", param=place)
    return media


def _source(url: str | None) -> tuple[str, str, str]:
    """(url, media type, base64) of a reference that may be a `data:` URL."""
    if not url or not url.startswith("data:"):
        return url or "", "", ""
    head, _, data = url.removeprefix("data:").partition(",")
    return "", head.partition(";")[0], data
