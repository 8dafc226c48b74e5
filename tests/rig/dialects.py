"""All dialects by pairs, and what a request or an answer means in whatever dialect it was."""

import json
from typing import Any

import pytest
from msgspec import structs

from tidegate.core.facts import Quirks
from tidegate.core.usage import Usage
from tidegate.wire.anthropic import ANTHROPIC
from tidegate.wire.conversation import Ask, Media, Refusal, Text, ToolCall, ToolChoice, ToolResult
from tidegate.wire.dialect import Dialect
from tidegate.wire.events import Answer, Event
from tidegate.wire.gemini import GEMINI
from tidegate.wire.openai_chat import CHAT
from tidegate.wire.openai_responses import RESPONSES

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (CHAT, RESPONSES, ANTHROPIC, GEMINI)}
PAIRS = [(caller, provider) for caller in DIALECTS for provider in DIALECTS]

FAMILY = {"openai-chat": "", "openai-responses": "openai", "anthropic": "anthropic", "gemini": "gemini"}
QUIRKS = Quirks(reasoning_field="reasoning_content")
UPSTREAM = {
    "gemini": "gemini-3-pro",
    "anthropic": "claude-sonnet-4-6",
    "openai-responses": "gpt-5.2",
    "openai-chat": "m",
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

pairs = pytest.mark.parametrize(("caller", "provider"), PAIRS, ids=lambda name: name)


def meaning(answer: Answer) -> dict[str, Any]:
    """An answer without what dialects may differ in: names of messages, cuts, and seals, which have their own test."""

    def texts(kind: str) -> str:
        return "".join(block.text for block in answer.blocks if block.start.kind == kind)

    usage = answer.usage.usage if answer.usage else Usage()
    calls = [block for block in answer.blocks if block.start.kind == "tool"]
    return {
        "text": texts("text"),
        "thinking": texts("thinking"),
        "calls": [(block.start.call_id, block.start.name, json.loads(block.text or "{}")) for block in calls],
        "stop": answer.stop and answer.stop.reason,
        "usage": (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens),
    }


def part_meaning(part: Any) -> tuple | None:
    if isinstance(part, Text | Refusal):
        return ("text", part.text)
    if isinstance(part, Media):
        return (part.kind, part.url, part.data)
    if isinstance(part, ToolCall):
        return ("call", part.call_id, part.name, json.dumps(json.loads(part.arguments)))
    if isinstance(part, ToolResult):
        return ("result", part.call_id, "".join(one.text for one in part.parts if isinstance(one, Text)))
    return None  # thoughts, which not everyone may read


def said(ask: Ask) -> list[tuple]:
    """The conversation as one list of roles and what they said; how it is cut into turns is the dialect's own."""
    found = []
    for turn in ask.turns:
        role = "system" if turn.role == "developer" else turn.role
        found += [(role, *told) for part in turn.parts if (told := part_meaning(part)) is not None]
    return found


def asked(ask: Ask) -> dict[str, Any]:
    choice = ask.tool_choice or ToolChoice()
    tools = [tool for tool in ask.tools if choice.mode != "tool" or tool.name == choice.name]  # others are out of reach
    return {
        "said": said(ask),
        "tools": [(tool.name, tool.description, json.loads(bytes(tool.schema) or b"null")) for tool in tools],
        "choice": (choice.mode, choice.name),
        "limit": ask.output_tokens_max,
        "temperature": ask.temperature,
    }


def read_ask(name: str, body: bytes, like: Ask) -> Ask:
    """A request as the gateway reads it; Gemini's model and stream are in the path."""
    ask = DIALECTS[name].decode_request(body)
    return structs.replace(ask, model=like.model, is_stream=like.is_stream)


def stream(name: str, events: list[Event], ask: Ask) -> bytes:
    encoder = DIALECTS[name].stream_encoder(ask, generation_id="gen-1", created_s=1_700_000_000)
    return b"".join([encoder.encode(event) for event in events]) + encoder.finish()


def read_stream(name: str, body: bytes, size: int = 1 << 20) -> list[Event]:
    decoder = DIALECTS[name].stream_decoder(event_bytes_max=1 << 24)
    events: list[Event] = []
    for start in range(0, len(body), size):
        events += decoder.feed(body[start : start + size])
    return events + decoder.finish()


def whole(name: str, events: list[Event], ask: Ask) -> bytes:
    return DIALECTS[name].encode_reply(events, ask, generation_id="gen-1", created_s=1_700_000_000)


def read_whole(name: str, body: bytes) -> list[Event]:
    events = DIALECTS[name].decode_reply(body)
    assert events is not None
    return list(events)
