"""The `anthropic` package, its accumulator for streams."""

from typing import Any

from anthropic import Anthropic
from jobs import ADD, QUESTION, TOOLS, main

STOP = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}


def run(job: dict[str, Any]) -> dict[str, Any]:
    client = Anthropic(base_url=job["base"], api_key=job["key"], max_retries=0)
    messages = [{"role": "user", "content": QUESTION}]
    ask: dict[str, Any] = {"model": job["model"], "max_tokens": 4096, "messages": messages}
    if job["kind"] == "tools":
        ask["tools"] = [{"name": name, "input_schema": schema} for name, schema in TOOLS.items()]
    if job["kind"] == "json":
        ask["output_config"] = {"format": {"type": "json_schema", "schema": ADD}}
    if job["stream"]:
        with client.messages.stream(**ask) as stream:
            reply: Any = stream.get_final_message()
    else:
        reply = client.messages.create(**ask)
    found: dict[str, Any] = {"text": "", "thought": "", "calls": []}
    for block in reply.content:
        if block.type == "text":
            found["text"] += block.text
        elif block.type == "thinking":
            found["thought"] += block.thinking
        elif block.type == "tool_use":
            found["calls"].append({"name": block.name, "arguments": block.input})
    usage = reply.usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    found["stop"] = STOP.get(reply.stop_reason, reply.stop_reason)
    return found | {"input": usage.input_tokens + cached, "output": usage.output_tokens}


main(run)
