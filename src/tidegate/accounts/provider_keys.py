"""Keys that providers gave the operator: several a provider, stored encrypted under the operator's key.

Each is a compact JWE (`dir`, A256GCM: RFC 7516, 7518) whose protected header names the entry that it belongs to, so
that a row's ciphertext opens nothing in another row. The operator's key stands in a file of its own, beside neither the
database nor its backups.
"""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from tidegate.accounts import schema
from tidegate.accounts.database import Database, touch
from tidegate.accounts.errors import AccountInvalid, AccountNotFound
from tidegate.accounts.secret import hint_of, read_random
from tidegate.accounts.tenancy import check_name, now_us, values_of
from tidegate.core.errors import ConfigError

if TYPE_CHECKING:
    from joserfc.jwk import OctKey

ENCRYPTION = "A256GCM"


class ProviderKey(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's key as it is listed: without the key."""

    provider_key_id: str
    provider_name: str
    name: str
    hint: str
    is_enabled: bool = True
    created_us: int = 0


class OpenKey(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's key, open: for workers alone. Its `repr` shows no secret."""

    provider_key_id: str
    provider_name: str
    name: str
    secret: str

    def __repr__(self) -> str:
        return f"OpenKey({self.provider_key_id}, {self.provider_name})"


def read_operator_key(home: Path, file: str = "", *, may_make: bool = False) -> bytes:
    """The operator's key: `operator.key` in the home, or another file; 0600.

    may_make: make it where it is not there: for who stores the first key. Raises ConfigError for a damaged one, and
    for none: with a new one, stored keys could not be opened.
    """
    path = Path(file).expanduser() if file else home / "operator.key"
    if not may_make and not path.exists():
        raise ConfigError(
            f"{path} is not here, and providers' keys are stored under it: copy it from where they were stored "
            "(accounts.operator_key_file says where it is), or remove them: `tidegate accounts provider-keys list`"
        )
    return read_random(path, "store the providers' keys anew")


def add_provider_key(
    database: Database, operator_key: bytes, provider_name: str, secret: str, name: str = ""
) -> ProviderKey:
    """Store a key. Workers use it within two seconds. Raises AccountInvalid for one that no header may hold."""
    secret = secret.strip()
    check_name(name)
    check_name(provider_name)
    if not provider_name or not secret:
        raise AccountInvalid("a provider's key needs the provider's name and the key itself")
    made = ProviderKey(
        provider_key_id="provider_key_" + secrets.token_hex(8),
        provider_name=provider_name,
        name=name or provider_name,
        hint=hint_of(secret),
        created_us=now_us(),
    )
    sealed = _seal(operator_key, made.provider_key_id, secret)
    with database.writing() as connection:
        touch(connection)
        connection.execute(sa.insert(schema.provider_keys).values({**values_of(made), "sealed": sealed}))
    return made


def list_provider_keys(database: Database, provider_name: str | None = None) -> list[ProviderKey]:
    """All keys, or one provider's, in the order in which they are used."""
    table = schema.provider_keys
    query = sa.select(*(table.c[name] for name in ProviderKey.__struct_fields__)).order_by(*_order())
    if provider_name is not None:
        query = query.where(table.c.provider_name == provider_name)
    with database.reading() as connection:
        return [ProviderKey(**row) for row in connection.execute(query).mappings()]


def enable_provider_key(database: Database, provider_key_id: str, *, is_enabled: bool) -> None:
    """Use a key, or not for now. Raises AccountNotFound."""
    _change(database, provider_key_id, {"is_enabled": is_enabled})


def remove_provider_key(database: Database, provider_key_id: str) -> None:
    """Forget a key: nothing of it is kept. Raises AccountNotFound."""
    _change(database, provider_key_id, None)


def sealed_keys(connection: sa.Connection) -> list[tuple[str, str, str, str]]:
    """Id, provider, name and ciphertext of each key in use, in the order of use: compared to see what changed."""
    table = schema.provider_keys
    query = sa.select(table.c.provider_key_id, table.c.provider_name, table.c.name, table.c.sealed)
    return [tuple(row) for row in connection.execute(query.where(table.c.is_enabled).order_by(*_order()))]


def open_keys(operator_key: bytes, sealed: list[tuple[str, str, str, str]]) -> dict[str, tuple[OpenKey, ...]]:
    """Keys by provider, opened. Raises ConfigError where the operator's key is another one."""
    found: dict[str, tuple[OpenKey, ...]] = {}
    for key_id, provider, name, text in sealed:
        opened = OpenKey(
            provider_key_id=key_id, provider_name=provider, name=name, secret=_open(operator_key, key_id, text)
        )
        found[provider] = (*found.get(provider, ()), opened)
    return found


def reseal(database: Database, old_key: bytes, new_key: bytes) -> int:
    """Encrypt every stored key, the disabled ones too, under a new operator's key; how many. All, or none.

    Raises ConfigError where the old key does not open one.
    """
    table = schema.provider_keys
    with database.writing() as connection:
        touch(connection)
        rows = connection.execute(sa.select(table.c.provider_key_id, table.c.sealed)).all()
        for key_id, text in rows:
            sealed = _seal(new_key, key_id, _open(old_key, key_id, text))
            connection.execute(sa.update(table).where(table.c.provider_key_id == key_id).values(sealed=sealed))
    return len(rows)


def _change(database: Database, provider_key_id: str, values: dict[str, Any] | None) -> None:
    table = schema.provider_keys
    with database.writing() as connection:
        touch(connection)
        changed = sa.delete(table) if values is None else sa.update(table).values(values)
        if not connection.execute(changed.where(table.c.provider_key_id == provider_key_id)).rowcount:
            raise AccountNotFound(
                f"no provider's key has the id {provider_key_id[:80]!r}; `tidegate accounts provider-keys list`"
            )


def _order() -> tuple[sa.ColumnElement[Any], ...]:
    table = schema.provider_keys
    return (table.c.created_us, table.c.provider_key_id)


def _seal(operator_key: bytes, provider_key_id: str, secret: str) -> str:
    from joserfc import jwe

    header = {"alg": "dir", "enc": ENCRYPTION, "kid": provider_key_id}
    return jwe.encrypt_compact(header, secret.encode(), _jwk(operator_key), algorithms=["dir", ENCRYPTION])


def _open(operator_key: bytes, provider_key_id: str, sealed: str) -> str:
    from joserfc import errors, jwe

    try:
        opened = jwe.decrypt_compact(sealed, _jwk(operator_key), algorithms=["dir", ENCRYPTION])
    except (errors.JoseError, ValueError) as error:
        raise ConfigError(
            f"the stored provider's key {provider_key_id} cannot be opened with this operator's key: put back the "
            "file it was stored with (accounts.operator_key_file), or remove the entry and store it anew"
        ) from error
    if opened.protected.get("kid") != provider_key_id or opened.plaintext is None:
        raise ConfigError(f"the stored provider's key {provider_key_id} is another entry's: remove it, store it anew")
    return opened.plaintext.decode()


def _jwk(operator_key: bytes) -> "OctKey":
    from joserfc.jwk import OctKey

    return OctKey.import_key(operator_key)
