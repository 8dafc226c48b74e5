"""The console's own SQL on PostgreSQL: a day of an operator's, from a tenant to a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.stores import Postgres
from tidegate.accounts.keys import open_accounts
from tidegate.accounts.people import create_person
from tidegate.accounts.service_keys import ServiceKeyWish, create_service_key
from tidegate.accounts.sign_in import set_password
from tidegate.config import load_config

from .office import PASSWORD, Office

ROOT = "/api/admin/v1"


@pytest.fixture
def office(postgres: Postgres, tmp_path: Path) -> Iterator[Office]:
    """Its accounts are in PostgreSQL; what `furnished` has in SQLite is not looked at."""
    environ = {"TIDEGATE_HOME": str(tmp_path), "TIDEGATE_ACCOUNTS_DATABASE_URL": postgres.copy()}
    made = Office(load_config(files=[], environ=environ))
    made.accounts.close()
    settings = made.config.accounts
    made.accounts = open_accounts(made.config.home_path, settings.database_url, settings.secret_file)
    made.database = made.accounts.database
    with made.client:
        yield made
    made.accounts.close()


def test_an_operators_day(office: Office) -> None:
    """Tenant, key with a limit, limit that comes later, voucher, statement, member, session."""
    wish = ServiceKeyWish(name="boss", role="owner")
    boss = create_service_key(office.database, office.accounts.pepper, wish)[1]
    assert office.ask("POST", f"{ROOT}/tenants", boss, {"tenant_id": "acme"}).status_code == 201
    made = office.ask("POST", "/api/v1/keys?tenant_id=acme", boss, {"name": "k", "limit": 10, "limit_reset": "daily"})
    assert made.status_code == 201, made.text
    key_id = made.json()["data"]["hash"]
    office.calls(4_000_000_000, key_id=key_id)
    path = f"/api/v1/keys/{key_id}?tenant_id=acme"
    assert office.ask("PATCH", path, boss, {"limit_reset": None}).json()["data"]["limit_remaining"] == 6
    assert office.ask("PATCH", path, boss, {"limit": 5, "disabled": True}).json()["data"]["limit_remaining"] == 1
    assert office.ask("GET", "/api/v1/keys?tenant_id=acme", boss).json()["data"] == []
    codes = office.ask("POST", f"{ROOT}/vouchers", boss, {"name": "v", "face": "70", "currency": "CNY", "count": 2})
    code = {"code": codes.json()["codes"][0]}
    redeemed = office.ask("POST", f"{ROOT}/tenants/acme/vouchers/redeem", boss, code)
    assert redeemed.json()["wallet"]["balance_nano_usd"] > 5_000_000_000
    credits = office.ask("GET", "/api/v1/credits?tenant_id=acme", boss).json()["data"]
    assert credits["total_credits"] > 5 and credits["total_usage"] == 4
    assert office.ask("GET", f"{ROOT}/tenants/acme/statement", boss).status_code == 200
    joined = office.ask("PUT", f"{ROOT}/tenants/acme/members", boss, {"email": "ada@example.com", "role": "owner"})
    link = joined.json()["link"].partition("link=")[2]
    chosen = {"link": link, "password": PASSWORD}
    assert office.ask("POST", f"{ROOT}/passwords", None, chosen).status_code == 200
    signed_in = office.ask("POST", f"{ROOT}/session", None, {"email": "ada@example.com", "password": PASSWORD})
    assert signed_in.status_code == 200
    assert office.ask("GET", f"{ROOT}/session").json()["roles"] == {"acme": "owner"}
    operator = create_person(office.database, "op@example.com", is_operator=True)
    set_password(office.database, operator.person_id, PASSWORD)
