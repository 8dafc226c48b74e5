"""Streams as OpenAI's Responses API writes them, for the tests of that dialect."""

import json

USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 50,
}

REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Second."}],
    "encrypted_content": "sealed==",
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [
        {
            "type": "output_text",
            "text": "Hé “llo”",
            "annotations": [
                {"type": "url_citation", "url": "https://e.org/", "title": "E", "start_index": 0, "end_index": 2}
            ],
            "logprobs": [],
        }
    ],
}
REFUSED = {
    "type": "message",
    "id": "msg_2",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "refusal", "refusal": "I will not."}],
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Köln"}',
    "status": "completed",
}
CALL_WITHOUT_ARGUMENTS = {**CALL, "id": "fc_2", "call_id": "call_2", "arguments": ""}
CUSTOM_CALL = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_3", "name": "patch", "input": 'a\n"b"'}
IMAGE = {
    "type": "image_generation_call",
    "id": "ig_1",
    "status": "completed",
    "result": "aGk=",
    "output_format": "webp",
}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
ITEMS = [REASONING, MESSAGE, REFUSED, CALL, CALL_WITHOUT_ARGUMENTS, CUSTOM_CALL, IMAGE, SEARCH]


def response(items, status="completed", **more):
    body = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1760000000,
        "model": "gpt-6-astra",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "output": items,
        "usage": USAGE,
    }
    return body | more


def pieces(text, size=3):
    return [text[start : start + size] for start in range(0, len(text), size)]


def item_events(index, item, *, has_deltas=True):
    """The events of one item between `added` and `done`."""
    place = {"output_index": index, "item_id": item["id"]}
    if item["type"] == "message":
        for key, part in enumerate(item["content"]):
            at = {**place, "content_index": key}
            word, member = ("output_text", "text") if part["type"] == "output_text" else ("refusal", "refusal")
            yield "response.content_part.added", {**at, "part": {**part, member: ""}}
            if has_deltas:
                for piece in pieces(part[member]):
                    yield f"response.{word}.delta", {**at, "delta": piece}
                for number, annotation in enumerate(part.get("annotations", [])):
                    more = {"annotation_index": number, "annotation": annotation}
                    yield "response.output_text.annotation.added", {**at, **more}
            yield f"response.{word}.done", {**at, member: part[member]}
            yield "response.content_part.done", {**at, "part": part}
    if item["type"] == "reasoning":
        for key, part in enumerate(item["summary"]):
            at = {**place, "summary_index": key}
            yield "response.reasoning_summary_part.added", {**at, "part": {"type": "summary_text", "text": ""}}
            if has_deltas:
                for piece in pieces(part["text"]):
                    yield "response.reasoning_summary_text.delta", {**at, "delta": piece}
            yield "response.reasoning_summary_text.done", {**at, "text": part["text"]}
            yield "response.reasoning_summary_part.done", {**at, "part": part}
    for kind, member, word in (
        ("function_call", "arguments", "function_call_arguments"),
        ("custom_tool_call", "input", "custom_tool_call_input"),
    ):
        if item["type"] == kind:
            if has_deltas:
                for piece in pieces(item[member]):
                    yield f"response.{word}.delta", {**place, "delta": piece}
            yield f"response.{word}.done", {**place, member: item[member]}


def begun(item):
    """An item as `added` shows it."""
    empty = {"content": [], "summary": [], "arguments": "", "input": "", "result": None, "status": "in_progress"}
    return {**item, **{name: value for name, value in empty.items() if name in item}, "encrypted_content": None}


def events_of(whole, *, has_deltas=True):
    """The (name, members) of the stream that ends in `whole`."""
    yield "response.created", {"response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    yield "response.in_progress", {"response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    for index, item in enumerate(whole["output"]):
        yield "response.output_item.added", {"output_index": index, "item": begun(item)}
        yield from item_events(index, item, has_deltas=has_deltas)
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield f"response.{whole['status']}", {"response": whole}


def sse(events, line_end="\n"):
    out = []
    for number, (name, members) in enumerate(events):
        data = json.dumps({"type": name, **members, "sequence_number": number}, ensure_ascii=False)
        out.append(f"event: {name}{line_end}data: {data}{line_end}{line_end}")
    return "".join(out).encode()
