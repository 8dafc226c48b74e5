"""The `google-genai` package."""

from typing import Any

from google import genai
from google.genai import types
from jobs import ADD, QUESTION, TOOLS, main


def run(job: dict[str, Any]) -> dict[str, Any]:
    client = genai.Client(api_key=job["key"], http_options=types.HttpOptions(base_url=job["base"]))
    config: dict[str, Any] = {"automatic_function_calling": {"disable": True}}
    if job["kind"] == "tools":
        declared = [{"name": name, "parameters_json_schema": schema} for name, schema in TOOLS.items()]
        config["tools"] = [{"function_declarations": declared}]
    if job["kind"] == "thinks":
        config["thinking_config"] = {"include_thoughts": True}
    if job["kind"] == "json":
        config |= {"response_mime_type": "application/json", "response_json_schema": ADD}
    call: Any = client.models.generate_content_stream if job["stream"] else client.models.generate_content
    replies = call(model=job["model"], contents=QUESTION, config=types.GenerateContentConfig(**config))
    found: dict[str, Any] = {"text": "", "thought": "", "calls": [], "stop": "", "input": 0, "output": 0}
    for reply in replies if job["stream"] else [replies]:
        read(reply, found)
    return found


def read(reply: Any, found: dict[str, Any]) -> None:
    candidate = reply.candidates[0] if reply.candidates else None
    for part in (candidate and candidate.content and candidate.content.parts) or []:
        if part.function_call:
            found["calls"].append({"name": part.function_call.name, "arguments": part.function_call.args or {}})
        elif part.thought:
            found["thought"] += part.text
        else:
            found["text"] += part.text or ""
    if candidate and candidate.finish_reason:
        word = candidate.finish_reason.value
        found["stop"] = ("tool_calls" if found["calls"] else "stop") if word == "STOP" else word
    if usage := reply.usage_metadata:
        found["input"] = usage.prompt_token_count
        found["output"] = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)


main(run)
