"""Turns of a conversation into `system` and `messages` of a Messages request.

Anthropic's rules for them: user and assistant in turn, results of tools first in their message, no empty text, ids of
calls of letters, digits, "_" and "-" only, no thought that Anthropic has not signed.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

from tidegate.core.errors import InvalidRequest
from tidegate.wire.anthropic_blocks import object_of
from tidegate.wire.anthropic_models import Abilities
from tidegate.wire.conversation import (
    CacheMark,
    Media,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

Block = dict[str, Any]

_CALL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_OF_AN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")
_FIRST_BYTES: Final = {"/9j/": "image/jpeg", "iVBORw": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp"}


class Turns:
    """`system` and `messages` of a request, and the names of the fields that they could not hold."""

    def __init__(self, turns: Sequence[Turn], able: Abilities) -> None:
        self._able = able
        self.dropped: list[str] = []
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        for number, turn in enumerate(turns):
            if turn.name and "messages.name" not in self.dropped:
                self.dropped.append("messages.name")
            blocks = [block for part in turn.parts for block in self._blocks(part, turn.role)]
            if turn.role in ("system", "developer"):
                self._add_system(blocks, turns[number + 1 :])
            elif blocks:
                self._add(turn.role, blocks)
        if not self.messages:
            self._ask_with_the_system_prompt()
        for message in self.messages:
            message["content"].sort(key=lambda block: block["type"] != "tool_result")  # stable: results first

    @property
    def ends_in_a_bare_call(self) -> bool:
        """The conversation ends with a tool's result, and no thought stands before the call."""
        if len(self.messages) < 2 or self.messages[-1]["content"][0]["type"] != "tool_result":
            return False
        before = [message for message in self.messages[:-1] if message["role"] == "assistant"]
        return bool(before) and not before[-1]["content"][0]["type"].endswith("thinking")

    def _add(self, role: str, blocks: list[Block]) -> None:
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": role, "content": blocks})

    def _add_system(self, blocks: list[Block], later: Sequence[Turn]) -> None:
        """In its place where the model takes it there: after a user's message, at the end or before an assistant's.

        Else with the system prompt, where it keeps its authority.
        """
        follower = next((turn.role for turn in later if turn.role not in ("system", "developer")), "assistant")
        is_placed = self.messages and self.messages[-1]["role"] in ("user", "system") and follower == "assistant"
        if is_placed and self._able.takes_system_turns and blocks:
            self._add("system", blocks)
        else:
            self.system += blocks

    def _ask_with_the_system_prompt(self) -> None:
        """Chat completions may have a system message alone; Anthropic wants a user's."""
        if not self.system:
            raise InvalidRequest("messages: there is nothing to answer; send at least one message.", param="messages")
        self.messages, self.system = [{"role": "user", "content": self.system}], []

    def _blocks(self, part: Part, role: str) -> list[Block]:
        if isinstance(part, Text):
            return _text(part.text, part.cache)
        if isinstance(part, Refusal):
            return _text(part.text, None)
        if isinstance(part, Thinking):
            return self._thought(part)
        if isinstance(part, ToolCall):
            call = {"type": "tool_use", "id": _call_id(part.call_id), "name": part.name}
            return [call | {"input": object_of(part.arguments)} | _cached(part.cache)]
        if isinstance(part, ToolResult):
            return [self._result(part)]
        if role == "assistant":
            if "messages.images" not in self.dropped:
                self.dropped.append("messages.images")
            return []
        return [_media(part)]

    def _thought(self, part: Thinking) -> list[Block]:
        """Only what the maker of this model can read; a thought of another's means nothing to it."""
        own = ("", "anthropic") if self._able.needs_signatures else ("", "anthropic", "deepseek")
        if part.origin not in own:
            return []
        if part.redacted:
            return [{"type": "redacted_thinking", "data": part.redacted}]
        if not part.signature and (self._able.needs_signatures or not part.text):
            return []
        return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]

    def _result(self, part: ToolResult) -> Block:
        content = [block for inner in part.parts for block in self._blocks(inner, "user")]
        result: Block = {"type": "tool_result", "tool_use_id": _call_id(part.call_id)}
        if content:
            result["content"] = content
        if part.is_error:
            result["is_error"] = True
        return result | _cached(part.cache)


def _text(text: str, cache: CacheMark | None) -> list[Block]:
    return [{"type": "text", "text": text} | _cached(cache)] if text.strip() else []


def _cached(cache: CacheMark | None) -> Block:
    if cache is None:
        return {}
    return {"cache_control": {"type": "ephemeral"} | ({"ttl": cache.ttl} if cache.ttl else {})}


def _call_id(call_id: str) -> str:
    """An id of another maker's in Anthropic's letters ("functions.f:0" is one of Kimi's); two stay two."""
    if _CALL_ID.fullmatch(call_id):
        return call_id
    return f"{_NOT_OF_AN_ID.sub('_', call_id)}_{hashlib.sha256(call_id.encode()).hexdigest()[:8]}"


def _media(part: Media) -> Block:
    if part.file_id:
        raise InvalidRequest(
            "messages: a file id is known only to the provider that it was uploaded to; send the file's data or URL.",
            param="messages",
        )
    if part.kind == "image":
        return {"type": "image", "source": _image_source(part)} | _cached(part.cache)
    if part.kind == "document":
        title = {"title": part.name} if part.name else {}
        return {"type": "document", "source": _document_source(part)} | title | _cached(part.cache)
    raise InvalidRequest(
        f"messages: models behind Anthropic's Messages take no {part.kind}; choose a model that does, or leave it out.",
        param="messages",
    )


def _image_source(part: Media) -> Block:
    if part.url:
        return {"type": "url", "url": part.url}
    found = (kind for start, kind in _FIRST_BYTES.items() if part.data.startswith(start))
    return {"type": "base64", "media_type": part.media_type or next(found, "image/png"), "data": part.data}


def _document_source(part: Media) -> Block:
    """A PDF, or plain text: the API takes no other kind."""
    if part.url:
        return {"type": "url", "url": part.url}
    kind = part.media_type.partition(";")[0].strip().lower()
    if kind in ("", "application/pdf", "application/octet-stream") and (kind == "application/pdf" or _is_pdf(part)):
        return {"type": "base64", "media_type": "application/pdf", "data": part.data}
    if kind.startswith("text/") or kind == "application/json":
        try:
            return {"type": "text", "media_type": "text/plain", "data": base64.b64decode(part.data).decode()}
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidRequest("messages: a document of text is not base64 of UTF-8.", param="messages") from None
    raise InvalidRequest(
        f"messages: a document of type {part.media_type[:100]!r} is none that Anthropic's Messages take; "
        "send application/pdf or text.",
        param="messages",
    )


def _is_pdf(part: Media) -> bool:
    return part.data.startswith("JVBERi") or part.name.lower().endswith(".pdf")
