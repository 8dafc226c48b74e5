"""A caller's chat request into an `Ask`.

What no other dialect can say and whose loss would change the answer is refused here, by name; what is merely lost is
named in `Ask.unsaid`. Sealed thoughts come back as they went out: in `reasoning_details` of assistant messages.
"""

from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
from tidegate.wire.conversation import Ask, CacheMark, Effort, OutputFormat, Reasoning, Tool, ToolChoice
from tidegate.wire.openai_chat_head import StreamOptions
from tidegate.wire.openai_chat_messages import AskMessage, CacheControl, read_messages
from tidegate.wire.openai_chat_quirks import ANSWERED
from tidegate.wire.unreadable import UNREADABLE, refuse_body

EXTRAS: Final = frozenset(
    {
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "top_k",
        "min_p",
        "top_a",
        "repetition_penalty",
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
        "cache_control",
    }
)
"""Members that others may know by the same name; each encoder takes those it can say and lists the rest."""

OURS: Final = frozenset({*ANSWERED, "include_reasoning", "chat_template_kwargs"})
"""Members that the gateway itself answers to, or that were read here."""


class _Function(Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: Raw = Raw(b"")
    strict: bool | None = None


class _Tool(Struct, frozen=True):
    type: str = "function"
    function: _Function | None = None
    cache_control: CacheControl | None = None


class _Named(Struct, frozen=True):
    name: str


class _Allowed(Struct, frozen=True):
    mode: Literal["auto", "required"] = "auto"
    tools: list["_Choice"] = []


class _Choice(Struct, frozen=True):
    type: str = "function"
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


class _JsonSchema(Struct, frozen=True):
    name: str = ""
    description: str | None = None
    schema: Raw = Raw(b"")
    strict: bool | None = None


class _Format(Struct, frozen=True):
    type: str
    json_schema: _JsonSchema | None = None


class _Reasoning(Struct, frozen=True):
    effort: Effort | None = None
    max_tokens: int | None = None
    exclude: bool | None = None
    enabled: bool | None = None
    summary: str | None = None


class _Thinking(Struct, frozen=True):
    type: str = "enabled"
    budget_tokens: int | None = None


class _Template(Struct, frozen=True):
    enable_thinking: bool | None = None
    thinking: bool | None = None


class ChatRequest(Struct, frozen=True):
    """The members of a chat request that the hub has a place for. Unknown ones are counted by `decode_ask`."""

    model: str
    messages: list[AskMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[_Tool] | None = None
    functions: list[_Function] | None = None
    tool_choice: str | _Choice | None = None
    function_call: str | _Named | None = None
    parallel_tool_calls: bool | None = None
    response_format: _Format | None = None
    reasoning: _Reasoning | None = None
    reasoning_effort: Effort | None = None
    thinking: _Thinking | None = None
    enable_thinking: bool | None = None
    thinking_budget: int | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    user: str | None = None
    n: int | None = None
    audio: Raw = Raw(b"null")
    web_search_options: Raw = Raw(b"null")


_request_decoder = msgspec.json.Decoder(ChatRequest)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_template_decoder = msgspec.json.Decoder(_Template | None)
_modalities_decoder = msgspec.json.Decoder(list[str] | None)
KNOWN: Final = frozenset(ChatRequest.__struct_fields__)


def decode_ask(body: bytes) -> Ask:
    """Read a chat request. Raises InvalidRequest naming the place and what was expected."""
    try:
        body.decode()  # schemas travel as they are, and nobody else looks into them
        asked = _request_decoder.decode(body)
        members = _members_decoder.decode(body)
    except UNREADABLE as error:
        refuse_body(error, "chat completion request")
    _refuse_what_others_lack(asked, members)
    rest = {name: raw for name, raw in members.items() if name not in KNOWN and bytes(raw) != b"null"}
    tools, is_legacy = _tools(asked)
    choice, names = _tool_choice(asked)
    if names is not None:
        tools = tuple(tool for tool in tools if tool.name in names)
    return Ask(
        model=asked.model,
        turns=read_messages(asked.messages),
        is_stream=asked.stream is True,
        wants_usage=asked.stream is not True or bool(asked.stream_options and asked.stream_options.include_usage),
        tools=tools,
        tool_choice=choice,
        output_format=_output_format(asked.response_format),
        reasoning=_reasoning(asked, members),
        output_tokens_max=asked.max_completion_tokens or asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        user=asked.user or "",
        extra={name: Raw(bytes(raw)) for name, raw in rest.items() if name in EXTRAS},
        unsaid=tuple(name for name in rest if name not in EXTRAS and name not in OURS),
        legacy_functions=is_legacy,
    )


def _refuse_what_others_lack(asked: ChatRequest, members: dict[str, Raw]) -> None:
    if asked.n is not None and asked.n > 1:
        raise InvalidRequest(
            f"n is {asked.n}, but this model's provider gives one answer to a request. Leave n out and ask again for "
            "each further answer.",
            param="n",
        )
    try:
        modalities = _modalities_decoder.decode(members.get("modalities", b"null"))
    except UNREADABLE:
        raise InvalidRequest("modalities is not a list of words such as text and audio.", param="modalities") from None
    if bytes(asked.audio) != b"null" or "audio" in (modalities or ()):
        raise InvalidRequest(
            "An answer in audio was asked for, which this model's provider cannot give through another dialect. "
            'Leave out audio, and "audio" in modalities.',
            param="audio",
        )
    if bytes(asked.web_search_options) != b"null":
        raise InvalidRequest(
            "web_search_options asks OpenAI to search the web; this model's provider is another. Leave it out.",
            param="web_search_options",
        )


def mark(control: CacheControl | None) -> CacheMark | None:
    return CacheMark(control.ttl or "") if control is not None else None


def _tools(asked: ChatRequest) -> tuple[tuple[Tool, ...], bool]:
    """The tools, and whether they were offered as `functions`."""
    if asked.tools is None and asked.functions is not None:
        return tuple(_tool(function, None) for function in asked.functions), True
    tools = []
    for at, tool in enumerate(asked.tools or ()):
        if tool.type != "function" or tool.function is None:
            raise InvalidRequest(
                f"tools[{at}] is of type {tool.type[:40]!r}. Only tools of type 'function', with a member function, "
                "reach a provider of another dialect.",
                param=f"tools[{at}].type" if tool.type != "function" else f"tools[{at}].function",
            )
        tools.append(_tool(tool.function, tool.cache_control))
    return tuple(tools), False


def _tool(function: _Function, control: CacheControl | None) -> Tool:
    schema = Raw(bytes(function.parameters)) if bytes(function.parameters) != b"null" else Raw(b"")
    return Tool(function.name, function.description or "", schema, function.strict, mark(control))


def _tool_choice(asked: ChatRequest) -> tuple[ToolChoice | None, set[str] | None]:
    """The choice, and the names it narrows the tools to (`allowed_tools`)."""
    choice, parallel, names = asked.tool_choice, asked.parallel_tool_calls, None
    if choice is None and asked.function_call is not None:
        call = asked.function_call
        choice = call if isinstance(call, str) else _Choice(function=_Named(call.name))
    if isinstance(choice, _Choice) and choice.type == "allowed_tools" and choice.allowed_tools is not None:
        names = {one.function.name for one in choice.allowed_tools.tools if one.function is not None}
        choice = choice.allowed_tools.mode
    if isinstance(choice, _Choice) and choice.type == "function" and choice.function is not None:
        return ToolChoice("tool", choice.function.name, parallel), names
    if choice is None:
        return (ToolChoice("auto", parallel=parallel) if parallel is not None else None), names
    modes: dict[object, Literal["auto", "none", "required"]] = {
        "auto": "auto",
        "none": "none",
        "required": "required",
        "any": "required",  # Mistral
    }
    if not isinstance(choice, str) or choice not in modes:
        seen = choice if isinstance(choice, str) else choice.type
        raise InvalidRequest(
            f"tool_choice is {seen[:40]!r}; accepted are auto, none, required, an object of type function, and one of "
            "type allowed_tools.",
            param="tool_choice",
        )
    return ToolChoice(modes[choice], parallel=parallel), names


def _output_format(found: _Format | None) -> OutputFormat | None:
    if found is None:
        return None
    if found.type == "text":
        return OutputFormat("text")
    if found.type == "json_object":
        return OutputFormat("json")
    if found.type == "json_schema" and found.json_schema is not None:
        said = found.json_schema
        return OutputFormat("json_schema", said.name, said.description or "", Raw(bytes(said.schema)), said.strict)
    raise InvalidRequest(
        f"response_format is of type {found.type[:40]!r}; accepted are text, json_object, and json_schema with a "
        "member json_schema.",
        param="response_format",
    )


def _reasoning(asked: ChatRequest, members: dict[str, Raw]) -> Reasoning | None:
    """How much to think, in OpenAI's word, in OpenRouter's, or in one of the providers' switches."""
    said, budget = asked.reasoning, asked.thinking_budget
    effort, is_adaptive = asked.reasoning_effort, False
    shown = {b"true": True, b"false": False}.get(bytes(members.get("include_reasoning", b"")))
    switch = asked.enable_thinking
    if switch is None and "chat_template_kwargs" in members:
        switch = _template_switch(members["chat_template_kwargs"])
    if asked.thinking is not None:
        budget = asked.thinking.budget_tokens if asked.thinking.budget_tokens is not None else budget
        is_adaptive = asked.thinking.type in ("adaptive", "auto")
        switch = asked.thinking.type != "disabled" if not is_adaptive else switch
    if said is not None:
        effort = said.effort or effort
        budget = said.max_tokens if said.max_tokens is not None else budget
        switch = said.enabled if said.enabled is not None else switch
        shown = not said.exclude if said.exclude is not None else shown
    if effort is None and budget is None and switch is not None:
        effort = "medium" if switch else "none"
    summary = (said and said.summary) or ""
    if effort is None and budget is None and shown is None and not is_adaptive and not summary:
        return None
    return Reasoning(effort, budget, is_adaptive, shown, summary)


def _template_switch(raw: Raw) -> bool | None:
    try:
        found: _Template | None = _template_decoder.decode(raw)
    except UNREADABLE:
        return None
    if found is None:
        return None
    return found.enable_thinking if found.enable_thinking is not None else found.thinking
