"""Requests that each ask for one field: what `dialect_tables` puts to the encoders, as data."""

from typing import Any, Final, NamedTuple

Json = dict[str, Any]

PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF: Final = "JVBERi0xLjQK"
SCHEMA: Final = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TEXT: Final = {"type": "text", "text": "a"}
CACHE: Final = {"cache_control": {"type": "ephemeral"}}
PICTURE: Final = "https://pictures.example/a.png"


class Probe(NamedTuple):
    """A field by the words of the page, what asks for it, and what must stand beside it and is not asked about."""

    label: str
    added: Json
    beside: Json = {}  # noqa: RUF012  # never written to


def user(*parts: Json) -> Json:
    """A further message of the user's, in the dialects that call it `messages`."""
    return {"messages": [{"role": "user", "content": list(parts)}]}


# -- OpenAI chat completions ----------------------------------------------------

CHAT_TOOL: Final = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
STRICT_TOOL: Final = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}
CHAT_CALL: Final = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT_BASE: Final[Json] = {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "look"}]}
CHAT: Final[list[Probe]] = [
    Probe("`messages`: role system or developer", {"messages": [{"role": "developer", "content": "be brief"}]}),
    Probe("`messages[].name`", {"messages": [{"role": "user", "content": "a", "name": "ann"}]}),
    Probe("image by address", user({"type": "image_url", "image_url": {"url": PICTURE}})),
    Probe("image as base64", user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})),
    Probe("file as base64 (PDF)", user({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}})),
    Probe("`file_id`", user({"type": "file", "file": {"file_id": "file-1"}})),
    Probe("`input_audio`", user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
    Probe("`cache_control` on a part", user(TEXT | CACHE), user(TEXT)),
    Probe(
        "calls of tools and their results",
        {
            "tools": [CHAT_TOOL],
            "messages": [
                {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "1"},
            ],
        },
    ),
    Probe("`tools` of type function", {"tools": [CHAT_TOOL]}),
    Probe("`tools[].function.strict`", {"tools": [STRICT_TOOL]}, {"tools": [CHAT_TOOL]}),
    Probe("`tools` of type custom", {"tools": [{"type": "custom", "custom": {"name": "c"}}]}),
    Probe("`functions`, `function_call`", {"functions": [{"name": "f"}], "function_call": {"name": "f"}}),
    Probe("`tool_choice` none", {"tools": [CHAT_TOOL], "tool_choice": "none"}, {"tools": [CHAT_TOOL]}),
    Probe(
        "`tool_choice` required, or one function",
        {"tools": [CHAT_TOOL], "tool_choice": "required"},
        {"tools": [CHAT_TOOL]},
    ),
    Probe("`parallel_tool_calls` false", {"tools": [CHAT_TOOL], "parallel_tool_calls": False}, {"tools": [CHAT_TOOL]}),
    Probe("`response_format` json_object", {"response_format": {"type": "json_object"}}),
    Probe(
        "`response_format` json_schema",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}},
    ),
    Probe("`reasoning_effort`", {"reasoning_effort": "high"}),
    Probe("`reasoning.max_tokens`", {"reasoning": {"max_tokens": 2048}}),
    Probe("`max_tokens`, `max_completion_tokens`", {"max_tokens": 2000}),
    Probe("`temperature`", {"temperature": 0.5}),
    Probe("`temperature` above 1", {"temperature": 1.5}),
    Probe("`top_p`", {"top_p": 0.5}),
    Probe("`stop`", {"stop": ["END"]}),
    Probe("`n` above 1", {"n": 2}),
    Probe("`seed`", {"seed": 1}),
    Probe("`presence_penalty`, `frequency_penalty`", {"presence_penalty": 0.1, "frequency_penalty": 0.1}),
    Probe("`top_k`", {"top_k": 5}),
    Probe("`min_p`, `top_a`, `repetition_penalty`", {"min_p": 0.1}),
    Probe("`logit_bias`", {"logit_bias": {"1": 1}}),
    Probe("`logprobs`, `top_logprobs`", {"logprobs": True}),
    Probe("`user`", {"user": "u"}),
    Probe("`metadata`", {"metadata": {"a": "b"}}),
    Probe("`service_tier` flex", {"service_tier": "flex"}),
    Probe("`store`", {"store": True}),
    Probe("`verbosity`", {"verbosity": "low"}),
    Probe("`prompt_cache_key`", {"prompt_cache_key": "k"}),
    Probe("`safety_identifier`", {"safety_identifier": "s"}),
    Probe("`prediction`", {"prediction": {"type": "content", "content": "a"}}),
    Probe(
        "`modalities` with audio, `audio`", {"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}}
    ),
    Probe("`web_search_options`", {"web_search_options": {}}),
    Probe("`models`, `route`, `plugins` and the like, which are not served yet", {"models": ["a/b"]}),
    Probe("a field that nobody knows", {"x_new": 1}),
]

# -- OpenAI Responses -----------------------------------------------------------


def item(*parts: Json) -> Json:
    return {"input": [{"role": "user", "content": list(parts)}]}


RESPONSES_TOOL: Final = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}
RESPONSES_CALL: Final = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
RESPONSES_BASE: Final[Json] = {
    "model": "m",
    "max_output_tokens": 4096,
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "look"}]}],
}
RESPONSES: Final[list[Probe]] = [
    Probe("`instructions`", {"instructions": "be brief"}),
    Probe("image by address", item({"type": "input_image", "image_url": PICTURE})),
    Probe("image as base64", item({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"})),
    Probe(
        "file as base64 (PDF)",
        item({"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}),
    ),
    Probe("file by address", item({"type": "input_file", "file_url": "https://files.example/a.pdf"})),
    Probe("`file_id`", item({"type": "input_file", "file_id": "file-1"})),
    Probe(
        "calls of tools and their results",
        {
            "tools": [RESPONSES_TOOL],
            "input": [RESPONSES_CALL, {"type": "function_call_output", "call_id": "call_1", "output": "1"}],
        },
    ),
    Probe("`previous_response_id`, `conversation`", {"previous_response_id": "resp_1"}),
    Probe("`item_reference`", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
    Probe("`background`", {"background": True}),
    Probe("`prompt`", {"prompt": {"id": "pmpt_1"}}),
    Probe("`tools` of type function", {"tools": [RESPONSES_TOOL]}),
    Probe("`tools[].strict`", {"tools": [RESPONSES_TOOL | {"strict": True}]}, {"tools": [RESPONSES_TOOL]}),
    Probe("`tools` of type custom", {"tools": [{"type": "custom", "name": "c"}]}),
    Probe(
        "a custom tool's grammar",
        {
            "tools": [
                {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "a"}}
            ]
        },
        {"tools": [{"type": "custom", "name": "c"}]},
    ),
    Probe("tools that OpenAI runs (web_search, mcp, ...)", {"tools": [{"type": "web_search"}]}),
    Probe("`tool_choice` none", {"tools": [RESPONSES_TOOL], "tool_choice": "none"}, {"tools": [RESPONSES_TOOL]}),
    Probe(
        "`tool_choice` required, or one function",
        {"tools": [RESPONSES_TOOL], "tool_choice": "required"},
        {"tools": [RESPONSES_TOOL]},
    ),
    Probe(
        "`parallel_tool_calls` false",
        {"tools": [RESPONSES_TOOL], "parallel_tool_calls": False},
        {"tools": [RESPONSES_TOOL]},
    ),
    Probe("`text.format` json_object", {"text": {"format": {"type": "json_object"}}}),
    Probe("`text.format` json_schema", {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}),
    Probe("`text.verbosity`", {"text": {"verbosity": "low"}}),
    Probe("`reasoning.effort`", {"reasoning": {"effort": "high"}}),
    Probe(
        "`reasoning.summary`", {"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning": {"effort": "high"}}
    ),
    Probe("`include` reasoning.encrypted_content", {"include": ["reasoning.encrypted_content"]}),
    Probe("`include` of anything else", {"include": ["message.output_text.logprobs"]}),
    Probe("`max_output_tokens`", {"max_output_tokens": 2000}),
    Probe("`temperature`", {"temperature": 0.5}),
    Probe("`top_p`", {"top_p": 0.5}),
    Probe("`top_logprobs`", {"top_logprobs": 2}),
    Probe("`user`", {"user": "u"}),
    Probe("`safety_identifier`", {"safety_identifier": "s"}),
    Probe("`metadata`", {"metadata": {"a": "b"}}),
    Probe("`service_tier` flex", {"service_tier": "flex"}),
    Probe("`prompt_cache_key`", {"prompt_cache_key": "k"}),
    Probe("`store` true", {"store": True}),
    Probe("`truncation` auto", {"truncation": "auto"}),
    Probe("`max_tool_calls`", {"max_tool_calls": 3}),
    Probe("`models`, `route`, `plugins` and the like, which are not served yet", {"models": ["a/b"]}),
    Probe("a field that nobody knows", {"x_new": 1}),
]

# -- Anthropic Messages ---------------------------------------------------------

CLAUDE_TOOL: Final = {"name": "f", "input_schema": SCHEMA}
CLAUDE_CALL: Final = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
CLAUDE_BASE: Final[Json] = {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "look"}]}


def result(**members: Any) -> Json:
    answered = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "1"} | members
    turns = [{"role": "assistant", "content": [CLAUDE_CALL]}, {"role": "user", "content": [answered]}]
    return {"tools": [CLAUDE_TOOL], "messages": turns}


def source(kind: str, **members: str) -> Json:
    return {"type": kind, "source": members}


CLAUDE: Final[list[Probe]] = [
    Probe("`system`", {"system": "be brief"}),
    Probe("image by address", user(source("image", type="url", url=PICTURE))),
    Probe("image as base64", user(source("image", type="base64", media_type="image/png", data=PNG))),
    Probe("image by `file_id`", user(source("image", type="file", file_id="file_1"))),
    Probe("document as base64 (PDF)", user(source("document", type="base64", media_type="application/pdf", data=PDF))),
    Probe("document of text", user(source("document", type="text", media_type="text/plain", data="a"))),
    Probe("document by address", user(source("document", type="url", url="https://files.example/a.pdf"))),
    Probe(
        "`citations` of a document",
        user(source("document", type="text", media_type="text/plain", data="a") | {"citations": {"enabled": True}}),
        user(source("document", type="text", media_type="text/plain", data="a")),
    ),
    Probe("`cache_control` on a block", user(TEXT | CACHE), user(TEXT)),
    Probe("`cache_control` on a tool", {"tools": [CLAUDE_TOOL | CACHE]}, {"tools": [CLAUDE_TOOL]}),
    Probe("calls of tools and their results", result()),
    Probe(
        "a result with an image",
        result(content=[source("image", type="base64", media_type="image/png", data=PNG)]),
    ),
    Probe("`is_error` of a result", result(is_error=True), result()),
    Probe("`tools` with `input_schema`", {"tools": [CLAUDE_TOOL]}),
    Probe("`tools[].strict`", {"tools": [CLAUDE_TOOL | {"strict": True}]}, {"tools": [CLAUDE_TOOL]}),
    Probe("tools that Anthropic runs or defines", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    Probe("`tool_choice` none", {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "none"}}, {"tools": [CLAUDE_TOOL]}),
    Probe(
        "`tool_choice` any or tool", {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "any"}}, {"tools": [CLAUDE_TOOL]}
    ),
    Probe(
        "`disable_parallel_tool_use`",
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "auto"}},
    ),
    Probe("`thinking` enabled, with a budget", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
    Probe("`thinking` adaptive", {"thinking": {"type": "adaptive"}}),
    Probe("`thinking` disabled", {"thinking": {"type": "disabled"}}),
    Probe("`output_config.effort`", {"output_config": {"effort": "high"}}),
    Probe("`output_config.format`", {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    Probe("`max_tokens`", {"max_tokens": 2000}),
    Probe("`temperature`", {"temperature": 0.5}),
    Probe("`top_p`", {"top_p": 0.5}),
    Probe("`top_k`", {"top_k": 5}),
    Probe("`stop_sequences`", {"stop_sequences": ["END"]}),
    Probe("`metadata.user_id`", {"metadata": {"user_id": "u"}}),
    Probe("`service_tier` standard_only", {"service_tier": "standard_only"}),
    Probe("`inference_geo` of a place", {"inference_geo": "us"}),
    Probe("`mcp_servers`", {"mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "m"}]}),
    Probe("`container`", {"container": "c"}),
    Probe("`context_management`", {"context_management": {"edits": []}}),
    Probe("`models`, `route`, `plugins` and the like, which are not served yet", {"models": ["a/b"]}),
    Probe("a field that nobody knows", {"x_new": 1}),
]

# -- Gemini ---------------------------------------------------------------------


def contents(*parts: Json) -> Json:
    return {"contents": [{"role": "user", "parts": list(parts)}]}


def config(**members: Any) -> Json:
    return {"generationConfig": members}


GEMINI_TOOL: Final = {"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}
GEMINI_BASE: Final[Json] = {
    "contents": [{"role": "user", "parts": [{"text": "look"}]}],
    "generationConfig": {"maxOutputTokens": 4096},
}
GEMINI: Final[list[Probe]] = [
    Probe("`systemInstruction`", {"systemInstruction": {"parts": [{"text": "be brief"}]}}),
    Probe("`inlineData`: image", contents({"inlineData": {"mimeType": "image/png", "data": PNG}})),
    Probe("`inlineData`: PDF", contents({"inlineData": {"mimeType": "application/pdf", "data": PDF}})),
    Probe("`inlineData`: audio", contents({"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}})),
    Probe("`inlineData`: video", contents({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}})),
    Probe("`fileData`: image by address", contents({"fileData": {"mimeType": "image/png", "fileUri": PICTURE}})),
    Probe(
        "`fileData`: a file that Google keeps",
        contents(
            {
                "fileData": {
                    "mimeType": "image/png",
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a",
                }
            }
        ),
    ),
    Probe(
        "calls of functions and their responses",
        {
            "tools": [GEMINI_TOOL],
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "f", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"x": 1}}}]},
            ],
        },
    ),
    Probe("`functionDeclarations`", {"tools": [GEMINI_TOOL]}),
    Probe("tools that Google runs (googleSearch, codeExecution, ...)", {"tools": [{"googleSearch": {}}]}),
    Probe(
        "calling mode NONE",
        {"tools": [GEMINI_TOOL], "toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
        {"tools": [GEMINI_TOOL]},
    ),
    Probe(
        "calling mode ANY",
        {"tools": [GEMINI_TOOL], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        {"tools": [GEMINI_TOOL]},
    ),
    Probe("`responseMimeType` application/json", config(responseMimeType="application/json")),
    Probe(
        "`responseSchema`, `responseJsonSchema`", config(responseMimeType="application/json", responseJsonSchema=SCHEMA)
    ),
    Probe("`thinkingConfig.thinkingBudget`", config(thinkingConfig={"thinkingBudget": 2048})),
    Probe("`thinkingConfig.thinkingLevel`", config(thinkingConfig={"thinkingLevel": "HIGH"})),
    Probe("`maxOutputTokens`", config(maxOutputTokens=2000)),
    Probe("`temperature`", config(temperature=0.5)),
    Probe("`topP`", config(topP=0.5)),
    Probe("`topK`", config(topK=5)),
    Probe("`stopSequences`", config(stopSequences=["END"])),
    Probe("`seed`", config(seed=1)),
    Probe("`presencePenalty`, `frequencyPenalty`", config(presencePenalty=0.1, frequencyPenalty=0.1)),
    Probe("`candidateCount` above 1", config(candidateCount=2)),
    Probe("`responseLogprobs`, `logprobs`", config(responseLogprobs=True)),
    Probe("`responseModalities` with image or audio", config(responseModalities=["TEXT", "IMAGE"])),
    Probe("`speechConfig`", config(speechConfig={"languageCode": "en"})),
    Probe("`mediaResolution`", config(mediaResolution="MEDIA_RESOLUTION_LOW")),
    Probe(
        "`safetySettings`", {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]}
    ),
    Probe("`serviceTier` flex", {"serviceTier": "flex"}),
    Probe("`labels`", {"labels": {"a": "b"}}),
    Probe("`cachedContent`", {"cachedContent": "cachedContents/a"}),
    Probe("a field that nobody knows", {"xNew": 1}),
]

CALLERS: Final = {
    "openai-chat": (CHAT_BASE, CHAT),
    "openai-responses": (RESPONSES_BASE, RESPONSES),
    "anthropic": (CLAUDE_BASE, CLAUDE),
    "gemini": (GEMINI_BASE, GEMINI),
}
