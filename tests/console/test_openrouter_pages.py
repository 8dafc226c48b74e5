"""OpenRouter's account pages: its contract, exact money, the caller's own figures, a service key to manage with."""

import datetime
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.keys import KeyChange
from tidegate.accounts.quotas.table import held_of, list_quotas, set_quota
from tidegate.accounts.tenancy import Project, create_project
from tidegate.config import load_config
from tidegate.core.quota import Quota

from .office import Office, exact

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "openrouter-openapi.yaml"


@pytest.fixture(scope="module")
def contract() -> Any:
    if not CONTRACT.is_file():
        pytest.skip("../shared/contracts is not beside this checkout: no schema to judge by")
    return yaml.load(CONTRACT.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def judge(contract: Any, method: str, path: str, reply: Any) -> None:
    """Hold a reply to OpenRouter's own schema, with nothing missing that it requires."""
    said = contract["paths"][path][method.lower()]["responses"][str(reply.status_code)]
    schema = {**said["content"]["application/json"]["schema"], "components": contract["components"]}
    jsonschema.validate(reply.json(), schema, jsonschema.Draft202012Validator)


def test_each_reply_is_as_openrouter_describes_it(office: Office, contract: Any) -> None:
    """Key, credits, activity and the life of a key, each against the published document."""
    office.calls(1_500_000_001, days_ago=3, sealed=True)
    office.calls(7, sealed=False)
    admin = office.service["admin"]
    judge(contract, "GET", "/key", office.ask_as_key("/api/v1/key"))
    judge(contract, "GET", "/key", office.ask("GET", "/api/v1/key", admin))
    judge(contract, "GET", "/credits", office.ask("GET", "/api/v1/credits", admin))
    judge(contract, "GET", "/activity", office.ask("GET", "/api/v1/activity", admin))
    body = {"name": "CI", "limit": 12.5, "limit_reset": "monthly", "expires_at": "2030-01-01T00:00:00Z"}
    made = office.ask("POST", "/api/v1/keys", admin, body)
    assert made.status_code == 201
    judge(contract, "POST", "/keys", made)
    judge(contract, "GET", "/keys", office.ask("GET", "/api/v1/keys", admin))
    path = f"/api/v1/keys/{made.json()['data']['hash']}"
    judge(contract, "GET", "/keys/{hash}", office.ask("GET", path, admin))
    judge(contract, "PATCH", "/keys/{hash}", office.ask("PATCH", path, admin, {"name": "CI 2", "disabled": True}))
    judge(contract, "DELETE", "/keys/{hash}", office.ask("DELETE", path, admin))
    assert office.ask("GET", path, admin).status_code == 404


def test_a_key_sees_its_own_usage_to_the_nano_dollar_at_once(office: Office) -> None:
    """Sealed and not; another key's and another tenant's calls are not in it."""
    office.calls(1_500_000_001, None, days_ago=40, sealed=True)
    office.calls(2_000_000_000)
    office.calls(9_000_000_000, key_id="key_another")
    office.calls(9_000_000_000, tenant_id="other", key_id=office.other_key.key_id)
    office.calls(0, is_byok=True, upstream_cost_nano_usd=3)
    for root in ("/api/v1", "/v1"):
        data = exact(office.ask_as_key(f"{root}/key"))["data"]
        assert (data["usage"], data["usage_daily"], data["usage_monthly"]) == ("3.500000001", 2, 2)
        assert (data["byok_usage"], data["byok_usage_weekly"]) == ("0.000000003", "0.000000003")
        assert (data["limit"], data["limit_remaining"], data["limit_reset"]) == (None, None, None)
        assert data["label"].startswith("sk-tg-") and data["is_management_key"] is False
    assert office.key.secret not in office.ask_as_key("/api/v1/key").text


def test_credits_are_all_that_was_paid_in_and_all_that_was_used(office: Office) -> None:
    """Of the tenant, whatever the key; usage that is not settled yet is in it."""
    with office.database.writing() as connection:
        post(connection, credit_posting("top_up", "acme", 20_000_000_000, reference="p1", booked_us=1))
        post(connection, credit_posting("grant", "acme", 1, reference="g1", booked_us=2))
    office.calls(3_000_000_000, sealed=True)
    office.calls(2, key_id="key_another")
    said = exact(office.ask("GET", "/api/v1/credits", office.service["billing"]))
    assert said == {"data": {"total_credits": "20.000000001", "total_usage": "3.000000002"}}
    said = exact(office.ask("GET", "/api/v1/credits?tenant_id=acme", office.operators["auditor"]))
    assert said["data"]["total_usage"] == "3.000000002"
    assert office.ask_as_key("/api/v1/credits").status_code == 403


def test_keys_read_their_account_where_the_operator_says_so() -> None:
    """`console.keys_read_account`: off unless somebody turns it on."""
    home = tempfile.mkdtemp(prefix="tg")
    environ = {"TIDEGATE_HOME": home, "TIDEGATE_CONSOLE_KEYS_READ_ACCOUNT": "true"}
    office = Office(load_config(files=[], environ=environ))
    office.calls(5)
    assert exact(office.ask_as_key("/api/v1/credits"))["data"] == {"total_credits": 0, "total_usage": "0.000000005"}
    assert len(office.ask_as_key("/v1/activity").json()["data"]) == 1
    assert office.ask_as_key("/v1/keys").status_code == 403, "reading is not managing"
    office.accounts.close()
    shutil.rmtree(home)


def test_before_the_first_call_there_is_nothing_to_show(office: Office) -> None:
    """A fresh installation has no ledger yet, and that is no error."""
    shutil.rmtree(office.config.ledger_path)
    admin = office.service["admin"]
    assert office.ask_as_key("/api/v1/key").json()["data"]["usage"] == 0
    assert office.ask("GET", "/api/v1/credits", admin).json() == {"data": {"total_credits": 0, "total_usage": 0}}
    assert office.ask("GET", "/api/v1/activity", admin).json() == {"data": []}
    assert office.ask("POST", "/api/v1/keys", admin, {"name": "first"}).status_code == 201


def test_activity_is_by_day_and_endpoint(office: Office) -> None:
    """31 days at most, newest first; refused calls, which reached no endpoint, are not activity."""
    today = datetime.datetime.now(datetime.UTC).date()
    office.calls(1, 2, days_ago=1, sealed=True)
    office.calls(4, days_ago=1, key_id="key_another", project_id="p2")
    office.calls(8, days_ago=1, endpoint_id="openai/gpt-4o-mini@azure", provider_name="azure")
    office.calls(16)
    office.calls(32, days_ago=31, sealed=True)
    office.calls(0, endpoint_id=None, response_model=None, status_code=402)
    token = office.service["auditor"]

    def rows(query: str = "") -> list[tuple[Any, ...]]:
        data = exact(office.ask("GET", f"/api/v1/activity{query}", token))["data"]
        return [(row["date"], row["provider_name"], row["usage"], row["requests"]) for row in data]

    yesterday = str(today - datetime.timedelta(days=1))
    assert rows() == [
        (str(today), "openai", "0.000000016", 1),
        (yesterday, "azure", "0.000000008", 1),
        (yesterday, "openai", "0.000000007", 3),
    ]
    assert rows(f"?date={yesterday}&api_key_hash={office.key.key_id}") == [
        (yesterday, "azure", "0.000000008", 1),
        (yesterday, "openai", "0.000000003", 2),
    ]
    by_project = exact(office.ask("GET", "/api/v1/activity?group_by=workspace&workspace_id=p2", token))["data"]
    assert [(row["workspace_id"], row["usage"]) for row in by_project] == [("p2", "0.000000004")]
    row = office.ask("GET", "/api/v1/activity", token).json()["data"][0]
    assert (row["prompt_tokens"], row["completion_tokens"], row["reasoning_tokens"]) == (100, 20, 5)
    assert "workspace_id" not in row
    for wrong in ("?date=yesterday", f"?date={today - datetime.timedelta(days=31)}", "?group_by=key", "?user_id=u"):
        assert office.ask("GET", f"/api/v1/activity{wrong}", token).status_code == 400, wrong


def test_a_limit_is_a_quota_before_the_key_can_be_used(office: Office) -> None:
    """One of the key, in nano-USD, in the window that OpenRouter's word means."""
    admin = office.service["admin"]
    for reset, window in ((None, "lifetime"), ("daily", "day"), ("weekly", "week"), ("monthly", "month")):
        made = office.ask("POST", "/api/v1/keys", admin, {"name": "k", "limit": 0.000000001, "limit_reset": reset})
        data = exact(made)["data"]
        assert (data["limit"], data["limit_remaining"], data["limit_reset"]) == ("0.000000001", "0.000000001", reset)
        with office.database.reading() as connection:
            (quota,) = [one for one in list_quotas(connection, "acme") if one.subject == data["hash"]]
        assert (quota.scope, quota.unit, quota.window, quota.limit) == ("key", "nano_usd", window, 1)
        assert office.accounts.find_key(made.json()["key"]).is_enabled


def test_a_limit_that_comes_later_counts_what_was_spent_before(office: Office) -> None:
    """What remains is what may still be spent: the quota's window knows it too. A smaller one than that leaves 0."""
    office.calls(7_000_000_000, days_ago=60, sealed=True)
    office.calls(2_000_000_000)
    path, admin = f"/api/v1/keys/{office.key.key_id}", office.service["admin"]

    def patch(**body: Any) -> dict[str, Any]:
        reply = office.ask("PATCH", path, admin, body)
        assert reply.status_code == 200, reply.text
        data = exact(reply)["data"]
        with office.database.reading() as connection:
            held = [held_of(connection, quota.quota_id) for quota in list_quotas(connection, "acme")]
        return {name: data[name] for name in ("limit", "limit_remaining", "limit_reset")} | {"held": held}

    assert patch(limit=10) == {"limit": 10, "limit_remaining": 1, "limit_reset": None, "held": [9_000_000_000]}
    assert patch(limit=8) == {"limit": 8, "limit_remaining": 0, "limit_reset": None, "held": [9_000_000_000]}
    assert patch(limit_reset="daily") == {
        "limit": 8,
        "limit_remaining": 6,
        "limit_reset": "daily",
        "held": [2_000_000_000],
    }
    assert patch(limit_reset=None)["limit_remaining"] == 0, "back again: nothing was forgotten meanwhile"
    assert patch(limit=None) == {"limit": None, "limit_remaining": None, "limit_reset": None, "held": []}


def test_the_operators_own_quota_of_a_key_shows_and_stays(office: Office) -> None:
    """A tenant's service key lifts what it set itself, not what limits it."""
    quota = Quota(quota_id="mine", tenant_id="acme", scope="key", subject=office.key.key_id, unit="nano_usd",
                  window="month", limit=5_000_000_000)  # fmt: skip
    with office.database.writing() as connection:
        set_quota(connection, quota)
    assert office.ask_as_key("/api/v1/key").json()["data"]["limit"] == 5
    path = f"/api/v1/keys/{office.key.key_id}"
    assert office.ask("PATCH", path, office.service["owner"], {"limit": None}).json()["data"]["limit"] == 5


def test_keys_are_listed_a_hundred_at_a_time(office: Office) -> None:
    """Deleted ones are gone, disabled ones are shown where they are asked for; a project's alone likewise."""
    admin = office.service["admin"]
    create_project(office.database, Project(tenant_id="acme", project_id="p2"))
    made = [office.accounts.create_key(f"k{n}", tenant_id="acme", project_id="p2").key_id for n in range(101)]
    office.accounts.update_key(made[0], KeyChange(is_enabled=False))

    def hashes(query: str) -> list[str]:
        return [key["hash"] for key in office.ask("GET", f"/api/v1/keys{query}", admin).json()["data"]]

    assert len(hashes("")) == 100 and hashes("?offset=100") == [made[-1]]
    assert hashes("?workspace_id=p2&include_disabled=true&offset=99") == made[99:]
    assert hashes("?workspace_id=default") == [office.key.key_id]
    assert office.ask("DELETE", f"/api/v1/keys/{made[5]}", admin).json() == {"deleted": True}
    assert made[5] not in hashes("?workspace_id=p2")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "k", "limit": -1}, "limit"),
        ({"name": "k", "limit": 0.0000000001}, "9 decimals"),
        ({"name": "k", "limit": 1e30}, "limit"),
        ({"name": "k", "limit": "much"}, "limit"),
        ({"name": "k", "limit_reset": "yearly"}, "limit_reset"),
        ({"name": "k", "expires_at": "soon"}, "expires_at"),
        ({"name": "k", "include_byok_in_limit": True}, "include_byok_in_limit"),
        ({"name": "k", "limits": 5}, "limits"),
        ({"name": "k\n"}, "printable"),
    ],
    ids=str,
)
def test_a_slip_makes_no_key(office: Office, body: dict[str, Any], says: str) -> None:
    """Least of all a key without the limit that was meant."""
    before = len(office.accounts.list_keys())
    reply = office.ask("POST", "/api/v1/keys", office.service["admin"], body)
    assert reply.status_code == 400
    assert says in reply.json()["error"]["message"] and reply.json()["error"]["code"] == 400
    assert len(office.accounts.list_keys()) == before


def test_another_tenants_keys_are_not_there(office: Office) -> None:
    """Neither to be read nor to be changed; which tenant is meant says the service key, not the query."""
    path, admin = f"/api/v1/keys/{office.other_key.key_id}", office.service["admin"]
    for method, body in (("GET", None), ("PATCH", {"disabled": True}), ("DELETE", None)):
        assert office.ask(method, path, admin, body).status_code == 404
    assert office.accounts.key(office.other_key.key_id).revoked_us is None
    listed = office.ask("GET", "/api/v1/keys?tenant_id=other", admin).json()["data"]
    assert [key["hash"] for key in listed] == [office.key.key_id]
    of_other = office.ask("GET", "/api/v1/keys?tenant_id=other", office.operators["admin"]).json()["data"]
    assert [key["hash"] for key in of_other] == [office.other_key.key_id]
    assert office.ask("GET", "/api/v1/activity?api_key_hash=" + office.other_key.key_id, admin).json() == {"data": []}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/credits"), ("GET", "/activity"), ("GET", "/keys"), ("POST", "/keys"), ("DELETE", "/keys/x")],
)
def test_an_api_key_manages_nothing(office: Office, method: str, path: str) -> None:
    """403, as OpenRouter has it for a key that is no management key; without any key 401."""
    headers = {"x-tidegate-tenant": "acme", "x-tidegate-key": office.key.key_id}
    body = {"name": "k"} if method == "POST" else None
    reply = office.client.request(method, "/api/v1" + path, headers=headers, json=body)
    assert reply.status_code == 403
    assert "service key" in reply.json()["error"]["message"]
    assert office.client.request(method, "/api/v1" + path).status_code == 401
    assert office.ask(method, "/api/v1" + path, "tgs_unknown").status_code == 401
    assert office.ask(method, "/api/v1" + path, office.key.secret, body).status_code == 403
