"""Any caller's dialect to any provider's, through a real gateway: the same answer, the same usage, the same row."""

import itertools
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from conformance.home import start_before
from conformance.mock.turn import REFUSAL, TEXT, THOUGHT
from conformance.mock_provider import MockProvider
from rig.gateway import Gateway
from tidegate.wire.dialects import DIALECTS
from tidegate.wire.events import Answer, fold

CALLERS = [name for name in ("openai-chat", "openai-responses", "anthropic", "gemini") if name in DIALECTS]
PROVIDERS = ["mock-openai", "mock-chat", "mock-anthropic", "mock-gemini"]
SCENARIOS = ["plain", "tools", "thinks", "thinks+tools", "empty", "short", "refuses", "tiny", "crlf", "comments"]
PATHS = {"openai-chat": "/v1/chat/completions", "openai-responses": "/v1/responses", "anthropic": "/v1/messages"}
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
NAMES = ["get_weather", "get_time"]


def model_of(provider: str, scenario: str) -> str:
    return f"{provider}+{scenario}"


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProvider]:
    with MockProvider() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(mock: MockProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    models = {provider: [model_of(provider, scenario) for scenario in SCENARIOS] for provider in PROVIDERS}
    running = start_before(mock, tmp_path_factory.mktemp("home"), models)
    yield running
    running.stop()


def request_of(dialect: str, model: str, *, stream: bool, tools: bool) -> tuple[str, dict[str, Any]]:
    """Path and body of the same question in each dialect."""
    question = "What is two and two?"
    chat_tools = [{"type": "function", "function": {"name": name, "parameters": TOOL}} for name in NAMES]
    if dialect == "openai-chat":
        body = {"messages": [{"role": "user", "content": question}], "stream_options": {"include_usage": True}}
        body |= {"tools": chat_tools} if tools else {}
        if not stream:
            del body["stream_options"]
    elif dialect == "openai-responses":
        body = {"input": question, "max_output_tokens": 100}
        body |= {"tools": [{"type": "function", **tool["function"]} for tool in chat_tools]} if tools else {}
    elif dialect == "anthropic":
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 100}
        body |= {"tools": [{"name": name, "input_schema": TOOL} for name in NAMES]} if tools else {}
    else:
        body = {"contents": [{"role": "user", "parts": [{"text": question}]}]}
        declared = [{"name": name, "parameters": TOOL} for name in NAMES]
        body |= {"tools": [{"functionDeclarations": declared}]} if tools else {}
        body |= {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}} if "thinks" in model else {}
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{verb}", body
    return PATHS[dialect], body | {"model": model, "stream": stream}


def ask(gateway: Gateway, dialect: str, model: str, *, stream: bool) -> Answer:
    """One call, its reply read by the caller's own dialect."""
    path, body = request_of(dialect, model, stream=stream, tools="tools" in model or "empty" in model)
    reply = httpx.post(gateway.url + path, headers=gateway.headers, json=body, timeout=10)
    assert reply.status_code == 200, reply.text
    spoken = DIALECTS[dialect]
    if stream:
        assert reply.headers["content-type"].startswith("text/event-stream")
        decoder = spoken.stream_decoder(event_bytes_max=1_000_000)
        return fold([*decoder.feed(reply.content), *decoder.finish()])
    assert reply.headers["content-type"].startswith("application/json")
    events = spoken.decode_reply(reply.content)
    assert events is not None, reply.text
    return fold(events)


def texts(answer: Answer, kind: str) -> str:
    return "".join(block.text for block in answer.blocks if block.start.kind == kind)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(("dialect", "provider"), list(itertools.product(CALLERS, PROVIDERS)))
def test_an_answer_means_the_same_in_every_dialect(
    gateway: Gateway, dialect: str, provider: str, scenario: str, stream: bool
) -> None:
    """Text, tools, thoughts, usage and the reason for the end survive; the row has the caller's dialect."""
    model = model_of(provider, scenario)
    answer = ask(gateway, dialect, model, stream=stream)
    row = gateway.row(model)
    assert answer.failure is None
    assert answer.usage is not None
    usage = answer.usage.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (12, 4, 5)
    assert (row.usage_input_tokens, row.usage_cache_read_input_tokens, row.usage_output_tokens) == (12, 4, 5)
    assert (row.dialect, row.status_code, row.error_type, row.is_stream) == (dialect, 200, None, stream)
    if "thinks" in scenario and provider in ("mock-anthropic", "mock-gemini"):
        assert texts(answer, "thinking") == THOUGHT
    if "tools" in scenario:
        assert [block.start.name for block in answer.blocks if block.start.kind == "tool"] == NAMES
        assert (row.finish_reason, row.tool_calls) == ("tool_calls", 2)
    elif scenario == "empty":
        assert [block.text or "{}" for block in answer.blocks if block.start.kind == "tool"] == ["{}"]
    elif scenario == "short":
        assert (texts(answer, "text"), row.finish_reason) == ("Two and", "length")
    elif scenario == "refuses":
        assert REFUSAL in texts(answer, "text") + texts(answer, "refusal") or answer.stop.reason != "stop"
    else:
        assert (texts(answer, "text"), row.finish_reason) == (TEXT, "stop")
