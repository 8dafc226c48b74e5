"""Credit that comes in while a gateway runs: an empty wallet stops calls, a redeemed voucher lets them go on."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import FakeProvider
from tidegate.accounts.keys import Accounts, open_accounts
from tidegate.accounts.money.vouchers import NewBatch, make_batch, redeem
from tidegate.accounts.tenancy import now_us
from tidegate.core.fx import Amount, FxTable, Quote
from tidegate.core.money import parse_usd

KNOWN_S = 4.0  # two on a machine that does nothing else
RATE = FxTable([Quote(day="2026-01-01", base="USD", quote="VND", rate="26000", source="test")]).rate(
    "VND", "2026-01-01"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("credit")


@pytest.fixture(scope="module")
def gateway(home: Path) -> Iterator[Gateway]:
    accounts = open_accounts(home)
    voucher(accounts, 20)  # prepaid from the first call on
    accounts.close()
    with FakeProvider() as provider:
        running = start_gateway(home, configuration(provider, ["ok"], "[accounts]\nquota_wait_s = 0"))
        yield running
        assert running.stop() == 0


def call(gateway: Gateway, **headers: str) -> httpx.Response:
    """A call that may come to 20 tokens out at $10 a million, and its own bytes as tokens in at $2."""
    body = {"model": "acme/ok", "messages": [{"role": "user", "content": "2+2?"}], "max_tokens": 20}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers={**gateway.headers, **headers})


def voucher(accounts: Accounts, dong: int) -> None:
    """Of a small currency: 26,000 dong are a dollar, so one is 38,461 nano-dollars."""
    new = NewBatch(name="test", face=Amount("VND", dong), rate=RATE, count=1)
    _, codes = make_batch(accounts.database, accounts.pepper, new, now_us())
    redeem(accounts.database, accounts.pepper, codes[0], "default", now_us())


def until(gateway: Gateway, status: int, within_s: float) -> httpx.Response:
    deadline = time.monotonic() + within_s
    while (reply := call(gateway)).status_code != status:
        assert time.monotonic() < deadline, f"still {reply.status_code} after {within_s} s: {reply.text}"
        time.sleep(0.02)
    return reply


def test_a_wallet_that_is_used_up_stops_calls_until_credit_comes(gateway: Gateway, home: Path) -> None:
    """20 dong are 11 calls, of which the last may not fit; then 402 in the caller's language; then another voucher."""
    accounts = open_accounts(home)
    refused = until(gateway, 402, 30)
    assert refused.json()["error"]["code"] == "insufficient_quota" and "prepaid credit" in refused.text
    paid = sum(outcome.row.cost_nano_usd or 0 for outcome in gateway.outcomes())
    most = parse_usd(refused.json()["error"]["message"].split("up to ")[1].split(" USD")[0])
    assert 769_231 - most < paid <= 769_231  # what is left is less than the call may cost
    assert "预付余额" in call(gateway, **{"accept-language": "zh-CN"}).json()["error"]["message"]
    voucher(accounts, 26_000)
    until(gateway, 200, KNOWN_S)
    accounts.close()
