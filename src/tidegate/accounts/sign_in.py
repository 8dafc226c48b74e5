"""How people prove who they are: a password (argon2id), or an identity at an OpenID provider; and their sessions.

A session is 32 random bytes in the browser and their keyed hash in the database, as with keys.
"""

import functools
import secrets
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from tidegate.accounts import schema
from tidegate.accounts.database import Database
from tidegate.accounts.errors import AccountExists, AccountInvalid
from tidegate.accounts.people import Person, email_of, person_in
from tidegate.accounts.secret import SECRET_BYTES, hash_secret
from tidegate.accounts.tenancy import now_us

if TYPE_CHECKING:
    from argon2 import PasswordHasher

PASSWORD_LENGTH_MIN = 10
PASSWORD_BYTES_MAX = 1024


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is signed in; times in UTC microseconds."""

    person: Person
    created_us: int
    expires_us: int


def set_password(database: Database, person_id: str, password: str) -> None:
    """Set or replace a password, and end the person's sessions. Raises AccountInvalid, AccountNotFound."""
    check_new_password(password)
    hashed = _hasher().hash(password)
    with database.writing() as connection:
        person = person_in(connection, person_id)
        chosen = schema.people.c.person_id == person.person_id
        connection.execute(sa.update(schema.people).where(chosen).values(password_hash=hashed))
        connection.execute(sa.delete(schema.sessions).where(schema.sessions.c.person_id == person.person_id))


def check_new_password(password: str) -> None:
    """Raises AccountInvalid for one that is too short, or that cannot be typed."""
    if len(password) < PASSWORD_LENGTH_MIN or not password.isprintable() or len(password.encode()) > PASSWORD_BYTES_MAX:
        raise AccountInvalid(
            f"a password has at least {PASSWORD_LENGTH_MIN} printable characters and at most {PASSWORD_BYTES_MAX} bytes"
        )


def check_password(database: Database, email: str, password: str) -> Person | None:
    """The person with this address and password; None for any other. About 50 ms of CPU, also for nobody's address.

    The caller bounds how often it may be tried.
    """
    import argon2

    table = schema.people
    try:
        query = sa.select(table.c.person_id, table.c.password_hash, table.c.is_enabled)
        query = query.where(table.c.email == email_of(email))
    except AccountInvalid:
        query = sa.select(table.c.person_id, table.c.password_hash, table.c.is_enabled).where(sa.false())
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    stored = row.password_hash if row is not None and row.password_hash else _nobodys_hash()
    given = password.encode(errors="replace")
    if len(given) > PASSWORD_BYTES_MAX:
        return None
    try:
        _hasher().verify(stored, given)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return None
    if row is None or not row.password_hash or not row.is_enabled:
        return None
    if _hasher().check_needs_rehash(stored):
        with database.writing() as connection:
            chosen = table.c.person_id == row.person_id
            connection.execute(sa.update(table).where(chosen).values(password_hash=_hasher().hash(password)))
    with database.reading() as connection:
        return person_in(connection, row.person_id)


def link_identity(database: Database, person_id: str, issuer: str, subject: str) -> None:
    """Say that a subject of an OpenID provider is this person. Again: no change. Raises AccountExists, -NotFound."""
    with database.writing() as connection:
        person = person_in(connection, person_id)
        known = _identified(connection, issuer, subject)
        if known is not None and known != person.person_id:
            raise AccountExists(f"this identity at {issuer[:200]} is somebody else's already")
        if known is None:
            values = {"issuer": issuer, "subject": subject, "person_id": person.person_id}
            connection.execute(sa.insert(schema.identities).values(values))


def person_of_identity(database: Database, issuer: str, subject: str) -> Person | None:
    """The enabled person that this subject is; None for nobody."""
    with database.reading() as connection:
        person_id = _identified(connection, issuer, subject)
        person = None if person_id is None else person_in(connection, person_id)
    return person if person is not None and person.is_enabled else None


def open_session(database: Database, pepper: bytes, person_id: str, *, lasts_s: int) -> str:
    """Sign a person in: the token for the browser, which is kept nowhere here. Ended sessions are cleared away."""
    token = secrets.token_urlsafe(SECRET_BYTES)
    now = now_us()
    values = {
        "token_hash": hash_secret(pepper, token.encode()),
        "person_id": person_id,
        "created_us": now,
        "expires_us": now + lasts_s * 1_000_000,
    }
    with database.writing() as connection:
        connection.execute(sa.delete(schema.sessions).where(schema.sessions.c.expires_us <= now))
        connection.execute(sa.insert(schema.sessions).values(values))
    return token


def session_of(database: Database, pepper: bytes, token: str) -> Session | None:
    """The session of this token; None where it has ended, never was, or its person is disabled."""
    table = schema.sessions
    hashed = hash_secret(pepper, token.encode(errors="replace"))
    query = sa.select(table).where(table.c.token_hash == hashed, table.c.expires_us > now_us())
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        person = person_in(connection, row.person_id)
    return Session(person=person, created_us=row.created_us, expires_us=row.expires_us) if person.is_enabled else None


def close_session(database: Database, pepper: bytes, token: str) -> None:
    """Sign out. A token that is not known: no change."""
    hashed = hash_secret(pepper, token.encode(errors="replace"))
    with database.writing() as connection:
        connection.execute(sa.delete(schema.sessions).where(schema.sessions.c.token_hash == hashed))


def _identified(connection: sa.Connection, issuer: str, subject: str) -> str | None:
    table = schema.identities
    query = sa.select(table.c.person_id).where(table.c.issuer == issuer, table.c.subject == subject)
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


@functools.cache
def _hasher() -> "PasswordHasher":
    """RFC 9106's second choice (64 MiB, three passes), argon2-cffi's default."""
    import argon2

    return argon2.PasswordHasher()


@functools.cache
def _nobodys_hash() -> str:
    """Checked for addresses that nobody has, so that time does not tell which ones somebody has."""
    return _hasher().hash(secrets.token_hex(SECRET_BYTES))
