"""What fuzzing begins with: requests, streams and replies as the dialects document them."""

import functools
import json
from typing import Any

from msgspec import Raw

from conformance.mock import chat, gemini, messages, responses
from conformance.mock.shapes import Ask as MockAsk
from conformance.mock.shapes import Handler, Stream, Whole
from rig.dialects import DIALECTS, PNG, QUIRKS, UPSTREAM
from tidegate.wire.conversation import (
    Ask,
    CacheMark,
    Media,
    OutputFormat,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"x": {"type": ["integer", "null"]}}, "required": ["x"]}
SCENARIOS = ("plain", "thinks+tools", "empty", "refuses", "short+nousage")
NAMES = ("f", "g")

RICH = Ask(
    model="m",
    is_stream=True,
    turns=(
        Turn("system", (Text("Be brief.", cache=CacheMark("1h")),)),
        Turn("user", (Text("a"), Media("image", data=PNG, media_type="image/png"))),
        Turn("assistant", (Thinking("hm", signature="c2ln", origin="anthropic"), ToolCall("call_1", "f", '{"x":1}'),
                           ToolCall("call_2", "g"))),
        Turn("user", (ToolResult("call_1", (Text("1"),), name="f"), ToolResult("call_2", (Text("no"),), "g", True))),
        Turn("assistant", (Refusal("I will not."),)),
        Turn("user", (Text("go on"),)),
    ),
    tools=(Tool("f", "does f", Raw(json.dumps(SCHEMA).encode()), strict=True), Tool("g")),
    tool_choice=ToolChoice("tool", "f", parallel=False),
    output_format=OutputFormat("json_schema", "n", schema=Raw(json.dumps(SCHEMA).encode()), strict=True),
    reasoning=Reasoning(effort="high", budget_tokens=2000, shown=True),
    output_tokens_max=4000,
    temperature=0.5,
    stop=("a", "b"),
    user="u",
    extra={"seed": Raw(b"1"), "service_tier": Raw(b'"flex"')},
)  # fmt: skip

CHAT_EXTRAS: dict[str, Any] = {
    "model": "m", "n": 1, "max_completion_tokens": 9, "reasoning": {"effort": "low", "exclude": True},
    "reasoning_effort": "low", "stream": True, "stream_options": {"include_usage": True}, "logprobs": True,
    "provider": {"require_parameters": True}, "functions": [{"name": "f"}], "function_call": {"name": "f"},
    "modalities": ["text", "audio"], "audio": {"voice": "v", "format": "wav"}, "prediction": {"content": "x"},
    "messages": [
        {"role": "developer", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "name": "n", "content": [
            {"type": "image_url", "image_url": {"url": "http://x/y.png", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}]},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "content": "b", "reasoning_content": "c", "reasoning_details": [
            {"type": "reasoning.text", "text": "c", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "d", "id": "rs_1", "format": "openai-responses-v1"}]},
        {"role": "user", "content": "d"}],
}  # fmt: skip
RESPONSES_EXTRAS: dict[str, Any] = {
    "model": "m", "instructions": "i", "stream": True, "store": False, "include": ["reasoning.encrypted_content"],
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"},
                                           {"type": "input_image", "image_url": "http://x/y"}]},
              {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}],
               "encrypted_content": "e"},
              {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
              {"type": "custom_tool_call_output", "call_id": "c", "output": "y"}],
    "tools": [{"type": "custom", "name": "f"}, {"type": "namespace", "name": "n", "tools": [
              {"type": "function", "name": "g", "parameters": {}}]}],
    "text": {"format": {"type": "json_object"}, "verbosity": "low"}, "reasoning": {"effort": "low", "summary": "auto"},
}  # fmt: skip
ANTHROPIC_EXTRAS: dict[str, Any] = {
    "model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}, "top_k": 3, "metadata": {"user_id": "u"},
    "messages": [{"role": "user", "content": [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "a"}]}]},
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "tg1.eyJvIjoib3BlbmFpIiwicyI6IngifQ"},
                                          {"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]}],
    "tools": [{"name": "f", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}],
}  # fmt: skip
GEMINI_EXTRAS: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "s"}]}, "safetySettings": [{"category": "c", "threshold": "t"}],
    "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "AAAA"}},
                            {"fileData": {"fileUri": "gs://x/y", "mimeType": "video/mp4"}}]},
                 {"role": "model", "parts": [{"text": "t", "thought": True, "thoughtSignature": "s"},
                                             {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s"}]},
                 {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": 1}}}]}],
    "tools": [{"googleSearch": {}}, {"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {"thinkingConfig": {"thinkingBudget": -1, "includeThoughts": True}, "stopSequences": ["a"],
                         "responseMimeType": "application/json", "responseSchema": {"type": "STRING"}, "topK": 3},
}  # fmt: skip
EXTRAS = {
    "openai-chat": CHAT_EXTRAS,
    "openai-responses": RESPONSES_EXTRAS,
    "anthropic": ANTHROPIC_EXTRAS,
    "gemini": GEMINI_EXTRAS,
    "openai-completions": {"model": "m", "prompt": ["a"], "max_tokens": 3, "stream": True, "logprobs": 1, "echo": True},
    "openai-embeddings": {"model": "m", "input": ["a", [1, 2]], "dimensions": 3, "encoding_format": "base64"},
}


@functools.cache
def requests(dialect: str) -> list[Any]:
    """Bodies of requests, as JSON values."""
    found = [EXTRAS[dialect]]
    if dialect in DIALECTS:
        found.append(json.loads(DIALECTS[dialect].encode_request(RICH, UPSTREAM[dialect], QUIRKS).body))
    return found


def _ask(dialect: str, scenario: str, *, stream: bool) -> MockAsk:
    chat_tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES]
    bodies: dict[str, dict[str, Any]] = {
        "openai-chat": {"messages": [{"role": "user", "content": "a"}], "tools": chat_tools},
        "openai-responses": {"input": "a", "tools": [{"type": "function", **tool["function"]} for tool in chat_tools]},
        "anthropic": {
            "messages": [{"role": "user", "content": "a"}], "max_tokens": 9,
            "tools": [{"name": name, "input_schema": SCHEMA} for name in NAMES], "thinking": {"type": "adaptive"},
        },
        "gemini": {
            "contents": [{"role": "user", "parts": [{"text": "a"}]}],
            "tools": [{"functionDeclarations": [{"name": name, "parameters": SCHEMA} for name in NAMES]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
        },
        "openai-completions": {"prompt": "a"},
    }  # fmt: skip
    body = bodies[dialect] | {"model": scenario, "stream": stream, "stream_options": {"include_usage": True}}
    return MockAsk(body, {"model": scenario}, {"alt": "sse"}, {"anthropic-version": "2023-06-01"}, {})


_HANDLERS: dict[str, tuple[Handler, Handler]] = {  # of whole replies and of streams
    "openai-chat": (chat.chat, chat.chat),
    "openai-completions": (chat.completions, chat.completions),
    "openai-responses": (responses.responses, responses.responses),
    "anthropic": (messages.messages, messages.messages),
    "gemini": (gemini.generate, gemini.stream),
}

BEDROCK_STREAM: list[Any] = [
    ["messageStart", {"role": "assistant"}],
    ["contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}],
    ["contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "s"}}}],
    ["contentBlockStop", {"contentBlockIndex": 0}],
    ["contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Four."}}],
    ["contentBlockStop", {"contentBlockIndex": 1}],
    ["contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}],
    ["contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"x":1}'}}}],
    ["contentBlockStop", {"contentBlockIndex": 2}],
    ["messageStop", {"stopReason": "tool_use"}],
    ["metadata", {"usage": {"inputTokens": 12, "outputTokens": 5, "totalTokens": 17}, "metrics": {"latencyMs": 1}}],
]
BEDROCK_REPLY: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}, {"text": "Four."},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1}}}]}},
    "stopReason": "tool_use",
    "usage": {"inputTokens": 12, "outputTokens": 5, "totalTokens": 17, "cacheReadInputTokens": 4},
}  # fmt: skip


@functools.cache
def streams(dialect: str) -> list[Any]:
    """Streams: lists of events, each its name and its data."""
    if dialect == "bedrock":
        return [BEDROCK_STREAM]
    found = []
    for scenario in SCENARIOS:
        stream = _HANDLERS[dialect][1](_ask(dialect, scenario, stream=True))
        assert isinstance(stream, Stream)
        events = [[name, data] for name, data in stream.events]
        found.append(events + ([["", "[DONE]"]] if stream.done else []))
    return found


@functools.cache
def replies(dialect: str) -> list[Any]:
    """Whole replies, as JSON values."""
    if dialect == "bedrock":
        return [BEDROCK_REPLY]
    found = []
    for scenario in SCENARIOS:
        whole = _HANDLERS[dialect][0](_ask(dialect, scenario, stream=False))
        assert isinstance(whole, Whole)
        found.append(whole.body)
    return found
