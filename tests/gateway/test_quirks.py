"""Providers that depart from the caller's own dialect, and calls of more than text, through a real gateway."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, start_gateway
from rig.provider import USAGE, Call, FakeProvider, answer, completion, usage_event

PRICE = (
    'price = { input = "2", output = "10", cache_read = "1", cache_creation = "2.5", '
    'more = { cache_creation_1h = "4", audio_input = "40", audio_output = "80", web_search = "10000" } }'
)
SPOKEN = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
          "prompt_tokens_details": {"audio_tokens": 60}, "completion_tokens_details": {"audio_tokens": 40}}  # fmt: skip
KEPT = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
        "server_tool_use": {"web_search_requests": 2}}  # fmt: skip
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "kept", "stop_reason": "end_turn",
           "content": [{"type": "text", "text": "Four."}], "usage": KEPT}  # fmt: skip


async def usage_unasked(call: Call) -> None:
    """As Mistral: refuses `stream_options`, and reports usage at the end of every stream."""
    if "stream_options" in call.body:
        await call.reply(422, {"detail": "extra fields not permitted"})
    elif call.body.get("stream"):
        await call.begin_stream()
        await call.event(
            usage_event() | {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
        )
        await call.end_stream()
    else:
        await answer(call)


async def spoken(call: Call) -> None:
    await call.reply(200, completion("spoken", usage=SPOKEN))


async def kept(call: Call) -> None:
    await call.reply(200, MESSAGE)


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider({"mistral": usage_unasked, "spoken": spoken, "kept": kept}) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    lines = []
    for name in ("mistral", "deepseek", "openai", "openrouter", "mock", "anthropic"):
        dialect = 'dialect = "anthropic"' if name == "anthropic" else ""
        lines.append(f'[providers.{name}]\nbase_url = "{provider.url}"\n{dialect}')
    for name, model in (
        *((name, name) for name in ("mistral", "deepseek", "openai", "openrouter")),
        *(("mock", "spoken"), ("anthropic", "kept")),
    ):
        lines.append(f'[[endpoints]]\nprovider = "{name}"\nmodel = "acme/{model}"\nupstream_model = "{model}"\n{PRICE}')
    running = start_gateway(tmp_path_factory.mktemp("home"), "\n".join(lines))
    yield running
    running.stop()


def ask(gateway: Gateway, model: str, path: str = "/v1/chat/completions", **members: Any) -> httpx.Response:
    body = {"model": f"acme/{model}", "messages": [{"role": "user", "content": "2+2?"}]} | members
    return httpx.post(gateway.url + path, headers=gateway.headers, json=body, timeout=10)


def arrived(provider: FakeProvider, model: str) -> dict[str, Any]:
    return next(call.body for call in reversed(provider.calls) if call.body["model"] == model)


def test_a_request_that_the_provider_would_refuse_is_made_fit(gateway: Gateway, provider: FakeProvider) -> None:
    """Mistral knows no developer, max_completion_tokens or stream_options; its stream is metered all the same."""
    said = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]
    reply = ask(gateway, "mistral", messages=said, max_completion_tokens=9, stream=True)
    assert reply.status_code == 200, reply.text
    body = arrived(provider, "mistral")
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["max_tokens"] == 9 and not {"stream_options", "max_completion_tokens"} & body.keys()
    assert "x-tidegate-dropped-parameters" not in reply.headers, "nothing was lost"
    assert gateway.row("acme/mistral").usage_input_tokens == USAGE["prompt_tokens"]


def test_what_a_provider_cannot_be_told_is_listed_or_refused(gateway: Gateway, provider: FakeProvider) -> None:
    """DeepSeek has no strict schemas; the caller learns it from a header, or from a 400 where he insists."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    reply = ask(gateway, "deepseek", response_format=form)
    assert (reply.status_code, reply.headers["x-tidegate-dropped-parameters"]) == (200, "response_format.json_schema")
    assert arrived(provider, "deepseek")["response_format"] == {"type": "json_object"}
    before = len(provider.calls)
    refused = ask(gateway, "deepseek", response_format=form, provider={"require_parameters": True})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "response_format.json_schema"
    assert len(provider.calls) == before


def test_fields_that_nothing_serves_are_never_lost_in_silence(gateway: Gateway, provider: FakeProvider) -> None:
    """`plugins` and `transforms` are OpenRouter's: OpenAI would refuse them, and nobody here obeys them."""
    members = {
        "transforms": ["x"],
        "plugins": [{"id": "web"}],
        "provider": {"sort": "price"},
        "usage": {"include": True},
    }
    for path in ("/v1/chat/completions", "/api/v1/chat/completions"):
        reply = ask(gateway, "openai", path, **members)
        assert reply.status_code == 200, reply.text
        assert reply.headers["x-tidegate-dropped-parameters"].replace(" ", "") == "plugins,transforms"
        assert not members.keys() & arrived(provider, "openai").keys()
    refused = ask(gateway, "openai", **members | {"provider": {"require_parameters": True}})
    assert refused.status_code == 400 and "plugins, transforms" in refused.json()["error"]["message"]
    assert ask(gateway, "openrouter", **members).status_code == 200
    assert members.items() <= arrived(provider, "openrouter").items()


def test_sound_is_charged_as_sound(gateway: Gateway) -> None:
    """40 of 100 tokens in and 10 of 50 out are text; the rest costs twenty and eight times as much."""
    assert ask(gateway, "spoken").status_code == 200
    row = gateway.row("acme/spoken")
    assert row.cost_nano_usd == 40 * 2_000 + 60 * 40_000 + 10 * 10_000 + 40 * 80_000
    assert row.cost_basis == "metered"


def test_an_hour_in_the_cache_and_searches_are_charged(gateway: Gateway) -> None:
    """Through Anthropic's own dialect, and for a caller of another."""
    cost = 10 * 2_000 + 100 * 1_000 + 400 * 2_500 + 600 * 4_000 + 5 * 10_000 + 2 * 10_000_000
    for path in ("/v1/messages", "/v1/chat/completions"):
        reply = ask(gateway, "kept", path, max_tokens=9)
        assert reply.status_code == 200, reply.text
        assert gateway.row("acme/kept").cost_nano_usd == cost
    usage = json.loads(ask(gateway, "kept", "/api/v1/chat/completions").content)["usage"]
    assert usage["cost"] == cost / 1e9
