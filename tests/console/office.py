"""An installation with two tenants, people in every role, keys and usage: what tests of the console's API ask of."""

import atexit
import datetime
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import httpx2 as httpx
from starlette.testclient import TestClient

from tidegate.accounts.keys import Accounts, CreatedKey, KeyWish, open_accounts
from tidegate.accounts.people import ROLES, Role, create_person, set_member
from tidegate.accounts.service_keys import ServiceKeyWish, create_service_key
from tidegate.accounts.tenancy import Tenant, create_tenant
from tidegate.config import Config
from tidegate.console.app import create_app
from tidegate.core.ids import generation_id
from tidegate.core.row import Outcome, Row
from tidegate.ledger.journal import JournalWriter
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

PASSWORD = "a long enough password"
DAY_US = 86_400_000_000


class Secrets(NamedTuple):
    """Of service keys, one a role in `acme` and in the installation, and of an API key of each tenant."""

    service: dict[Role, str]
    operators: dict[Role, str]
    key: CreatedKey
    other_key: CreatedKey


@functools.cache
def furnished() -> tuple[Path, Secrets]:
    """A home with the tenants `acme` and `other`, made once: copying files is faster than hashing and migrating."""
    home = Path(tempfile.mkdtemp(prefix="tg-office"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    accounts = open_accounts(home)
    for tenant_id in ("acme", "other"):
        create_tenant(accounts.database, Tenant(tenant_id=tenant_id))

    def service_key(role: Role, tenant_id: str | None) -> str:
        wish = ServiceKeyWish(name=f"{role} of {tenant_id}", role=role, tenant_id=tenant_id)
        return create_service_key(accounts.database, accounts.pepper, wish)[1]

    secrets = Secrets(
        service={role: service_key(role, "acme") for role in ROLES},
        operators={role: service_key(role, None) for role in ROLES},
        key=accounts.add_key(KeyWish(name="acme's", tenant_id="acme")),
        other_key=accounts.add_key(KeyWish(name="other's", tenant_id="other")),
    )
    accounts.close()
    Ledger.create(home / "ledger")
    return home, secrets


class Office:
    """Tenants `acme` and `other`, and whom they and the installation employ."""

    def __init__(self, config: Config) -> None:
        home, (self.service, self.operators, self.key, self.other_key) = furnished()
        shutil.copytree(home, config.home_path, dirs_exist_ok=True)
        self.config = config
        self.accounts: Accounts = open_accounts(config.home_path)
        self.database = self.accounts.database
        self.ledger = Ledger.open(config.ledger_path)
        self._calls = 0
        self.client = TestClient(create_app(config), raise_server_exceptions=True, follow_redirects=False)

    def person(self, email: str, role: Role | None = None, *, is_operator: bool = False) -> str:
        """Somebody; with a role in `acme`. Returns their id."""
        person = create_person(self.database, email, is_operator=is_operator)
        if role is not None:
            set_member(self.database, "acme", person.person_id, role)
        return person.person_id

    def ask(self, method: str, path: str, token: str | None = None, body: Any = None, **headers: str) -> httpx.Response:
        """As the gateway passes a request on: a key that was not checked comes as a token."""
        if token is not None:
            headers["x-tidegate-token"] = token
        return self.client.request(method, path, json=body, headers={"x-tidegate-client": "192.0.2.7", **headers})

    def ask_as_key(self, path: str, tenant_id: str = "acme", key_id: str | None = None) -> httpx.Response:
        """With an API key that the gateway has checked."""
        headers = {"x-tidegate-tenant": tenant_id, "x-tidegate-key": key_id or self.key.key_id}
        return self.client.get(path, headers=headers)

    def calls(self, *costs_nano_usd: int | None, days_ago: int = 0, sealed: bool = False, **values: Any) -> None:
        """Write rows of one journal segment, of the tenant's key unless told otherwise."""
        self._calls += 1
        now = datetime.datetime.now(datetime.UTC)
        ts = int(now.timestamp()) * 1_000_000 - days_ago * DAY_US
        writer = JournalWriter(self.ledger.journal_path, "gw", self._calls, now_us=ts)
        known = {
            "source_id": "own",
            "ts": ts,
            "tenant_id": "acme",
            "project_id": "default",
            "key_id": self.key.key_id,
            "response_model": "openai/gpt-4o-mini",
            "provider_name": "openai",
            "endpoint_id": "openai/gpt-4o-mini@openai",
            "usage_input_tokens": 100,
            "usage_output_tokens": 20,
            "usage_reasoning_output_tokens": 5,
            "status_code": 200,
        }
        for number, cost in enumerate(costs_nano_usd):
            row = Row(
                generation_id=generation_id(ts // 1000, number, 0, self._calls, 0),
                segment_id=writer.segment_id,
                segment_seq=writer.next_seq,
                **{**known, "cost_nano_usd": cost, **values},
            )
            writer.append(Outcome(row=row))
        writer.flush()
        writer.close()
        if sealed:
            seal(self.ledger)


def exact(reply: httpx.Response) -> Any:
    """The JSON of a reply, its decimals as text: no float stands in between."""
    return json.loads(reply.text, parse_float=str)
