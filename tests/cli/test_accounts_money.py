"""Money that comes in, on the command line: as a small reseller would do it, on a fresh home."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tidegate.accounts.keys import open_accounts
from tidegate.accounts.tenancy import Tenant, create_tenant
from tidegate.cli import cli
from tidegate.core.errors import TidegateError

Run = Callable[..., Result]

CHANNEL = """
[topups.epay]
contract = "epay"
secret_env = "EPAY_KEY"
merchant_id = "1001"
pay_url = "https://pay.example/submit.php"
notify_url = "https://gate.example/topups/epay"
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `tidegate accounts ...` in a home with one tenant and one channel."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "tidegate.toml").write_text(CHANNEL)
    monkeypatch.setenv("TIDEGATE_HOME", str(home))
    monkeypatch.delenv("TIDEGATE_CONFIG", raising=False)
    monkeypatch.setenv("EPAY_KEY", "k")
    accounts = open_accounts(home, "", "")
    create_tenant(accounts.database, Tenant(tenant_id="acme"))
    accounts.close()

    def call(*words: str) -> Result:
        return CliRunner().invoke(cli, ["accounts", *words], catch_exceptions=True)

    return call


def table(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.output)))


def refused(result: Result) -> str:
    assert isinstance(result.exception, TidegateError), result.output
    return str(result.exception)


def test_a_voucher_is_made_sold_and_redeemed(run: Run) -> None:
    """The code is shown once; the wallet has its dollars; a second try says why not."""
    made = table(run("vouchers", "make", "--name", "spring", "--amount", "9.99", "--count", "2", "--format", "csv"))
    code = made[0]["code"]
    assert "9.99 USD" in run("vouchers", "redeem", code.lower(), "--tenant", "acme").output
    assert "credits once" in refused(run("vouchers", "redeem", code, "--tenant", "acme"))
    assert "no tenant 'nobody'" in refused(run("vouchers", "redeem", made[1]["code"], "--tenant", "nobody"))
    (batch,) = table(run("vouchers", "list", "--format", "csv"))
    assert (batch["count"], batch["redeemed"], code in str(batch)) == ("2", "1", False)
    states = {row["state"] for row in table(run("vouchers", "list", batch["batch_id"], "--format", "csv"))}
    assert states == {"open", "redeemed"}
    assert "1 revoked" in run("vouchers", "revoke", batch["batch_id"]).output


def test_codes_of_another_gateway_become_vouchers(run: Run, tmp_path: Path) -> None:
    """Not shown again: whoever gave them has them."""
    file = tmp_path / "codes.txt"
    file.write_text("0f3c9a7be1d24c5fa8860b7d15c2e94a\n\n1f3c9a7be1d24c5fa8860b7d15c2e94a\n")
    made = run("vouchers", "make", "--name", "one-api", "--amount", "2", "--codes-from", str(file))
    assert "2 of 2.00 USD" in made.output and "0f3c" not in made.output
    redeemed = run("vouchers", "redeem", "1f3c9a7be1d24c5fa8860b7d15c2e94a", "--tenant", "acme")
    assert "acme was credited 2.00 USD" in redeemed.output
    with_count = ("--codes-from", str(file), "--count", "2")
    assert "without --count" in refused(run("vouchers", "make", "--name", "x", "--amount", "2", *with_count))


def test_a_top_up_is_ordered_and_credited_by_hand(run: Run) -> None:
    """70 CNY; the payer's address is signed; what the bank saw credits the order once."""
    ordered = run("topups", "order", "epay", "70", "--currency", "CNY", "--tenant", "acme", "--format", "json")
    (order,) = json.loads(ordered.output)
    assert order["to pay"] == "70.00 CNY" and "sign=" in order["pay_url"] and order["order_id"] in order["pay_url"]
    assert "acme was credited" in run("topups", "credit", order["order_id"], "--payment", "bank-1").output
    assert "an order credits once" in refused(run("topups", "credit", order["order_id"], "--payment", "bank-2"))
    (listed,) = table(run("topups", "list", "--tenant", "acme", "--format", "csv"))
    assert (listed["state"], listed["payment"]) == ("paid", "bank-1")
    assert table(run("topups", "events", "--format", "csv")) == []
    assert "no channel 'paypal'" in refused(run("topups", "order", "paypal", "70", "--tenant", "acme"))
    assert "takes CNY" in refused(run("topups", "order", "epay", "70", "--currency", "USD", "--tenant", "acme"))


def test_a_rate_of_ones_own_is_entered_used_and_taken_back(run: Run) -> None:
    assert run("fx", "convert", "26310", "VND").output != "1.00\n"
    assert run("fx", "set", "VND", "26310", "--day", "2026-11-01", "--source", "SBV").exit_code == 0
    assert run("fx", "convert", "26310", "VND", "--day", "2026-11-22").output == "1.00\n"
    (vnd,) = [row for row in table(run("fx", "list", "--format", "csv")) if row["currency"] == "VND"]
    assert (vnd["per_usd"], vnd["day"], vnd["source"]) == ("26310.000000", "2026-11-01", "SBV")
    assert run("fx", "remove", "VND", "--day", "2026-11-01").exit_code == 0
    assert "no rate of your own" in refused(run("fx", "remove", "VND", "--day", "2026-11-01"))
    assert "not a decimal" in refused(run("fx", "set", "VND", "many", "--source", "x"))


def test_an_old_rate_is_said_before_it_is_used(run: Run) -> None:
    """Dong by a rate of 2025-05-05: on stderr, with the command that enters a newer one."""
    made = run("vouchers", "make", "--name", "vn", "--amount", "100000", "--currency", "VND")
    assert "the rate of VND is of 2025-05-05" in made.stderr and "accounts fx set VND" in made.stderr
    assert run("fx", "set", "VND", "26310", "--source", "SBV").exit_code == 0
    assert not run("vouchers", "make", "--name", "vn", "--amount", "100000", "--currency", "VND").stderr


def test_a_price_group_charges_its_tenant(run: Run) -> None:
    """A margin on all, a price of one's own on one model; ended, the tenant pays cost again."""
    for words in (("--margin", "12.5%"), ("--models", "openai/gpt-4o", "--input", "3", "--output", "9")):
        assert run("prices", "add", "retail", *words).exit_code == 0
    assert run("prices", "join", "acme", "retail").exit_code == 0

    def charged(model: str) -> dict[str, str]:
        (row,) = table(run("prices", "show", "acme", model, "--format", "csv"))
        return row

    assert (charged("x/y")["margin"], charged("openai/gpt-4o")["input_usd"]) == ("12.5%", "3.00")
    (margin,) = [row for row in table(run("prices", "list", "--format", "csv")) if row["margin"]]
    assert run("prices", "end", margin["term_id"]).exit_code == 0
    assert charged("x/y")["terms"] == "at cost"
    assert "in the past" in refused(run("prices", "add", "retail", "--margin", "1%", "--from", "2020-01-01"))
    assert "either --margin" in refused(run("prices", "add", "retail"))
    assert "no price group" in refused(run("prices", "join", "acme", "wholesale"))
    assert "no percentage" in refused(run("prices", "add", "retail", "--margin", "a lot"))


def test_a_hook_shows_its_secret_and_what_it_told(run: Run) -> None:
    """Nobody listens there: told once, not taken, and to be tried again."""
    made = run("hooks", "add", "acme", "--below", "5", "--url", "http://127.0.0.1:1/low")
    assert made.exit_code == 0, made.output
    hook_id = made.output.split()[0]
    assert run("hooks", "secret", hook_id).output.strip() in made.output
    assert run("hooks", "send").output == "0 taken, 1 not\n"
    (told,) = table(run("hooks", "log", hook_id, "--format", "csv"))
    assert (told["attempts"], told["delivered"], told["last_error"]) == ("1", "", "ClientConnectorError")
    (hook,) = table(run("hooks", "list", "--format", "csv"))
    assert hook["state"] == "below"
    assert run("hooks", "remove", hook_id).exit_code == 0
    assert "no address to call" in refused(run("hooks", "add", "acme", "--below", "5", "--url", "nowhere"))


@pytest.mark.parametrize("form", ["table", "json", "csv"])
@pytest.mark.parametrize(
    "words", ["vouchers list", "topups list", "topups events", "fx list", "prices list", "hooks list"]
)
def test_every_list_has_its_three_forms(run: Run, words: str, form: str) -> None:
    assert run(*words.split(), "--format", form).exit_code == 0
