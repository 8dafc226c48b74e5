"""Anthropic's Messages and its token counts."""

from collections.abc import Iterator
from typing import Any

from conformance.mock.shapes import Answer, Ask, Refused, Stream, Whole, need
from conformance.mock.turn import (
    CACHED,
    INPUT,
    OUTPUT,
    REASONING,
    SIGNATURE,
    Asked,
    Turn,
    halves,
    pieces,
    take_turn,
    to_json,
)

STOP = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def messages(ask: Ask) -> Answer:
    if "anthropic-version" not in ask.headers:
        raise Refused("anthropic-version: header is required")
    need(ask.body, "model", "messages", "max_tokens")
    check_messages(ask.body["messages"])
    turn = take_turn(asked(ask), ask.arguments)
    if ask.body.get("stream"):
        return Stream([(event["type"], event) for event in events(ask, turn)])
    return Whole(message(ask, turn))


def count_tokens(ask: Ask) -> Answer:
    need(ask.body, "model", "messages")
    betas = ask.headers.get("anthropic-beta", "")
    extra = {"context_management": {"original_input_tokens": INPUT}} if "context-management" in betas else {}
    return Whole({"input_tokens": INPUT} | extra)


def check_messages(given: Any) -> None:
    """What Anthropic refuses and a bad translation sends: unknown roles, calls left without a result."""
    waiting: set[str] = set()
    for i, said in enumerate(given):
        if said.get("role") not in ("user", "assistant", "system"):
            raise Refused(f"messages.{i}.role: Input should be 'user' or 'assistant'", f"messages.{i}.role")
        blocks = said["content"] if isinstance(said["content"], list) else []
        answered = {block["tool_use_id"] for block in blocks if block.get("type") == "tool_result"}
        if answered != waiting:
            raise Refused(f"messages.{i}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                          f"{sorted(waiting ^ answered)}")  # fmt: skip
        waiting = {block["id"] for block in blocks if block.get("type") == "tool_use"}


def asked(ask: Ask) -> Asked:
    body = ask.body
    tools = {t["name"]: t.get("input_schema") for t in body.get("tools") or [] if t.get("type") in (None, "custom")}
    choice = (body.get("tool_choice") or {}).get("type")
    if choice == "tool":
        tools = {body["tool_choice"]["name"]: tools.get(body["tool_choice"]["name"])}
    elif choice == "none":
        tools = {}
    last = body["messages"][-1]["content"]
    has_results = isinstance(last, list) and any(block.get("type") == "tool_result" for block in last)
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Asked(ask.model, tools, choice in ("any", "tool"), has_results, form.get("schema"))


def message(ask: Ask, turn: Turn) -> dict[str, Any]:
    whole = started(ask) | {"content": list(blocks(turn)), "stop_reason": stop(turn)}
    usage = whole["usage"] | {"output_tokens": OUTPUT}
    if turn.thought:
        usage["output_tokens_details"] = {"thinking_tokens": REASONING}
    if turn.stop in ("refusal", "content_filter"):
        whole["stop_details"] = {"type": "refusal", "category": None, "explanation": None}
    return whole | {"usage": usage}


def stop(turn: Turn) -> str:
    return STOP.get(turn.stop, turn.stop)


def started(ask: Ask) -> dict[str, Any]:
    """The message as `message_start` has it. Anthropic's input leaves cached tokens out."""
    usage = {"input_tokens": INPUT - CACHED, "cache_creation_input_tokens": 0, "cache_read_input_tokens": CACHED,
             "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
             "output_tokens": 1, "output_tokens_details": None, "server_tool_use": None, "service_tier": "standard",
             "inference_geo": "not_available"}  # fmt: skip
    return {"id": "msg_mock", "type": "message", "role": "assistant", "model": ask.model, "content": [],
            "stop_reason": None, "stop_sequence": None, "stop_details": None, "container": None,
            "usage": usage}  # fmt: skip


def blocks(turn: Turn) -> Iterator[dict[str, Any]]:
    if turn.thought:
        yield {"type": "thinking", "thinking": turn.thought, "signature": SIGNATURE}
    if turn.text or turn.refusal:
        yield {"type": "text", "text": turn.text or turn.refusal, "citations": None}
    for call in turn.calls:
        yield {"type": "tool_use", "id": call.call_id, "name": call.name, "input": call.arguments,
               "caller": {"type": "direct"}}  # fmt: skip


def events(ask: Ask, turn: Turn) -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": started(ask)}
    yield {"type": "ping"}
    for index, block in enumerate(blocks(turn)):
        place = {"index": index}
        yield {"type": "content_block_start", "content_block": opened(block)} | place
        for delta in deltas(block):
            yield {"type": "content_block_delta", "delta": delta} | place
        yield {"type": "content_block_stop"} | place
    whole = message(ask, turn)
    change = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    change |= {"stop_details": whole["stop_details"], "container": None}
    left_out = ("cache_creation", "service_tier", "inference_geo")
    usage = {name: count for name, count in whole["usage"].items() if name not in left_out}
    yield {"type": "message_delta", "delta": change, "usage": usage}
    yield {"type": "message_stop"}


def opened(block: dict[str, Any]) -> dict[str, Any]:
    blank: dict[str, Any] = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: blank.get(name, value) for name, value in block.items()}


def deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "thinking":
        for piece in pieces(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "text":
        for piece in pieces(block["text"]):
            yield {"type": "text_delta", "text": piece}
    else:
        yield {"type": "input_json_delta", "partial_json": ""}
        for half in halves(to_json(block["input"])) if block["input"] else ():
            yield {"type": "input_json_delta", "partial_json": half}
