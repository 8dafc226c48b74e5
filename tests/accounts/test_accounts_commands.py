"""`tidegate keys` and `tidegate accounts`: what an operator types, in order."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tidegate.accounts.database import HEAD
from tidegate.accounts.keys import Accounts, open_accounts
from tidegate.accounts.service_keys import find_service_key
from tidegate.accounts.sign_in import check_password
from tidegate.cli import cli
from tidegate.core.errors import TidegateError


class Terminal:
    """A home, and what commands print there."""

    def __init__(self, home: Path) -> None:
        self._environ = {"TIDEGATE_HOME": str(home), "TIDEGATE_CONFIG": "", "PASSWORD": "correct horse battery"}
        self.home = home

    def __call__(self, *words: str) -> str:
        done = CliRunner().invoke(cli, words, env=self._environ)
        if done.exception is not None:
            raise done.exception
        return done.output

    def json(self, *words: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self(*words, "--format", "json"))
        return found

    def accounts(self) -> Accounts:
        return open_accounts(self.home)


@pytest.fixture
def tidegate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(tmp_path)


def test_a_key_is_made_limited_rotated_disabled_and_revoked(tidegate: Terminal) -> None:
    """Each command says in one line what there is now."""
    tidegate("accounts", "tenants", "create", "acme", "--timezone", "Asia/Shanghai", "--language", "zh")
    tidegate("accounts", "projects", "create", "acme", "web", "--name", "The shop")
    words = ("--tenant", "acme", "--project", "web", "--model", "openai/*", "--network", "203.0.113.0/24")
    secret = tidegate("keys", "create", "--name", "shop", *words, "--quiet").strip()
    [key] = tidegate.json("keys", "list", "--tenant", "acme")
    assert (key["models"], key["networks"], key["state"]) == ("openai/*", "203.0.113.0/24", "valid")
    new = tidegate("keys", "rotate", "shop", "--overlap", "24h", "--quiet").strip()
    accounts = tidegate.accounts()
    found = accounts.find_key(new)
    assert new != secret and found is not None and accounts.find_key(secret) == found
    accounts.close()
    assert "disabled" in tidegate("keys", "update", "shop", "--disable")
    assert tidegate.json("keys", "list") == []
    said = tidegate("keys", "update", "shop", "--enable", "--any-model", "--provider", "p", "--expires-in", "2d")
    assert "valid until" in said
    [key] = tidegate.json("keys", "list")
    assert (key["models"], key["providers"]) == ("", "p")
    tidegate("keys", "update", "shop", "--expires-in", "never")
    assert tidegate("keys", "revoke", "shop").startswith("revoked key_")
    with pytest.raises(TidegateError, match="no valid key"):
        tidegate("keys", "rotate", "shop")


def test_tenants_and_projects_are_listed_and_disabled(tidegate: Terminal) -> None:
    """A tenant that a key made by the way is there too."""
    tidegate("accounts", "tenants", "create", "acme", "--name", "Acme Ltd", "--billing-country", "de")
    tidegate("keys", "create", "--name", "k", "--tenant", "other", "--project", "app")
    assert [(t["tenant"], t["name"], t["billing_country"]) for t in tidegate.json("accounts", "tenants", "list")] == [
        ("acme", "Acme Ltd", "DE"), ("other", "other", None),
    ]  # fmt: skip
    assert "disabled" in tidegate("accounts", "tenants", "update", "acme", "--disable")
    assert "disabled" in tidegate("accounts", "projects", "update", "other", "app", "--disable")
    assert [p["state"] for p in tidegate.json("accounts", "projects", "list", "--tenant", "other")] == ["disabled"]
    with pytest.raises(TidegateError, match="nothing to change"):
        tidegate("accounts", "tenants", "update", "acme")


def test_people_and_programs_get_roles(tidegate: Terminal) -> None:
    """Passwords and secrets are never on the command line, where other users of the machine see them."""
    tidegate("accounts", "tenants", "create", "acme")
    tidegate("accounts", "people", "create", "ada@x.org", "--operator", "--password-env", "PASSWORD")
    tidegate("accounts", "people", "create", "bob@x.org", "--no-password")
    tidegate("accounts", "people", "role", "bob@x.org", "acme", "owner")
    roles = {person["email"]: person["roles"] for person in tidegate.json("accounts", "people", "list")}
    assert roles == {"ada@x.org": "operator", "bob@x.org": "owner of acme"}
    secret = tidegate("accounts", "service-keys", "create", "--name", "p", "--tenant", "acme", "--quiet").strip()
    accounts = tidegate.accounts()
    assert check_password(accounts.database, "ada@x.org", "correct horse battery") is not None
    found = find_service_key(accounts.database, accounts.pepper, secret)
    assert found is not None and found.role == "admin"
    tidegate("accounts", "people", "update", "ada@x.org", "--disable")
    assert check_password(accounts.database, "ada@x.org", "correct horse battery") is None
    tidegate("accounts", "service-keys", "revoke", found.service_key_id)
    assert [key["state"] for key in tidegate.json("accounts", "service-keys", "list")] == ["ended"]
    accounts.close()


def test_providers_keys_are_stored_listed_and_forgotten(tidegate: Terminal) -> None:
    """The key itself is shown by no command."""
    said = tidegate("accounts", "provider-keys", "add", "acme", "--from-env", "PASSWORD")
    key_id = said.split()[1]
    [listed] = tidegate.json("accounts", "provider-keys", "list")
    assert (listed["provider"], listed["state"]) == ("acme", "in use") and "horse" not in said + str(listed)
    tidegate("accounts", "provider-keys", "update", key_id, "--disable")
    assert tidegate.json("accounts", "provider-keys", "list")[0]["state"] == "disabled"
    assert "1 keys" in tidegate("accounts", "provider-keys", "reseal", str(tidegate.home / "new.key"))
    tidegate("accounts", "provider-keys", "remove", key_id)
    assert tidegate.json("accounts", "provider-keys", "list") == []


def test_the_way_back_to_an_earlier_release(tidegate: Terminal) -> None:
    """Asked before it is done; the next command of this release brings the tables up to date again."""
    tidegate("keys", "create", "--name", "k")
    assert f"this release reads and writes {HEAD}" in tidegate("accounts", "database")
    assert "revision 0001;" in tidegate("accounts", "database", "--back-to", "0001", "--yes")
    assert [key["name"] for key in tidegate.json("keys", "list")] == ["k"]
    assert f"revision {HEAD};" in tidegate("accounts", "database")
    with pytest.raises(TidegateError, match="no revision '7'; this release knows 0001, 0002"):
        tidegate("accounts", "database", "--back-to", "7")
    assert (tidegate.home / "accounts.sqlite").stat().st_mode & 0o777 == 0o600
