"""One call through a running gateway: what the caller gets, what the provider gets, what the row says."""

import json
from collections.abc import Callable, Iterator

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration
from rig.provider import Call, FakeProvider, completion, delta, usage_event
from tidegate.ledger.schema import canonical_bytes

BODY = {"model": "acme/plain", "messages": [{"role": "user", "content": "2+2?"}], "x_vendor": {"keep": [1, 2]}}


async def refuse(call: Call) -> None:
    status, _, extra = call.body["refuse"].partition(" ")
    await call.reply(int(status), {"error": {"message": "provider's own words, sk-secret-of-operator"}}, extra)


async def call_tools(call: Call) -> None:
    await call.begin_stream()
    for index in (0, 1):
        tool = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        await call.event({"choices": [{"index": 0, "delta": {"tool_calls": [tool]}, "finish_reason": None}]})
    await call.event(delta(None, "tool_calls"))
    await call.event(usage_event())
    await call.end_stream()


async def compressed(call: Call) -> None:
    import gzip

    await call.reply(200, gzip.compress(json.dumps(completion("compressed")).encode()), "content-encoding: gzip\r\n")


async def early_hints(call: Call) -> None:
    await call.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
    await call.reply(200, completion("hints"))


async def until_close(call: Call) -> None:
    body = json.dumps(completion("until-close")).encode()
    await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n" + body)
    call.writer.close()


SCRIPTS = {
    "refuse": refuse,
    "tools": call_tools,
    "compressed": compressed,
    "hints": early_hints,
    "until-close": until_close,
}
MODELS = ["plain", *SCRIPTS]


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(SCRIPTS) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    from rig.gateway import start_gateway

    config = configuration(provider, MODELS, provider_extra='api_key_env = "MOCK_KEY"\nregion = "eu-test"')
    config += '[[endpoints]]\nprovider = "mock"\nmodel = "acme/unpriced"\n'
    running = start_gateway(tmp_path_factory.mktemp("home"), config, {"MOCK_KEY": "sk-secret-of-operator"})
    yield running
    running.stop()


@pytest.fixture
def post(gateway: Gateway) -> Iterator[Callable[..., httpx.Response]]:
    with httpx.Client(base_url=gateway.url, headers=gateway.headers, timeout=10) as client:
        yield lambda body, path="/v1/chat/completions", **options: client.post(path, json=body, **options)


def test_a_call_passes_byte_for_byte_and_is_metered(gateway: Gateway, provider: FakeProvider, post) -> None:
    """The reply is the provider's own bytes; the provider gets the caller's, with model name and key exchanged."""
    reply = post(BODY)
    assert reply.status_code == 200
    assert reply.content == json.dumps(completion("plain")).encode()
    assert provider.calls[-1].body == BODY | {"model": "plain"}
    assert provider.calls[-1].headers["authorization"] == "Bearer sk-secret-of-operator"
    row = gateway.outcome().row
    assert row.generation_id == reply.headers["x-generation-id"]
    assert (row.usage_input_tokens, row.usage_cache_read_input_tokens, row.usage_output_tokens) == (12, 4, 5)
    # 8 fresh at 2 USD, 4 cached at 0.50, 5 out at 10 USD per million
    assert row.cost_nano_usd == 8 * 2000 + 4 * 500 + 5 * 10_000 == 68_000
    assert (row.cost_basis, row.status_code, row.finish_reason, row.error_type) == ("metered", 200, "stop", None)
    assert (row.provider_name, row.endpoint_region, row.price_id) == ("mock", "eu-test", "acme/plain@mock#config")
    assert row.duration_us > row.time_to_first_chunk_us > 0
    assert 0 < row.overhead_us < row.duration_us


@pytest.mark.parametrize("asked", [True, False])
def test_a_stream_is_always_metered_but_shows_usage_only_if_asked(
    gateway: Gateway, provider, post, asked: bool
) -> None:
    """The provider is always asked for usage; the caller sees what the caller asked for."""
    options = {"stream_options": {"include_usage": True}} if asked else {}
    reply = post(BODY | {"stream": True} | options)
    assert provider.calls[-1].body["stream_options"] == {"include_usage": True}
    assert reply.headers["content-type"] == "text/event-stream"
    events = reply.text.split("\n\n")[:-1]
    assert events[-1] == "data: [DONE]"
    assert len(events) == (8 if asked else 7)
    assert ('"usage"' in reply.text) is asked
    row = gateway.outcome().row
    assert (row.is_stream, row.cost_nano_usd, row.cost_basis) == (True, 68_000, "metered")


def test_parallel_tool_calls_are_counted(gateway: Gateway, post) -> None:
    """Tools offered come from the request, tool calls from the answer."""
    post({"model": "acme/tools", "messages": [], "stream": True, "tools": [{"type": "function"}] * 3})
    row = gateway.row("acme/tools")
    assert (row.tools_offered, row.tool_calls, row.finish_reason) == (3, 2, "tool_calls")


@pytest.mark.parametrize(
    ("sent", "status"), [("400", 400), ("404", 404), ("422", 422), ("429 retry-after: 7\r\n", 429)]
)
def test_a_providers_word_on_the_request_reaches_the_caller(gateway: Gateway, post, sent: str, status: int) -> None:
    """Status, body and Retry-After as they came; the row says that nothing was spent."""
    reply = post({"model": "acme/refuse", "messages": [], "refuse": sent})
    assert (reply.status_code, reply.json()["error"]["message"][:10]) == (status, "provider's")
    assert reply.headers.get("retry-after") == ("7" if status == 429 else None)
    row = gateway.outcome().row
    assert (row.status_code, row.cost_nano_usd, row.error_type) == (status, 0, "upstream_refusal")


@pytest.mark.parametrize(("sent", "code"), [("401", "upstream_rejected_credentials"), ("500", "upstream_error")])
def test_a_providers_failure_is_a_502_without_its_secrets(gateway: Gateway, post, sent: str, code: str) -> None:
    """A provider's 401 is not the caller's 401, and a key the provider quotes must not travel."""
    reply = post({"model": "acme/refuse", "messages": [], "refuse": sent})
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, code)
    assert reply.json()["error"]["metadata"]["provider_name"] == "mock"
    assert "sk-secret" not in reply.text
    attempt = gateway.outcome().attempts[-1]
    assert (attempt.status_code, attempt.error_type) == (int(sent), code)


@pytest.mark.parametrize("model", ["compressed", "hints", "until-close"])
def test_unusual_but_valid_replies_are_read(gateway: Gateway, post, model: str) -> None:
    """Unasked gzip, 103 Early Hints, and a body that ends with the connection."""
    reply = post({"model": f"acme/{model}", "messages": []})
    assert reply.json()["choices"][0]["message"]["content"] == "Four."
    assert gateway.row(f"acme/{model}").cost_basis == "metered"


def test_an_unknown_model_is_404_with_a_suggestion_and_a_row(gateway: Gateway, post) -> None:
    """A typo costs one reading of one line."""
    reply = post(BODY | {"model": "acme/plan"})
    assert reply.status_code == 404
    assert "Did you mean acme/plain" in reply.json()["error"]["message"]
    assert gateway.row("acme/plan").error_type == "model_not_found"


def test_an_unpriced_model_is_refused_before_the_call(gateway: Gateway, provider: FakeProvider, post) -> None:
    """An unknown price is an error before the call, not a zero after it."""
    before = len(provider.calls)
    reply = post(BODY | {"model": "acme/unpriced"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "price_unknown")
    assert len(provider.calls) == before
    assert gateway.row("acme/unpriced").cost_nano_usd == 0


def test_malformed_json_is_400_with_a_row(gateway: Gateway) -> None:
    """Authenticated refusals are rows too."""
    content = b'{"model": "acme/plain", "messages": [}'
    reply = httpx.post(f"{gateway.url}/v1/chat/completions", content=content, headers=gateway.headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_request")
    row = gateway.outcome().row
    assert (row.status_code, row.error_type, row.attempt_count) == (400, "invalid_request", 0)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic eDp5"}])
def test_who_is_not_authenticated_is_counted_not_recorded(gateway: Gateway, headers: dict[str, str]) -> None:
    """A stranger cannot fill the ledger."""
    rows = len(gateway.outcomes())
    reply = httpx.post(f"{gateway.url}/v1/chat/completions", json=BODY, headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert len(gateway.outcomes()) == rows
    assert "tidegate_unauthenticated_requests_total" in httpx.get(f"{gateway.url}/metrics").text


@pytest.mark.parametrize("name", ["x-api-key", "x-goog-api-key"])
def test_other_sdks_key_headers_are_accepted(gateway: Gateway, name: str) -> None:
    """Anthropic's and Google's clients send their keys this way."""
    reply = httpx.post(f"{gateway.url}/v1/chat/completions", json=BODY, headers={name: gateway.key})
    assert reply.status_code == 200


def test_who_and_what_for_is_recorded_without_content(gateway: Gateway, post) -> None:
    """App, session, request id and a keyed hash of the end user; never the user, never the text."""
    headers = {"x-title": "Demo", "x-session-id": "s-1", "x-request-id": "r-1"}
    reply = post(BODY | {"user": "alice@example.com"}, headers=headers)
    assert reply.headers["x-request-id"] == "r-1"
    row = gateway.outcome().row
    assert (row.app, row.session_id, row.request_id, len(row.user_hash)) == ("Demo", "s-1", "r-1", 32)
    text = canonical_bytes(row)
    assert b"alice" not in text
    assert b"2+2" not in text


def test_a_compressed_request_is_read(gateway: Gateway) -> None:
    """Content-Encoding: gzip on the way in."""
    import gzip

    headers = gateway.headers | {"content-encoding": "gzip"}
    content = gzip.compress(json.dumps(BODY).encode())
    assert httpx.post(f"{gateway.url}/v1/chat/completions", content=content, headers=headers).status_code == 200


def test_models_are_listed_as_openai_does(gateway: Gateway, post) -> None:
    """Unpriced models are not served, so not listed."""
    reply = httpx.get(f"{gateway.url}/v1/models", headers=gateway.headers)
    assert [m["id"] for m in reply.json()["data"]] == sorted(f"acme/{m}" for m in MODELS)
    assert httpx.get(f"{gateway.url}/v1/models").status_code == 401


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/chat/completions"), ("POST", "/v1/models")])
def test_a_wrong_method_says_which_one_is_right(gateway: Gateway, method: str, path: str) -> None:
    """405, naming the method."""
    reply = httpx.request(method, gateway.url + path, headers=gateway.headers)
    assert reply.status_code == 405
    assert "use " in reply.json()["error"]["message"]


def test_health_and_metrics_need_no_key(gateway: Gateway) -> None:
    """Orchestrators and scrapers have none. What was called before is counted, so a call comes first."""
    assert httpx.post(f"{gateway.url}/v1/chat/completions", json=BODY, headers=gateway.headers).status_code == 200
    assert httpx.get(f"{gateway.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{gateway.url}/readyz").json()["checks"] == {"journal": True, "accepting": True, "models": True}
    assert 'tidegate_calls_total{status="200"}' in httpx.get(f"{gateway.url}/metrics").text
