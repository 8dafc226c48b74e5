"""A Gemini request body as an `Ask`. Model and streaming stand in the path: `gemini.ask_with_path` adds them.

What only Google's servers can do (search, code execution, cached contents, several candidates) is refused by name,
since another provider's answer would mean something else; settings without a counterpart are named in `Ask.unsaid`.
"""

from typing import Final, get_args

import msgspec
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.wire.conversation import (
    Ask,
    Effort,
    OutputFormat,
    Reasoning,
    Tool,
    ToolChoice,
    Turn,
)
from tidegate.wire.gemini_body import Body, Declaration, GenerationConfig, Thinking, is_sent, read_body, several
from tidegate.wire.gemini_schema import json_schema
from tidegate.wire.gemini_turns_read import system_turn, turns_of
from tidegate.wire.unreadable import UNREADABLE, refusal_of

_KNOWN: Final = frozenset({"model", *Body.__struct_fields__})
_KNOWN_CONFIG: Final = frozenset(GenerationConfig.__struct_fields__)
_KNOWN_TOOL_CONFIG: Final = frozenset({"functionCallingConfig"})
_DECLARATIONS: Final = "functionDeclarations"
_EFFORTS: Final = frozenset(get_args(Effort))
_MODALITIES: Final = {"TEXT": "text", "IMAGE": "image", "AUDIO": "audio"}
_EXTRAS: Final = {"seed": "seed", "presencePenalty": "presence_penalty", "frequencyPenalty": "frequency_penalty"}

_declarations_decoder = msgspec.json.Decoder(list[Declaration] | Declaration)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def decode_request(body: bytes) -> Ask:
    """Raises InvalidRequest naming the place and what was expected."""
    wire, members = read_body(body)
    if wire.cachedContent:
        raise InvalidRequest(
            "cachedContent names a content that only Google holds; send the content itself.", param="cachedContent"
        )
    unsaid = [name for name in members if name not in _KNOWN]
    config = wire.generationConfig or GenerationConfig()
    unsaid += _unknown(members, "generationConfig", _KNOWN_CONFIG) + _unknown(members, "toolConfig", _KNOWN_TOOL_CONFIG)
    if (config.candidateCount or 1) > 1:
        raise InvalidRequest(
            f"generationConfig.candidateCount is {config.candidateCount}; only one candidate can be served.",
            param="generationConfig.candidateCount",
        )
    turns: list[Turn] = []
    if wire.systemInstruction is not None and (system := system_turn(wire.systemInstruction)) is not None:
        turns.append(system)
    turns += turns_of(several(wire.contents), unsaid)
    tools = _tools(several(wire.tools), unsaid)
    choice, tools = _tool_choice(wire, tools)
    return Ask(
        model="",
        turns=tuple(turns),
        tools=tuple(tools),
        tool_choice=choice,
        output_format=_output_format(config),
        reasoning=_reasoning(config.thinkingConfig),
        output_tokens_max=config.maxOutputTokens,
        temperature=config.temperature,
        top_p=config.topP,
        stop=tuple(several(config.stopSequences)),
        extra=_extra(wire, config),
        unsaid=tuple(unsaid),
    )


def _unknown(members: dict[str, Raw], name: str, known: frozenset[str]) -> list[str]:
    """The members of `name` that this dialect's reader does not know."""
    found = members.get(name)
    if found is None or not is_sent(found):
        return []
    try:
        inside = _members_decoder.decode(found)
    except msgspec.ValidationError:  # the text "null", which a lenient reading takes for null
        return []
    return [f"{name}.{inner}" for inner in inside if inner not in known]


def _tools(tools: list[dict[str, Raw]], unsaid: list[str]) -> list[Tool]:
    found = []
    for place, members in enumerate(tools):
        for name, value in members.items():
            if name != _DECLARATIONS and is_sent(value):
                raise InvalidRequest(
                    f"tools[{place}].{name} runs on Google's servers only; offer functionDeclarations, or ask a model "
                    "that Google serves.",
                    param=f"tools[{place}].{name}",
                )
        declared = members.get(_DECLARATIONS)
        if declared is None or not is_sent(declared):
            continue
        try:
            declarations = several(_declarations_decoder.decode(declared))
            found += [_tool(one, f"tools[{place}].{_DECLARATIONS}[{at}]") for at, one in enumerate(declarations)]
        except UNREADABLE as error:
            raise InvalidRequest(
                f"tools[{place}].{_DECLARATIONS}: {refusal_of(error, 'generateContent request').message}",
                param=f"tools[{place}].{_DECLARATIONS}",
            ) from None
    return found


def _tool(declared: Declaration, place: str) -> Tool:
    schema = declared.parametersJsonSchema
    if not is_sent(schema):
        schema = _schema(declared.parameters, f"{place}.parameters") if is_sent(declared.parameters) else Raw(b"")
    return Tool(declared.name, declared.description or "", schema)


def _schema(schema: Raw, place: str) -> Raw:
    try:
        return json_schema(schema)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise InvalidRequest(f"{place} cannot be read: {error}.", param=place) from None


def _tool_choice(wire: Body, tools: list[Tool]) -> tuple[ToolChoice | None, list[Tool]]:
    """The choice, and the tools that it leaves: `allowedFunctionNames` narrows them to a few."""
    calling = wire.toolConfig.functionCallingConfig if wire.toolConfig else None
    if calling is None or not calling.mode:
        return None, tools
    mode, names = calling.mode.upper(), calling.allowedFunctionNames or []
    if mode == "NONE":
        return ToolChoice("none"), tools
    if mode not in ("ANY", "VALIDATED"):
        return ToolChoice("auto"), tools
    if names:
        missing = set(names) - {tool.name for tool in tools}
        if missing:
            place = "toolConfig.functionCallingConfig.allowedFunctionNames"
            raise InvalidRequest(f"{place} names {min(missing)!r}, which no tool declares.", param=place)
        tools = [tool for tool in tools if tool.name in names]
    if mode == "VALIDATED":
        return ToolChoice("auto"), tools
    return (ToolChoice("tool", tools[0].name) if names and len(tools) == 1 else ToolChoice("required")), tools


def _output_format(config: GenerationConfig) -> OutputFormat | None:
    kind = config.responseMimeType or ""
    if kind in ("", "text/plain"):
        return None
    if kind != "application/json":
        place = "generationConfig.responseMimeType"
        raise InvalidRequest(f"{place} is {kind!r}; text/plain and application/json can be served.", param=place)
    if is_sent(config.responseJsonSchema):
        return OutputFormat("json_schema", "response", schema=config.responseJsonSchema)
    if is_sent(config.responseSchema):
        schema = _schema(config.responseSchema, "generationConfig.responseSchema")
        return OutputFormat("json_schema", "response", schema=schema)
    return OutputFormat("json")


def _reasoning(thinking: Thinking | None) -> Reasoning | None:
    """A budget of 0 turns thinking off, one of -1 leaves it to the model."""
    if thinking is None:
        return None
    level, budget = (thinking.thinkingLevel or "").lower(), thinking.thinkingBudget
    effort = level if level in _EFFORTS else None
    if budget == 0:
        effort, budget = "none", None
    is_adaptive = budget is not None and budget < 0
    return Reasoning(
        effort=effort,  # type: ignore[arg-type]  # an Effort, as looked up
        budget_tokens=None if is_adaptive else budget,
        is_adaptive=is_adaptive,
        shown=thinking.includeThoughts,
    )


def _extra(wire: Body, config: GenerationConfig) -> dict[str, Raw]:
    extra: dict[str, Raw] = {}
    for name, shared in _EXTRAS.items():
        if (value := getattr(config, name)) is not None:
            extra[shared] = Raw(_encoder.encode(value))
    if config.topK is not None:
        extra["top_k"] = Raw(_encoder.encode(int(config.topK)))
    modalities = [_MODALITIES.get(one.upper(), one.lower()) for one in several(config.responseModalities)]
    if modalities and modalities != ["text"]:
        extra["modalities"] = Raw(_encoder.encode(modalities))
    if wire.serviceTier and wire.serviceTier.lower() not in ("unspecified", "service_tier_unspecified"):
        tier = wire.serviceTier.lower()
        extra["service_tier"] = Raw(_encoder.encode("default" if tier == "standard" else tier))
    return extra
