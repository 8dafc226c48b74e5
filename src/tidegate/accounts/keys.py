"""API keys: made, listed, revoked, and read as a snapshot by gateway workers.

A key is 32 random bytes, so a keyed hash (BLAKE2b under the installation's secret) is enough: there is nothing to
guess, and a stolen database opens nothing.
"""

import hashlib
import os
import re
import secrets
import time
from pathlib import Path

import msgspec
import sqlalchemy as sa

from tidegate.accounts import schema
from tidegate.accounts.database import open_database, touch, url_in
from tidegate.core.errors import ConfigError, TidegateError
from tidegate.core.ids import KEY_PREFIX

SECRET_BYTES = 32
SECRET_TEXT = re.compile(rf"[0-9a-f]{{{2 * SECRET_BYTES}}}")


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is listed; times in microseconds since 1970-01-01 UTC, None where it never comes."""

    key_id: str
    tenant_id: str
    project_id: str
    name: str
    hint: str
    created_us: int
    expires_us: int | None
    revoked_us: int | None
    billing_country: str | None

    def is_valid(self, now_us: int) -> bool:
        return self.revoked_us is None and (self.expires_us is None or now_us < self.expires_us)


class CreatedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new key: the only moment at which its secret exists outside the caller's hands."""

    key_id: str
    secret: str


class KeyNotFound(TidegateError):
    """No key of that id or name."""


class Accounts:
    """The accounts database of one installation."""

    def __init__(self, url: str, pepper: bytes) -> None:
        self.database = open_database(url)
        self._pepper = pepper

    def close(self) -> None:
        self.database.close()

    @property
    def pepper(self) -> bytes:
        """The installation's secret: keys the hashes of API keys and end users."""
        return self._pepper

    def hash_secret(self, secret: str | bytes) -> bytes:
        return hash_secret(self._pepper, secret.encode() if isinstance(secret, str) else secret)

    def create_key(
        self,
        name: str,
        *,
        tenant_id: str = "default",
        project_id: str = "default",
        expires_us: int | None = None,
        billing_country: str | None = None,
        secret: str | None = None,
    ) -> CreatedKey:
        """Make a key. secret: a given one, for clients whose key is fixed; otherwise 32 random bytes.

        Raises TidegateError where that secret is already a key.
        """
        secret = secret or KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        key_id = "key_" + secrets.token_hex(8)
        values = {
            "key_id": key_id,
            "tenant_id": tenant_id,
            "project_id": project_id,
            "name": name,
            "secret_hash": self.hash_secret(secret),
            "hint": f"{secret[:9]}...{secret[-4:]}" if len(secret) >= 24 else "(given)",
            "created_us": time.time_ns() // 1000,
            "expires_us": expires_us,
            "billing_country": billing_country,
        }
        try:
            with self.database.writing() as connection:
                touch(connection)
                connection.execute(sa.insert(schema.keys).values(values))
        except sa.exc.IntegrityError:
            raise TidegateError("this secret is already a key; `tidegate keys list` shows them") from None
        return CreatedKey(key_id=key_id, secret=secret)

    def list_keys(self) -> list[Key]:
        """All keys, oldest first, revoked ones included."""
        columns = [schema.keys.c[name] for name in Key.__struct_fields__]
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(*columns).order_by(schema.keys.c.created_us, schema.keys.c.key_id))
            return [Key(**row) for row in rows.mappings()]

    def revoke_key(self, id_or_name: str) -> list[str]:
        """Revoke the key with this id, or every valid key of this name; the ids. Raises KeyNotFound."""
        table = schema.keys
        chosen = (table.c.key_id == id_or_name) | (table.c.name == id_or_name)
        with self.database.writing() as connection:
            ids = [
                row[0]
                for row in connection.execute(sa.select(table.c.key_id).where(chosen, table.c.revoked_us.is_(None)))
            ]
            if not ids:
                raise KeyNotFound(f"no valid key has the id or name {id_or_name!r}; `tidegate keys list` shows all")
            now = time.time_ns() // 1000
            touch(connection)
            connection.execute(sa.update(table).where(table.c.key_id.in_(ids)).values(revoked_us=now))
        return ids

    def snapshot(self) -> dict[bytes, Key]:
        """Every key that is not revoked, by the hash of its secret: what a worker keeps in memory."""
        columns = [schema.keys.c[name] for name in Key.__struct_fields__]
        query = sa.select(schema.keys.c.secret_hash, *columns).where(schema.keys.c.revoked_us.is_(None))
        with self.database.reading() as connection:
            found = {}
            for row in connection.execute(query).mappings():
                fields = dict(row)
                secret_hash = bytes(fields.pop("secret_hash"))
                found[secret_hash] = Key(**fields)
            return found

    def version(self) -> int:
        """As `Database.version`."""
        return self.database.version()


def hash_secret(pepper: bytes, secret: bytes) -> bytes:
    """The stored form of a key."""
    return hashlib.blake2b(secret, key=pepper, digest_size=32).digest()


def open_accounts(home: Path, database_url: str = "") -> Accounts:
    """The accounts of the installation in `home`, made if they do not exist.

    database_url: `[accounts] database_url`; empty: SQLite in the home.
    """
    home.mkdir(parents=True, exist_ok=True)
    return Accounts(database_url or url_in(home), read_secret(home))


def read_secret(home: Path) -> bytes:
    """The installation's secret (`secret` in the home, 0600), made at first use.

    Raises ConfigError for a damaged one: a new secret would silently lock every key out.
    """
    path = home / "secret"
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(made, "w") as file:
            file.write(secrets.token_hex(SECRET_BYTES) + "\n")
    for _ in range(50):  # another process may be writing it this moment
        text = path.read_text(errors="replace").strip()
        if SECRET_TEXT.fullmatch(text):
            return bytes.fromhex(text)
        time.sleep(0.01)
    raise ConfigError(
        f"{path} is damaged: {2 * SECRET_BYTES} hex digits expected. Restore it, or remove it and make new keys"
    )
