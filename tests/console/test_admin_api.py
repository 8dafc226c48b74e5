"""The admin API: each operation held against the table of roles over HTTP, tenants apart, secrets told once."""

import re
from typing import Any

import pytest

from tidegate.accounts.people import ROLES
from tidegate.accounts.sign_in import check_password, set_password
from tidegate.console.access import Caller, may
from tidegate.console.app import OPERATIONS
from tidegate.console.operations import Operation

from .office import PASSWORD, Office, exact

ROOT = "/api/admin/v1"
ACME = f"{ROOT}/tenants/acme"
GUARDED = [operation for operation in OPERATIONS if operation.action is not None]


def test_nothing_manages_without_an_action() -> None:
    """An operation of the admin API is held against the table, or is about the caller alone."""
    open_ones = {(one.method, one.path) for one in OPERATIONS if one.path.startswith(ROOT) and one.action is None}
    assert open_ones == {
        ("POST", f"{ROOT}/session"),
        ("GET", f"{ROOT}/session"),
        ("DELETE", f"{ROOT}/session"),
        ("POST", f"{ROOT}/session/password"),
        ("POST", f"{ROOT}/passwords"),
        ("GET", f"{ROOT}/tenants"),
        ("GET", f"{ROOT}/topup-channels"),
        ("GET", f"{ROOT}/fx"),
    }


def path_of(operation: Operation, tenant_id: str) -> str:
    return re.sub(r"{\w+}", "nobody", operation.path.replace("{tenant_id}", tenant_id))


def test_each_operation_obeys_the_table(office: Office) -> None:
    """Every operation with every role, in the caller's tenant and in another: refused exactly where the table says.

    Bodies are wrong on purpose: who may ask gets another answer than 403, and nothing is changed.
    """
    for operation in GUARDED:
        in_tenant = "{tenant_id}" in operation.path
        for role in ROLES:
            theirs = Caller(kind="service_key", caller_id="s", name="", roles={"acme": role})
            asked = office.ask(operation.method, path_of(operation, "acme"), office.service[role], {"?": 1})
            allowed = may(theirs, operation.action or "", "acme" if in_tenant else None)
            assert (asked.status_code == 403) != allowed, (operation.method, operation.path, role, asked.text)
            if in_tenant and role == "owner":
                elsewhere = office.ask(operation.method, path_of(operation, "other"), office.service[role], {"?": 1})
                assert elsewhere.status_code in (403, 404), (operation.path, role)
                assert elsewhere.json()["error"]["code"] in ("forbidden", "tenant_not_found")
            operator = Caller(kind="service_key", caller_id="s", name="", role=role)
            asked = office.ask(operation.method, path_of(operation, "acme"), office.operators[role], {"?": 1})
            allowed = may(operator, operation.action or "", "acme" if in_tenant else None)
            assert (asked.status_code == 403) != allowed, (operation.method, operation.path, role, asked.text)


def test_an_api_key_and_a_stranger_get_nowhere(office: Office) -> None:
    """A key that calls models is no way into the accounts, its own tenant's neither."""
    for operation in GUARDED:
        path = path_of(operation, "acme")
        assert office.ask(operation.method, path, office.key.secret, {"?": 1}).status_code == 403, path
        assert office.ask(operation.method, path, "tgs_stranger", {"?": 1}).status_code == 401, path
        assert office.ask(operation.method, path, None, {"?": 1}).status_code == 401, path


def test_a_reseller_sets_up_a_tenant(office: Office) -> None:
    """Tenant, voucher, redemption, key, quota and what was booked: over HTTP alone, with a service key."""
    boss = office.operators["owner"]

    def post(path: str, **body: Any) -> Any:
        reply = office.ask("POST", f"{ROOT}{path}", boss, body)
        assert reply.status_code in (200, 201), reply.text
        return reply.json()

    assert post("/tenants", tenant_id="shop", name="Shop", timezone="Asia/Jakarta")["language"] == ""
    batch = post("/vouchers", name="spring", face="10.00", count=2)
    assert len(batch["codes"]) == 2 and batch["batch"]["amount_nano_usd"] == 10_000_000_000
    owner = post("/tenants/shop/service-keys", name="shop's", role="owner")["secret"]
    redeemed = office.ask("POST", f"{ROOT}/tenants/shop/vouchers/redeem", owner, {"code": batch["codes"][0].lower()})
    assert redeemed.json()["wallet"]["balance_nano_usd"] == 10_000_000_000
    twice = office.ask("POST", f"{ROOT}/tenants/shop/vouchers/redeem", owner, {"code": batch["codes"][0]})
    assert twice.status_code == 400 and "before" in twice.json()["error"]["message"]
    made = office.ask("POST", f"{ROOT}/tenants/shop/keys", owner, {"name": "app", "models": ["gpt-*"]}).json()
    assert office.accounts.find_key(made["secret"]).tenant_id == "shop"
    wish = {"scope": "key", "subject": made["key"]["key_id"], "unit": "requests", "window": "minute", "limit": 60}
    assert office.ask("PUT", f"{ROOT}/tenants/shop/quotas/shop:rpm", owner, wish).json()["quota"]["limit"] == 60
    post("/tenants/shop/wallet/credits", kind="grant", amount_usd="0.000000001", reference="thanks")
    again = post("/tenants/shop/wallet/credits", kind="grant", amount_usd="0.000000001", reference="thanks")
    assert again["balance_nano_usd"] == 10_000_000_001
    entries = office.ask("GET", f"{ROOT}/tenants/shop/wallet/entries", owner).json()["data"]
    assert [(entry["kind"], entry["amount_nano_usd"], entry["legs"]) for entry in entries] == [
        ("voucher", 10_000_000_000, None),
        ("grant", 1, None),
    ]
    assert office.ask("GET", f"{ROOT}/vouchers/{batch['batch']['batch_id']}", boss).text.count("TG-") == 0


def test_secrets_are_told_once(office: Office) -> None:
    """Lists and changes of keys have hints; the database has hashes."""
    admin = office.service["admin"]
    made = office.ask("POST", f"{ACME}/keys", admin, {"name": "k"}).json()
    path = f"{ACME}/keys/{made['key']['key_id']}"
    rotated = office.ask("POST", f"{path}/rotate", admin, {"overlap_s": 60}).json()
    service = office.ask("POST", f"{ACME}/service-keys", admin, {"name": "s", "role": "member"}).json()
    assert office.accounts.find_key(made["secret"]) is not None, "in its overlap"
    shown = "".join(
        office.ask("GET", where, admin).text
        for where in (f"{ACME}/keys", path, f"{ACME}/service-keys", f"{ACME}/members")
    )
    stored = b"".join(file.read_bytes() for file in office.config.home_path.glob("accounts.sqlite*"))
    for secret in (made["secret"], rotated["secret"], service["secret"]):
        assert secret not in shown and secret.encode() not in stored


def test_a_revoked_key_and_service_key_are_out(office: Office) -> None:
    """The next request already."""
    admin, owner = office.service["admin"], office.service["owner"]
    path = f"{ACME}/keys/{office.key.key_id}"
    assert office.ask("DELETE", path, admin).json()["revoked_us"] is not None
    assert office.ask("DELETE", path, admin).status_code == 200, "again: no change"
    assert office.ask("GET", "/api/admin/v1/session", office.key.secret).status_code == 401
    made = office.ask("POST", f"{ACME}/service-keys", owner, {"name": "s", "role": "admin"}).json()
    key_path = f"{ACME}/service-keys/{made['service_key']['service_key_id']}"
    assert office.ask("DELETE", key_path, admin).status_code == 200
    assert office.ask("GET", ACME, made["secret"]).status_code == 401


def test_nobody_hands_out_more_than_they_have(office: Office) -> None:
    """An admin makes no owner, unmakes none, and makes no service key with an owner's role."""
    admin, owner = office.service["admin"], office.service["owner"]
    bob = office.person("bob@example.com", "owner")
    office.person("eve@example.com", "owner")
    assert office.ask("PUT", f"{ACME}/members", admin, {"email": "x@example.com", "role": "owner"}).status_code == 403
    assert (
        office.ask("PUT", f"{ACME}/members", admin, {"email": "bob@example.com", "role": "member"}).status_code == 403
    )
    assert office.ask("DELETE", f"{ACME}/members/{bob}", admin).status_code == 403
    assert office.ask("POST", f"{ACME}/service-keys", admin, {"name": "s", "role": "owner"}).status_code == 403
    assert office.ask("DELETE", f"{ACME}/members/{bob}", owner).status_code == 200
    last = [
        member for member in office.ask("GET", f"{ACME}/members", owner).json()["data"] if member["role"] == "owner"
    ]
    refused = office.ask("DELETE", f"{ACME}/members/{last[0]['person_id']}", owner)
    assert refused.status_code == 400 and "only owner" in refused.json()["error"]["message"]


def test_a_link_goes_out_for_somebody_new_alone(office: Office) -> None:
    """Else whoever may add members could set the password of anybody whose address they know."""
    admin = office.service["admin"]
    new = office.ask("PUT", f"{ACME}/members", admin, {"email": "New@Example.com", "role": "member"}).json()
    assert "/console/welcome?link=" in new["link"] and new["member"]["email"] == "new@example.com"
    office.person("boss@example.com", is_operator=True)
    known = office.ask("PUT", f"{ACME}/members", admin, {"email": "boss@example.com", "role": "member"}).json()
    assert known["link"] is None
    again = office.ask("PUT", f"{ACME}/members", admin, {"email": "new@example.com", "role": "auditor"}).json()
    assert (again["link"], again["member"]["role"]) == (None, "auditor")


def test_who_becomes_an_operator_signs_in_with_nothing_older(office: Office) -> None:
    """A tenant's admin may have invited them, and may know the password; nobody locks themselves out."""
    person_id = office.person("ada@example.com", "member")
    set_password(office.database, person_id, PASSWORD)
    path, boss = f"{ROOT}/people/{person_id}", office.operators["owner"]
    assert office.ask("PATCH", path, boss, {"name": "Ada"}).json()["name"] == "Ada"
    assert check_password(office.database, "ada@example.com", PASSWORD) is not None
    assert office.ask("PATCH", path, boss, {"is_operator": True}).json()["is_operator"] is True
    assert check_password(office.database, "ada@example.com", PASSWORD) is None
    assert "/console/welcome?link=" in office.ask("POST", f"{path}/link", boss).json()["link"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"is_enabled": False}),
        ("PUT", "/quotas/acme:all", {"scope": "tenant", "unit": "requests", "window": "day", "limit": 10}),
        ("PUT", "/quotas/acme:m", {"scope": "model", "unit": "requests", "window": "day", "limit": 10}),
        ("PUT", "/quotas/free-id", {"scope": "key", "unit": "requests", "window": "day", "limit": 10}),
        ("POST", "/keys", {"name": "cheap", "price_group": "friends"}),
        ("PATCH", "/keys/KEY", {"price_group": "friends"}),
        ("POST", "/wallet/credits", {"kind": "grant", "amount_usd": "1", "reference": "r"}),
        ("PATCH", "/wallet", {"overdraft_usd": "1000"}),
    ],
    ids=str,
)
def test_what_a_tenant_pays_is_not_its_own_to_say(office: Office, method: str, path: str, body: dict[str, Any]) -> None:
    """Its owner may not; the operator may."""
    path = ACME + path.replace("KEY", office.key.key_id)
    assert office.ask(method, path, office.service["owner"], body).status_code == 403
    assert office.ask(method, path, office.operators["owner"], body).status_code in (200, 201)


def test_a_quota_of_the_operators_is_not_lifted_by_whom_it_limits(office: Office) -> None:
    """Nor is a wallet removed; another tenant's quota is not there, and its id says nothing of whose it is."""
    boss, owner = office.operators["owner"], office.service["owner"]
    wish = {"scope": "tenant", "unit": "requests", "window": "day", "limit": 10}
    assert office.ask("PUT", f"{ACME}/quotas/cap", boss, wish).status_code == 200
    assert office.ask("DELETE", f"{ACME}/quotas/cap", owner).status_code == 403
    assert office.ask("DELETE", f"{ROOT}/tenants/other/quotas/cap", boss).status_code == 404
    taken = office.ask("PUT", f"{ROOT}/tenants/other/quotas/cap", boss, wish)
    assert taken.status_code == 400 and "acme" not in taken.text
    credit = {"kind": "grant", "amount_usd": "1", "reference": "r"}
    office.ask("POST", f"{ACME}/wallet/credits", boss, credit)
    listed = office.ask("GET", f"{ACME}/quotas", owner).json()["data"]
    (wallet,) = [one["quota"]["quota_id"] for one in listed if one["quota"].get("is_wallet")]
    assert office.ask("DELETE", f"{ACME}/quotas/{wallet}", boss).status_code == 400
    assert office.ask("DELETE", f"{ACME}/quotas/cap", boss).status_code == 200


def test_usage_is_told_by_day_model_and_key(office: Office) -> None:
    """What providers charge is the operator's to know."""
    office.calls(3, 4, sealed=True, upstream_cost_nano_usd=1)
    office.calls(5, key_id="key_2", response_model="b/y")
    owner = office.service["member"]

    def sums(query: str, token: str = owner) -> list[tuple[Any, ...]]:
        data = office.ask("GET", f"{ACME}/usage{query}", token).json()["data"]
        return [(one["of"], one["calls"], one["cost_nano_usd"], one["upstream_cost_nano_usd"]) for one in data]

    assert sums("?by=model") == [("b/y", 1, 5, None), ("openai/gpt-4o-mini", 2, 7, None)]
    assert sums("?by=key_id") == sorted([(office.key.key_id, 2, 7, None), ("key_2", 1, 5, None)])
    assert sums(f"?by=project_id&key_id={office.key.key_id}") == [("default", 2, 7, None)]
    assert [one[3] for one in sums("?by=model", office.operators["auditor"])] == [0, 2]
    assert sums("?until=2020-01-01") == []
    assert office.ask("GET", f"{ACME}/usage?by=hour", owner).status_code == 400


def test_errors_say_what_is_accepted(office: Office) -> None:
    """A slip in a body or in a name of a tenant's, in one shape."""
    boss = office.operators["admin"]
    wrong = office.ask("POST", f"{ROOT}/tenants", boss, {"tenant": "x"})
    assert wrong.status_code == 400 and "tenant_id" in wrong.json()["error"]["message"]
    assert office.ask("POST", f"{ROOT}/tenants", boss, {"tenant_id": "Not An Id"}).status_code == 400
    assert office.ask("POST", f"{ROOT}/tenants", boss, {"tenant_id": "acme"}).status_code == 409
    assert office.ask("GET", f"{ROOT}/tenants/nowhere/keys", boss).status_code == 404
    huge = office.client.post(f"{ROOT}/tenants", content=b"x" * 300_000, headers={"x-tidegate-token": boss})
    assert huge.status_code == 413
    assert office.ask("DELETE", f"{ROOT}/tenants", boss).status_code == 405
    missing = office.ask("POST", f"{ACME}/keys", office.service["member"], {"name": "k", "project_id": "nowhere"})
    assert missing.status_code == 404


def test_who_asks_is_told_their_roles_and_their_tenants(office: Office) -> None:
    """An operator sees every tenant, anybody else their own."""
    who = exact(office.ask("GET", f"{ROOT}/session", office.service["billing"]))
    assert (who["kind"], who["roles"], who["csrf"]) == ("service_key", {"acme": "billing"}, "")
    mine = office.ask("GET", f"{ROOT}/tenants", office.service["billing"]).json()["data"]
    assert [tenant["tenant_id"] for tenant in mine] == ["acme"]
    every = office.ask("GET", f"{ROOT}/tenants", office.operators["auditor"]).json()["data"]
    assert {"acme", "other"} <= {tenant["tenant_id"] for tenant in every}


def test_a_providers_key_is_stored_and_never_told_again(office: Office) -> None:
    """Encrypted, under a key in a file of its own; a lost operator's key is not replaced by a new one unseen."""
    boss, secret = office.operators["admin"], "sk-provider-0123456789abcdef0123456789"
    path = f"{ROOT}/provider-keys"
    made = office.ask("POST", path, boss, {"provider_name": "openai", "secret": secret, "name": "first"})
    assert made.status_code == 201 and secret not in made.text
    listed = office.ask("GET", path, office.operators["auditor"])
    assert [key["name"] for key in listed.json()["data"]] == ["first"] and secret not in listed.text
    stored = b"".join(file.read_bytes() for file in office.config.home_path.glob("accounts.sqlite*"))
    assert secret.encode() not in stored
    one = f"{path}/{made.json()['provider_key_id']}"
    assert office.ask("PATCH", one, boss, {"is_enabled": False}).status_code == 200
    (office.config.home_path / "operator.key").unlink()
    assert office.ask("POST", path, boss, {"provider_name": "openai", "secret": secret}).status_code == 503
    assert office.ask("DELETE", one, boss).status_code == 200
    assert office.ask("DELETE", one, boss).status_code == 404


def test_a_statement_comes_for_programs_spreadsheets_and_people(office: Office) -> None:
    """In the tenant's language; to who may see its money; a page that runs nothing."""
    credit = {"kind": "grant", "amount_usd": "12.5", "reference": "r", "memo": "<script>hello</script>"}
    office.ask("POST", f"{ACME}/wallet/credits", office.operators["billing"], credit)
    path, billing = f"{ACME}/statement", office.service["billing"]
    said = office.ask("GET", path, billing).json()
    assert (said["credited_nano_usd"], said["closing_nano_usd"], said["is_open"]) == (12_500_000_000,) * 2 + (True,)
    table = office.ask("GET", f"{path}?format=csv", billing)
    assert table.headers["content-type"] == "text/csv; charset=utf-8" and "12.5" in table.text
    page = office.ask("GET", f"{path}?format=html&lang=zh&currency=cny", billing)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script>hello" not in page.text and 'lang="zh' in page.text
    assert office.ask("GET", f"{path}?month=yesterday", billing).status_code == 400
    assert office.ask("GET", path, office.service["member"]).status_code == 403
