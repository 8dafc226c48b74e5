"""The start page: figures for the machine's owner, nothing for anybody else."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tidegate.config import Config
from tidegate.console.app import create_app
from tidegate.console.status import Status, StatusReader, page
from tidegate.core.row import Row
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

from .conftest import SEALED_ID, UNSEALED_ID

LOCAL = {"x-tidegate-client": "127.0.0.1", "host": "127.0.0.1:8080"}


@pytest.fixture
def client(config: Config) -> Iterator[TestClient]:
    with TestClient(create_app(config)) as client:
        yield client


def test_totals_count_sealed_and_unsealed_calls_once(config: Config) -> None:
    """A call is on the page before it is sealed, and counted once when it has been."""
    reader, ledger = StatusReader(), Ledger.open(config.ledger_path)
    for _ in range(2):
        status = reader.read(ledger)
        assert (status.calls, status.input_tokens, status.output_tokens) == (2, 2000, 400)
        assert status.cost_nano_usd == 2_000_000_002
        assert {row.generation_id for row in status.newest} == {SEALED_ID, UNSEALED_ID}
        seal(Ledger.open(config.ledger_path))  # by another process


def test_a_sealed_file_is_read_once(config: Config) -> None:
    """They never change, and there may be millions of rows in them."""
    reader, ledger = StatusReader(), Ledger.open(config.ledger_path)
    first = reader.read(ledger)
    for path in ledger.row_files():
        path.unlink()
    assert reader.read(ledger) == first


def test_a_ledger_that_cannot_be_read_is_not_shown_as_an_empty_one(client: TestClient, config: Config) -> None:
    """Its owner is told which file is damaged; a caller of the API is told only that something is."""
    (config.ledger_path / "ledger.json").write_text('{"format": 99, "ledger_id": "x", "created": "later"}')

    shown = client.get("/", headers=LOCAL)
    asked = client.get("/api/v1/generation", params={"id": SEALED_ID}, headers={"x-tidegate-tenant": "a"})

    assert shown.status_code == 200 and "has format 99" in shown.text and "<b>0</b>" not in shown.text
    assert asked.status_code == 503 and str(config.home_path) not in asked.text


def test_a_fault_of_ours_has_the_one_error_shape(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator finds the traceback in the log."""
    monkeypatch.setattr("tidegate.console.app.may_see_ledger", lambda _: 1 / 0)
    with TestClient(create_app(config), raise_server_exceptions=False) as client:
        reply = client.get("/")
    assert reply.status_code == 500 and reply.json()["error"]["code"] == "internal_error"


def test_head_has_the_headers_and_other_methods_the_one_error_shape(client: TestClient) -> None:
    """A monitor asks with HEAD; a wrong method or path is told so as everywhere else."""
    assert client.head("/", headers=LOCAL).status_code == 200
    assert client.post("/").json()["error"]["code"] == "method_not_allowed"
    assert client.get("/nothing").json()["error"]["code"] == "path_not_found"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST:9"])
def test_a_browser_on_this_machine_sees_the_ledger(client: TestClient, address: str, host: str) -> None:
    """Its owner needs no login to look at it."""
    reply = client.get("/", headers={"x-tidegate-client": address, "host": host})

    assert reply.status_code == 200
    assert SEALED_ID in reply.text and "<b>2.000000002</b> USD charged" in reply.text
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


def test_before_the_first_call_the_page_says_how_to_make_one(config: Config) -> None:
    """An empty table would say nothing."""
    assert "tidegate call MODEL TEXT" in page(Status())
