"""The messages of a caller's chat request into turns."""

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
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
from tidegate.wire.openai_chat_parts import NULL, Call, Detail, Function, arguments_text, once

AUDIO_TYPES: Final = {"mp3": "audio/mpeg", "wav": "audio/wav", "m4a": "audio/mp4", "pcm16": "audio/pcm"}
PART_TYPES: Final = "text, image_url, input_audio, file, video_url and refusal"
ROLES: Final[dict[str, Role]] = {"system": "system", "developer": "developer", "user": "user", "assistant": "assistant"}


class CacheControl(Struct, frozen=True):
    """Anthropic's, as OpenRouter takes it in parts and tools."""

    type: str = "ephemeral"
    ttl: str | None = None


class _ImageUrl(Struct, frozen=True):
    url: str
    detail: str | None = None


class _InputAudio(Struct, frozen=True):
    data: str
    format: str = ""


class _File(Struct, frozen=True):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class AskPart(Struct, frozen=True):
    type: str = "text"
    text: str | None = None
    refusal: str | None = None
    image_url: str | _ImageUrl | None = None
    input_audio: _InputAudio | None = None
    file: _File | None = None
    video_url: str | _ImageUrl | None = None
    input_video: str | _ImageUrl | None = None
    cache_control: CacheControl | None = None
    prompt_cache_breakpoint: Raw = NULL


class _AudioId(Struct, frozen=True):
    id: str


class _AssistantImage(Struct, frozen=True):
    image_url: _ImageUrl


class AskMessage(Struct, frozen=True):
    role: str
    content: str | list[AskPart | str] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    function_call: Function | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Detail] | None = None
    audio: _AudioId | None = None
    images: list[_AssistantImage] | None = None
    cache_control: CacheControl | None = None


def read_messages(messages: Sequence[AskMessage]) -> tuple[Turn, ...]:
    """Turns in order; results of tools that follow each other become one. Raises InvalidRequest naming the place."""
    turns: list[Turn] = []
    results: list[ToolResult] = []
    last_function = ""
    for at, message in enumerate(messages):
        where = f"messages[{at}]"
        if message.role in ("tool", "function"):
            call_id = message.tool_call_id or (last_function if message.role == "function" else "")
            if not call_id:
                raise InvalidRequest(
                    f"{where} has the role {message.role} but does not say which call it answers; set tool_call_id.",
                    param=f"{where}.tool_call_id",
                )
            results.append(_result(message, call_id, where))
            continue
        if results:
            turns.append(Turn("user", tuple(results)))
            results = []
        if message.role not in ROLES:
            accepted = ", ".join([*ROLES, "tool and function"])
            raise InvalidRequest(
                f"{where}.role is {message.role[:40]!r}; accepted are {accepted}.", param=f"{where}.role"
            )
        if message.role == "assistant":
            last_function = f"call_{at}_{message.function_call.name}" if message.function_call else last_function
            turns.append(Turn("assistant", _assistant(message, where, last_function), message.name or ""))
        else:
            turns.append(Turn(ROLES[message.role], _contents(message, where), message.name or ""))
    if results:
        turns.append(Turn("user", tuple(results)))
    return tuple(turns)


def _result(message: AskMessage, call_id: str, where: str) -> ToolResult:
    parts = _contents(message, where)
    cache = next((part.cache for part in reversed(parts) if isinstance(part, Text | Media) and part.cache), None)
    kept = tuple(_without_cache(part) for part in parts if isinstance(part, Text | Media))
    return ToolResult(call_id, kept, message.name or "", cache=cache)


def _without_cache(part: Text | Media) -> Text | Media:
    """The mark of a result's part stands for the result: no dialect caches up to the middle of one."""
    return Text(part.text) if isinstance(part, Text) else part


def _mark(control: CacheControl | None, breakpoint_: Raw = NULL) -> CacheMark | None:
    if control is not None:
        return CacheMark(control.ttl or "")
    return CacheMark() if breakpoint_ is not NULL and bytes(breakpoint_) != b"null" else None


def _contents(message: AskMessage, where: str) -> tuple[Part, ...]:
    content = message.content
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content, _mark(message.cache_control)),) if content else ()
    found = []
    for at, part in enumerate(content):
        read = Text(part) if isinstance(part, str) else _part(part, f"{where}.content[{at}]")
        if read is not None:
            found.append(read)
    return tuple(found)


def _part(part: AskPart, where: str) -> Part | None:
    cache = _mark(part.cache_control, part.prompt_cache_breakpoint)
    if part.type in ("text", "input_text", "output_text") and part.text is not None:
        return Text(part.text, cache) if part.text else None
    if part.type == "refusal" and part.refusal is not None:
        return Refusal(part.refusal)
    if part.type == "image_url" and part.image_url is not None:
        image = part.image_url if isinstance(part.image_url, _ImageUrl) else _ImageUrl(part.image_url)
        return _from_url("image", image.url, detail=image.detail or "", cache=cache)
    if part.type == "input_audio" and part.input_audio is not None:
        sound = part.input_audio
        media_type = AUDIO_TYPES.get(sound.format, f"audio/{sound.format}" if sound.format else "")
        return Media("audio", data=sound.data, media_type=media_type, cache=cache)
    if part.type == "file" and part.file is not None:
        return _file(part.file, where, cache)
    video = part.video_url or part.input_video
    if part.type in ("video_url", "input_video") and video is not None:
        return _from_url("video", video if isinstance(video, str) else video.url, cache=cache)
    raise InvalidRequest(
        f"{where} is of type {part.type[:40]!r}; accepted are {PART_TYPES}, each with the member of its name.",
        param=f"{where}.type",
    )


def _from_url(kind: str, url: str, *, name: str = "", detail: str = "", cache: CacheMark | None = None) -> Media:
    """Media by address, or by the bytes in a data: address."""
    head, comma, data = url.partition(",") if url.startswith("data:") else ("", "", "")
    if not comma:
        return Media(kind, url=url, name=name, detail=detail, cache=cache)  # type: ignore[arg-type]
    media_type = head.removeprefix("data:").partition(";")[0]
    return Media(kind, data=data, media_type=media_type, name=name, detail=detail, cache=cache)  # type: ignore[arg-type]


def _file(file: _File, where: str, cache: CacheMark | None) -> Media:
    name = file.filename or ""
    if file.file_id:
        return Media("document", file_id=file.file_id, name=name, cache=cache)
    if not file.file_data:
        raise InvalidRequest(f"{where}.file has neither file_data nor file_id.", param=f"{where}.file")
    if file.file_data.startswith(("data:", "http://", "https://")):
        kind = "image" if file.file_data.startswith("data:image/") else "document"
        return _from_url(kind, file.file_data, name=name, cache=cache)
    return Media("document", data=file.file_data, media_type="application/pdf", name=name, cache=cache)


def _assistant(message: AskMessage, where: str, function_id: str) -> tuple[Part, ...]:
    """Thoughts, text, refusal, calls: the order that a chat message has room for."""
    if message.audio is not None:
        raise InvalidRequest(
            f"{where}.audio names a sound that another provider keeps. Send its transcript as content.",
            param=f"{where}.audio",
        )
    thoughts, seals, loose = _thoughts(message)
    parts: list[Part] = [*thoughts]
    for part in _contents(message, where):
        if loose[0] and isinstance(part, Text):
            part = Text(part.text, part.cache, *loose)
            loose = ("", "")
        parts.append(part)
    if loose[0]:
        parts.insert(len(thoughts), Thinking(redacted=loose[0], origin=loose[1]))
    parts += [_from_url("image", image.image_url.url) for image in message.images or ()]
    if message.refusal:
        parts.append(Refusal(message.refusal))
    calls = [] if message.tool_calls is None else message.tool_calls
    for at, call in enumerate(calls):
        parts.append(_call(call, f"{where}.tool_calls[{at}]", seals))
    if message.function_call is not None:
        parts.append(_call(Call(id=function_id, function=message.function_call), f"{where}.function_call", seals))
    return tuple(parts)


def _call(call: Call, where: str, seals: dict[str, tuple[str, Origin]]) -> ToolCall:
    if call.function is None or not call.function.name:
        raise InvalidRequest(
            f"{where} is of type {(call.type or '')[:40]!r} or names no function; only calls of functions reach a "
            "provider of another dialect.",
            param=where,
        )
    if not call.id:
        raise InvalidRequest(f"{where} has no id.", param=f"{where}.id")
    origin: Origin = "gemini" if call.seal else ""
    signature, origin = seals.get(call.id, (call.seal, origin))
    return ToolCall(call.id, call.function.name, arguments_text(call.function.arguments) or "{}", signature, origin)


def _thoughts(
    message: AskMessage,
) -> tuple[list[Thinking], dict[str, tuple[str, Origin]], tuple[str, Origin]]:
    """The thoughts, the seals of calls by id, and the seal of the text. Details of one index add up, as they came."""
    calls = {call.id for call in message.tool_calls or ()}
    seals: dict[str, tuple[str, Origin]] = {}
    loose: tuple[str, Origin] = ("", "")
    found: list[Thinking] = []
    key: tuple[str, object] | None = None
    for detail in message.reasoning_details or ():
        data, origin, name = detail.data or "", detail.origin, detail.id or ""
        name = name if name in calls else once(name)
        if detail.type == "reasoning.encrypted" and name in calls:
            seals[name] = (data, origin)
        elif detail.type == "reasoning.encrypted" and origin == "openai":
            if found and found[-1].item_id == name and found[-1].origin == origin:
                found[-1] = _added(found[-1], "", data, name)
            else:
                found.append(Thinking("", data, "", origin, name))
            key = None
        elif detail.type == "reasoning.encrypted" and origin == "gemini":
            loose = (data, origin)
        elif detail.type == "reasoning.encrypted":
            found.append(Thinking(redacted=data, origin=origin, item_id=name))
            key = None
        elif detail.text or detail.summary or detail.signature:
            text, here = detail.text or detail.summary or "", (detail.type, detail.index)
            seal = detail.signature or data
            if key == here and found and detail.index is not None:
                found[-1] = _added(found[-1], text, seal, name)
            else:
                found.append(Thinking(text, seal, "", origin, name))
            key = here
    plain = message.reasoning_content or message.reasoning
    if plain and not any(thought.text for thought in found):
        found.insert(0, Thinking(plain))
    return found, seals, loose


def _added(thought: Thinking, text: str, signature: str, name: str) -> Thinking:
    return Thinking(thought.text + text, thought.signature + signature, "", thought.origin, thought.item_id or name)
