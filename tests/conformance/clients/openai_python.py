"""The `openai` package, its accumulator for streams."""

import json
from typing import Any

from jobs import QUESTION, chat_format, chat_tools, main
from openai import OpenAI


def run(job: dict[str, Any]) -> dict[str, Any]:
    client = OpenAI(base_url=job["base"], api_key=job["key"], max_retries=0)
    ask: dict[str, Any] = {"model": job["model"], "messages": [{"role": "user", "content": QUESTION}]}
    if job["kind"] == "tools":
        ask["tools"] = chat_tools()
    if job["kind"] == "json":
        ask["response_format"] = chat_format()
    thought = ""
    if job["stream"]:
        with client.chat.completions.stream(**ask, stream_options={"include_usage": True}) as stream:
            for event in stream:
                if event.type == "chunk" and event.chunk.choices:
                    thought += getattr(event.chunk.choices[0].delta, "reasoning_content", None) or ""
            reply: Any = stream.get_final_completion()
    else:
        reply = client.chat.completions.create(**ask)
        thought = getattr(reply.choices[0].message, "reasoning_content", None) or ""
    message = reply.choices[0].message
    calls = [{"name": c.function.name, "arguments": json.loads(c.function.arguments)} for c in message.tool_calls or []]
    return {"text": message.content or "", "thought": thought, "calls": calls, "stop": reply.choices[0].finish_reason,
            "input": reply.usage.prompt_tokens, "output": reply.usage.completion_tokens}  # fmt: skip


main(run)
