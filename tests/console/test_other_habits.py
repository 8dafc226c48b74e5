"""What clients and scripts for one-api and LiteLLM ask, and what they make of the answers."""

import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.keys import KeyChange, KeyWish
from tidegate.accounts.quotas.table import list_quotas
from tidegate.config import load_config

from .office import Office, exact


@pytest.fixture
def switched() -> Iterator[Office]:
    """With LiteLLM's paths, and keys that may read their account."""
    home = tempfile.mkdtemp(prefix="tg")
    environ = {
        "TIDEGATE_HOME": home,
        "TIDEGATE_CONSOLE_LITELLM_PATHS": "true",
        "TIDEGATE_CONSOLE_KEYS_READ_ACCOUNT": "true",
    }
    made = Office(load_config(files=[], environ=environ))
    with made.client:
        yield made
    made.accounts.close()
    shutil.rmtree(home)


def billing(office: Office, key_id: str | None = None) -> tuple[Any, Any]:
    limit = exact(office.ask_as_key("/v1/dashboard/billing/subscription", key_id=key_id))["hard_limit_usd"]
    query = "?start_date=2026-11-01&end_date=2026-12-01"
    used = exact(office.ask_as_key(f"/v1/dashboard/billing/usage{query}", key_id=key_id))["total_usage"]
    return limit, used


def test_a_chat_client_of_one_api_shows_what_remains(office: Office) -> None:
    """It takes usage (in cents) from the limit, whatever dates it asks for; no limit is a hundred million."""
    office.calls(1_230_000_000, days_ago=70, sealed=True)
    office.calls(10_000_001)
    assert billing(office) == (100_000_000, "124.0000001")
    path = f"/api/v1/keys/{office.key.key_id}"
    office.ask("PATCH", path, office.service["admin"], {"limit": 2, "limit_reset": "daily"})
    assert billing(office) == ("3.23", "124.0000001"), "used in all, and what remains today"
    assert office.ask_as_key("/v1/dashboard/billing/subscription").json()["object"] == "billing_subscription"


def test_points_are_rounded_so_that_nobody_is_promised_too_much(office: Office) -> None:
    """500,000 points are one USD."""
    wish = KeyWish(name="phone", tenant_id="acme", expires_us=2_000_000_000_000_000, models=("gpt-*",))
    key = office.accounts.add_key(wish)
    office.calls(2_001, key_id=key.key_id)
    office.ask("PATCH", f"/api/v1/keys/{key.key_id}", office.service["admin"], {"limit": 0.00001})
    reply = office.ask("GET", "/api/usage/token", key.secret)
    assert reply.json() == {
        "code": True,
        "message": "ok",
        "data": {
            "object": "token_usage",
            "name": "phone",
            "total_granted": 5,
            "total_used": 2,
            "total_available": 3,
            "unlimited_quota": False,
            "model_limits": {"gpt-*": True},
            "model_limits_enabled": True,
            "expires_at": 2_000_000_000,
        },
    }
    unlimited = office.ask("GET", "/api/usage/token", office.key.secret).json()["data"]
    assert (unlimited["unlimited_quota"], unlimited["total_available"], unlimited["expires_at"]) == (True, 0, 0)


def test_a_key_that_is_not_valid_learns_nothing(office: Office) -> None:
    """The path needs no key at the gateway, so the console looks at it."""
    office.accounts.update_key(office.key.key_id, KeyChange(is_enabled=False))
    for token in (office.key.secret, "sk-tg-unknown", office.service["owner"], None):
        assert office.ask("GET", "/api/usage/token", token).status_code == 401, token
    assert office.client.get("/v1/dashboard/billing/usage").status_code == 401


def test_refusals_speak_the_callers_language(office: Office) -> None:
    """As the gateway's own do: a phone says what it wants to read."""
    for language, said in (("zh-CN,zh;q=0.9,en;q=0.8", True), ("en", False), ("", False)):
        reply = office.ask("GET", "/api/usage/token", "sk-tg-unknown", **{"accept-language": language})
        assert reply.status_code == 401
        assert any("\u4e00" <= letter <= "\u9fff" for letter in reply.json()["error"]["message"]) == said


def test_where_keys_read_their_account_the_wallet_is_what_remains(switched: Office) -> None:
    """Of a prepaid tenant; a key's own limit comes first."""
    with switched.database.writing() as connection:
        post(connection, credit_posting("top_up", "acme", 10_000_000_000, reference="p", booked_us=1))
    switched.calls(4_000_000_000, key_id="key_2", sealed=True)
    assert billing(switched) == (10, 400)
    switched.ask("PATCH", f"/api/v1/keys/{switched.key.key_id}", switched.service["admin"], {"limit": 1})
    assert billing(switched) == (1, 0)


def test_litellm_paths_are_off_until_they_are_turned_on(office: Office) -> None:
    """Nobody's script changes keys by surprise."""
    for path in ("/key/generate", "/key/info", "/team/new", "/health/liveliness"):
        assert office.ask("POST", path, office.operators["owner"], {}).status_code == 404


def test_a_litellm_script_makes_changes_and_deletes_a_key(switched: Office) -> None:
    """Budget, rates, models and duration become what they mean here."""
    master = switched.service["admin"]
    team = switched.ask("POST", "/team/new", master, {"team_alias": "Data Science"}).json()
    assert team == {"team_id": "data-science", "team_alias": "Data Science"}
    body = {
        "key_alias": "notebook",
        "team_id": "data-science",
        "models": ["gpt-4o"],
        "max_budget": 12.5,
        "budget_duration": "30d",
        "duration": "90d",
        "rpm_limit": 60,
        "tpm_limit": 100_000,
        "max_parallel_requests": 4,
        "metadata": {"for": "tests"},
    }
    made = switched.ask("POST", "/key/generate", master, body)
    assert made.status_code == 200, made.text
    secret, key_id = made.json()["key"], made.json()["token"]
    key = switched.accounts.find_key(secret)
    assert key is not None and (key.project_id, key.models, key.is_enabled) == ("data-science", ("gpt-4o",), True)
    with switched.database.reading() as connection:
        quotas = {(one.unit, one.window): one.limit for one in list_quotas(connection, "acme") if one.subject == key_id}
    assert quotas == {
        ("nano_usd", "month"): 12_500_000_000,
        ("requests", "minute"): 60,
        ("tokens", "minute"): 100_000,
        ("calls_open", "lifetime"): 4,
    }
    switched.calls(3_000_000_000, key_id=key_id)
    info = exact(switched.ask("GET", f"/key/info?key={secret}", master))["info"]
    assert (info["spend"], info["max_budget"], info["budget_duration"], info["rpm_limit"]) == (3, "12.5", "1mo", 60)
    changed = {"key": secret, "max_budget": 20, "rpm_limit": None, "blocked": True}
    after = exact(switched.ask("POST", "/key/update", master, changed))["info"]
    assert (after["max_budget"], after["budget_duration"], after["rpm_limit"], after["blocked"]) == (
        20,
        "1mo",
        None,
        True,
    )
    assert switched.ask("POST", "/key/delete", master, {"keys": [key_id]}).json() == {"deleted_keys": [key_id]}
    assert switched.ask("GET", f"/key/info?key={secret}", master).status_code == 404
    assert switched.ask("GET", "/health/liveliness").status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"soft_budget": 5}, "soft_budget"),
        ({"budget_duration": "90d", "max_budget": 1}, "budget_duration"),
        ({"max_budget": -1}, "max_budget"),
        ({"duration": "soon"}, "duration"),
        ({"team_id": "nowhere"}, "nowhere"),
        ({"rpm_limit": -1}, "rpm_limit"),
    ],
    ids=str,
)
def test_a_limit_that_cannot_be_kept_makes_no_key(switched: Office, body: dict[str, Any], says: str) -> None:
    """Passing it over would make a key that is limited in its owner's mind alone."""
    before = len(switched.accounts.list_keys())
    reply = switched.ask("POST", "/key/generate", switched.service["owner"], body)
    assert reply.status_code in (400, 404) and says in reply.json()["error"]["message"]
    assert len(switched.accounts.list_keys()) == before


def test_litellm_paths_need_a_service_key_and_its_role(switched: Office) -> None:
    """An API key makes no keys; another tenant's key is not there."""
    assert switched.ask("POST", "/key/generate", switched.key.secret, {}).status_code == 403
    assert switched.ask("POST", "/key/generate", None, {}).status_code == 401
    assert switched.ask("POST", "/key/generate", switched.service["auditor"], {}).status_code == 403
    body = {"keys": [switched.other_key.secret]}
    assert switched.ask("POST", "/key/delete", switched.service["owner"], body).status_code == 404
    assert switched.accounts.find_key(switched.other_key.secret).revoked_us is None
