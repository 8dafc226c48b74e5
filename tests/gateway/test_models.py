"""Lists of models, in the shape that each kind of client reads; and counts of tokens, whoever serves the model."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest
import yaml

from conformance.home import start_before
from conformance.mock_provider import MockProvider
from rig.contract import CONTRACT
from rig.gateway import Gateway
from tidegate.core.money import parse_unit_price
from tidegate.core.price import KindRates, Price, Rates, Tier
from tidegate.gateway.models import pricing

PROVIDERS = ("mock-openai", "mock-anthropic", "mock-gemini", "mock-chat")
ANTHROPIC = {"anthropic-version": "2023-06-01"}
SAID = "What is two and two? " * 40


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProvider]:
    with MockProvider() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(mock: MockProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    models = {provider: [f"acme/{provider}{n}" for n in (1, 2)] for provider in PROVIDERS}
    models["mock-anthropic"] += ["acme/uncounted+e404", "acme/busy+e529"]
    running = start_before(mock, tmp_path_factory.mktemp("home"), models)
    yield running
    running.stop()


def get(gateway: Gateway, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    reply = httpx.get(gateway.url + path, headers=gateway.headers | (headers or {}), timeout=10)
    assert reply.headers["content-type"] == "application/json"
    return reply.status_code, reply.json()


def names_served(gateway: Gateway) -> list[str]:
    return [model["id"] for model in get(gateway, "/v1/models")[1]["data"]]


def test_openai_clients_see_openais_list(gateway: Gateway) -> None:
    status, listed = get(gateway, "/v1/models")
    assert (status, listed["object"]) == (200, "list")
    assert len(listed["data"]) == 10
    assert listed["data"] == sorted(listed["data"], key=lambda one: one["id"])
    assert get(gateway, f"/v1/models/{listed['data'][0]['id']}") == (200, listed["data"][0])
    assert set(listed["data"][0]) == {"id", "object", "created", "owned_by"}


@pytest.mark.parametrize("root", ["/v1", "/api/v1"])
def test_anthropics_clients_see_anthropics_list_page_by_page(gateway: Gateway, root: str) -> None:
    """`anthropic-version` tells who asks; the pages together are the whole list, forwards and backwards."""
    seen: list[str] = []
    path = f"{root}/models?limit=3"
    while path:
        status, page = get(gateway, path, ANTHROPIC)
        assert status == 200
        assert set(page) == {"data", "has_more", "first_id", "last_id"}
        assert all(one["type"] == "model" and one["display_name"] and one["created_at"] for one in page["data"])
        seen += [one["id"] for one in page["data"]]
        path = f"{root}/models?limit=3&after_id={quote(page['last_id'])}" if page["has_more"] else ""
    assert seen == names_served(gateway)
    before = get(gateway, f"{root}/models?limit=2&before_id={quote(seen[-1])}", ANTHROPIC)[1]
    assert ([one["id"] for one in before["data"]], before["has_more"]) == (seen[-3:-1], True)
    assert get(gateway, f"{root}/models/{seen[0]}", ANTHROPIC)[1]["id"] == seen[0]


def test_an_unknown_model_is_told_as_each_client_reads_errors(gateway: Gateway) -> None:
    status, body = get(gateway, "/v1/models/acme/none", ANTHROPIC)
    assert (status, body["type"], body["error"]["type"]) == (404, "error", "not_found_error")
    status, body = get(gateway, "/v1beta/models/acme/none")
    assert (status, body["error"]["code"], body["error"]["status"]) == (404, 404, "NOT_FOUND")
    status, body = get(gateway, "/v1/models/acme/none")
    assert (status, body["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1", "after_id=nobody"])
def test_a_page_that_is_none_is_refused_by_name(gateway: Gateway, query: str) -> None:
    status, body = get(gateway, f"/v1/models?{query}", ANTHROPIC)
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert query.split("=")[0] in body["error"]["message"]


def test_too_many_words_in_an_address_are_the_callers_mistake(gateway: Gateway) -> None:
    """What cannot be read is told so, and is no fault of ours."""
    assert get(gateway, "/v1beta/models?" + "a=b&" * 200)[0] == 400


def test_googles_clients_see_googles_list_page_by_page(gateway: Gateway) -> None:
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        status, page = get(gateway, "/v1beta/models?pageSize=4" + (f"&pageToken={token}" if token else ""))
        assert status == 200
        seen += [one["name"] for one in page["models"]]
        assert all("generateContent" in one["supportedGenerationMethods"] for one in page["models"])
        token = page.get("nextPageToken")
    assert seen == [f"models/{name}" for name in names_served(gateway)]
    assert get(gateway, f"/v1beta/{seen[0]}")[1]["name"] == seen[0]


def test_openrouters_clients_see_openrouters_list(gateway: Gateway) -> None:
    """Every entry is what OpenRouter's own schema says, prices as text per token."""
    status, listed = get(gateway, "/api/v1/models")
    assert (status, listed["total_count"], listed["links"]) == (200, 10, {"next": None})
    assert [one["id"] for one in listed["data"]] == names_served(gateway)
    assert listed["data"][0]["pricing"] == {"prompt": "0", "completion": "0"}
    contract = CONTRACT.with_name("openrouter-openapi.yaml")
    if not contract.is_file():
        pytest.skip("../shared/contracts is not beside this checkout: no schema to judge by")
    jsonschema = pytest.importorskip("jsonschema")
    document = yaml.load(contract.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    schema = {"$ref": "#/components/schemas/ModelsListResponse", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(listed)


def test_prices_are_written_exactly_per_unit() -> None:
    """0.15 USD per million tokens is 0.00000015 a token; a long prompt's rates are overrides."""
    rates = Rates(input=150_000_000, output=600_000_000, cache_read=75_000_000, image=4 * 10**13,
                  kinds=KindRates(audio_input=10**10))  # fmt: skip
    tier = Tier(input_tokens_above=200_000, rates=Rates(input=300_000_000, output=1_200_000_001))
    told = pricing(Price(price_id="m@p#", rates=rates, tiers=(tier,)))
    overrides = told.pop("overrides")
    assert told == {"prompt": "0.00000015", "completion": "0.0000006", "input_cache_read": "0.000000075",
                    "image_output": "0.04", "audio": "0.00001"}  # fmt: skip
    assert overrides == [{"min_prompt_tokens": 200_000, "prompt": "0.0000003", "completion": "0.000001200000001"}]
    assert parse_unit_price(overrides[0]["completion"]) == 1_200_000_001


def test_a_list_needs_a_key(gateway: Gateway) -> None:
    for path in ("/v1/models", "/api/v1/models", "/v1beta/models", "/v1beta/models/acme/mock-chat1"):
        assert httpx.get(gateway.url + path).status_code == 401


# -- counts ---------------------------------------------------------------------------------------------------------


def count(gateway: Gateway, dialect: str, model: str, said: str = SAID) -> tuple[int, Any]:
    if dialect == "anthropic":
        path = "/v1/messages/count_tokens"
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": said}]}
    else:
        path = f"/v1beta/models/{model}:countTokens"
        body = {"contents": [{"role": "user", "parts": [{"text": said}]}]}
    if dialect == "gemini whole":
        body = {"generateContentRequest": {"model": f"models/{model}", **body}}
    reply = httpx.post(gateway.url + path, headers=gateway.headers, json=body, timeout=10)
    return reply.status_code, reply.json()


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "gemini whole"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_tokens_are_counted_for_every_caller_whoever_serves_the_model(
    gateway: Gateway, mock: MockProvider, dialect: str, provider: str
) -> None:
    """A provider of the caller's dialect is asked; for any other the gateway counts, and asks nobody. Nothing is
    charged, and the row is there."""
    model, asked = f"acme/{provider}1", len(mock.calls)
    is_same = provider == f"mock-{dialect.split()[0]}"
    status, body = count(gateway, dialect, model)
    assert status == 200, body
    name = "input_tokens" if dialect == "anthropic" else "totalTokens"
    calls = mock.calls[asked:]
    if is_same:
        assert [call.path.rpartition("/")[2].rpartition(":")[2] for call in calls] == [
            "count_tokens" if dialect == "anthropic" else "countTokens"
        ]
    else:
        assert calls == []
        assert 200 < body[name] < 300  # six tokens a sentence
    outcome = gateway.outcome(model)
    row = outcome.row
    assert (row.operation_name, row.status_code, row.cost_nano_usd, row.error_type) == ("count_tokens", 200, 0, None)
    assert row.attempt_count == len(outcome.attempts) == int(is_same)


def test_what_the_provider_could_not_be_asked_is_refused_in_a_count_too(gateway: Gateway) -> None:
    body = {"model": "acme/mock-chat1", "messages": [{"role": "nobody", "content": "?"}]}
    reply = httpx.post(f"{gateway.url}/v1/messages/count_tokens", headers=gateway.headers, json=body)
    assert (reply.status_code, reply.json()["type"]) == (400, "error")
    assert "messages" in reply.json()["error"]["message"]


def test_a_provider_that_cannot_count_is_stood_in_for(gateway: Gateway) -> None:
    """Servers that speak Messages often lack `count_tokens`; a client that needs it works all the same."""
    status, body = count(gateway, "anthropic", "acme/uncounted+e404")
    assert status == 200
    assert 200 < body["input_tokens"] < 300
    outcome = gateway.outcome("acme/uncounted+e404")
    assert (outcome.row.status_code, outcome.row.error_type, outcome.row.cost_nano_usd) == (200, None, 0)
    assert [attempt.status_code for attempt in outcome.attempts] == [404]


def test_a_provider_that_is_busy_is_not(gateway: Gateway) -> None:
    assert count(gateway, "anthropic", "acme/busy+e529")[0] != 200


def test_a_longer_request_counts_more(gateway: Gateway) -> None:
    counts = [count(gateway, "anthropic", "acme/mock-chat1", "word " * n)[1]["input_tokens"] for n in (1, 10, 1000)]
    assert counts == sorted(set(counts))
