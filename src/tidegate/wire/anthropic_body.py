"""An `Ask` into a Messages request."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.core.facts import Quirks
from tidegate.wire.anthropic_models import Abilities, abilities_of
from tidegate.wire.anthropic_thinking import encode_thinking
from tidegate.wire.anthropic_turns import Turns
from tidegate.wire.conversation import Ask, Encoded, OutputFormat, Tool

USER_ID_CHARACTERS_MAX: Final = 256  # of `metadata.user_id`
_TIERS: Final = {b'"auto"': "auto", b'"default"': "standard_only", b'"priority"': "auto"}  # by OpenAI's words
_NOTHING: Final = frozenset((b"null", b"false", b"0", b"0.0", b"{}", b"[]"))  # values that ask for nothing
_EMPTY_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')

_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()

Json = dict[str, Any]


def encode_request(ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
    """Raises InvalidRequest for what cannot be left out without a change of meaning: audio, file ids."""
    able = abilities_of(upstream_model)
    turns = Turns(ask.turns, able)
    dropped = turns.dropped
    thought = encode_thinking(ask, able, is_calling=turns.ends_in_a_bare_call, dropped=dropped)
    body: Json = {"model": upstream_model, "max_tokens": thought.max_tokens}
    if turns.system:
        body["system"] = turns.system
    body["messages"] = turns.messages
    body |= _tools(ask, quirks, dropped)
    if thought.thinking is not None:
        body["thinking"] = thought.thinking
    if config := _output_config(ask.output_format, thought.effort, quirks, dropped):
        body["output_config"] = config
    body |= _sampling(ask, able, is_thinking=thought.is_on, dropped=dropped)
    if stop := [sequence for sequence in ask.stop if sequence.strip()]:
        body["stop_sequences"] = stop
    if len(stop) < len(ask.stop):
        dropped.append("stop")  # a sequence of spaces alone is refused
    body |= _rest(ask, dropped)
    if ask.is_stream:
        body["stream"] = True
    return Encoded(_encoder.encode(body), tuple(dict.fromkeys(dropped)))


def _tools(ask: Ask, quirks: Quirks, dropped: list[str]) -> Json:
    if not ask.tools:
        return {}
    body: Json = {"tools": [_tool(tool) for tool in ask.tools]}
    choice = ask.tool_choice
    if choice is None:
        return body
    told: Json = {"type": {"required": "any"}.get(choice.mode, choice.mode)}
    if choice.mode == "tool":
        told["name"] = choice.name
    if choice.parallel is False and choice.mode != "none":
        if quirks.no_parallel_tools:
            dropped.append("parallel_tool_calls")
        else:
            told["disable_parallel_tool_use"] = True
    return body | {"tool_choice": told}


def _tool(tool: Tool) -> Json:
    told: Json = {"name": tool.name}
    if tool.description:
        told["description"] = tool.description
    told["input_schema"] = _schema(tool.schema)
    if tool.strict:
        told["strict"] = True
    if tool.cache is not None:
        told["cache_control"] = {"type": "ephemeral"} | ({"ttl": tool.cache.ttl} if tool.cache.ttl else {})
    return told


def _schema(schema: Raw) -> Raw:
    """A tool's schema; Anthropic wants it to say that it is of an object."""
    if not bytes(schema).strip():
        return _EMPTY_SCHEMA
    try:
        members = _members_decoder.decode(schema)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return schema  # `true` and the like: the provider's to judge
    if "type" in members:
        return schema
    return Raw(_encoder.encode({"type": "object"} | members)) if members else _EMPTY_SCHEMA


def _output_config(wanted: OutputFormat | None, effort: str, quirks: Quirks, dropped: list[str]) -> Json:
    config: Json = {"effort": effort} if effort else {}
    if wanted is None or wanted.kind == "text":
        return config
    if wanted.kind == "json" or not wanted.schema or quirks.no_json_schema:
        dropped.append("response_format")  # there is no JSON without a schema here
    else:
        config["format"] = {"type": "json_schema", "schema": wanted.schema}
    return config


def _sampling(ask: Ask, able: Abilities, *, is_thinking: bool, dropped: list[str]) -> Json:
    """Temperature, top_p and top_k as far as the model takes them. Their defaults are never worth a word."""
    body: Json = {}
    is_free = able.takes_sampling and not (is_thinking and able.needs_signatures)
    temperature, top_p, top_k = ask.temperature, ask.top_p, ask.extra.get("top_k")
    if temperature is not None and (is_free or temperature == 1):
        body["temperature"] = temperature
        if able.one_sampler and temperature > 1:
            body["temperature"] = 1
            dropped.append("temperature")
    elif temperature is not None:
        dropped.append("temperature")
    if top_p is not None and is_free and (not able.one_sampler or temperature in (None, 1)):
        body["top_p"] = top_p
        if able.one_sampler:
            body.pop("temperature", None)  # not both, and 1 is its default
    elif top_p is not None and top_p != 1:
        dropped.append("top_p")
    if top_k is not None and is_free:
        body["top_k"] = top_k
    elif top_k is not None:
        dropped.append("top_k")
    return body


def _rest(ask: Ask, dropped: list[str]) -> Json:
    body: Json = {}
    if ask.user and len(ask.user) <= USER_ID_CHARACTERS_MAX:
        body["metadata"] = {"user_id": ask.user}
    elif ask.user:
        dropped.append("user")
    for name, value in ask.extra.items():
        if name == "cache_control":
            body[name] = value
        elif name == "service_tier" and bytes(value) in _TIERS:
            body[name] = _TIERS[bytes(value)]
        elif name != "top_k" and bytes(value) not in _NOTHING:
            dropped.append(name)
    return body
