"""Replies against the published OpenAPI documents: OpenAI's under /v1, OpenRouter's under /api/v1.

Every reply that a caller of those paths gets, streamed and not, whichever dialect its provider speaks; and what OpenAI
is sent, whichever dialect the caller spoke.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx2
import pytest

from conformance.contracts import events, faults, reply_pointer, request_pointer
from conformance.home import start_before
from conformance.mock_provider import MockProvider
from rig.gateway import Gateway

KINDS = ("text", "tools", "thinks", "refuses", "short", "filtered")
PROVIDERS = {"mock-openai": "openai", "mock-anthropic": "anthropic", "mock-gemini": "gemini"}
ADD = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
JSON, STREAM = "application/json", "text/event-stream"

ASKS: dict[str, dict[str, Any]] = {
    "/chat/completions": {
        "messages": [{"role": "user", "content": "2+2?"}],
        "tools": [{"type": "function", "function": {"name": n, "parameters": ADD}} for n in ("add", "multiply")],
    },
    "/responses": {
        "input": "2+2?",
        "tools": [{"type": "function", "name": n, "parameters": ADD, "strict": True} for n in ("add", "multiply")],
    },
    "/messages": {
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "2+2?"}],
        "tools": [{"name": n, "input_schema": ADD} for n in ("add", "multiply")],
    },
}


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProvider]:
    with MockProvider() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(mock: MockProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    models = {provider: [f"{word}-{kind}" for kind in KINDS] for provider, word in PROVIDERS.items()}
    running = start_before(mock, tmp_path_factory.mktemp("home"), models)
    yield running
    running.stop()


def ask(gateway: Gateway, path: str, body: dict[str, Any]) -> httpx2.Response:
    reply = httpx2.post(f"{gateway.url}{path}", json=body, headers=gateway.headers, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply


def judged(gateway: Gateway, document: str, root: str, path: str, body: dict[str, Any]) -> list[str]:
    """What a document says against the reply to a request, and against each event of its stream."""
    whole = ask(gateway, root + path, body).json()
    wrong = [f"whole: {fault}" for fault in faults(document, reply_pointer(path, JSON), whole)]
    streamed = ask(gateway, root + path, body | {"stream": True}).content
    found = events(streamed)
    assert found, streamed
    for number, event in enumerate(found):
        wrong += [f"event {number} {event.get('type', '')}: {fault}" for fault in check_event(document, path, event)]
    return wrong


def check_event(document: str, path: str, event: Any) -> list[str]:
    """OpenRouter's document describes the SSE event, OpenAI's its data."""
    if document == "openrouter":
        event = {"data": event} | ({"event": event["type"]} if path == "/messages" else {})
    return faults(document, reply_pointer(path, STREAM), event)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("word", PROVIDERS.values())
@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
def test_a_reply_under_v1_is_what_openai_documents(gateway: Gateway, path: str, word: str, kind: str) -> None:
    """A client generated from OpenAI's document reads every reply, whoever answered."""
    wrong = judged(gateway, "openai", "/v1", path, ASKS[path] | {"model": f"{word}-{kind}"})
    assert not wrong, "\n".join(wrong[:20])


CALLER = "OpenRouter's document requires `caller` in each tool_use block; Anthropic's own SDK does not"
WITHOUT_CALLER = {("/messages", "openai", "tools"), ("/messages", "gemini", "tools")}


@pytest.mark.parametrize(
    ("path", "word", "kind"),
    [
        pytest.param(*c, marks=pytest.mark.xfail(strict=True, reason=CALLER) if c in WITHOUT_CALLER else ())
        for c in product(ASKS, PROVIDERS.values(), KINDS)
    ],
)
def test_a_reply_under_api_v1_is_what_openrouter_documents(gateway: Gateway, path: str, word: str, kind: str) -> None:
    """A client generated from OpenRouter's document reads every reply."""
    wrong = judged(gateway, "openrouter", "/api/v1", path, ASKS[path] | {"model": f"{word}-{kind}"})
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("path", ASKS)
def test_what_openai_is_sent_is_what_it_documents(gateway: Gateway, mock: MockProvider, path: str) -> None:
    """Whatever dialect the caller spoke."""
    ask(gateway, "/v1" + path, ASKS[path] | {"model": "openai-tools"})
    seen = mock.calls[-1]
    sent_to = seen.path.removeprefix("/v1")
    wrong = faults("openai", request_pointer(sent_to), seen.body)
    assert not wrong, "\n".join(wrong[:20])
