"""Turns of a conversation as Gemini's `contents` and `systemInstruction`.

Google's servers want the responses to all calls of a turn in the one content after it, so neighbours of one role
become one content; a part without anything in it is refused there, so it is left out.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.wire.conversation import Ask, Media, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from tidegate.wire.gemini_media import OWN_FILES, data_url, type_by_head, type_by_name, usual_type
from tidegate.wire.gemini_seal import NOT_SEALED
from tidegate.wire.gemini_thinking import wants_seals

Json = dict[str, Any]

_READABLE: Final = ("", "gemini")
_object_decoder = msgspec.json.Decoder(dict[str, Raw])


class Contents:
    """What a conversation is in a request. `dropped`: the caller's fields that could not be said."""

    def __init__(self, ask: Ask, model: str) -> None:
        """Raises InvalidRequest for what Gemini cannot be told."""
        self.system: list[Json] = []
        self.contents: list[Json] = []
        self.dropped: list[str] = []
        self._wants_seals = wants_seals(model)
        self._names: dict[str, str] = {}  # of the tools that were called, by call id
        for turn in ask.turns:
            if turn.name:
                self.dropped.append("messages.name")
            if turn.role in ("system", "developer"):
                self._add_system(turn.parts)
            else:
                self._add("model" if turn.role == "assistant" else "user", turn.parts)
        if not self.contents and self.system:  # other providers answer to instructions alone
            self.contents, self.system = [{"role": "user", "parts": self.system}], []
        if not self.contents:
            raise InvalidRequest("messages holds nothing to answer; send at least one with text.", param="messages")

    def _add_system(self, parts: tuple[Part, ...]) -> None:
        for part in parts:
            if not isinstance(part, Text):
                raise InvalidRequest(
                    "Gemini takes nothing but text as an instruction; move the rest to the user's message.",
                    param="messages",
                )
            self._note_cache(part)
            if part.text:
                self.system.append({"text": part.text})

    def _add(self, role: str, parts: tuple[Part, ...]) -> None:
        results: list[Json] = []  # before the rest: they answer the content before
        others: list[Json] = []
        for part in parts:
            self._note_cache(part)
            if isinstance(part, ToolResult):
                results += self._result(part)
            else:
                others += self._part(part)
        written = results + others
        if not written:
            return
        if self.contents and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"] += written
        else:
            self.contents.append({"role": role, "parts": written})
        if role == "model" and self._wants_seals:
            _mark_unsealed(self.contents[-1]["parts"])

    def _part(self, part: Part) -> list[Json]:
        if isinstance(part, Text):
            signature = part.signature if part.origin in _READABLE else ""
            return [_sealed({"text": part.text}, signature)] if part.text or signature else []
        if isinstance(part, Media):
            return [self._media(part)]
        if isinstance(part, ToolCall):
            return [self._call(part)]
        if isinstance(part, Refusal):
            return [{"text": part.text}] if part.text else []
        if isinstance(part, Thinking) and part.origin == "gemini" and (part.text or part.signature):
            return [_sealed({"text": part.text, "thought": True}, part.signature)]
        return []

    def _call(self, call: ToolCall) -> Json:
        self._names[call.call_id] = call.name
        try:
            _object_decoder.decode(call.arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            raise InvalidRequest(
                f"The arguments of tool call {call.call_id[:100]!r} are not a JSON object; Gemini takes nothing else.",
                param="messages",
            ) from None
        written = {"id": call.call_id, "name": call.name, "args": Raw((call.arguments or "{}").encode())}
        return _sealed({"functionCall": written}, call.signature if call.origin in _READABLE else "")

    def _result(self, result: ToolResult) -> list[Json]:
        name = self._names.get(result.call_id) or result.name
        if not name:
            raise InvalidRequest(
                f"No tool call before it has the id {result.call_id[:100]!r} that a tool result answers; "
                "Gemini needs the tool's name.",
                param="messages",
            )
        text = "".join(part.text for part in result.parts if isinstance(part, Text))
        media = [self._media(part) for part in result.parts if isinstance(part, Media)]
        response = {"error" if result.is_error else "output": text}
        written: Json = {"id": result.call_id, "name": name, "response": response}
        if media and self._wants_seals:  # the same models take media in a response; older ones beside it
            written["parts"] = media
            media = []
        return [{"functionResponse": written}, *media]

    def _media(self, media: Media) -> Json:
        if media.detail not in ("", "auto"):
            self.dropped.append("image_url.detail")
        if media.file_id and not media.file_id.startswith(OWN_FILES):
            raise InvalidRequest(
                f"The file {media.file_id[:100]!r} lies at another provider; send its data or a URL.", param="messages"
            )
        data, media_type, url = media.data, media.media_type, media.url
        if (inline := data_url(url)) is not None:
            media_type, data = inline[0] or media_type, inline[1]
        if data:
            media_type = media_type or type_by_name(media.name) or type_by_head(data) or usual_type(media.kind)
            return {"inlineData": {"mimeType": media_type, "data": data}}
        uri = media.file_id or url
        media_type = media_type or type_by_name(media.name) or type_by_name(uri)
        if not media_type and not media.file_id:
            media_type = usual_type(media.kind)
        return {"fileData": {"fileUri": uri} | ({"mimeType": media_type} if media_type else {})}

    def _note_cache(self, part: Part) -> None:
        if getattr(part, "cache", None) is not None:
            self.dropped.append("cache_control")  # Gemini caches by itself


def _sealed(part: Json, signature: str) -> Json:
    return part | {"thoughtSignature": signature} if signature else part


def _mark_unsealed(parts: list[Json]) -> None:
    """Of the calls of one answer the first bears the signature; one that another model made bears none."""
    for part in parts:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", NOT_SEALED)
            return
