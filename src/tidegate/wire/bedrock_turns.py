"""Turns of a conversation as Converse's `system` and `messages`.

Roles alternate there, so neighbours of one role become one message; blank text is refused there, so it is left out.
What is worth caching is said by a block of its own after it.
"""

import hashlib
import re
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
from tidegate.wire.anthropic_models import abilities_of
from tidegate.wire.bedrock_media import Json, Names, media_block
from tidegate.wire.conversation import Ask, CacheMark, Media, Part, Refusal, Text, Thinking, ToolCall, ToolResult

CACHING: Final = frozenset({"", "anthropic", "amazon"})
"""Makers whose models take cache points. Empty: an opaque profile, of which the caller knows more than we do."""

SEALING: Final = frozenset({"", "anthropic"})
"""Makers whose models take their sealed thoughts back."""

_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_object = msgspec.json.Decoder(dict[str, Raw])


class Turns(Struct):
    """`tools_used`: names of the tools that were called in this conversation. `dropped`: the caller's fields."""

    system: list[Json] = []
    messages: list[Json] = []
    tools_used: list[str] = []
    dropped: list[str] = []


def encode_turns(ask: Ask, model: str, maker: str) -> Turns:
    """The conversation of `ask`. Raises InvalidRequest for what Bedrock cannot be told."""
    writer = _Writer(maker)
    late_system = abilities_of(model).takes_system_turns and maker == "anthropic"
    for turn in ask.turns:
        if turn.name:
            writer.drop("messages.name")
        role = "system" if turn.role in ("system", "developer") else turn.role
        if role == "system" and not all(isinstance(part, Text) for part in turn.parts):
            raise InvalidRequest(
                "Bedrock takes nothing but text in a system turn; move the rest to the user's.", param="messages"
            )
        blocks = [block for part in turn.parts for block in writer.blocks(part)]
        if not blocks:
            continue
        messages = writer.turns.messages
        if role == "system" and not (late_system and messages):
            writer.turns.system += blocks
        elif messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks  # type: ignore[operator]
        else:
            messages.append({"role": role, "content": blocks})
    if not writer.turns.messages:
        raise InvalidRequest("Bedrock needs a message that is not blank; there is none.", param="messages")
    return writer.turns


def tool_id(call_id: str) -> str:
    """A call's id as Bedrock takes it: the caller's own where it may stand there, else one that is derived from it."""
    if _ID.fullmatch(call_id):
        return call_id
    return "call_" + hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def cache_point(mark: CacheMark) -> Json:
    point: Json = {"type": "default"}
    if mark.ttl in ("5m", "1h"):
        point["ttl"] = mark.ttl
    return {"cachePoint": point}


class _Writer:
    """Writes parts as content blocks, and keeps what they say about the rest of the request."""

    def __init__(self, maker: str) -> None:
        self._maker = maker
        self._names = Names()
        self.turns = Turns()

    def drop(self, field: str) -> None:
        if field not in self.turns.dropped:
            self.turns.dropped.append(field)

    def blocks(self, part: Part) -> list[Json]:
        """The blocks of a part, its cache point included; none where it says nothing to this provider."""
        block = self._block(part)
        if block is None:
            return []
        cache = getattr(part, "cache", None)
        if cache is None:
            return [block]
        if self._maker in CACHING:
            return [block, cache_point(cache)]
        self.drop("cache_control")
        return [block]

    def _block(self, part: Part) -> Json | None:
        if isinstance(part, Text | Refusal):
            return {"text": part.text} if part.text.strip() else None
        if isinstance(part, Media):
            return media_block(part, self._names)
        if isinstance(part, ToolCall):
            self.turns.tools_used.append(part.name)
            tool_use = {"toolUseId": tool_id(part.call_id), "name": part.name, "input": _arguments(part)}
            return {"toolUse": tool_use}
        if isinstance(part, ToolResult):
            return self._tool_result(part)
        return self._thinking(part)

    def _tool_result(self, part: ToolResult) -> Json:
        content = [self._result_block(inner) for inner in part.parts if not isinstance(inner, Text) or inner.text]
        result: Json = {"toolUseId": tool_id(part.call_id), "content": content}
        if part.is_error:
            result["status"] = "error"
        return {"toolResult": result}

    def _result_block(self, part: Text | Media) -> Json:
        if isinstance(part, Text):
            return {"text": part.text}
        if part.kind == "audio":
            raise InvalidRequest("Bedrock takes no audio in the result of a tool.", param="messages")
        return media_block(part, self._names)

    def _thinking(self, part: Thinking) -> Json | None:
        """A thought goes back only to the models that sealed it; to any other it means nothing."""
        if self._maker not in SEALING or part.origin not in ("", "anthropic"):
            return None
        if part.redacted:
            return {"reasoningContent": {"redactedContent": part.redacted}}
        if not part.signature:
            return None
        return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}


def _arguments(call: ToolCall) -> Raw:
    text = call.arguments.strip() or "{}"
    try:
        _object.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidRequest(
            f"The arguments of the tool call {call.name[:100]!r} must be a JSON object: {error}", param="messages"
        ) from None
    return Raw(text.encode())
