"""An `Ask` into a Responses request for a provider."""

import hashlib
from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.conversation import (
    Ask,
    Effort,
    Encoded,
    Media,
    OutputFormat,
    Part,
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

Item = dict[str, Any]

OUTPUT_TOKENS_MIN: Final = 16  # the least that OpenAI's schema allows
CALL_ID_CHARS_MAX: Final = 64  # likewise
_NO_PARAMETERS: Final = Raw(b'{"type":"object","properties":{}}')
_SAID: Final = frozenset(
    (
        "metadata",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "safety_identifier",
        "verbosity",
    )
)
_EFFORT_OF_BUDGET: Final[tuple[tuple[int, Effort], ...]] = ((0, "none"), (1024, "low"), (8192, "medium"))
_FILE_NAMES: Final = {"application/pdf": "document.pdf", "text/plain": "document.txt"}


def encode_request(ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
    """Raises InvalidRequest for what the provider cannot take and the request cannot do without."""
    dropped: list[str] = []
    freeform = {tool.name for tool in ask.tools if tool.is_freeform}
    items = _Items(freeform, dropped, no_developer_role=quirks.no_developer_role)
    for turn in ask.turns:
        items.add(turn)
    # Nothing is stored: a caller of another dialect did not ask for it, and has no way to read it again.
    body: Item = {"model": upstream_model, "input": items.items, "store": False}
    if ask.is_stream:
        body["stream"] = True
    if ask.output_tokens_max is not None:
        body["max_output_tokens"] = max(ask.output_tokens_max, OUTPUT_TOKENS_MIN)
        if ask.output_tokens_max < OUTPUT_TOKENS_MIN:
            dropped.append("max_output_tokens")
    for name, value in (("temperature", ask.temperature), ("top_p", ask.top_p), ("user", ask.user or None)):
        if value is not None:
            body[name] = value
    if ask.stop:
        dropped.append("stop")
    _add_tools(body, ask, quirks, dropped)
    text = encode_text(ask.output_format, ask.extra.get("verbosity"), quirks, dropped)
    if text:
        body["text"] = text
    if ask.reasoning is not None:
        _add_reasoning(body, ask.reasoning)
    for name, raw in ask.extra.items():
        if name not in _SAID:
            dropped.append(name)
        elif name != "verbosity":
            body[name] = raw
    return Encoded(msgspec.json.encode(body), tuple(dict.fromkeys(dropped)))


def _add_tools(body: Item, ask: Ask, quirks: Quirks, dropped: list[str]) -> None:
    if not ask.tools:
        return
    body["tools"] = encode_tools(ask.tools)
    if any(tool.cache is not None for tool in ask.tools):
        dropped.append("cache_control")
    choice = ask.tool_choice
    if choice is None:
        return
    body["tool_choice"] = encode_choice(choice, ask.tools)
    if choice.parallel is not None:
        if quirks.no_parallel_tools:
            dropped.append("parallel_tool_calls")
        else:
            body["parallel_tool_calls"] = choice.parallel


def encode_tools(tools: tuple[Tool, ...]) -> list[Item]:
    """Tools as a request says them, and as a response repeats them.

    `strict` is always said: left out it means true here, and false in all other dialects.
    """
    found: list[Item] = []
    for tool in tools:
        if tool.is_freeform:
            found.append({"type": "custom", "name": tool.name, "description": tool.description})
            continue
        found.append(
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description or None,
                "parameters": tool.schema or _NO_PARAMETERS,
                "strict": tool.strict is True,
            }
        )
    return found


def encode_choice(choice: ToolChoice, tools: tuple[Tool, ...]) -> str | Item:
    if choice.mode != "tool":
        return choice.mode
    is_freeform = any(tool.is_freeform for tool in tools if tool.name == choice.name)
    return {"type": "custom" if is_freeform else "function", "name": choice.name}


def encode_text(said: OutputFormat | None, verbosity: Raw | None, quirks: Quirks, dropped: list[str]) -> Item:
    """The `text` member; empty where nothing was said."""
    text: Item = {}
    if said is not None:
        text["format"] = _encode_format(said, quirks, dropped)
    if verbosity is not None:
        text["verbosity"] = verbosity
    return text


def _encode_format(said: OutputFormat, quirks: Quirks, dropped: list[str]) -> Item:
    if said.kind == "text":
        return {"type": "text"}
    if said.kind == "json":
        return {"type": "json_object"}
    if quirks.no_json_schema:
        dropped.append("response_format.json_schema")
        return {"type": "json_object"}
    found: Item = {"type": "json_schema", "name": said.name or "answer", "schema": said.schema or _NO_PARAMETERS}
    if said.description:
        found["description"] = said.description
    if said.strict is not None:
        found["strict"] = said.strict
    return found


def _add_reasoning(body: Item, said: Reasoning) -> None:
    reasoning: Item = {}
    effort = effort_of(said)
    if effort is not None:
        reasoning["effort"] = effort
    if effort != "none" and (said.summary or said.shown):
        reasoning["summary"] = said.summary or "auto"
    if reasoning:
        body["reasoning"] = reasoning
    # Models that cannot think refuse the wish for sealed thoughts.
    if said.is_encrypted or said.is_adaptive or effort not in (None, "none"):
        body["include"] = ["reasoning.encrypted_content"]


def effort_of(said: Reasoning) -> Effort | None:
    """The effort, or the one that a budget of tokens comes nearest to."""
    if said.effort is not None or said.budget_tokens is None:
        return said.effort
    return next((effort for most, effort in _EFFORT_OF_BUDGET if said.budget_tokens <= most), "high")


class _Items:
    """Turns into items, in order. `freeform`: names of the tools whose calls are written as custom ones."""

    def __init__(self, freeform: set[str], dropped: list[str], *, no_developer_role: bool) -> None:
        self.items: list[Item] = []
        self._freeform = freeform
        self._freeform_calls: set[str] = set()
        self._dropped = dropped
        self._no_developer_role = no_developer_role

    def add(self, turn: Turn) -> None:
        if turn.name:
            self._dropped.append("name")
        role = "system" if turn.role == "developer" and self._no_developer_role else turn.role
        content: list[Part] = []
        sealed_ids = False  # an item's id is known to OpenAI only beside the thought that it came with
        for part in turn.parts:
            if isinstance(part, Text | Media | Refusal):
                content.append(part)
                continue
            self._add_message(role, content)
            content = []
            if isinstance(part, Thinking):
                sealed_ids = self._add_thought(part) or sealed_ids
            elif isinstance(part, ToolCall):
                self._add_call(part, part.item_id if sealed_ids else "")
            else:
                self._add_result(part)
        self._add_message(role, content)
        while self.items and self.items[-1]["type"] == "reasoning":
            self.items.pop()  # a thought that nothing follows is refused

    def _mark(self, part: Part) -> None:
        if not isinstance(part, Thinking | Refusal) and part.cache is not None:
            self._dropped.append("cache_control")

    def _add_message(self, role: str, parts: list[Part]) -> None:
        if not parts:
            return
        if len(parts) == 1 and isinstance(part := parts[0], Text):
            self._mark(part)
            self.items.append({"type": "message", "role": role, "content": part.text})
            return
        if role != "assistant":
            self.items.append({"type": "message", "role": role, "content": [self._shown(part) for part in parts]})
            return
        # Parts of an answer go only into the form that a response has, which needs a name of its own.
        message = {"type": "message", "role": role, "id": f"msg_{len(self.items)}", "status": "completed"}
        self.items.append(message | {"content": [self._said(part) for part in parts]})

    def _said(self, part: Part) -> Item:
        """A part of what the model said."""
        self._mark(part)
        if isinstance(part, Text):
            return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        raise InvalidRequest(
            "messages: this model is served over OpenAI's Responses API, which takes no images or files in what the "
            "assistant said. Send them as the user's.",
            param="messages",
        )

    def _shown(self, part: Part) -> Item:
        """A part of what the model is shown."""
        self._mark(part)
        if isinstance(part, Text):
            return {"type": "input_text", "text": part.text}
        if isinstance(part, Refusal):
            return {"type": "input_text", "text": part.text}
        if not isinstance(part, Media):
            raise TypeError(f"{type(part).__name__} is no content of a message")
        return _media(part)

    def _add_thought(self, thought: Thinking) -> bool:
        """True where it could be said: only its maker reads a sealed thought, and nobody one without a seal."""
        sealed = thought.signature or thought.redacted
        if not sealed or thought.origin not in ("", "openai"):
            return False
        summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
        item: Item = {"type": "reasoning", "summary": summary, "encrypted_content": sealed}
        if thought.item_id:
            item["id"] = thought.item_id
        self.items.append(item)
        return bool(thought.item_id)

    def _add_call(self, call: ToolCall, item_id: str) -> None:
        self._mark(call)
        text = freeform_text(call.arguments) if call.name in self._freeform else None
        item: Item = {"type": "function_call", "call_id": _call_id(call.call_id), "name": call.name}
        if text is None:
            item["arguments"] = call.arguments or "{}"
        else:
            item["type"], item["input"] = "custom_tool_call", text
            self._freeform_calls.add(call.call_id)
        if item_id:
            item["id"] = item_id
        self.items.append(item)

    def _add_result(self, result: ToolResult) -> None:
        self._mark(result)
        if result.is_error:
            self._dropped.append("is_error")
        parts = result.parts
        if all(isinstance(part, Text) for part in parts):
            output: str | list[Item] = "".join(part.text for part in parts if isinstance(part, Text))
        else:
            output = [self._shown(part) for part in parts]
        kind = "custom_tool_call_output" if result.call_id in self._freeform_calls else "function_call_output"
        self.items.append({"type": kind, "call_id": _call_id(result.call_id), "output": output})


def freeform_text(arguments: str) -> str | None:
    """The text that a custom tool gets; None where the arguments do not hold one."""
    try:
        found = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    text = found.get("input") if isinstance(found, dict) and len(found) == 1 else None
    return text if isinstance(text, str) else None


def _call_id(call_id: str) -> str:
    """Some providers' ids are longer than OpenAI allows; a digest stands for them, in calls and results alike."""
    if len(call_id) <= CALL_ID_CHARS_MAX:
        return call_id
    return "call_" + hashlib.sha256(call_id.encode()).hexdigest()[:40]


def _media(media: Media) -> Item:
    if media.file_id:
        raise InvalidRequest(
            f"messages: the file {media.file_id[:80]!r} is known only where it was uploaded. Send its content, or a "
            "URL.",
            param="messages",
        )
    if media.kind == "image":
        url = media.url or f"data:{media.media_type or 'image/png'};base64,{media.data}"
        return {"type": "input_image", "image_url": url, "detail": media.detail or "auto"}
    if media.kind != "document":
        raise InvalidRequest(
            f"messages: this model is served over OpenAI's Responses API, which takes no {media.kind}.",
            param="messages",
        )
    if media.url:
        return {"type": "input_file", "file_url": media.url}
    media_type = media.media_type or "application/pdf"
    name = media.name or _FILE_NAMES.get(media_type, "document")
    return {"type": "input_file", "filename": name, "file_data": f"data:{media_type};base64,{media.data}"}
