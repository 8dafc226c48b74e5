"""An `Ask` as the body of `generateContent`, for the Gemini API and for Vertex AI alike."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.conversation import Ask, Encoded, OutputFormat, Tool, ToolChoice
from tidegate.wire.gemini_thinking import thinking_config
from tidegate.wire.gemini_turns_write import Contents, Json

_EXTRAS: Final = {
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "top_k": "topK",
}
_TIERS: Final = {"flex": "flex", "priority": "priority", "default": "standard", "standard": "standard"}
_MODALITIES: Final = {"text": "TEXT", "image": "IMAGE", "audio": "AUDIO"}
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}
_NULL: Final = b"null"
_encoder = msgspec.json.Encoder()


def encode_request(ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
    """The body; the model and whether to stream go into the path. Raises InvalidRequest for what Gemini cannot do."""
    body, dropped = request_members(ask, upstream_model, quirks)
    return Encoded(_encoder.encode(body), tuple(dict.fromkeys(dropped)))


def request_members(ask: Ask, upstream_model: str, quirks: Quirks) -> tuple[Json, list[str]]:
    """The body's members, and the caller's fields that they cannot say."""
    conversation = Contents(ask, upstream_model)
    dropped = conversation.dropped
    body: Json = {"contents": conversation.contents}
    if conversation.system:
        body["systemInstruction"] = {"parts": conversation.system}
    if ask.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool, dropped) for tool in ask.tools]}]
    if ask.tool_choice is not None:
        if ask.tools:
            body["toolConfig"] = {"functionCallingConfig": _calling(ask.tool_choice, ask.tools)}
        if ask.tool_choice.parallel is False and ask.tools:
            dropped.append("parallel_tool_calls")
    config = _sampling(ask)
    if ask.output_format is not None:
        config |= _format(ask.output_format, quirks, dropped)
    if ask.reasoning is not None:
        thinking = thinking_config(ask.reasoning, upstream_model)
        if thinking is not None:
            config["thinkingConfig"] = thinking
        elif ask.reasoning.effort != "none":
            dropped.append("reasoning")
    _add_extras(ask, body, config, dropped)
    if config:
        body["generationConfig"] = config
    return body, dropped


def _declaration(tool: Tool, dropped: list[str]) -> Json:
    if tool.strict:
        dropped.append("tools.strict")
    if tool.cache is not None:
        dropped.append("cache_control")
    declared: Json = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    if tool.schema and bytes(tool.schema) != _NULL:
        declared["parametersJsonSchema"] = tool.schema
    return declared


def _calling(choice: ToolChoice, tools: tuple[Tool, ...]) -> Json:
    calling: Json = {"mode": _MODES[choice.mode]}
    if choice.mode == "tool":
        if choice.name not in {tool.name for tool in tools}:
            raise InvalidRequest(
                f"tool_choice names {choice.name[:100]!r}, which is no tool here.", param="tool_choice"
            )
        calling["allowedFunctionNames"] = [choice.name]
    return calling


def _sampling(ask: Ask) -> Json:
    named = {
        "temperature": ask.temperature,
        "topP": ask.top_p,
        "maxOutputTokens": ask.output_tokens_max,
        "stopSequences": ask.stop or None,
    }
    return {name: value for name, value in named.items() if value is not None}


def _format(wanted: OutputFormat, quirks: Quirks, dropped: list[str]) -> Json:
    if wanted.kind == "text":
        return {}
    config: Json = {"responseMimeType": "application/json"}
    if wanted.kind == "json_schema":
        if quirks.no_json_schema or not wanted.schema:
            dropped.append("response_format")
        else:
            config["responseJsonSchema"] = wanted.schema
    return config


def _add_extras(ask: Ask, body: Json, config: Json, dropped: list[str]) -> None:
    for name, raw in ask.extra.items():
        if bytes(raw) == _NULL:
            continue
        if name in _EXTRAS:
            config[_EXTRAS[name]] = raw
        elif name == "service_tier" and (tier := _word(raw)) in (*_TIERS, "auto"):
            if tier != "auto":
                body["serviceTier"] = _TIERS[tier]
        elif name == "modalities" and (words := _words(raw)) is not None:
            if words != ["TEXT"]:
                config["responseModalities"] = words
        else:
            dropped.append(name)
    if ask.user:
        dropped.append("user")


def _word(raw: Raw) -> str:
    value: Any = msgspec.json.decode(raw)
    return value if isinstance(value, str) else ""


def _words(raw: Raw) -> list[str] | None:
    """Modalities in Google's words; None where one is unknown there."""
    value: Any = msgspec.json.decode(raw)
    if not isinstance(value, list):
        return None
    words = [_MODALITIES.get(one, "") if isinstance(one, str) else "" for one in value]
    return words if all(words) else None
