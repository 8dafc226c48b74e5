"""Links with which a person sets a first password, or a new one: good once, for some hours, kept nowhere.

A link is signed under the installation's secret together with the password's stored form of that moment. So the first
use of any link of a person, and every other change of the password, ends all of them.
"""

import base64
import hmac

import sqlalchemy as sa

from tidegate.accounts import schema
from tidegate.accounts.database import Database
from tidegate.accounts.errors import AccountInvalid
from tidegate.accounts.people import Person, person_in
from tidegate.accounts.secret import hash_secret
from tidegate.accounts.sign_in import set_password
from tidegate.accounts.tenancy import now_us

LASTS_S = 24 * 3600


def make_link(database: Database, pepper: bytes, person_id: str, *, lasts_s: int = LASTS_S) -> str:
    """What the person is sent; whoever has it may set their password. Raises AccountNotFound."""
    ends_s = now_us() // 1_000_000 + lasts_s
    with database.reading() as connection:
        person = person_in(connection, person_id)
        proof = _proof(connection, pepper, person.person_id, ends_s)
    return f"{person.person_id}.{ends_s}.{proof}"


def use_link(database: Database, pepper: bytes, link: str, password: str) -> Person:
    """Set the password of the person whom the link was made for. Raises AccountInvalid for either that is no good."""
    person_id, _, rest = link.partition(".")
    ends, _, proof = rest.partition(".")
    refusal = AccountInvalid("this link was used already, has ended, or is not complete; ask for another")
    if not ends.isascii() or not ends.isdigit() or len(ends) > 15:
        raise refusal
    with database.reading() as connection:
        wanted = _proof(connection, pepper, person_id, int(ends))
        known = connection.execute(sa.select(schema.people.c.is_enabled).where(_is(person_id))).scalar()
    if not hmac.compare_digest(proof.encode(errors="replace"), wanted.encode()) or not known:
        raise refusal
    if now_us() // 1_000_000 >= int(ends):
        raise refusal
    set_password(database, person_id, password)
    with database.reading() as connection:
        return person_in(connection, person_id)


def _proof(connection: sa.Connection, pepper: bytes, person_id: str, ends_s: int) -> str:
    stored = connection.execute(sa.select(schema.people.c.password_hash).where(_is(person_id))).scalar() or ""
    signed = hash_secret(pepper, f"password link\n{person_id}\n{ends_s}\n{stored}".encode())
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def _is(person_id: str) -> sa.ColumnElement[bool]:
    return schema.people.c.person_id == person_id


def forget_password(database: Database, person_id: str) -> None:
    """From now on the person signs in elsewhere; their sessions end, and so do links that were made."""
    with database.writing() as connection:
        connection.execute(sa.update(schema.people).where(_is(person_id)).values(password_hash=None))
        connection.execute(sa.delete(schema.sessions).where(schema.sessions.c.person_id == person_id))


def has_identity(database: Database, person_id: str, issuer: str) -> bool:
    """Whether a person is known already as somebody at this OpenID provider."""
    table = schema.identities
    query = sa.select(table.c.subject).where(table.c.person_id == person_id, table.c.issuer == issuer).limit(1)
    with database.reading() as connection:
        return connection.execute(query).first() is not None
