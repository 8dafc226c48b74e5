"""Several gateways on one PostgreSQL: a change made anywhere is in force everywhere within two seconds."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import psycopg

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import FakeProvider
from rig.stores import Postgres
from tidegate.accounts.keys import KeyChange, open_accounts
from tidegate.accounts.tenancy import TenantChange, update_tenant

BODY = {"model": "acme/ok", "messages": [{"role": "user", "content": "x"}]}
WITHIN_S = 2.0


def status(gateway: Gateway, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return httpx2.post(f"{gateway.url}/v1/chat/completions", headers=headers, json=BODY).status_code


def within(holds: Callable[[], bool], limit_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, f"not so within {limit_s} s"
        time.sleep(0.05)


def hosts(names: tuple[str, ...], tmp_path: Path, url: str, provider: FakeProvider, key: str) -> list[Gateway]:
    """Homes that share nothing but the database and the secret."""
    gateways = []
    for name in names:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        if name != "one":
            (home / "secret").write_bytes((tmp_path / "one" / "secret").read_bytes())
        config = configuration(
            provider, ["ok"], f'[accounts]\ndatabase_url = "{url}"\n[gateway]\ngateway_id = "{name}"'
        )
        gateways.append(start_gateway(home, config, key=key))
    return gateways


def test_two_hosts_on_one_database_know_the_same_keys(tmp_path: Path, postgres: Postgres) -> None:
    """Made, disabled, revoked, a tenant disabled: on either host, without a restart."""
    accounts = open_accounts(tmp_path / "one", url := postgres.copy())
    first = accounts.create_key("first", tenant_id="acme").secret
    with FakeProvider() as provider:
        gateways = hosts(("one", "two"), tmp_path, url, provider, first)
        try:
            assert [status(gateway, first) for gateway in gateways] == [200, 200]
            second = accounts.create_key("second", tenant_id="other")
            within(lambda: [status(gateway, second.secret) for gateway in gateways] == [200, 200])
            accounts.update_key(second.key_id, KeyChange(is_enabled=False))
            within(lambda: [status(gateway, second.secret) for gateway in gateways] == [401, 401])
            accounts.update_key(second.key_id, KeyChange(is_enabled=True))
            within(lambda: [status(gateway, second.secret) for gateway in gateways] == [200, 200])
            update_tenant(accounts.database, "other", TenantChange(is_enabled=False))
            within(lambda: [status(gateway, second.secret) for gateway in gateways] == [401, 401])
            accounts.revoke_key("first")
            within(lambda: [status(gateway, first) for gateway in gateways] == [401, 401])
        finally:
            for gateway in gateways:
                gateway.stop()
            accounts.close()


def test_a_database_that_is_away_stops_no_call_of_a_known_key(tmp_path: Path, postgres: Postgres) -> None:
    """Keys are known by heart; what changed meanwhile is known when it is back. No call waits for it."""
    accounts = open_accounts(tmp_path / "one", url := postgres.copy())
    key = accounts.create_key("k").secret
    name = url.rpartition("/")[2]
    with FakeProvider() as provider:
        [gateway] = hosts(("one",), tmp_path, url, provider, key)
        try:
            assert status(gateway, key) == 200
            with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
                admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false".encode())
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
                deadline = time.monotonic() + 1.5
                while time.monotonic() < deadline:
                    began = time.monotonic()
                    assert status(gateway, key) == 200
                    assert status(gateway, "sk-unknown-to-all") == 401
                    assert time.monotonic() - began < 1.0
                admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true".encode())
            accounts.close()
            accounts = open_accounts(tmp_path / "one", url)
            accounts.revoke_key("k")
            within(lambda: status(gateway, key) == 401)
            log = (gateway.home / "log").read_text()
            assert log.count("the database cannot be read") == 1 and "can be read again" in log
        finally:
            gateway.stop()
            accounts.close()
