"""Google's Gemini: generateContent, streamGenerateContent (events or one array), countTokens, embedContent."""

from collections.abc import Iterator, Mapping
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
    pieces,
    take_turn,
    words,
)

STOP = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY", "refusal": "STOP"}


def generate(ask: Ask) -> Answer:
    check(ask)
    turn = take_turn(asked(ask), ask.arguments)
    return Whole(reply(ask, parts(turn), finish=STOP[turn.stop], turn=turn))


def stream(ask: Ask) -> Answer:
    check(ask)
    turn = take_turn(asked(ask), ask.arguments)
    said = list(parts(turn, is_stream=True))
    found = [reply(ask, [part]) for part in said[:-1]]
    found.append(reply(ask, said[-1:], finish=STOP[turn.stop], turn=turn))
    return Stream([("", event) for event in found], is_array=ask.query.get("alt") != "sse")


def count(ask: Ask) -> Answer:
    details = [{"modality": "TEXT", "tokenCount": INPUT}]
    return Whole({"totalTokens": INPUT, "promptTokensDetails": details})


def embed(_: Ask) -> Answer:
    return Whole({"embedding": {"values": [0.0, 0.1, 0.2, 0.3]}})


def check(ask: Ask) -> None:
    need(ask.body, "contents")
    for i, said in enumerate(ask.body["contents"]):
        if said.get("role", "user") not in ("user", "model", "function"):
            raise Refused("Please use a valid role: user, model.", f"contents[{i}].role")
        if not said.get("parts"):
            raise Refused("must include at least one parts field", f"contents[{i}].parts")


def pick(fields: Mapping[str, Any], camel: str, snake: str) -> Any:
    return fields.get(camel, fields.get(snake))


def asked(ask: Ask) -> Asked:
    body = ask.body
    tools: dict[str, Any] = {}
    for tool in body.get("tools") or []:
        for one in pick(tool, "functionDeclarations", "function_declarations") or []:
            tools[one["name"]] = pick(one, "parametersJsonSchema", "parameters_json_schema") or one.get("parameters")
    calling = pick(pick(body, "toolConfig", "tool_config") or {}, "functionCallingConfig", "function_calling_config")
    mode = (calling or {}).get("mode")
    allowed = pick(calling or {}, "allowedFunctionNames", "allowed_function_names")
    if mode == "NONE":
        tools = {}
    elif allowed:
        tools = {name: tools.get(name) for name in allowed}
    config = pick(body, "generationConfig", "generation_config") or {}
    schema = pick(config, "responseJsonSchema", "response_json_schema") or pick(
        config, "responseSchema", "response_schema"
    )
    last = body["contents"][-1].get("parts") or []
    has_results = any(pick(part, "functionResponse", "function_response") for part in last)
    return Asked(ask.model, tools, mode == "ANY", has_results, schema)


def parts(turn: Turn, *, is_stream: bool = False) -> Iterator[dict[str, Any]]:
    cut = pieces if is_stream else lambda text: [text] if text else []
    for piece in cut(turn.thought):
        yield {"text": piece, "thought": True}
    sealed = {"thoughtSignature": SIGNATURE} if turn.thought else {}
    text = [{"text": piece} for piece in cut(turn.text or turn.refusal)]
    calls = [{"functionCall": {"name": call.name, "args": call.arguments}} for call in turn.calls]
    for i, part in enumerate([*text, *calls]):
        yield part | (sealed if i == 0 else {})


def reply(ask: Ask, said: Any, *, finish: str = "", turn: Turn | None = None) -> dict[str, Any]:
    """finish: as the last event has it; without it usage counts the prompt alone."""
    candidate: dict[str, Any] = {"content": {"parts": list(said), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    whole = {"candidates": [candidate], "modelVersion": ask.model, "responseId": "mock-response"}
    if "nousage" in words(ask.model):
        return whole
    usage = {"promptTokenCount": INPUT, "cachedContentTokenCount": CACHED, "totalTokenCount": INPUT,
             "promptTokensDetails": [{"modality": "TEXT", "tokenCount": INPUT}],
             "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": CACHED}]}  # fmt: skip
    if turn is not None:
        thoughts = REASONING if turn.thought else 0
        usage |= {"candidatesTokenCount": OUTPUT - thoughts, "totalTokenCount": INPUT + OUTPUT}
        usage |= {"thoughtsTokenCount": thoughts} if thoughts else {}
    return whole | {"usageMetadata": usage}
