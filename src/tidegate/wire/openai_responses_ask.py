"""A Responses request into an `Ask`: settings and tools here, the conversation in `openai_responses_items`."""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
from tidegate.wire.conversation import Ask, Effort, OutputFormat, Reasoning, Text, Tool, ToolChoice, Turn
from tidegate.wire.openai_responses_head import Stored, refuse_stored
from tidegate.wire.openai_responses_items import decode_input, decode_member
from tidegate.wire.openai_responses_lenient import NULL, is_said
from tidegate.wire.unreadable import UNREADABLE, refuse_body

FREEFORM_SCHEMA: Final = Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)
NAMESPACE_SEPARATOR: Final = "__"
_ENCRYPTED: Final = "reasoning.encrypted_content"

# Other dialects know these members by the same name and meaning; they go by in `Ask.extra`.
_SHARED: Final = frozenset(
    (
        "metadata",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "safety_identifier",
        "seed",
        "top_k",
        "min_p",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "logit_bias",
    )
)
# OpenRouter's members that the gateway itself answers to; its others (`models`, `plugins`, ...) nothing serves yet.
_OURS: Final = frozenset(("provider", "session_id", "usage"))
# What says the same as leaving it out.
_DEFAULTS: Final = {
    "store": (b"false",),
    "truncation": (b'"disabled"',),
    "stream_options": (
        b'{"include_obfuscation":false}',
        b'{"include_obfuscation":true}',
        b'{"include_usage":true}',  # of chat completions; here usage is always sent
        b"{}",
    ),
    "top_logprobs": (b"0",),
}


class _Reasoning(Struct, frozen=True):
    effort: Effort | None = None
    summary: str | None = None
    generate_summary: str | None = None
    max_tokens: int | None = None  # OpenRouter's
    exclude: bool | None = None  # OpenRouter's
    enabled: bool | None = None  # OpenRouter's
    mode: str | None = None
    context: str | None = None


class _Format(Struct, frozen=True):
    type: str = "text"
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw(b"")
    strict: bool | None = None


class _TextConfig(Struct, frozen=True):
    format: _Format | None = None
    verbosity: str | None = None


class _Tool(Struct, frozen=True):
    type: str = ""
    name: str | None = None
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None
    format: Raw = NULL
    tools: list[Raw] | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None
    output_schema: Raw = NULL


class _Choice(Struct, frozen=True):
    type: str = ""
    name: str | None = None
    mode: str | None = None
    tools: "list[_Choice] | None" = None


class _Request(Stored, frozen=True, kw_only=True):
    model: str
    stream: bool | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = NULL
    parallel_tool_calls: bool | None = None
    reasoning: _Reasoning | None = None
    text: _TextConfig | None = None
    include: list[str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt: Raw = NULL


_request_decoder = msgspec.json.Decoder(_Request)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_tool_decoder = msgspec.json.Decoder(_Tool)
_choice_decoder = msgspec.json.Decoder(_Choice | str)


def decode_request(body: bytes) -> Ask:
    """Raises InvalidRequest naming the place where the body is malformed, or asks for what only its maker can do."""
    try:
        body.decode()  # schemas travel as they are, and nobody else looks into them
        found = _request_decoder.decode(body)
        members = _members_decoder.decode(body)
        refuse_stored(found)
        if is_said(found.prompt):
            raise InvalidRequest(
                "prompt: a stored prompt is known only to OpenAI; send its text in `instructions` and `input`.",
                param="prompt",
            )
        unsaid = _unsaid(found, members)
        turns = decode_input(found.input)
        if found.instructions:
            turns = (Turn("system", (Text(found.instructions),)), *turns)
        choice, allowed = _decode_choice(found)
        tools = _decode_tools(found.tools or [], unsaid)
    except UNREADABLE as error:
        refuse_body(error, "Responses request")
    if allowed is not None:
        tools = tuple(tool for tool in tools if tool.name in allowed or tool.bare_name in allowed)
    if choice is not None and choice.name and all(tool.name != choice.name for tool in tools):
        raise InvalidRequest(f"tool_choice names {choice.name!r}, which is not among `tools`.", param="tool_choice")
    extra = {name: value for name, value in members.items() if name in _SHARED and is_said(value)}
    if found.text and found.text.verbosity:
        extra["verbosity"] = Raw(msgspec.json.encode(found.text.verbosity))
    return Ask(
        model=found.model,
        turns=turns,
        is_stream=found.stream is True,
        tools=tools,
        tool_choice=choice,
        output_format=_decode_format(found.text),
        reasoning=_decode_reasoning(found),
        output_tokens_max=found.max_output_tokens,
        temperature=found.temperature,
        top_p=found.top_p,
        user=found.user or found.safety_identifier or "",
        extra=extra,
        unsaid=tuple(unsaid),
    )


def _unsaid(found: _Request, members: dict[str, Raw]) -> list[str]:
    """The members that no other dialect has a word for."""
    known = _SHARED | _OURS | set(_Request.__struct_fields__)
    unsaid = [
        name
        for name, value in members.items()
        if name not in known and is_said(value) and bytes(value).replace(b" ", b"") not in _DEFAULTS.get(name, ())
    ]
    unsaid += [f"include[{i}]" for i, name in enumerate(found.include or ()) if name != _ENCRYPTED]
    if found.reasoning:
        unsaid += [f"reasoning.{name}" for name in ("mode", "context") if getattr(found.reasoning, name)]
    return unsaid


def _decode_reasoning(found: _Request) -> Reasoning | None:
    is_encrypted = _ENCRYPTED in (found.include or ())
    said = found.reasoning
    if said is None:
        return Reasoning(is_encrypted=True) if is_encrypted else None
    summary = said.summary or said.generate_summary or ""
    shown = False if said.exclude else (True if summary else None)
    effort: Effort | None = said.effort or ("none" if said.enabled is False else None)
    if said.enabled and effort is None and said.max_tokens is None:
        effort = "medium"  # OpenRouter's reading of `enabled`
    return Reasoning(
        effort=effort, budget_tokens=said.max_tokens, shown=shown, summary=summary, is_encrypted=is_encrypted
    )


def _decode_format(text: _TextConfig | None) -> OutputFormat | None:
    if text is None or text.format is None:
        return None
    said = text.format
    if said.type == "text":
        return OutputFormat("text")
    if said.type == "json_object":
        return OutputFormat("json")
    if said.type != "json_schema":
        raise InvalidRequest(
            f"text.format.type is {said.type[:40]!r}; known are text, json_object and json_schema.", param="text.format"
        )
    if not said.schema or not is_said(said.schema):
        raise InvalidRequest("text.format.schema is missing: a json_schema needs one.", param="text.format.schema")
    return OutputFormat("json_schema", said.name or "", said.description or "", said.schema, said.strict)


def _decode_tools(raw_tools: list[Raw], unsaid: list[str]) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for index, raw in enumerate(raw_tools):
        place = f"tools[{index}]"
        said = decode_member(_tool_decoder, raw, place)
        if said.type == "namespace" and said.name:
            for inner, member in enumerate(said.tools or ()):
                inner_place = f"{place}.tools[{inner}]"
                inner_said = decode_member(_tool_decoder, member, inner_place)
                tools.append(_decode_tool(inner_said, inner_place, said.name, unsaid))
        else:
            tools.append(_decode_tool(said, place, "", unsaid))
    return tuple(tools)


def _decode_tool(said: _Tool, place: str, namespace: str, unsaid: list[str]) -> Tool:
    if said.type not in ("function", "custom"):
        raise InvalidRequest(
            f"{place}: tools of type {said.type[:40]!r} are run by OpenAI's own service, and this model is served "
            "elsewhere. Leave it out, or choose a model that its maker serves.",
            param=place,
        )
    if not said.name:
        raise InvalidRequest(f"{place}.name is missing.", param=f"{place}.name")
    if said.defer_loading:
        unsaid.append(f"{place}.defer_loading")
    if said.allowed_callers and said.allowed_callers != ["direct"]:
        unsaid.append(f"{place}.allowed_callers")
    if is_said(said.output_schema):
        unsaid.append(f"{place}.output_schema")
    name = qualified(namespace, said.name)
    description = said.description or ""
    if said.type == "custom":
        grammar = _grammar(said.format)
        if grammar:
            unsaid.append(f"{place}.format")
            description = f"{description}\n\nThe input must follow this grammar:\n{grammar}".strip()
        return Tool(name, description, FREEFORM_SCHEMA, is_freeform=True, namespace=namespace)
    schema = said.parameters if is_said(said.parameters) else Raw(b"")
    return Tool(name, description, schema, said.strict, namespace=namespace)


def _grammar(said: Raw) -> str:
    """The text of a custom tool's grammar; empty where any text will do."""
    found: Any = msgspec.json.decode(said)
    definition = found.get("definition") if isinstance(found, dict) else None
    return definition if isinstance(definition, str) else ""


def qualified(namespace: str, name: str) -> str:
    """The one name of a tool that stands in a namespace."""
    return f"{namespace}{NAMESPACE_SEPARATOR}{name}" if namespace else name


def _decode_choice(found: _Request) -> tuple[ToolChoice | None, set[str] | None]:
    """The choice, and the names of the only tools that may be called; None where all may."""
    parallel = found.parallel_tool_calls
    if not is_said(found.tool_choice):
        return (None if parallel is None else ToolChoice(parallel=parallel)), None
    said = decode_member(_choice_decoder, found.tool_choice, "tool_choice")
    word = said if isinstance(said, str) else ""
    if word in ("auto", "none", "required"):
        return ToolChoice(word, parallel=parallel), None  # type: ignore[arg-type]  # one of the three, as seen
    if isinstance(said, _Choice):
        if said.type in ("function", "custom") and said.name:
            return ToolChoice("tool", said.name, parallel), None
        if said.type == "allowed_tools":
            return ToolChoice("required" if said.mode == "required" else "auto", parallel=parallel), {
                tool.name for tool in said.tools or () if tool.name
            }
        word = said.type
    raise InvalidRequest(
        f"tool_choice: {word[:40]!r} cannot be chosen here; known are auto, none, required, a function, a custom "
        "tool, and allowed_tools of these.",
        param="tool_choice",
    )
