"""Payment providers call `/topups/NAME`, tenants order, operators watch: three contracts, each from order to wallet."""

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2 as httpx
import pytest

from rig.gateway import start_gateway
from tidegate.accounts.books.wallets import wallet_of
from tidegate.accounts.keys import open_accounts
from tidegate.accounts.money.topups import NewOrder, make_order
from tidegate.accounts.tenancy import Tenant, create_tenant
from tidegate.config import load_config
from tidegate.core.fx import USD_RATE, Amount

from .office import Office

CHANNELS = """
[topups.cards]
contract = "stripe"
secret_env = "CARDS_SECRET"
pay_url = "https://pay.example/x?client_reference_id={order_id}"

[topups.cn]
contract = "epay"
secret_env = "EPAY_KEY"
merchant_id = "1001"
pay_url = "https://epay.example/submit.php"

[topups.qris]
contract = "signed-json"
secret_env = "QRIS_KEY"

[topups.unset]
contract = "stripe"
secret_env = "NOBODY_SETS_THIS"
"""
SECRETS = {"CARDS_SECRET": "whsec_1", "EPAY_KEY": "epay-key", "QRIS_KEY": "qris-key"}


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    home = Path(tempfile.mkdtemp(prefix="tg"))
    (home / "tidegate.toml").write_text(CHANNELS)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    held = Office(load_config(files=[home / "tidegate.toml"], environ={"TIDEGATE_HOME": str(home)}))
    yield held
    held.accounts.close()
    shutil.rmtree(home)


def order(office: Office, channel: str, amount: str, currency: str) -> dict[str, Any]:
    body = {"channel": channel, "amount": amount, "currency": currency}
    made = office.ask("POST", "/api/admin/v1/tenants/acme/topups", office.service["billing"], body)
    assert made.status_code == 201, made.text
    return dict(made.json())


def balance(office: Office, tenant_id: str = "acme") -> int:
    with office.database.reading() as connection:
        return wallet_of(connection, tenant_id).balance_nano_usd


def stripe_post(office: Office, order_id: str, cents: int, *, secret: str = "whsec_1") -> httpx.Response:
    session = {"id": "cs_1", "amount_total": cents, "currency": "usd", "client_reference_id": order_id,
               "payment_intent": "pi_1", "payment_status": "paid"}  # fmt: skip
    event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": session}}
    body, now_s = json.dumps(event).encode(), int(time.time())
    proof = hmac.new(secret.encode(), b"%d." % now_s + body, hashlib.sha256).hexdigest()
    headers = {"stripe-signature": f"t={now_s},v1={proof}", "content-type": "application/json"}
    return office.client.post("/topups/cards", content=body, headers=headers)


def epay_get(office: Office, order_id: str, money: str, *, key: str = "epay-key") -> httpx.Response:
    told = {"money": money, "name": "充值", "out_trade_no": order_id, "pid": "1001", "trade_no": "T1",
            "trade_status": "TRADE_SUCCESS", "type": "wxpay"}  # fmt: skip
    text = "&".join(f"{name}={told[name]}" for name in sorted(told)) + key
    sign = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return office.client.get("/topups/cn?" + urlencode({**told, "sign": sign, "sign_type": "MD5"}))


def qris_post(office: Office, order_id: str, rupiah: int, *, key: str = "qris-key") -> httpx.Response:
    told = {"reference": "T42", "merchant_ref": order_id, "payment_method_code": "QRIS2", "total_amount": rupiah,
            "is_closed_payment": 1, "status": "PAID"}  # fmt: skip
    body = json.dumps(told).encode()
    proof = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return office.client.post("/topups/qris", content=body, headers={"x-callback-signature": proof})


def test_a_card_payment_by_stripe_credits_once(office: Office) -> None:
    """10 dollars; the webhook comes three times, once for a cent more, once signed by somebody else."""
    made = order(office, "cards", "10", "USD")
    order_id = made["order"]["order_id"]
    assert made["pay_url"] == f"https://pay.example/x?client_reference_id={order_id}"
    forged = stripe_post(office, order_id, 1000, secret="whsec_of_mine")
    assert (forged.status_code, forged.json()["error"]["code"]) == (401, "bad_signature")
    assert stripe_post(office, order_id, 1001).status_code == 409
    assert balance(office) == 0
    for _ in range(3):
        taken = stripe_post(office, order_id, 1000)
        assert (taken.status_code, taken.json()) == (200, {"received": True})
    assert balance(office) == 10 * 10**9


def test_an_epay_notice_is_answered_success_and_credits_once(office: Office) -> None:
    """70 yuan as a GET; anything but `success` makes EPay send it again."""
    made = order(office, "cn", "70", "CNY")
    order_id = made["order"]["order_id"]
    assert f"out_trade_no={order_id}" in made["pay_url"] and made["credit_usd"] == "10.52175551"
    forged = epay_get(office, order_id, "70.00", key="mine")
    assert (forged.status_code, forged.text) == (401, "fail")
    assert epay_get(office, order_id, "0.01").text == "fail"
    assert [epay_get(office, order_id, "70.00").text for _ in range(2)] == ["success", "success"]
    assert balance(office) == 10_521_755_510


def test_a_qris_payment_credits_once(office: Office) -> None:
    """100,000 rupiah by Tripay's contract."""
    made = order(office, "qris", "100000", "IDR")
    order_id = made["order"]["order_id"]
    assert qris_post(office, order_id, 100_000, key="mine").status_code == 401
    for _ in range(2):
        taken = qris_post(office, order_id, 100_000)
        assert (taken.status_code, taken.json()) == (200, {"success": True})
    assert balance(office) == made["order"]["credit_nano_usd"] == 5_510_188_077


def test_a_callback_cannot_invent_an_order(office: Office) -> None:
    """Signed by the right key, for an order nobody made: told so, kept for the operator, credited to nobody."""
    assert epay_get(office, "top_mine", "70.00").text == "fail"
    (event,) = office.ask("GET", "/api/admin/v1/topup-events", office.operators["auditor"]).json()["data"]
    assert (event["outcome"], event["order_id"]) == ("unknown_order", "top_mine")
    assert (balance(office), balance(office, "other")) == (0, 0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/topups/nobody", 404),
        ("POST", "/topups/unset", 503),
        ("POST", "/topups/cards", 401),
        ("PUT", "/topups/cards", 405),
    ],
)
def test_what_is_no_callback_is_refused(office: Office, method: str, path: str, status: int) -> None:
    assert office.client.request(method, path, content=b"{}").status_code == status


def test_a_callback_of_any_length_is_not_read(office: Office) -> None:
    assert office.client.post("/topups/cards", content=b" " * 70_000).status_code == 413


def test_no_secret_shows_in_any_answer_or_log(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """Neither ours nor the signature that proves it."""
    caplog.set_level("DEBUG")
    made = order(office, "cn", "70", "CNY")
    replies = [epay_get(office, "top_x", "1", key="mine"), epay_get(office, made["order"]["order_id"], "70.00")]
    channels = office.ask("GET", "/api/admin/v1/topup-channels", office.service["member"])
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("tidegate"))
    seen = ours + channels.text + "".join(reply.text for reply in replies)
    assert not [secret for secret in SECRETS.values() if secret in seen]
    assert "sign=" not in ours and "credited" in ours


def test_orders_are_their_tenants_business(office: Office) -> None:
    """Billing people order, members do not; another tenant's order is not there."""
    path, wish = "/api/admin/v1/tenants/acme/topups", {"channel": "cards", "amount": "10"}
    assert office.ask("POST", path, office.service["member"], wish).status_code == 403
    assert office.ask("POST", path, office.service["billing"], {**wish, "channel": "x"}).status_code == 404
    assert office.ask("POST", path, office.service["billing"], {**wish, "amount": "-1"}).status_code == 400
    made = order(office, "cards", "10", "USD")["order"]["order_id"]
    listed = office.ask("GET", path, office.service["auditor"]).json()["data"]
    assert [one["order_id"] for one in listed] == [made]
    assert office.ask("GET", f"/api/admin/v1/tenants/other/topups/{made}", office.operators["owner"]).status_code == 404
    assert office.ask("DELETE", f"{path}/{made}", office.service["billing"]).json()["state"] == "cancelled"


def test_an_operator_credits_what_was_seen_on_the_bank_account(office: Office) -> None:
    """The callback never came. Once; and not by somebody of the tenant."""
    order_id = order(office, "cards", "10", "USD")["order"]["order_id"]
    path, seen = f"/api/admin/v1/topups/{order_id}/credit", {"payment_id": "bank-1"}
    assert office.ask("POST", path, office.service["owner"], seen).status_code == 403
    assert office.ask("POST", path, office.operators["billing"], seen).json()["state"] == "paid"
    assert office.ask("POST", path, office.operators["billing"], seen).status_code == 400
    assert balance(office) == 10 * 10**9


def test_price_groups_are_the_operators_and_a_tenant_sees_its_own(office: Office) -> None:
    root, boss = "/api/admin/v1", office.operators["owner"]
    wish = {"group": "retail", "margin_ppm": 200_000}
    assert office.ask("POST", f"{root}/price-terms", office.service["owner"], wish).status_code == 403
    assert office.ask("POST", f"{root}/price-terms", boss, {"group": "retail"}).status_code == 400
    made = office.ask("POST", f"{root}/price-terms", boss, wish)
    rates = {"group": "retail", "models": "openai/gpt-4o", "rates": {"input": 3 * 10**9, "output": 9 * 10**9}}
    assert (made.status_code, office.ask("POST", f"{root}/price-terms", boss, rates).status_code) == (201, 201)
    assert office.ask("PUT", f"{root}/tenants/acme/price-group", boss, {"group": "retail"}).status_code == 200
    seen = office.ask("GET", f"{root}/tenants/acme/price-group", office.service["billing"]).json()["data"]
    assert [one["group"] for one in seen] == ["retail"]
    term_id = made.json()["term"]["term_id"]
    assert office.ask("DELETE", f"{root}/price-terms/{term_id}", boss, {}).json() == {"term_id": term_id}
    assert len(office.ask("GET", f"{root}/price-terms", office.operators["auditor"]).json()["data"]) == 2


def test_hooks_are_the_operators(office: Office) -> None:
    """A hook calls any address this host can reach: not for a tenant to choose."""
    path, wish = "/api/admin/v1/tenants/acme/hooks", {"url": "https://example.com/x", "threshold_nano_usd": 5 * 10**9}
    assert office.ask("POST", path, office.service["owner"], wish).status_code == 403
    made = office.ask("POST", path, office.operators["admin"], wish).json()
    hook_id = made["hook"]["hook_id"]
    assert made["secret"].startswith("whsec_")
    listed = office.ask("GET", path, office.operators["auditor"])
    assert hook_id in listed.text and made["secret"] not in listed.text
    assert office.ask("GET", f"{path}/{hook_id}/deliveries", office.operators["auditor"]).json() == {"data": []}
    other = path.replace("acme", "other")
    assert office.ask("DELETE", f"{other}/{hook_id}", office.operators["admin"]).status_code == 404
    assert office.ask("DELETE", f"{path}/{hook_id}", office.operators["admin"]).status_code == 200


def test_rates_in_force_are_told_with_their_sources(office: Office) -> None:
    rates = office.ask("GET", "/api/admin/v1/fx", office.service["member"]).json()["data"]
    assert {one["currency"] for one in rates} == {"USD", "CNY", "EUR", "IDR", "VND", "THB", "PHP", "INR", "BRL"}
    assert all(one["source"] for one in rates if one["currency"] != "USD")


def test_a_callback_reaches_the_wallet_through_a_running_gateway() -> None:
    """Real processes: the listener, without a key; the console behind its socket; the database on the disk."""
    home = Path(tempfile.mkdtemp(prefix="tg"))
    accounts = open_accounts(home)
    create_tenant(accounts.database, Tenant(tenant_id="acme"))
    new = NewOrder(tenant_id="acme", channel="cn", amount=Amount("CNY", 100), rate=_one_to_one(), valid_s=60)
    made = make_order(accounts.database, new, time.time_ns() // 1000)
    environ = {**os.environ, "TIDEGATE_HOME": str(home), "TIDEGATE_CONFIG": str(home / "tidegate.toml"), **SECRETS}
    (home / "tidegate.toml").write_text(CHANNELS)
    console = subprocess.Popen([sys.executable, "-m", "tidegate.console"], env=environ)
    gateway = start_gateway(home, CHANNELS)
    try:
        deadline = time.monotonic() + 20
        while not (home / "run" / "console.sock").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        told = {
            "money": "1.00",
            "out_trade_no": made.order_id,
            "pid": "1001",
            "trade_no": "T9",
            "trade_status": "TRADE_SUCCESS",
        }
        text = "&".join(f"{name}={told[name]}" for name in sorted(told)) + "epay-key"
        sign = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        url = f"{gateway.url}/topups/cn?{urlencode({**told, 'sign': sign, 'sign_type': 'MD5'})}"
        assert [httpx.get(url).text for _ in range(2)] == ["success", "success"]
        with accounts.database.reading() as connection:
            assert wallet_of(connection, "acme").balance_nano_usd == made.credit_nano_usd
    finally:
        console.terminate()
        gateway.stop()
        console.wait(20)
        accounts.close()
        shutil.rmtree(home)


def _one_to_one() -> Any:
    from msgspec.structs import replace

    return replace(USD_RATE, currency="CNY")
