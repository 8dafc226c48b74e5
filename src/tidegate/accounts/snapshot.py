"""All keys as a worker holds them: a pack (`packed.py`) and, beside it, what changed since it was made.

Few keys are packed in memory at every start. Many are packed into the home once; later starts map that file and read
only what changed since, and workers that start together wait for the one that packs. What changed is read by version,
so that one new key among a million costs one row.
"""

import fcntl
import gc
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts import schema
from tidegate.accounts.keys import Accounts, Key
from tidegate.accounts.packed import Pack, PackHead, Rows, open_pack, pack_in_file, pack_in_memory
from tidegate.accounts.tenancy import now_us
from tidegate.accounts.watch import Publish

log = logging.getLogger(__name__)

FILE_KEYS_MIN: Final = 20_000  # fewer are packed in 0.1 s, and 4 MB
CHANGES_MAX: Final = 50_000  # held beside the pack before it is made anew
ROWS_AT_ONCE: Final = 5_000
FILE_NAME: Final = "keys.pack"

_keys, _former = schema.keys, schema.former_secrets
_LIVE = sa.and_(_keys.c.revoked_us.is_(None), _keys.c.is_enabled)


class _Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A key in a pack: columns of these names, as a JSON array that the database makes."""

    changed: int
    key_id: str
    tenant_id: str
    project_id: str
    name: str
    expires_us: int | None
    billing_country: str | None
    price_group: str
    models: str
    providers: str
    networks: str


_decode = msgspec.json.Decoder(_Record).decode


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """Tenants and projects that are disabled: their keys open nothing."""

    tenants: frozenset[str] = frozenset()
    projects: frozenset[tuple[str, str]] = frozenset()

    def has(self, key: Key) -> bool:
        return key.tenant_id in self.tenants or (key.tenant_id, key.project_id) in self.projects


class KeySnapshot:
    """Every key that can be used now, by the hash of its secret. Read by one thread; kept up by `read`.

    `revision`: another one where a key that was known may have changed; new keys leave it as it is.
    """

    def __init__(self, accounts: Accounts) -> None:
        """Read all keys. Raises what the database raises."""
        self._database = accounts.database
        self._path = accounts.home / FILE_NAME if accounts.home is not None else None
        self.revision = 0
        self._pack = self._packed()
        self._version = self._pack.head.version
        with self._database.reading() as connection:
            self._changes = _former_secrets(connection)
            self._blocked = _blocked(connection)
            if publish := self.read(connection):
                publish()

    def find(self, hashed: bytes) -> Key | None:
        """The enabled key with this hash, of a tenant and a project that are; None for no such one. May be expired."""
        record = self._changes[hashed] if hashed in self._changes else self._pack.find(hashed)
        if record is None:
            return None
        key = _key(record)
        return None if self._blocked.has(key) else key

    def read(self, connection: sa.Connection) -> Publish | None:
        """A reader of `Watch`: what changed since the last one that was put into force."""
        version = _version(connection)
        if version == self._version:
            return None
        if _changed_count(connection, self._version) > CHANGES_MAX:
            pack = self._packed()
            since = min(pack.head.version, version)
            changes = {**_former_secrets(connection), **_changes_since(connection, since)}
            blocked = _blocked(connection)
            return lambda: self._replace(version, pack, changes, blocked)
        changes = _changes_since(connection, self._version)
        blocked = _blocked_since(connection, self._version) or self._blocked
        return lambda: self._apply(version, changes, blocked)

    def is_far_behind(self, connection: sa.Connection) -> bool:
        """Whether `read` would take seconds: so many keys changed that they are packed anew."""
        return _version(connection) != self._version and _changed_count(connection, self._version) > CHANGES_MAX

    def _apply(self, version: int, changes: dict[bytes, bytes | None], blocked: Blocked) -> None:
        if blocked != self._blocked or any(self._knows(hashed) for hashed in changes):
            self.revision += 1
        self._changes.update(changes)
        self._version, self._blocked = version, blocked

    def _replace(self, version: int, pack: Pack, changes: dict[bytes, bytes | None], blocked: Blocked) -> None:
        self.revision += 1
        self._pack, self._changes, self._blocked = pack, changes, blocked
        self._version = version

    def _knows(self, hashed: bytes) -> bool:
        return hashed in self._changes or self._pack.find(hashed) is not None

    def _packed(self) -> Pack:
        """A pack of now, or one in the home that can be brought up to date."""
        with self._database.reading() as connection:
            count = connection.execute(sa.select(sa.func.count()).select_from(_keys)).scalar_one()
            if count < FILE_KEYS_MIN or self._path is None:
                return pack_in_memory(_head(connection), _all_records(connection))
        try:
            with _alone(self._path), self._database.reading() as connection:
                return _pack_at(self._path, connection)
        except OSError as error:
            log.warning("keys: %s cannot be used (%s); they are kept in memory", self._path, error.strerror)
        with self._database.reading() as connection:
            return pack_in_memory(_head(connection), _all_records(connection))


def _pack_at(path: Path, connection: sa.Connection) -> Pack:
    """The pack that is there, if it can be brought up to date, or a new one. Raises OSError."""
    found = open_pack(path)
    if found is not None and _is_of(found, connection):
        return found
    started = time.monotonic()
    with _uncollected():
        made = pack_in_file(path, _head(connection), _all_records(connection))
    log.info("packed %d keys in %.1f s", made.count, time.monotonic() - started)
    return made


def _key(record: bytes) -> Key:
    found = _decode(record)
    return Key(
        key_id=found.key_id,
        tenant_id=found.tenant_id,
        project_id=found.project_id,
        name=found.name,
        expires_us=found.expires_us,
        billing_country=found.billing_country,
        price_group=found.price_group,
        models=tuple(found.models.split()),
        providers=tuple(found.providers.split()),
        networks=tuple(found.networks.split()),
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process of this machine at a time: the first packs, the others find its file."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _uncollected() -> Iterator[None]:
    """A million rows without cycles are looked through for cycles again and again: a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _is_of(pack: Pack, connection: sa.Connection) -> bool:
    """Whether a pack, with what changed since, is the keys of this database.

    A database that was put back to an older copy of itself may have reached the pack's version another way. So the
    keys that did not change since, and those of the pack that did, must be the pack's, by number and by the sum of
    their versions.
    """
    head = _head(connection)
    since = pack.head.version
    if pack.head.database_id != head.database_id or since > head.version:
        return False
    if _changed_count(connection, since) > CHANGES_MAX:
        return False
    unchanged = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_keys.c.changed), 0))
    count, total = connection.execute(unchanged.where(_LIVE, _keys.c.changed <= since)).one()
    for hashed in _changes_since(connection, since):
        if (record := pack.find(hashed)) is not None:
            count, total = count + 1, total + _decode(record).changed
    return (count, int(total)) == (pack.count, pack.head.changed_sum)


def _version(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(schema.state.c.version)).scalar_one())


def _head(connection: sa.Connection) -> PackHead:
    state = connection.execute(sa.select(schema.state.c.version, schema.state.c.database_id)).one()
    return PackHead(database_id=state.database_id, version=state.version)


def _changed_count(connection: sa.Connection, since: int) -> int:
    query = sa.select(sa.func.count()).select_from(_keys).where(_keys.c.changed > since)
    return int(connection.execute(query).scalar_one())


def _record(connection: sa.Connection, expires_us: sa.ColumnElement[Any]) -> sa.ColumnElement[bytes]:
    """A key as JSON text, made by the database: a tenth of the time that it takes here."""
    columns = [expires_us if name == "expires_us" else _keys.c[name] for name in _Record.__struct_fields__]
    if connection.dialect.name == "sqlite":
        return sa.cast(sa.func.json_array(*columns), sa.LargeBinary)
    return sa.func.convert_to(sa.cast(sa.func.json_build_array(*columns), sa.Text), "UTF8")


def _all_records(connection: sa.Connection) -> Iterator[Rows]:
    """Every enabled key under its current secret, as the driver gives it: a million in seconds."""
    query = sa.select(_keys.c.secret_hash, _record(connection, _keys.c.expires_us), _keys.c.changed).where(_LIVE)
    text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    driver: Any = connection.connection.driver_connection
    is_sqlite = connection.dialect.name == "sqlite"
    cursor = driver.cursor() if is_sqlite else driver.cursor(name="keys")  # named: kept on the server, sent in parts
    try:
        cursor.execute(text)
        parts = iter(lambda: cursor.fetchmany(ROWS_AT_ONCE), [])
        yield from parts if is_sqlite else _ahead(parts)
    finally:
        cursor.close()


def _ahead(parts: Iterator[Rows]) -> Iterator[Rows]:
    """The same parts, each fetched while the one before it is worked on: a server makes them meanwhile."""
    with ThreadPoolExecutor(1, "keys") as thread:
        coming = thread.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = thread.submit(next, parts, None)
            yield part


def _former_secrets(connection: sa.Connection, since: int = -1) -> dict[bytes, bytes | None]:
    """Former secrets of keys changed after a version; None for those that have ended."""
    ends = _former.c.valid_until_us
    ends_us = sa.case((_keys.c.expires_us < ends, _keys.c.expires_us), else_=ends)
    is_live = sa.and_(_LIVE, ends > now_us())
    query = sa.select(_former.c.secret_hash, _record(connection, ends_us), is_live)
    query = query.join(_keys, _keys.c.key_id == _former.c.key_id).where(_keys.c.changed > since)
    if since < 0:
        query = query.where(is_live)
    return _held(connection, query)


def _changes_since(connection: sa.Connection, since: int) -> dict[bytes, bytes | None]:
    """By hash: the record of a key changed after a version, None where it is revoked, disabled or has ended."""
    query = sa.select(_keys.c.secret_hash, _record(connection, _keys.c.expires_us), _LIVE)
    return {**_held(connection, query.where(_keys.c.changed > since)), **_former_secrets(connection, since)}


def _held(connection: sa.Connection, query: sa.Select[Any]) -> dict[bytes, bytes | None]:
    return {bytes(hashed): bytes(record) if live else None for hashed, record, live in connection.execute(query)}


def _blocked(connection: sa.Connection) -> Blocked:
    tenants, projects = schema.tenants, schema.projects
    off = connection.execute(sa.select(tenants.c.tenant_id).where(sa.not_(tenants.c.is_enabled)))
    parts = connection.execute(
        sa.select(projects.c.tenant_id, projects.c.project_id).where(sa.not_(projects.c.is_enabled))
    )
    return Blocked(
        tenants=frozenset(row.tenant_id for row in off),
        projects=frozenset((row.tenant_id, row.project_id) for row in parts),
    )


def _blocked_since(connection: sa.Connection, since: int) -> Blocked | None:
    """None where no tenant and no project changed after a version."""
    for table in (schema.tenants, schema.projects):
        if connection.execute(sa.select(table.c.tenant_id).where(table.c.changed > since).limit(1)).first():
            return _blocked(connection)
    return None
