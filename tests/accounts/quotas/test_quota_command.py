"""`tidegate accounts quota`: set, changed, listed, what is left, lifted."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tidegate.accounts.database import open_database, url_in
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.accounts.tenancy import Tenant, create_tenant
from tidegate.cli import cli
from tidegate.core.quota import LeaseAsk, WindowKey


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path))
    monkeypatch.delenv("TIDEGATE_CONFIG", raising=False)
    database = open_database(url_in(tmp_path))
    create_tenant(database, Tenant(tenant_id="acme", timezone="Asia/Kolkata"))
    database.close()
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words, catch_exceptions=False)


def listed(*words: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("accounts", "quota", *words, "--format", "json").output)
    return found


def test_a_quota_is_set_changed_listed_and_lifted() -> None:
    """Setting it again changes the limit; its days are the tenant's."""
    assert run("accounts", "quota", "set", "acme", "--unit", "usd", "--limit", "12.50").exit_code == 0
    run("accounts", "quota", "set", "acme", "--unit", "usd", "--limit", "20")
    made = run("accounts", "quota", "set", "acme", "--scope", "key", "--unit", "requests", "--window", "minute",
               "--limit", "60", "--rolling")  # fmt: skip
    assert made.output == "acme:key:requests:rolling-minute  60 requests a minute for each key of acme\n"
    money = {"quota_id": "acme:tenant:usd:month", "subject": "acme", "limit": "20.00", "calendar": "Asia/Kolkata"}
    found = listed("list", "acme")
    assert [one["quota_id"] for one in found] == ["acme:key:requests:rolling-minute", "acme:tenant:usd:month"]
    assert money.items() <= found[1].items()
    run("accounts", "quota", "remove", "acme:tenant:usd:month")
    assert len(listed("list")) == 1


def test_what_is_left_is_told_by_window(home: Path) -> None:
    """Spent by the last word of workers, reserved beyond it."""
    run("accounts", "quota", "set", "acme", "--unit", "tokens", "--window", "lifetime", "--limit", "1000", "--id", "q")
    assert listed("status", "acme") == []
    database = open_database(url_in(home))
    store, key, worker = SqlStore(database), WindowKey("q", "acme", 0), Lessee(worker_id="w", gateway_id="g")
    store.exchange(worker, [LeaseAsk(window=key, granted=0, returned=0, spent=0, want=250, want_min=250)])
    store.exchange(worker, [LeaseAsk(window=key, granted=250, returned=0, spent=70)])
    database.close()
    (left,) = listed("status", "acme")
    assert (left["spent"], left["reserved"], left["left"]) == ("70", "180", "930")


def test_an_end_user_is_named_as_clients_name_it() -> None:
    """Nobody has to work out the hash that rows keep."""
    run("accounts", "quota", "set", "acme", "--user", "ann", "--unit", "tokens", "--window", "day", "--limit", "5")
    (found,) = listed("list", "acme")
    assert found["scope"] == "user" and len(str(found["subject"])) >= 16 and found["subject"] != "ann"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--unit", "usd", "--limit", "a lot"], "--limit 'a lot' is not dollars such as 12.50"),
        (["--unit", "tokens", "--limit", "1.5"], "--limit '1.5' is not a whole number"),
        (["--unit", "calls_open", "--window", "day", "--limit", "1"], "their window is `lifetime`"),
    ],
)
def test_a_wish_that_makes_no_sense_is_one_clear_line(words: list[str], text: str) -> None:
    """And a status that is not zero."""
    done = CliRunner().invoke(cli, ["accounts", "quota", "set", "acme", *words])
    assert done.exit_code != 0 and text in str(done.output) + str(done.exception)
