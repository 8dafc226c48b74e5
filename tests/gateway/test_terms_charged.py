"""Price groups at work: a running worker charges by the terms of the moment, and knows new ones within two seconds."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import FakeProvider
from tidegate.accounts.database import Database
from tidegate.accounts.keys import open_accounts
from tidegate.accounts.money.terms import add_term, join_group
from tidegate.accounts.tenancy import now_us
from tidegate.core.price import Price, Rates
from tidegate.core.row import Row
from tidegate.core.terms import Term

COST = 68_000  # the fake provider's 12 tokens in, 4 of them cached, and 5 out, at $2, $0.5 and $10 a million
KNOWN_S = 4.0  # two on a machine that does nothing else
MESSAGES = [{"role": "user", "content": "2+2?"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("terms")


@pytest.fixture(scope="module")
def gateway(home: Path) -> Iterator[Gateway]:
    with FakeProvider() as provider:
        running = start_gateway(home, configuration(provider, ["ok"]))
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def database(gateway: Gateway, home: Path) -> Iterator[Database]:
    accounts = open_accounts(home)
    yield accounts.database
    accounts.close()


def call(gateway: Gateway, *, is_stream: bool = False, root: str = "/v1") -> tuple[Row, str]:
    """One call; its row and the reply's text."""
    before = len(gateway.outcomes())
    body = {"model": "acme/ok", "messages": MESSAGES, "stream": is_stream}
    reply = httpx.post(f"{gateway.url}{root}/chat/completions", json=body, headers=gateway.headers)
    assert reply.status_code == 200, reply.text
    deadline = time.monotonic() + 5
    while len(gateway.outcomes()) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    return gateway.outcomes()[-1].row, reply.text


def charged_within(gateway: Gateway, nano_usd: int, change: Callable[[], object]) -> Row:
    """Make a change; the first row that is charged so, which must come soon."""
    change()
    deadline = time.monotonic() + KNOWN_S
    while True:
        row, _ = call(gateway)
        if row.cost_nano_usd == nano_usd:
            return row
        assert time.monotonic() < deadline, f"still charged {row.cost_nano_usd} after {KNOWN_S} s"
        time.sleep(0.05)


def test_terms_are_charged_from_their_moment_on(gateway: Gateway, database: Database) -> None:
    """At cost, with 20 %, at a price of one's own, free, at cost again; what the provider charges stays beside it."""
    assert call(gateway)[0].cost_nano_usd == COST

    add_term(database, "retail", Term(term_id="", margin_ppm=200_000), now_us())
    row = charged_within(gateway, 81_600, lambda: join_group(database, "default", "retail", now_us()))
    assert (row.upstream_cost_nano_usd, row.price_id) == (COST, "acme/ok@mock#config")

    own = Price(price_id="", rates=Rates(input=10**9, output=2 * 10**9))  # 12 x 1 + 5 x 2 millionths of a dollar
    made = add_term(database, "retail", Term(term_id="", models="acme/*", price=own), now_us())
    row = charged_within(gateway, 22_000, lambda: None)
    assert (row.upstream_cost_nano_usd, row.price_id) == (COST, f"acme/*@retail#{made.term_id}")

    free = Term(term_id="", models="acme/ok", margin_ppm=-1_000_000)
    charged_within(gateway, 0, lambda: add_term(database, "retail", free, now_us()))
    charged_within(gateway, COST, lambda: join_group(database, "default", "", now_us()))


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_reply_tells_the_cost_that_its_row_has(gateway: Gateway, database: Database, *, is_stream: bool) -> None:
    """OpenRouter's `usage.cost` is what the caller is charged, margin included, whole or streamed."""
    add_term(database, "dear", Term(term_id="", margin_ppm=500_000), now_us())
    charged_within(gateway, 102_000, lambda: join_group(database, "default", "dear", now_us()))
    row, text = call(gateway, is_stream=is_stream, root="/api/v1")
    assert row.cost_nano_usd == 102_000
    assert '"cost":0.000102' in text.replace(" ", "")
    charged_within(gateway, COST, lambda: join_group(database, "default", "", now_us()))
