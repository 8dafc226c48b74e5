"""OpenAI's Responses: the whole reply, its stream of events, token counts and compaction."""

from collections.abc import Iterator
from typing import Any

from conformance.mock.shapes import Answer, Ask, Stream, Whole
from conformance.mock.turn import (
    CACHED,
    CREATED_S,
    INPUT,
    OUTPUT,
    REASONING,
    SIGNATURE,
    Asked,
    ToolCall,
    Turn,
    halves,
    pieces,
    take_turn,
    to_json,
    words,
)

DEFAULTS: dict[str, Any] = {
    "background": False, "frequency_penalty": 0.0, "presence_penalty": 0.0,
    "instructions": None, "max_output_tokens": None, "max_tool_calls": None, "metadata": {},
    "parallel_tool_calls": True, "previous_response_id": None, "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None}, "safety_identifier": None, "service_tier": "default", "store": True,
    "temperature": 1.0, "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "auto",
    "tools": [], "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled",
}  # fmt: skip
ECHOED = frozenset(DEFAULTS) - {"reasoning", "service_tier"} | {"user"}


def responses(ask: Ask) -> Answer:
    turn = take_turn(asked(ask), ask.arguments)
    if ask.body.get("stream"):
        return Stream([(event["type"], event) for event in numbered(events(ask, turn))])
    return Whole(response(ask, turn))


def asked(ask: Ask) -> Asked:
    body = ask.body
    tools = {t["name"]: t.get("parameters") for t in body.get("tools") or [] if t.get("type") == "function"}
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and "name" in choice:
        tools = {choice["name"]: tools.get(choice["name"])}
    elif choice == "none":
        tools = {}
    given = body.get("input")
    last = given[-1] if isinstance(given, list) and given else {}
    schema = ((body.get("text") or {}).get("format") or {}).get("schema")
    is_forced = choice == "required" or isinstance(choice, dict)
    return Asked(ask.model, tools, is_forced, last.get("type") == "function_call_output", schema)


def response(ask: Ask, turn: Turn | None) -> dict[str, Any]:
    """The reply; turn None: as it stands before anything is said."""
    echoed = {name: ask.body[name] for name in ECHOED if ask.body.get(name) is not None}
    head = {"id": "resp_mock", "object": "response", "created_at": CREATED_S, "model": ask.model, "error": None}
    head |= {"incomplete_details": None, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    whole = DEFAULTS | head | echoed
    for tool in whole["tools"]:
        if tool.get("type") == "function":
            tool.setdefault("strict", True)
    if turn is None:
        return whole
    whole |= {"status": "completed", "completed_at": CREATED_S + 1, "output": [item for item, _ in items(turn)]}
    if turn.stop in ("length", "content_filter"):
        reason = "max_output_tokens" if turn.stop == "length" else "content_filter"
        whole |= {"status": "incomplete", "completed_at": None, "incomplete_details": {"reason": reason}}
    if "nousage" not in words(ask.model):
        whole["usage"] = usage(turn)
    return whole


def usage(turn: Turn) -> dict[str, Any]:
    reasoning = REASONING if turn.thought else 0
    return {"input_tokens": INPUT, "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
            "output_tokens": OUTPUT, "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": INPUT + OUTPUT}  # fmt: skip


def items(turn: Turn) -> Iterator[tuple[dict[str, Any], ToolCall | None]]:
    """The items of the output, complete."""
    if turn.thought:
        summary = [{"type": "summary_text", "text": turn.thought}]
        yield {"id": "rs_mock", "type": "reasoning", "summary": summary, "encrypted_content": SIGNATURE}, None
    for i, call in enumerate(turn.calls):
        yield {"id": f"fc_mock{i}", "type": "function_call", "status": "completed", "call_id": call.call_id,
               "name": call.name, "arguments": to_json(call.arguments)}, call  # fmt: skip
    if not turn.calls:
        status = "incomplete" if turn.stop in ("length", "content_filter") else "completed"
        content = [part(turn, turn.refusal or turn.text)]
        yield {"id": "msg_mock", "type": "message", "status": status, "role": "assistant", "content": content}, None


def part(turn: Turn, text: str) -> dict[str, Any]:
    if turn.refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def numbered(found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, event in enumerate(found):
        yield event | {"sequence_number": number}


def events(ask: Ask, turn: Turn) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": response(ask, None)}
    yield {"type": "response.in_progress", "response": response(ask, None)}
    for index, (item, call) in enumerate(items(turn)):
        place = {"output_index": index}
        if item["type"] == "reasoning":
            opened = item | {"summary": []}
            inner = reasoning_events(item, turn.thought)
        elif call is not None:
            opened = item | {"arguments": "", "status": "in_progress"}
            inner = call_events(item)
        else:
            opened = item | {"content": [], "status": "in_progress"}
            inner = message_events(item, turn)
        yield {"type": "response.output_item.added", "item": opened} | place
        for event in inner:
            yield event | place
        yield {"type": "response.output_item.done", "item": item} | place
    final = response(ask, turn)
    yield {"type": f"response.{final['status']}", "response": final}


def reasoning_events(item: dict[str, Any], thought: str) -> Iterator[dict[str, Any]]:
    place = {"item_id": item["id"], "summary_index": 0}
    kind = "response.reasoning_summary"
    yield {"type": f"{kind}_part.added", "part": {"type": "summary_text", "text": ""}} | place
    for piece in pieces(thought):
        yield {"type": f"{kind}_text.delta", "delta": piece} | place
    yield {"type": f"{kind}_text.done", "text": thought} | place
    yield {"type": f"{kind}_part.done", "part": item["summary"][0]} | place


def call_events(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    place = {"item_id": item["id"]}
    for half in halves(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", "delta": half} | place
    done = {"arguments": item["arguments"], "name": item["name"]}
    yield {"type": "response.function_call_arguments.done"} | done | place


def message_events(item: dict[str, Any], turn: Turn) -> Iterator[dict[str, Any]]:
    place = {"item_id": item["id"], "content_index": 0}
    kind, name = ("response.refusal", "refusal") if turn.refusal else ("response.output_text", "text")
    logprobs: dict[str, Any] = {} if turn.refusal else {"logprobs": []}
    text = turn.refusal or turn.text
    yield {"type": "response.content_part.added", "part": part(turn, "")} | place
    for piece in pieces(text):
        yield {"type": f"{kind}.delta", "delta": piece} | logprobs | place
    yield {"type": f"{kind}.done", name: text} | logprobs | place
    yield {"type": "response.content_part.done", "part": item["content"][0]} | place


def input_tokens(_: Ask) -> Answer:
    return Whole({"object": "response.input_tokens", "input_tokens": INPUT})


def compact(ask: Ask) -> Answer:
    output = [{"id": "cmp_mock", "type": "compaction", "encrypted_content": SIGNATURE}]
    whole = {"id": "resp_mock", "object": "response.compaction", "created_at": CREATED_S, "output": output}
    return Whole(whole | {"usage": usage(take_turn(asked(ask)))})
