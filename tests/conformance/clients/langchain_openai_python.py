"""LangChain's ChatOpenAI; it does not show the thoughts of other makers' models."""

from typing import Any

from jobs import QUESTION, chat_format, chat_tools, main
from langchain_openai import ChatOpenAI


def run(job: dict[str, Any]) -> dict[str, Any]:
    model: Any = ChatOpenAI(
        base_url=job["base"], api_key=job["key"], model=job["model"], max_retries=0, stream_usage=True
    )
    if job["kind"] == "tools":
        model = model.bind(tools=chat_tools())
    if job["kind"] == "json":
        model = model.bind(response_format=chat_format())
    if job["stream"]:
        reply = None
        for chunk in model.stream(QUESTION):
            reply = chunk if reply is None else reply + chunk
    else:
        reply = model.invoke(QUESTION)
    assert reply is not None
    calls = [{"name": call["name"], "arguments": call["args"]} for call in reply.tool_calls]
    return {"text": reply.content, "calls": calls, "stop": reply.response_metadata["finish_reason"],
            "input": reply.usage_metadata["input_tokens"], "output": reply.usage_metadata["output_tokens"]}  # fmt: skip


main(run)
