"""API keys: made, changed, rotated, listed, revoked.

A key is 32 random bytes, so a keyed hash (BLAKE2b under the installation's secret) is enough: there is nothing to
guess, and a stolen database opens nothing. `snapshot.py` is what gateway workers read.
"""

import ipaddress
import secrets
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType

from tidegate.accounts import schema
from tidegate.accounts.database import open_database, touch, url_in
from tidegate.accounts.errors import AccountExists, AccountInvalid, AccountNotFound
from tidegate.accounts.secret import SECRET_BYTES, hash_secret, hint_of, read_secret
from tidegate.accounts.tenancy import check_country, check_name, ensure, now_us, values_set
from tidegate.core.errors import ConfigError
from tidegate.core.ids import KEY_PREFIX

__all__ = [
    "Accounts", "CreatedKey", "Key", "KeyChange", "KeyNotFound", "KeyPage", "KeyWish", "hash_secret", "open_accounts",
    "read_secret",
]  # fmt: skip

WORDS = ("models", "providers", "networks")  # columns that hold several words, separated by spaces
OVERLAP_S_MAX = 366 * 86_400


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is listed; times in microseconds since 1970-01-01 UTC, None where it never comes.

    What it may call: `models` (globs, as `fnmatch` has them), `providers` (names), `networks` (CIDR that its calls
    come from); empty: all. `price_group`: whose prices it pays; empty: its tenant's.
    """

    key_id: str
    tenant_id: str
    project_id: str
    name: str
    hint: str = ""
    created_us: int = 0
    expires_us: int | None = None
    revoked_us: int | None = None
    billing_country: str | None = None
    updated_us: int | None = None
    is_enabled: bool = True
    price_group: str = ""
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    def is_valid(self, now_us: int) -> bool:
        return self.revoked_us is None and self.is_enabled and (self.expires_us is None or now_us < self.expires_us)


class KeyWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made. Fields as in `Key`. Raises AccountInvalid for a field that cannot be."""

    name: str
    tenant_id: str = "default"
    project_id: str = "default"
    expires_us: int | None = None
    billing_country: str | None = None
    is_enabled: bool = True
    price_group: str = ""
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name)
        check_country(self.billing_country)
        check_words(msgspec.structs.asdict(self))


class KeyChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New values of a key; what is not set stays. Raises AccountInvalid for a field that cannot be."""

    name: str | UnsetType = UNSET
    expires_us: int | UnsetType | None = UNSET
    billing_country: str | UnsetType | None = UNSET
    is_enabled: bool | UnsetType = UNSET
    price_group: str | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    providers: tuple[str, ...] | UnsetType = UNSET
    networks: tuple[str, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        values = values_set(self)
        check_name(values.get("name", ""))
        check_country(values.get("billing_country"))
        check_words(values)


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Which keys of a tenant: of one project, or all; `limit` of them after the first `offset`."""

    tenant_id: str
    project_id: str | None = None
    offset: int = 0
    limit: int = 100
    with_revoked: bool = True
    with_disabled: bool = True


class CreatedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new key: the only moment at which its secret exists outside the caller's hands."""

    key_id: str
    secret: str


class KeyNotFound(AccountNotFound):
    """No key of that id or name."""


class Accounts:
    """The accounts database of one installation."""

    def __init__(self, url: str, pepper: bytes, home: Path | None = None) -> None:
        """home: where packed snapshots of many keys are kept; None: in memory."""
        self.database = open_database(url)
        self.home = home
        self._pepper = pepper
        if not self.database.is_sqlite:
            try:
                self._check_secret()
            except BaseException:  # passed on: only the connections are given back
                self.database.close()
                raise

    def close(self) -> None:
        self.database.close()

    @property
    def pepper(self) -> bytes:
        """The installation's secret: keys the hashes of API keys and end users."""
        return self._pepper

    def hash_secret(self, secret: str | bytes) -> bytes:
        return hash_secret(self._pepper, secret.encode() if isinstance(secret, str) else secret)

    def version(self) -> int:
        """As `Database.version`."""
        return self.database.version()

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
        """As `add_key`."""
        wish = KeyWish(
            name=name, tenant_id=tenant_id, project_id=project_id, expires_us=expires_us,
            billing_country=billing_country,
        )  # fmt: skip
        return self.add_key(wish, secret)

    def add_key(self, wish: KeyWish, secret: str | None = None) -> CreatedKey:
        """Make a key; its tenant and its project too, where they are not there yet.

        secret: a given one, for clients whose key is fixed; otherwise 32 random bytes. Raises AccountExists where
        that secret is already a key, AccountInvalid for a new tenant's or project's id that cannot be.
        """
        secret = secret or KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        key_id = "key_" + secrets.token_hex(8)
        with self.database.writing() as connection:
            changed = touch(connection)
            ensure(connection, wish.tenant_id, wish.project_id, changed)
            self._check_new(connection, secret)
            values = {
                **_columns(msgspec.structs.asdict(wish)),
                "key_id": key_id,
                "secret_hash": self.hash_secret(secret),
                "hint": hint_of(secret),
                "created_us": now_us(),
                "changed": changed,
            }
            connection.execute(sa.insert(schema.keys).values(values))
        return CreatedKey(key_id=key_id, secret=secret)

    def update_key(self, key_id: str, change: KeyChange) -> Key:
        """Change a key that is not revoked; the key as it is then. Raises KeyNotFound."""
        table = schema.keys
        with self.database.writing() as connection:
            values = {**_columns(values_set(change)), "updated_us": now_us(), "changed": touch(connection)}
            chosen = sa.and_(table.c.key_id == key_id, table.c.revoked_us.is_(None))
            if not connection.execute(sa.update(table).where(chosen).values(values)).rowcount:
                raise _not_found(key_id)
            return _key(connection, key_id)

    def rotate_key(self, key_id: str, *, overlap_s: int = 0, secret: str | None = None) -> CreatedKey:
        """Give a key a new secret; the former one stays valid for `overlap_s`. Raises KeyNotFound, AccountExists.

        Earlier former secrets keep the ends that they were given.
        """
        if not 0 <= overlap_s <= OVERLAP_S_MAX:
            raise AccountInvalid(f"an overlap of {overlap_s} s: 0 to {OVERLAP_S_MAX} (a year) are accepted")
        secret = secret or KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        table = schema.keys
        with self.database.writing() as connection:
            changed = touch(connection)
            self._check_new(connection, secret)
            chosen = sa.and_(table.c.key_id == key_id, table.c.revoked_us.is_(None))
            former = connection.execute(sa.select(table.c.secret_hash).where(chosen)).scalar_one_or_none()
            if former is None:
                raise _not_found(key_id)
            now = now_us()
            ended = {"secret_hash": former, "key_id": key_id, "valid_until_us": now + overlap_s * 1_000_000}
            connection.execute(sa.insert(schema.former_secrets).values(ended))
            new = {"secret_hash": self.hash_secret(secret), "hint": hint_of(secret)}
            connection.execute(sa.update(table).where(chosen).values(**new, updated_us=now, changed=changed))
        return CreatedKey(key_id=key_id, secret=secret)

    def revoke_key(self, id_or_name: str) -> list[str]:
        """Revoke the key with this id, or every valid key of this name; the ids. Raises KeyNotFound."""
        table = schema.keys
        with self.database.reading() as connection:  # by name all keys are looked through: nobody waits for that
            ids = [key.key_id for key in _named(connection, id_or_name)]
        with self.database.writing() as connection:
            chosen = sa.and_(table.c.key_id.in_(ids), table.c.revoked_us.is_(None))
            values = {"revoked_us": now_us(), "changed": touch(connection)}
            connection.execute(sa.update(table).where(chosen).values(values))
        return ids

    def key(self, key_id: str) -> Key:
        """Raises KeyNotFound."""
        with self.database.reading() as connection:
            return _key(connection, key_id)

    def valid_key(self, id_or_name: str) -> Key:
        """The key with this id, or the only valid one of this name. Raises KeyNotFound, AccountInvalid."""
        with self.database.reading() as connection:
            keys = _named(connection, id_or_name)
        if len(keys) > 1:
            ids = ", ".join(key.key_id for key in keys[:2])
            raise AccountInvalid(f"several keys have the name {id_or_name!r} ({ids}, ...); say which by its id")
        return keys[0]

    def find_key(self, secret: str | bytes) -> Key | None:
        """The key with this secret, current or former and in its overlap, whatever its state; None for no such one.

        Reads the database: workers ask their snapshot.
        """
        hashed, keys, former = self.hash_secret(secret), schema.keys, schema.former_secrets
        current = sa.select(keys.c.key_id).where(keys.c.secret_hash == hashed)
        ended = sa.select(former.c.key_id).where(former.c.secret_hash == hashed, former.c.valid_until_us > now_us())
        with self.database.reading() as connection:
            key_id = connection.execute(current).scalar_one_or_none() or connection.execute(ended).scalar_one_or_none()
            return None if key_id is None else _key(connection, key_id)

    def list_keys(self, tenant_id: str | None = None, project_id: str | None = None) -> list[Key]:
        """All keys, or those of a tenant or one of its projects, oldest first, revoked ones included."""
        table = schema.keys
        query = _select().order_by(table.c.created_us, table.c.key_id)
        if tenant_id is not None:
            query = query.where(table.c.tenant_id == tenant_id)
        if project_id is not None:
            query = query.where(table.c.project_id == project_id)
        with self.database.reading() as connection:
            return [_from_row(dict(row)) for row in connection.execute(query).mappings()]

    def page_of_keys(self, page: "KeyPage") -> tuple[list[Key], int]:
        """Some keys of a tenant, oldest first, and how many there are in all: a tenant may have a million."""
        table = schema.keys
        chosen = [table.c.tenant_id == page.tenant_id]
        if page.project_id is not None:
            chosen.append(table.c.project_id == page.project_id)
        if not page.with_revoked:
            chosen.append(table.c.revoked_us.is_(None))
        if not page.with_disabled:
            chosen.append(table.c.is_enabled)
        query = _select().where(*chosen).order_by(table.c.created_us, table.c.key_id)
        with self.database.reading() as connection:
            total = int(connection.execute(sa.select(sa.func.count()).select_from(table).where(*chosen)).scalar_one())
            found = connection.execute(query.offset(page.offset).limit(page.limit)).mappings()
            return [_from_row(dict(row)) for row in found], total

    def snapshot(self) -> dict[bytes, Key]:
        """Every key that is not revoked, by the hash of its secret. For few keys; workers read `snapshot.py`."""
        query = _select().add_columns(schema.keys.c.secret_hash).where(schema.keys.c.revoked_us.is_(None))
        found = {}
        with self.database.reading() as connection:
            for row in connection.execute(query).mappings():
                fields = dict(row)
                hashed = bytes(fields.pop("secret_hash"))
                found[hashed] = _from_row(fields)
        return found

    def _check_new(self, connection: sa.Connection, secret: str) -> None:
        hashed = self.hash_secret(secret)
        for table in (schema.keys, schema.former_secrets):
            if connection.execute(sa.select(table.c.key_id).where(table.c.secret_hash == hashed)).first():
                raise AccountExists("this secret is already a key; `tidegate keys list` shows them")

    def _check_secret(self) -> None:
        """Hosts on one database share one secret; with another, every key of the others would be unknown here."""
        check = hash_secret(self._pepper, b"tidegate: which secret is this?").hex()
        with self.database.writing() as connection:
            known = connection.execute(sa.select(schema.state.c.secret_check)).scalar_one()
            if not known:
                connection.execute(sa.update(schema.state).values(secret_check=check))
            elif known != check:
                raise ConfigError(
                    "this host's secret is not the one that the accounts database was made with: copy the file "
                    "`secret` from the home of the host that made it (accounts.secret_file says where it is here)"
                )


def open_accounts(home: Path, database_url: str = "", secret_file: str = "") -> Accounts:
    """The accounts of the installation in `home`, made if they do not exist.

    database_url, secret_file: as in `[accounts]`; empty: SQLite and the file `secret` in the home. Raises ConfigError
    where the database or the secret cannot be used.
    """
    home.mkdir(parents=True, exist_ok=True)
    secret = read_secret(home, secret_file)
    try:
        return Accounts(database_url or url_in(home), secret, home)
    except sa.exc.DBAPIError as error:
        name = "the database of accounts.database_url" if database_url else home / "accounts.sqlite"
        raise ConfigError(f"{name} cannot be used: {str(error.orig).strip().splitlines()[0]}") from error


def check_words(values: dict[str, Any]) -> None:
    """Raises AccountInvalid for an allow-list that cannot be kept or would match nothing."""
    for column in WORDS:
        for word in values.get(column, ()):
            if not word or not word.isprintable() or " " in word:
                raise AccountInvalid(f"{column}: {word[:80]!r} is no name; names without spaces are accepted")
    for network in values.get("networks", ()):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise AccountInvalid(f"networks: {error}; write for example 203.0.113.0/24") from None


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    return {name: " ".join(value) if name in WORDS else value for name, value in values.items()}


def _select() -> sa.Select[Any]:
    return sa.select(*(schema.keys.c[name] for name in Key.__struct_fields__))


def _from_row(fields: dict[str, Any]) -> Key:
    for column in WORDS:
        fields[column] = tuple(fields[column].split())
    return Key(**fields)


def _key(connection: sa.Connection, key_id: str) -> Key:
    row = connection.execute(_select().where(schema.keys.c.key_id == key_id)).mappings().one_or_none()
    if row is None:
        raise _not_found(key_id)
    return _from_row(dict(row))


def _named(connection: sa.Connection, id_or_name: str) -> list[Key]:
    """The key with this id, else those of this name, that are not revoked. Raises KeyNotFound for none."""
    table = schema.keys
    for column in (table.c.key_id, table.c.name):
        query = _select().where(column == id_or_name, table.c.revoked_us.is_(None)).order_by(table.c.created_us)
        if found := [_from_row(dict(row)) for row in connection.execute(query).mappings()]:
            return found
    raise _not_found(id_or_name)


def _not_found(id_or_name: str) -> KeyNotFound:
    return KeyNotFound(f"no valid key has the id or name {id_or_name[:80]!r}; `tidegate keys list` shows all")
