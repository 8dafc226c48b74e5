"""Requests to Amazon Bedrock's Converse, the same for every model that it serves.

What Converse itself has no word for but the model's maker has goes in `additionalModelRequestFields`; which maker that
is stands in the model's id. The model and whether to stream stand in the path, not in the body.
"""

from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.anthropic_models import abilities_of
from tidegate.wire.bedrock_media import Json
from tidegate.wire.bedrock_thinking import Thought, encode_thinking
from tidegate.wire.bedrock_turns import CACHING, cache_point, encode_turns
from tidegate.wire.conversation import Ask, Encoded, OutputFormat, Tool

_MAKERS: Final = frozenset(
    {
        "ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "luma", "meta", "minimax", "mistral", "moonshot",
        "moonshotai", "nvidia", "openai", "qwen", "stability", "twelvelabs", "writer", "zai",
    }
)  # fmt: skip
_TIERS: Final = ("default", "flex", "priority", "reserved")
_TOP_P_MIN: Final = 0.95  # of Claude's, while it thinks
_object = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def maker_of(model: str) -> str:
    """Who made a model, by its id ("us.anthropic.claude-...") or ARN; empty for a profile's ARN, which says nothing."""
    for piece in model.lower().rpartition("/")[2].split("."):
        if piece in _MAKERS:
            return piece
    return ""


def encode_request(ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
    """The body of Converse and ConverseStream. Raises InvalidRequest for what Bedrock cannot be told."""
    maker = maker_of(upstream_model)
    turns = encode_turns(ask, upstream_model, maker)
    dropped = turns.dropped
    thought = encode_thinking(ask, upstream_model, maker)
    if thought.is_dropped:
        dropped.append("reasoning")
    body: Json = {"messages": turns.messages}
    if turns.system:
        body["system"] = turns.system
    if inference := _inference(ask, upstream_model, maker, thought, dropped):
        body["inferenceConfig"] = inference
    if tools := _tool_config(ask, maker, turns.tools_used, dropped):
        body["toolConfig"] = tools
    if output := _output_config(ask.output_format, quirks, thought, dropped):
        body["outputConfig"] = output
    members, fields, unsaid = _extras(ask, upstream_model, maker, thought.is_on)
    body |= members
    dropped += unsaid
    if fields := thought.fields | fields:
        body["additionalModelRequestFields"] = fields
    if ask.stop and maker == "anthropic":
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    return Encoded(_encoder.encode(body), tuple(dict.fromkeys(dropped)))


def _inference(ask: Ask, model: str, maker: str, thought: Thought, dropped: list[str]) -> Json:
    config: Json = {}
    if ask.output_tokens_max is not None:
        config["maxTokens"] = ask.output_tokens_max
    temperature, top_p = ask.temperature, ask.top_p
    if maker == "anthropic":
        able = abilities_of(model)
        if temperature is not None and temperature > 1:
            temperature = 1.0
            dropped.append("temperature")
        if temperature is not None and (not able.takes_sampling or (thought.is_on and temperature != 1)):
            temperature = None
            dropped.append("temperature")
        too_narrow = thought.is_on and top_p is not None and top_p < _TOP_P_MIN
        both = able.one_sampler and temperature is not None
        if top_p is not None and (not able.takes_sampling or too_narrow or both):
            top_p = None
            dropped.append("top_p")
    if temperature is not None:
        config["temperature"] = temperature
    if top_p is not None:
        config["topP"] = top_p
    if ask.stop:
        config["stopSequences"] = list(ask.stop)
    return config


def _tool_config(ask: Ask, maker: str, used: list[str], dropped: list[str]) -> Json:
    """Tools and the choice among them. Converse wants the tools of a conversation named wherever one was called."""
    choice = ask.tool_choice
    offered = () if choice is not None and choice.mode == "none" and not used else ask.tools
    tools: list[Json] = []
    for tool in offered:
        tools.append(_tool(tool))
        if tool.cache is not None:
            if maker in CACHING:
                tools.append(cache_point(tool.cache))
            else:
                dropped.append("cache_control")
    known = {tool.name for tool in offered}
    tools += [_tool(Tool(name)) for name in dict.fromkeys(used) if name not in known]
    if not tools:
        return {}
    config: Json = {"tools": tools}
    if choice is not None:
        if choice.mode == "required":
            config["toolChoice"] = {"any": {}}
        elif choice.mode == "tool":
            config["toolChoice"] = {"tool": {"name": choice.name}}
        elif choice.mode == "none":
            dropped.append("tool_choice")
        if choice.parallel is False:
            dropped.append("parallel_tool_calls")
    return config


def _tool(tool: Tool) -> Json:
    spec: Json = {"name": tool.name, "inputSchema": {"json": _schema(tool)}}
    if tool.description.strip():
        spec["description"] = tool.description
    if tool.strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _schema(tool: Tool) -> Raw | Json:
    """A tool's schema, which must say that it is an object's."""
    if not tool.schema:
        return {"type": "object", "properties": {}}
    try:
        schema = _object.decode(tool.schema)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(
            f"The parameters of the tool {tool.name[:100]!r} must be a JSON Schema, an object.", param="tools"
        ) from None
    return tool.schema if "type" in schema else {"type": "object", **schema}


def _output_config(wanted: OutputFormat | None, quirks: Quirks, thought: Thought, dropped: list[str]) -> Json:
    config: Json = {}
    if thought.effort:
        config["effort"] = thought.effort
    if wanted is None or wanted.kind == "text":
        return config
    if wanted.kind == "json" or quirks.no_json_schema or not wanted.schema:
        dropped.append("response_format")
        return config
    try:
        schema: Json = {"schema": str(wanted.schema, "utf-8")}
    except UnicodeDecodeError:
        raise InvalidRequest("The schema of the answer's format is not UTF-8.", param="response_format") from None
    if wanted.name:
        schema["name"] = wanted.name
    if wanted.description:
        schema["description"] = wanted.description
    config["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    return config


def _extras(ask: Ask, model: str, maker: str, is_thinking: bool) -> tuple[Json, Json, list[str]]:
    """The members that dialects share by name: those of the body, those of the model's maker, those nobody can say."""
    body: Json = {}
    fields: Json = {}
    dropped = []
    takes_top_k = maker in ("", "anthropic") and not is_thinking and abilities_of(model).takes_sampling
    for name, raw in ask.extra.items():
        if name == "service_tier":
            tier = msgspec.json.decode(raw)
            if tier in _TIERS:
                body["serviceTier"] = {"type": tier}
            elif tier != "auto":
                dropped.append(name)
        elif name == "top_k" and takes_top_k:
            fields["top_k"] = raw
        elif name == "top_k" and maker == "amazon":
            fields["inferenceConfig"] = {"topK": raw}
        else:
            dropped.append(name)
    if ask.user:
        dropped.append("user")
    return body, fields, dropped
