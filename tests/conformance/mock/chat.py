"""OpenAI's chat completions, legacy completions and embeddings."""

import base64
import struct
from typing import Any

from conformance.mock.shapes import Answer, Ask, Refused, Stream, Whole, need
from conformance.mock.turn import (
    CACHED,
    CREATED_S,
    INPUT,
    OUTPUT,
    REASONING,
    Asked,
    ToolCall,
    Turn,
    halves,
    pieces,
    take_turn,
    to_json,
    words,
)

FINISH = {"refusal": "stop"}
ROLES = {"developer", "system", "user", "assistant", "tool", "function"}


def chat(ask: Ask) -> Answer:
    need(ask.body, "model", "messages")
    check_messages(ask.body["messages"])
    turn = take_turn(asked(ask), ask.arguments)
    if ask.body.get("stream"):
        return Stream([("", event) for event in chunks(ask, turn)], done=True)
    count = ask.body.get("n") or 1
    finish = FINISH.get(turn.stop, turn.stop)
    choices = [
        {"index": i, "message": message(turn), "logprobs": None, "finish_reason": finish} for i in range(count)
    ]  # fmt: skip
    head = {"id": "chatcmpl-mock", "object": "chat.completion", "created": CREATED_S, "model": ask.model}
    tail = {"service_tier": "default", "system_fingerprint": "fp_mock"}
    return Whole(head | {"choices": choices} | usage_of(ask, turn) | tail)


def check_messages(messages: Any) -> None:
    """What OpenAI refuses and a bad translation sends: unknown roles, results that answer no call."""
    open_calls: set[str] = set()
    for i, said in enumerate(messages):
        if said.get("role") not in ROLES:
            raise Refused(f"Invalid value: {said.get('role')!r}.", f"messages[{i}].role")
        if said["role"] == "assistant":
            open_calls = {call["id"] for call in said.get("tool_calls") or []}
        if said["role"] == "tool" and said.get("tool_call_id") not in open_calls:
            raise Refused("A message of role 'tool' must answer a preceding 'tool_calls'.", f"messages[{i}].role")


def asked(ask: Ask) -> Asked:
    body = ask.body
    tools = {t["function"]["name"]: t["function"].get("parameters") for t in body.get("tools") or [] if "function" in t}
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and "function" in choice:
        tools = {choice["function"]["name"]: tools.get(choice["function"]["name"])}
    elif choice == "none":
        tools = {}
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    is_forced = choice == "required" or isinstance(choice, dict)
    last = body["messages"][-1].get("role")
    return Asked(ask.model, tools, is_forced, last in ("tool", "function"), schema)


def message(turn: Turn) -> dict[str, Any]:
    found: dict[str, Any] = {"role": "assistant", "content": turn.text or None, "refusal": turn.refusal or None}
    found["annotations"] = []
    if turn.thought:
        found["reasoning_content"] = turn.thought
    if turn.calls:
        found["tool_calls"] = [tool_call(call, to_json(call.arguments)) for call in turn.calls]
    return found


def tool_call(call: ToolCall, arguments: str) -> dict[str, Any]:
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def chunks(ask: Ask, turn: Turn) -> list[dict[str, Any]]:
    """Parallel calls interleave: their heads first, then their arguments in turns."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"reasoning_content": piece} for piece in pieces(turn.thought)]
    deltas += [{"content": piece} for piece in pieces(turn.text)]
    deltas += [{"refusal": piece} for piece in pieces(turn.refusal)]
    deltas += [{"tool_calls": [{"index": i} | tool_call(call, "")]} for i, call in enumerate(turn.calls)]
    parts = [list(halves(to_json(call.arguments))) for call in turn.calls]
    for step in range(max(map(len, parts), default=0)):
        deltas += [
            {"tool_calls": [{"index": i, "function": {"arguments": part[step]}}]}
            for i, part in enumerate(parts)
            if step < len(part)
        ]
    wants_usage = bool((ask.body.get("stream_options") or {}).get("include_usage"))
    head = {"id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": CREATED_S, "model": ask.model,
            "service_tier": "default", "system_fingerprint": "fp_mock"}  # fmt: skip
    head |= {"usage": None} if wants_usage else {}
    count = ask.body.get("n") or 1
    found = [
        head | {"choices": [{"index": n, "delta": delta, "logprobs": None, "finish_reason": None}]}
        for delta in deltas
        for n in range(count)
    ]
    finish = FINISH.get(turn.stop, turn.stop)
    found += [
        head | {"choices": [{"index": n, "delta": {}, "logprobs": None, "finish_reason": finish}]} for n in range(count)
    ]
    if wants_usage:
        found.append(head | {"choices": []} | usage_of(ask, turn))
    return found


def usage_of(ask: Ask, turn: Turn) -> dict[str, Any]:
    if "nousage" in words(ask.model):
        return {}
    reasoning = REASONING if turn.thought else 0
    written = {"accepted_prediction_tokens": 0, "audio_tokens": 0, "rejected_prediction_tokens": 0}
    usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT,
             "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": CACHED},
             "completion_tokens_details": written | {"reasoning_tokens": reasoning}}  # fmt: skip
    return {"usage": usage}


def completions(ask: Ask) -> Answer:
    need(ask.body, "model")
    turn = take_turn(Asked(ask.model, {}))
    head = {"id": "cmpl-mock", "object": "text_completion", "created": CREATED_S, "model": ask.model}
    finish = {"refusal": "stop"}.get(turn.stop, turn.stop)
    usage = usage_of(ask, turn)

    def choice(text: str, reason: str | None) -> dict[str, Any]:
        return {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}

    if not ask.body.get("stream"):
        return Whole(head | {"system_fingerprint": "fp_mock", "choices": [choice(turn.text, finish)]} | usage)
    events = [head | {"choices": [choice(piece, None)]} for piece in pieces(turn.text)]
    events.append(head | {"choices": [choice("", finish)]})
    if (ask.body.get("stream_options") or {}).get("include_usage"):
        events = [event | {"usage": None} for event in events] + [head | {"choices": []} | usage]
    return Stream([("", event) for event in events], done=True)


def embeddings(ask: Ask) -> Answer:
    """One vector for each input, in the encoding asked for."""
    need(ask.body, "model", "input")
    given = ask.body["input"]
    count = len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1
    size = ask.body.get("dimensions") or 4
    vector = [round(0.1 * (i % 10), 1) for i in range(size)]
    packed = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
    shown: Any = packed if ask.body.get("encoding_format") == "base64" and not ask.plain_vectors else vector
    data = [{"object": "embedding", "index": i, "embedding": shown} for i in range(count)]
    usage = {"prompt_tokens": INPUT, "total_tokens": INPUT}
    return Whole({"object": "list", "data": data, "model": ask.model, "usage": usage})
