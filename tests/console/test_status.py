"""The start page: figures for the machine's owner, nothing for anybody else."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tidegate.config import Config, load_config
from tidegate.console.app import create_app
from tidegate.console.status import Status, page, read_status
from tidegate.core.row import Row

from .conftest import SEALED_ID, UNSEALED_ID

LOCAL = {"x-tidegate-client": "127.0.0.1", "host": "127.0.0.1:8080"}


@pytest.fixture
def client(config: Config) -> Iterator[TestClient]:
    with TestClient(create_app(config)) as client:
        yield client


def test_totals_count_sealed_and_unsealed_calls_once(config: Config) -> None:
    """A call is on the page before it is sealed, and not twice while it is being sealed."""
    status = read_status(config.ledger_path)

    assert (status.calls, status.input_tokens, status.output_tokens) == (2, 2000, 400)
    assert status.cost_nano_usd == 2_000_000_002
    assert {row.generation_id for row in status.newest} == {SEALED_ID, UNSEALED_ID}


def test_a_ledger_that_is_not_there_is_an_empty_one(tmp_path) -> None:
    """Before the first call there is nothing to show, which is no error."""
    assert read_status(tmp_path / "none") == Status()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST:9"])
def test_a_browser_on_this_machine_sees_the_ledger(client: TestClient, address: str, host: str) -> None:
    """Its owner needs no login to look at it."""
    reply = client.get("/", headers={"x-tidegate-client": address, "host": host})

    assert reply.status_code == 200
    assert SEALED_ID in reply.text and "USD 2.000000002" in reply.text
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "changes",
    [
        {"x-tidegate-client": "203.0.113.9"},
        {"x-tidegate-client": ""},
        {"host": "rebound.example.com:8080"},
        {"host": "127.0.0.1.example.com"},
        {"x-forwarded-for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"via": "1.1 proxy"},
    ],
)
def test_nobody_else_does(client: TestClient, changes: dict[str, str]) -> None:
    """Neither a caller from outside, nor another site's page (DNS rebinding), nor the world through a local proxy."""
    reply = client.get("/", headers={**LOCAL, **changes})

    assert reply.status_code == 200
    assert "The gateway is up" in reply.text
    assert SEALED_ID not in reply.text and "USD" not in reply.text


def test_what_callers_wrote_is_shown_as_text() -> None:
    """A model name is a caller's word; it must not become markup."""
    row = Row(generation_id="x", ts=0, source_id="own", request_model="<script>alert(1)</script>")
    assert "<script>" not in page(Status(calls=1, newest=(row,)))


def test_the_page_is_the_same_before_the_first_call() -> None:
    """An empty table, no error."""
    config = load_config(files=[], environ={"TIDEGATE_HOME": "/nonexistent/home"})
    with TestClient(create_app(config)) as client:
        assert "<b>0</b> calls" in client.get("/", headers=LOCAL).text
