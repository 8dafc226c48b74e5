"""Providers' keys are stored so that neither the database nor a list of keys opens anything."""

import pytest
import sqlalchemy as sa

from tidegate.accounts import schema
from tidegate.accounts.errors import AccountInvalid, AccountNotFound
from tidegate.accounts.keys import Accounts
from tidegate.accounts.provider_keys import (
    add_provider_key,
    enable_provider_key,
    list_provider_keys,
    open_keys,
    read_operator_key,
    remove_provider_key,
    reseal,
    sealed_keys,
)
from tidegate.core.errors import ConfigError

KEY, OTHER = b"k" * 32, b"o" * 32


def opened(accounts: Accounts, key: bytes = KEY) -> dict[str, list[str]]:
    with accounts.database.reading() as connection:
        sealed = sealed_keys(connection)
    return {provider: [key.secret for key in keys] for provider, keys in open_keys(key, sealed).items()}


def test_keys_are_opened_in_the_order_in_which_they_were_stored(accounts: Accounts) -> None:
    """Several a provider; a disabled or removed one is not among them."""
    version = accounts.version()
    first = add_provider_key(accounts.database, KEY, "acme", " sk-first-0123456789abcdef \n")
    second = add_provider_key(accounts.database, KEY, "acme", "sk-second", "backup")
    add_provider_key(accounts.database, KEY, "other", "sk-third")
    assert accounts.version() > version
    assert opened(accounts) == {"acme": ["sk-first-0123456789abcdef", "sk-second"], "other": ["sk-third"]}
    assert [key.name for key in list_provider_keys(accounts.database, "acme")] == ["acme", "backup"]
    enable_provider_key(accounts.database, first.provider_key_id, is_enabled=False)
    assert opened(accounts)["acme"] == ["sk-second"]
    enable_provider_key(accounts.database, first.provider_key_id, is_enabled=True)
    remove_provider_key(accounts.database, second.provider_key_id)
    assert opened(accounts)["acme"] == ["sk-first-0123456789abcdef"]
    with pytest.raises(AccountNotFound):
        remove_provider_key(accounts.database, second.provider_key_id)
    with pytest.raises(AccountInvalid):
        add_provider_key(accounts.database, KEY, "acme", "  ")


def test_a_stored_key_opens_with_the_operators_key_and_in_its_own_row_alone(accounts: Accounts) -> None:
    """A thief of the database has nothing; whoever can write to it cannot move a key to another provider."""
    one = add_provider_key(accounts.database, KEY, "acme", "sk-very-secret-0123456789")
    two = add_provider_key(accounts.database, KEY, "other", "sk-another-secret-0123456789")
    table = schema.provider_keys
    with accounts.database.writing() as connection:
        rows = {row.provider_key_id: row for row in connection.execute(sa.select(table))}
        assert "very-secret" not in str(rows) + str(list_provider_keys(accounts.database))
        with pytest.raises(ConfigError, match=r"operator_key_file") as caught:
            opened(accounts, OTHER)
        assert "secret-0123" not in str(caught.value)
        moved = rows[one.provider_key_id].sealed
        connection.execute(sa.update(table).where(table.c.provider_key_id == two.provider_key_id).values(sealed=moved))
    with pytest.raises(ConfigError, match="another entry's"):
        opened(accounts)
    with accounts.database.reading() as connection:
        sealed = sealed_keys(connection)
    assert "very" not in repr(open_keys(KEY, sealed[:1]))


def test_all_keys_are_sealed_anew_or_none(accounts: Accounts) -> None:
    """An operator's key that somebody has seen is replaced."""
    add_provider_key(accounts.database, KEY, "acme", "sk-first")
    late = add_provider_key(accounts.database, OTHER, "acme", "sk-second")
    with pytest.raises(ConfigError):
        reseal(accounts.database, KEY, b"n" * 32)
    remove_provider_key(accounts.database, late.provider_key_id)
    assert opened(accounts) == {"acme": ["sk-first"]}
    assert reseal(accounts.database, KEY, b"n" * 32) == 1
    assert opened(accounts, b"n" * 32) == {"acme": ["sk-first"]}
    with pytest.raises(ConfigError):
        opened(accounts)


def test_the_operators_key_is_made_once_and_only_by_who_stores_a_key(tmp_path) -> None:
    """A host that lacks it must not go on with one of its own."""
    with pytest.raises(ConfigError, match="copy it"):
        read_operator_key(tmp_path)
    made = read_operator_key(tmp_path, may_make=True)
    assert read_operator_key(tmp_path) == made and len(made) == 32
    assert (tmp_path / "operator.key").stat().st_mode & 0o777 == 0o600
    assert read_operator_key(tmp_path / "else", str(tmp_path / "operator.key")) == made
