"""Keys are shown once and stored as hashes."""

from pathlib import Path

import pytest

from tidegate.accounts.keys import Accounts, KeyNotFound, open_accounts, read_secret
from tidegate.core.errors import ConfigError, TidegateError


@pytest.fixture
def accounts(tmp_path: Path):
    made = open_accounts(tmp_path)
    yield made
    made.close()


def test_a_key_is_found_by_its_secret_and_never_stored(accounts: Accounts, tmp_path: Path) -> None:
    """The database holds a keyed hash: it opens nothing."""
    made = accounts.create_key("laptop", tenant_id="acme")
    assert accounts.snapshot()[accounts.hash_secret(made.secret)].tenant_id == "acme"
    assert made.secret.encode() not in (tmp_path / "accounts.sqlite").read_bytes()
    assert made.secret not in str(accounts.list_keys())


def test_a_database_without_its_secret_opens_nothing(accounts: Accounts, tmp_path: Path) -> None:
    """Another installation's pepper gives other hashes."""
    made = accounts.create_key("a")
    other = open_accounts(tmp_path / "other")
    assert other.hash_secret(made.secret) not in accounts.snapshot()
    other.close()


def test_a_revoked_key_is_gone_from_the_snapshot_and_stays_in_the_list(accounts: Accounts) -> None:
    """By id or by name; a second time it is not found."""
    made = accounts.create_key("a")
    assert accounts.revoke_key("a") == [made.key_id]
    assert accounts.snapshot() == {}
    assert accounts.list_keys()[0].revoked_us is not None
    with pytest.raises(KeyNotFound, match="tidegate keys list"):
        accounts.revoke_key(made.key_id)


def test_a_given_secret_may_be_a_key_once(accounts: Accounts) -> None:
    """For clients whose key cannot be chosen."""
    made = accounts.create_key("a", secret="My API Key")
    assert made.secret == "My API Key"
    assert "My" not in accounts.list_keys()[0].hint
    with pytest.raises(TidegateError, match="already a key"):
        accounts.create_key("b", secret="My API Key")


def test_the_version_tells_of_another_process(accounts: Accounts, tmp_path: Path) -> None:
    """What a worker looks at once a second."""
    version = accounts.version()
    assert accounts.version() == version
    other = open_accounts(tmp_path)
    other.create_key("b")
    other.close()
    assert accounts.version() != version


def test_the_installations_secret_is_private_and_a_damaged_one_is_not_replaced(tmp_path: Path) -> None:
    """A new secret would silently lock every key out."""
    secret = read_secret(tmp_path)
    assert read_secret(tmp_path) == secret
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    for damage in (b"short", b"x" * 64, b"\xff" * 64):
        (tmp_path / "secret").write_bytes(damage)
        with pytest.raises(ConfigError, match="is damaged"):
            read_secret(tmp_path)


def test_workers_that_start_together_make_the_tables_once(tmp_path: Path) -> None:
    """Two gateway workers on a fresh home race for the same tables."""
    import subprocess
    import sys

    read_secret(tmp_path)
    code = "import sys, pathlib, tidegate.accounts.keys as k; k.open_accounts(pathlib.Path(sys.argv[1])).close()"
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0] * 3
