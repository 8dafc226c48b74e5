"""An `Ask` into a provider's chat request. How a provider departs from OpenAI is in its `Quirks`."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.core.facts import Quirks
from tidegate.wire.conversation import Ask, CacheMark, Effort, Encoded, OutputFormat, Reasoning, Tool
from tidegate.wire.openai_chat_turns import write_turns

EXTRAS: Final = frozenset(
    {
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "service_tier",
        "metadata",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "store",
        "verbosity",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "modalities",
        "prediction",
    }
)
SAMPLING_EXTRAS: Final = frozenset({"top_k", "min_p", "top_a", "repetition_penalty"})

EFFORT_FROM_TOKENS: Final[tuple[tuple[int, Effort], ...]] = ((0, "none"), (4_095, "low"), (16_383, "medium"))
"""The effort that a budget of thinking tokens up to this stands for; `high` above. A negative budget is the model's."""

_encode = msgspec.json.Encoder().encode
ANY_OBJECT: Final = Raw(b'{"type":"object","properties":{}}')


def encode_ask(ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
    """Raises InvalidRequest for what a chat request has no place for and whose loss would change the answer."""
    dropped: list[str] = []
    body: dict[str, Any] = {"model": upstream_model, "messages": write_turns(ask.turns, quirks, dropped)}
    if ask.is_stream:
        body["stream"] = True
        if not quirks.no_stream_usage:
            body["stream_options"] = {"include_usage": True}
    if ask.tools:
        body["tools"] = [_tool(tool, quirks, dropped) for tool in ask.tools]
    _add_tool_choice(body, ask, quirks, dropped)
    if ask.output_format is not None:
        form = _format(ask.output_format, quirks, dropped)
        if form is not None:
            body["response_format"] = form
    if ask.reasoning is not None:
        _add_reasoning(body, ask.reasoning, quirks, dropped)
    if ask.output_tokens_max is not None:
        body[quirks.output_tokens_field or "max_tokens"] = ask.output_tokens_max
    for name, value in (("temperature", ask.temperature), ("top_p", ask.top_p), ("user", ask.user or None)):
        if value is not None:
            body[name] = value
    if ask.stop:
        body["stop"] = list(ask.stop)
    for name, raw in ask.extra.items():
        is_known = name in EXTRAS or (name in SAMPLING_EXTRAS and quirks.takes_sampling_extras)
        if is_known or (name == "cache_control" and quirks.takes_cache_control):
            body[name] = raw
        else:
            dropped.append(name)
    return Encoded(_encode(body), tuple(dict.fromkeys(dropped)))


def write_mark(target: dict[str, Any], cache: CacheMark | None, quirks: Quirks, dropped: list[str]) -> dict[str, Any]:
    if cache is None:
        return target
    if not quirks.takes_cache_control:
        dropped.append("cache_control")
        return target
    return target | {"cache_control": {"type": "ephemeral"} | ({"ttl": cache.ttl} if cache.ttl else {})}


def _tool(tool: Tool, quirks: Quirks, dropped: list[str]) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.schema if bytes(tool.schema) else ANY_OBJECT
    if tool.strict is not None and not quirks.no_json_schema:
        function["strict"] = tool.strict
    return write_mark({"type": "function", "function": function}, tool.cache, quirks, dropped)


def _add_tool_choice(body: dict[str, Any], ask: Ask, quirks: Quirks, dropped: list[str]) -> None:
    choice = ask.tool_choice
    if choice is None or not ask.tools:
        return
    if choice.mode == "tool":
        body["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.mode != "auto":
        body["tool_choice"] = choice.mode
    if choice.parallel is not None:
        if quirks.no_parallel_tools:
            dropped.append("parallel_tool_calls")
        else:
            body["parallel_tool_calls"] = choice.parallel


def _format(form: OutputFormat, quirks: Quirks, dropped: list[str]) -> dict[str, Any] | None:
    if form.kind == "text":
        return None
    if form.kind == "json":
        return {"type": "json_object"}
    if quirks.no_json_schema:
        dropped.append("response_format.json_schema")
        return {"type": "json_object"}
    said: dict[str, Any] = {"name": form.name or "answer"}
    if form.description:
        said["description"] = form.description
    said["schema"] = form.schema if bytes(form.schema) else ANY_OBJECT
    if form.strict is not None:
        said["strict"] = form.strict
    return {"type": "json_schema", "json_schema": said}


def effort_of(reasoning: Reasoning) -> Effort | None:
    """The effort asked for, in words; None where the model is to choose."""
    budget = reasoning.budget_tokens
    if reasoning.effort is not None or budget is None or budget < 0:
        return reasoning.effort
    return next((word for tokens, word in EFFORT_FROM_TOKENS if budget <= tokens), "high")


def _add_reasoning(body: dict[str, Any], reasoning: Reasoning, quirks: Quirks, dropped: list[str]) -> None:
    """How much to think: OpenAI's `reasoning_effort`, or the provider's own switch, which knows on and off only."""
    effort = effort_of(reasoning)
    if effort is None and not reasoning.is_adaptive:
        return
    is_on = effort != "none"
    switch = quirks.thinking_switch
    if switch == "":
        if effort is not None:
            body["reasoning_effort"] = effort
        return
    if switch == "thinking":
        body["thinking"] = {"type": "enabled" if is_on else "disabled"}
    elif switch == "chat_template_kwargs":
        body["chat_template_kwargs"] = {"enable_thinking": is_on}
    else:
        body["enable_thinking"] = is_on
        if is_on and reasoning.budget_tokens is not None and reasoning.budget_tokens > 0:
            body["thinking_budget"] = reasoning.budget_tokens
            return
    if is_on and effort not in (None, "medium"):
        dropped.append("reasoning_effort")
