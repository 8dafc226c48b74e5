"""`GET /api/v1/generation`: OpenRouter's shape, the caller's own rows only, the one error shape."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from tidegate.config import Config
from tidegate.console.app import create_app

from .conftest import SEALED_ID, UNSEALED_ID

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "openrouter-openapi.yaml"


@pytest.fixture
def client(config: Config) -> Iterator[TestClient]:
    """What the gateway is to the console: a client that may set the tenant."""
    with TestClient(create_app(config)) as client:
        yield client


def ask(client: TestClient, generation_id: str, tenant_id: str | None) -> tuple[int, dict]:
    headers = {} if tenant_id is None else {"x-tidegate-tenant": tenant_id}
    reply = client.get("/api/v1/generation", params={"id": generation_id}, headers=headers)
    return reply.status_code, json.loads(reply.text, parse_float=str)


@pytest.mark.parametrize(("generation_id", "tenant_id"), [(SEALED_ID, "a"), (UNSEALED_ID, "b")])
def test_a_call_is_found_sealed_or_not(client: TestClient, generation_id: str, tenant_id: str) -> None:
    """Whoever has just called may ask at once; whoever asks a month later gets the same."""
    status, body = ask(client, generation_id, tenant_id)

    assert status == 200
    data = body["data"]
    assert data["id"] == generation_id
    assert (data["model"], data["provider_name"]) == ("openai/gpt-4o-mini", "openai")
    assert (data["tokens_prompt"], data["tokens_completion"], data["native_tokens_cached"]) == (1000, 200, 400)
    assert (data["latency"], data["generation_time"]) == ("2500.0", "2000.0"), "milliseconds"
    assert data["created_at"] == "2025-10-17T11:20:00.000000+00:00"
    assert [response["status"] for response in data["provider_responses"]] == [503, 200]


def test_money_is_exact_in_json(client: TestClient) -> None:
    """The number's digits are those of the row: no float stood in between."""
    _, body = ask(client, SEALED_ID, "a")

    data = body["data"]
    assert data["total_cost"] == data["usage"] == "1.000000001"
    assert data["upstream_inference_cost"] == "0.9"
    assert data["tidegate_row"]["cost_nano_usd"] == 1_000_000_001


@pytest.mark.parametrize(
    ("generation_id", "tenant_id", "status", "code"),
    [
        (SEALED_ID, "b", 404, "generation_not_found"),
        (UNSEALED_ID, "a", 404, "generation_not_found"),
        ("0199f3a2-0000-7000-8000-00000000ffff", "a", 404, "generation_not_found"),
        ("'; DROP TABLE rows", "a", 404, "generation_not_found"),
        ("\0", "a", 404, "generation_not_found"),
        ("", "a", 400, "invalid_request"),
        (SEALED_ID, None, 401, "invalid_api_key"),
        (SEALED_ID, "", 401, "invalid_api_key"),
    ],
)
def test_refusals(client: TestClient, generation_id: str, tenant_id: str | None, status: int, code: str) -> None:
    """Another tenant's call is not found, just as one that never was; under /api, errors are OpenRouter's."""
    seen, body = ask(client, generation_id, tenant_id)

    assert (seen, body["error"]["code"], body["error"]["metadata"]["code"]) == (status, status, code)
    assert set(body["error"]) == {"message", "type", "param", "code", "metadata"}


def test_other_paths_and_methods_have_the_same_error_shape(client: TestClient) -> None:
    """A client's error handling must not depend on which process answered."""
    assert client.get("/nowhere").json()["error"]["code"] == "path_not_found"
    assert client.post("/v1/generation").json()["error"]["code"] == "method_not_allowed"
    assert client.post("/api/v1/generation").json()["error"]["code"] == 405


def test_a_damaged_ledger_is_an_error_not_a_missing_call(client: TestClient, config: Config) -> None:
    """404 would say that the call never was."""
    (config.ledger_path / "ledger.json").write_text("{")
    status, body = ask(client, SEALED_ID, "a")
    assert (status, body["error"]["metadata"]["code"]) == (503, "unavailable")


def test_the_reply_is_one_that_openrouters_clients_accept(client: TestClient) -> None:
    """Every field that the published contract requires is there, with its type."""
    if not CONTRACT.is_file():
        pytest.skip("../shared/contracts/openrouter-openapi.yaml is not beside this checkout")
    import jsonschema

    contract = yaml.load(CONTRACT.read_bytes(), Loader=yaml.CSafeLoader)
    schema = {**contract["components"]["schemas"]["GenerationResponse"], "components": contract["components"]}
    body = client.get("/api/v1/generation", params={"id": SEALED_ID}, headers={"x-tidegate-tenant": "a"}).json()
    jsonschema.validate(body, schema)
