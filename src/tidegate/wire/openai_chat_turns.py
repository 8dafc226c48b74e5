"""Turns into the messages of a provider's chat request."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.conversation import (
    CacheMark,
    Media,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from tidegate.wire.events import BlockStart
from tidegate.wire.openai_chat_answer_write import sealed_detail, thought_detail

AUDIO_FORMATS: Final = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/mp4": "m4a",
}
IMAGE_BEGINNINGS: Final = (("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"))
Json = dict[str, Any]


def write_turns(turns: Sequence[Turn], quirks: Quirks, dropped: list[str]) -> list[Json]:
    """Messages in order. Turns of the assistant that follow each other become one message: the results of all its
    calls must follow it. Raises InvalidRequest for media that a chat request has no place for."""
    writer = _Writer(quirks, dropped)
    held: list[Part] = []
    for turn in turns:
        if turn.role == "assistant":
            held += turn.parts
            continue
        if held:
            writer.assistant(held)
            held = []
        if turn.role == "user":
            writer.user(turn)
        else:
            writer.system(turn)
    if held:
        writer.assistant(held)
    return writer.messages


class _Writer:
    def __init__(self, quirks: Quirks, dropped: list[str]) -> None:
        self._quirks, self._dropped = quirks, dropped
        self.messages: list[Json] = []

    def system(self, turn: Turn) -> None:
        role: Role = "system" if self._quirks.no_developer_role else turn.role
        texts = [part for part in turn.parts if isinstance(part, Text)]
        content = self._texts(texts, "\n\n")
        if content:
            self._add(role, content, turn.name)

    def user(self, turn: Turn) -> None:
        """Results of tools first, as messages of their own; what they show beside text goes with the user's words."""
        shown: list[Json] = []
        has_results = False
        for result in turn.parts:
            if isinstance(result, ToolResult):
                has_results = True
                shown += self._result(result)
        rest = [part for part in turn.parts if not isinstance(part, ToolResult)]
        if has_results and not rest and not shown:
            return
        if not shown and len(rest) == 1 and isinstance(rest[0], Text) and not self._keeps(rest[0].cache):
            self._add("user", rest[0].text, turn.name)
            return
        contents = shown + [content for part in rest if (content := self._content(part)) is not None]
        if contents or not rest:
            self._add("user", contents or "", turn.name)

    def assistant(self, parts: Sequence[Part]) -> None:
        message: Json = {"role": "assistant"}
        texts = [part for part in parts if isinstance(part, Text)]
        texts += [Text(part.text) for part in parts if isinstance(part, Refusal)]
        content = self._texts(texts, "")
        calls = [part for part in parts if isinstance(part, ToolCall)]
        if content or calls:
            message["content"] = content or None
        self._add_thoughts(message, parts)
        if calls:
            message["tool_calls"] = [
                {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in calls
            ]
        if any(isinstance(part, Media) for part in parts):
            self._dropped.append("messages.images")
        if content or calls:
            self.messages.append(message)

    def _add(self, role: Role, content: str | list[Json], name: str) -> None:
        message: Json = {"role": role, "content": content}
        self.messages.append(message | ({"name": name} if name else {}))

    def _keeps(self, cache: CacheMark | None) -> bool:
        """The mark can be written; where it cannot, that is noted."""
        if cache is not None and not self._quirks.takes_cache_control:
            self._dropped.append("cache_control")
        return cache is not None and self._quirks.takes_cache_control

    def _marked(self, content: Json, cache: CacheMark | None) -> Json:
        if cache is None or not self._keeps(cache):
            return content
        return content | {"cache_control": {"type": "ephemeral"} | ({"ttl": cache.ttl} if cache.ttl else {})}

    def _texts(self, texts: Sequence[Text], between: str) -> str | list[Json]:
        """One string, which every provider takes; a list only where parts of it are marked for the cache."""
        if any(self._keeps(text.cache) for text in texts):
            return [self._marked({"type": "text", "text": text.text}, text.cache) for text in texts]
        return between.join(text.text for text in texts)

    def _result(self, result: ToolResult) -> list[Json]:
        """Add the message of a tool's result; what of it is not text, to be shown by the user."""
        texts = [Text(part.text, result.cache) for part in result.parts if isinstance(part, Text)]
        message: Json = {"role": "tool", "tool_call_id": result.call_id, "content": self._texts(texts, "\n")}
        self.messages.append(message)
        if result.is_error:
            self._dropped.append("is_error")
        media = [content for part in result.parts if isinstance(part, Media) and (content := self._content(part))]
        if not media:
            return []
        return [{"type": "text", "text": f"Part of the result of the tool call {result.call_id}:"}, *media]

    def _content(self, part: Part) -> Json | None:
        if isinstance(part, Text):
            return self._marked({"type": "text", "text": part.text}, part.cache)
        if isinstance(part, Refusal):
            return {"type": "text", "text": part.text}
        if isinstance(part, Media):
            return self._marked(write_media(part), part.cache)
        return None

    def _add_thoughts(self, message: Json, parts: Sequence[Part]) -> None:
        """Thoughts go back to who can read them: sealed ones where details are taken, plain ones by the field's name.

        A sealed thought is another maker's, means nothing to this one, and is left out.
        """
        thoughts = [part for part in parts if isinstance(part, Thinking)]
        if self._quirks.takes_reasoning_details:
            details: list[Json] = []
            for thought in thoughts:
                start = BlockStart(0, "thinking", origin=thought.origin, item_id=thought.item_id)
                place = len(details)
                details += thought_detail(start, place, text=thought.text, signature=thought.signature)
                if thought.redacted:
                    details.append(sealed_detail(thought.redacted, thought.origin, place, thought.item_id))
            for part in parts:
                if isinstance(part, ToolCall | Text) and part.signature:
                    name = part.call_id if isinstance(part, ToolCall) else ""
                    details.append(sealed_detail(part.signature, part.origin, len(details), name))
            if details:
                message["reasoning_details"] = details
        text = "".join(thought.text for thought in thoughts if not (thought.signature or thought.redacted))
        if text and self._quirks.reasoning_field:
            message[self._quirks.reasoning_field] = text


def write_media(media: Media) -> Json:
    """An image, document, sound or video as a part. Raises InvalidRequest for what chat has no part for."""
    if media.file_id:
        raise InvalidRequest(
            f"A message holds the {media.kind} of file id {media.file_id[:60]!r}, which only the provider that keeps "
            "it can read; this model's provider is another. Send the bytes as base64, or an address.",
            param="messages",
        )
    if media.kind == "image":
        url = media.url or f"data:{media.media_type or _image_type(media.data)};base64,{media.data}"
        return {"type": "image_url", "image_url": {"url": url} | ({"detail": media.detail} if media.detail else {})}
    if media.kind == "video":
        return {
            "type": "video_url",
            "video_url": {"url": media.url or f"data:{media.media_type or 'video/mp4'};base64,{media.data}"},
        }
    if media.url:
        raise InvalidRequest(
            f"A message holds a {media.kind} by its address, which this model's provider does not fetch. Send its "
            "bytes as base64.",
            param="messages",
        )
    if media.kind == "audio":
        form = AUDIO_FORMATS.get(media.media_type, media.media_type.rpartition("/")[2] or "wav")
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": form}}
    return _document(media)


def _document(media: Media) -> Json:
    """A document of plain text is text; any other is a file."""
    if media.media_type.startswith("text/"):
        try:
            text = base64.b64decode(media.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidRequest(
                f"A message holds a document of type {media.media_type} whose base64 is damaged or not UTF-8.",
                param="messages",
            ) from None
        return {"type": "text", "text": f"{media.name}\n\n{text}" if media.name else text}
    media_type = media.media_type or "application/pdf"
    name = media.name or f"document.{media_type.rpartition('/')[2]}"
    return {"type": "file", "file": {"filename": name, "file_data": f"data:{media_type};base64,{media.data}"}}


def _image_type(data: str) -> str:
    return next((found for beginning, found in IMAGE_BEGINNINGS if data.startswith(beginning)), "image/png")
