"""`POST /api/v1/feedback`: the caller's own calls only, kept before it is acknowledged, the one error shape."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tidegate.config import Config
from tidegate.console.app import create_app
from tidegate.ledger.outcomes import Judgement, read
from tidegate.ledger.store import Ledger

from .conftest import SEALED_ID, UNSEALED_ID


@pytest.fixture
def client(config: Config) -> Iterator[TestClient]:
    with TestClient(create_app(config)) as client:
        yield client


def say(client: TestClient, body: object, tenant_id: str | None = "a") -> tuple[int, dict]:
    headers = {} if tenant_id is None else {"x-tidegate-tenant": tenant_id, "x-tidegate-key": "key-1"}
    if isinstance(body, (bytes, str)):
        reply = client.post("/api/v1/feedback", content=body, headers=headers)
    else:
        reply = client.post("/api/v1/feedback", json=body, headers=headers)
    return reply.status_code, reply.json()


@pytest.mark.parametrize(("generation_id", "tenant_id"), [(SEALED_ID, "a"), (UNSEALED_ID, "b")])
def test_a_call_is_judged_sealed_or_not(client: TestClient, config: Config, generation_id: str, tenant_id: str) -> None:
    """What the caller says is on the disk when the reply comes, under whose key it was said."""
    body = {"generation_id": generation_id, "accepted": False, "score": 0.125, "reason": "wrong sum", "who": "ci"}

    status, reply = say(client, body, tenant_id)

    assert status == 201
    assert reply["data"]["generation_id"] == generation_id
    assert (reply["data"]["accepted"], reply["data"]["score"]) == (False, 0.125)
    (kept,) = read(Ledger.open(config.ledger_path))
    assert isinstance(kept, Judgement)
    assert kept.ts // 1_000_000 == reply["data"]["created"]
    assert (kept.generation_id, kept.tenant_id, kept.key_id) == (generation_id, tenant_id, "key-1")
    assert (kept.accepted, kept.score_ppm, kept.reason, kept.who) == (False, 125_000, "wrong sum", "ci")


def test_a_score_alone_is_enough_and_both_prefixes_are_served(client: TestClient) -> None:
    """Who grades need not decide."""
    assert say(client, {"generation_id": SEALED_ID, "score": 1})[0] == 201
    headers = {"x-tidegate-tenant": "a"}
    reply = client.post("/v1/feedback", json={"generation_id": SEALED_ID, "accepted": True}, headers=headers)
    assert reply.status_code == 201


@pytest.mark.parametrize(
    ("body", "tenant_id", "status", "code", "says"),
    [
        ({"generation_id": SEALED_ID, "accepted": True}, "b", 404, "generation_not_found", "No generation"),
        ({"generation_id": "nowhere", "accepted": True}, "a", 404, "generation_not_found", "No generation"),
        ({"generation_id": SEALED_ID, "accepted": True}, None, 401, "invalid_api_key", "API key"),
        ({"generation_id": SEALED_ID}, "a", 400, "invalid_request", "Say `accepted`"),
        ({"generation_id": "", "accepted": True}, "a", 400, "invalid_request", "is empty"),
        ({"generation_id": SEALED_ID, "score": 1.5}, "a", 400, "invalid_request", "`float` <= 1.0"),
        ({"generation_id": SEALED_ID, "score": -0.1}, "a", 400, "invalid_request", "`float` >= 0.0"),
        ({"generation_id": SEALED_ID, "score": "good"}, "a", 400, "invalid_request", "no feedback"),
        ({"generation_id": SEALED_ID, "accepted": "yes"}, "a", 400, "invalid_request", "no feedback"),
        ({"generation_id": SEALED_ID, "acepted": True}, "a", 400, "invalid_request", "acepted"),
        ({"generation_id": SEALED_ID, "accepted": True, "reason": "x" * 2001}, "a", 400, "invalid_request", "2000"),
        ({"accepted": True}, "a", 400, "invalid_request", "generation_id"),
        ([], "a", 400, "invalid_request", "no feedback"),
        (b"\xff\xfe", "a", 400, "invalid_request", "no feedback"),
        (b"", "a", 400, "invalid_request", "no feedback"),
        (b" " * 70_000, "a", 413, "payload_too_large", "65536 bytes"),
    ],
)
def test_what_is_refused_leaves_no_trace(
    client: TestClient, config: Config, body: object, tenant_id: str | None, status: int, code: str, says: str
) -> None:
    """Another tenant's call is not found, just as one that never was; a slip of the pen is named."""
    seen, reply = say(client, body, tenant_id)

    assert (seen, reply["error"]["metadata"]["code"]) == (status, code)
    assert says in reply["error"]["message"]
    assert list(read(Ledger.open(config.ledger_path))) == []


def test_reading_it_by_get_is_not_served(client: TestClient) -> None:
    """The refusal says so by its status."""
    assert client.get("/api/v1/feedback", headers={"x-tidegate-tenant": "a"}).status_code == 405
