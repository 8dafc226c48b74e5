"""A Messages request into an `Ask`: what the caller said, in the words of no dialect.

Sources: Anthropic's API reference of Messages and the types of its Python SDK 2.12.0.
"""

from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
from tidegate.wire.anthropic_blocks import BlockReader, Cache, TextBlock, cache_mark, decode_at
from tidegate.wire.conversation import Ask, Effort, OutputFormat, Reasoning, Text, Tool, ToolChoice, Turn
from tidegate.wire.unreadable import UNREADABLE, refuse_body

NOT_SENT: Final = Raw(b"")
NULL: Final = Raw(b"null")

OF_THE_GATEWAY: Final = frozenset(("provider", "session_id"))
"""OpenRouter's members that the gateway itself answers to; its others (`models`, `plugins`, ...) nothing serves yet."""
_TOOL_READ: Final = frozenset(("type", "name", "description", "input_schema", "cache_control", "strict"))
_TIERS: Final = {b'"auto"': Raw(b'"auto"'), b'"standard_only"': Raw(b'"default"')}  # in OpenAI's words


class _Message(Struct, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[Raw]


class _Metadata(Struct, frozen=True):
    user_id: str | None = None


class _ToolChoice(Struct, frozen=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(Struct, frozen=True):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: str | None = None


class _Format(Struct, frozen=True):
    type: Literal["json_schema"]
    schema: dict[str, Raw]


class _OutputConfig(Struct, frozen=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _Format | None = None


class _Tool(Struct, frozen=True):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Raw] = {}
    cache_control: Cache | None = None
    strict: bool | None = None


class _Request(Struct, frozen=True):
    """The members that have a type of their own; tools are read one by one, for the sake of their places."""

    model: str
    messages: list[_Message]
    max_tokens: int | None = None
    system: str | list[Raw] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] | None = None
    metadata: _Metadata | None = None
    tools: list[Raw] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None


_READ: Final = {"top_k", "service_tier", "cache_control", "inference_geo", "mcp_servers"} | set(
    _Request.__struct_fields__
)
_request_decoder = msgspec.json.Decoder(_Request)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_tool_decoder = msgspec.json.Decoder(_Tool)
_text_decoder = msgspec.json.Decoder(TextBlock)
_encoder = msgspec.json.Encoder()


def decode_request(body: bytes) -> Ask:
    """Raises InvalidRequest naming the place and what was expected, or what only Anthropic's own API can do."""
    try:
        body.decode()  # schemas and arguments travel as they are, and nobody else looks into them
        request = _request_decoder.decode(body)
        members = _members_decoder.decode(body)
        return _ask(request, members)
    except UNREADABLE as error:
        refuse_body(error, "Messages request")


def _ask(request: _Request, members: dict[str, Raw]) -> Ask:
    reader = BlockReader()
    _refuse_what_only_anthropic_does(members)
    turns = _system(request.system, reader)
    for number, message in enumerate(request.messages):
        turns.append(Turn(message.role, reader.parts(message.content, f"messages[{number}].content")))
    tools = [_tool(raw, f"tools[{number}]", reader.unsaid) for number, raw in enumerate(request.tools or ())]
    reasoning = _reasoning(request, reader.unsaid)
    said = {name for name, value in members.items() if value != NULL}
    reader.unsaid += sorted(said - _READ - OF_THE_GATEWAY)
    if "output_config" in said:
        inside = _members_decoder.decode(members["output_config"])
        reader.unsaid += [f"output_config.{name}" for name in inside if name not in ("effort", "format")]
    return Ask(
        model=request.model,
        turns=tuple(turn for turn in turns if turn.parts),
        is_stream=request.stream is True,
        tools=tuple(tools),
        tool_choice=_tool_choice(request.tool_choice),
        output_format=_output_format(request),
        reasoning=reasoning,
        output_tokens_max=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=tuple(request.stop_sequences or ()),
        user=(request.metadata and request.metadata.user_id) or "",
        extra=_extra(members, reader.unsaid),
        unsaid=tuple(reader.unsaid),
    )


def _refuse_what_only_anthropic_does(members: dict[str, Raw]) -> None:
    servers = members.get("mcp_servers", NULL)
    if servers != NULL and bytes(servers).strip() != b"[]":
        raise InvalidRequest(
            "mcp_servers: servers that Anthropic calls itself are not there for a model of another provider; "
            "offer their tools in `tools`, or choose a model that Anthropic serves.",
            param="mcp_servers",
        )
    place = members.get("inference_geo", NULL)
    if place not in (NULL, Raw(b'"global"')):
        raise InvalidRequest(
            "inference_geo: the provider of this model cannot promise where it computes; leave the field out, or "
            "choose a model that Anthropic serves.",
            param="inference_geo",
        )


def _system(system: str | list[Raw] | None, reader: BlockReader) -> list[Turn]:
    if not system:
        return []
    if isinstance(system, str):
        return [Turn("system", (Text(system),))]
    places = [(raw, f"system[{number}]") for number, raw in enumerate(system)]
    return [Turn("system", tuple(reader.text(decode_at(_text_decoder, raw, place), place) for raw, place in places))]


def _tool(raw: Raw, place: str, unsaid: list[str]) -> Tool:
    found = decode_at(_tool_decoder, raw, place)
    if found.type not in (None, "custom"):
        raise InvalidRequest(
            f"{place}: a tool of type {found.type[:100]!r} is Anthropic's own; a model of another provider does not "
            "know it. Describe it with `name` and `input_schema`, or choose a model that Anthropic serves.",
            param=f"{place}.type",
        )
    members = _members_decoder.decode(raw)
    unsaid += [f"{place}.{name}" for name, value in members.items() if name not in _TOOL_READ and value != NULL]
    return Tool(
        name=found.name,
        description=found.description or "",
        schema=Raw(bytes(members["input_schema"])) if found.input_schema else NOT_SENT,
        strict=found.strict,
        cache=cache_mark(found.cache_control),
    )


def _tool_choice(choice: _ToolChoice | None) -> ToolChoice | None:
    if choice is None:
        return None
    disabled = choice.disable_parallel_tool_use
    parallel = None if disabled is None else not disabled
    if choice.type == "tool":
        if not choice.name:
            raise InvalidRequest("tool_choice.name: a choice of type 'tool' names the tool.", param="tool_choice.name")
        return ToolChoice("tool", choice.name, parallel)
    return ToolChoice("required" if choice.type == "any" else choice.type, "", parallel)


def _reasoning(request: _Request, unsaid: list[str]) -> Reasoning | None:
    """`thinking` and `output_config.effort` as one. Without thinking, an effort says how long the answer may be, for
    which other dialects have no word."""
    thinking, config = request.thinking, request.output_config
    effort: Effort | None = config.effort if config is not None else None
    if thinking is None:
        return Reasoning(effort=effort) if effort is not None else None
    if thinking.type in ("disabled", "between_tools"):
        if effort is not None:
            unsaid.append("output_config.effort")
        if thinking.type == "between_tools":
            unsaid.append("thinking.type")
        return Reasoning(effort="none")
    if thinking.type == "enabled" and thinking.budget_tokens is None:
        place = "thinking.budget_tokens"
        raise InvalidRequest(f"{place}: thinking of type 'enabled' has a budget of at least 1024 tokens.", param=place)
    shown = {"summarized": True, "omitted": False}.get(thinking.display or "")
    if thinking.type == "enabled":
        return Reasoning(effort=effort, budget_tokens=thinking.budget_tokens, shown=shown)
    return Reasoning(effort=effort, is_adaptive=True, shown=shown)


def _output_format(request: _Request) -> OutputFormat | None:
    """`output_format` is what `output_config.format` was called in its beta. A schema always holds strictly."""
    asked = (request.output_config and request.output_config.format) or request.output_format
    if asked is None:
        return None
    return OutputFormat("json_schema", schema=Raw(_encoder.encode(asked.schema)), strict=True)


def _extra(members: dict[str, Raw], unsaid: list[str]) -> dict[str, Raw]:
    extra = {name: members[name] for name in ("top_k", "cache_control") if members.get(name, NULL) != NULL}
    tier = bytes(members.get("service_tier", NULL))
    if tier in _TIERS:
        extra["service_tier"] = _TIERS[tier]
    elif tier != b"null":
        unsaid.append("service_tier")
    return {name: Raw(bytes(value)) for name, value in extra.items()}
