"""LiteLLM as a client of an OpenAI-compatible address."""

import json
import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from jobs import QUESTION, chat_format, chat_tools, main


def run(job: dict[str, Any]) -> dict[str, Any]:
    ask: dict[str, Any] = {"model": f"openai/{job['model']}", "messages": [{"role": "user", "content": QUESTION}]}
    if job["kind"] == "tools":
        ask["tools"] = chat_tools()
    if job["kind"] == "json":
        ask["response_format"] = chat_format()
    if job["stream"]:
        ask |= {"stream": True, "stream_options": {"include_usage": True}}
    reply: Any = litellm.completion(api_base=job["base"], api_key=job["key"], max_retries=0, **ask)
    if job["stream"]:
        reply = litellm.stream_chunk_builder(list(reply))
    message = reply.choices[0].message
    calls = [{"name": c.function.name, "arguments": json.loads(c.function.arguments)} for c in message.tool_calls or []]
    thought = getattr(message, "reasoning_content", None) or ""
    return {"text": message.content or "", "thought": thought, "calls": calls, "stop": reply.choices[0].finish_reason,
            "input": reply.usage.prompt_tokens, "output": reply.usage.completion_tokens}  # fmt: skip


main(run)
