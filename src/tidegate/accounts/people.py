"""People who manage: who they are, and their role in each tenant. Programs that manage have `service_keys.py`."""

import re
import secrets
from typing import Any, Literal, get_args

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType

from tidegate.accounts import schema
from tidegate.accounts.database import Database
from tidegate.accounts.errors import AccountExists, AccountInvalid, AccountNotFound
from tidegate.accounts.tenancy import check_name, find_tenant, now_us, values_of, values_set

Role = Literal["owner", "admin", "member", "billing", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can sign in. `is_operator`: may manage every tenant, and the installation."""

    person_id: str
    email: str
    name: str = ""
    is_operator: bool = False
    is_enabled: bool = True
    created_us: int = 0

    def __post_init__(self) -> None:
        check_name(self.name)


class PersonChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New values of a person; what is not set stays."""

    name: str | UnsetType = UNSET
    is_operator: bool | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person's role in a tenant."""

    tenant_id: str
    person_id: str
    email: str
    name: str
    role: Role


def create_person(database: Database, email: str, name: str = "", *, is_operator: bool = False) -> Person:
    """Make a person, who can sign in once a password or an identity is set (`sign_in.py`).

    Raises AccountInvalid, and AccountExists where somebody has this address.
    """
    made = Person(
        person_id="person_" + secrets.token_hex(8),
        email=email_of(email),
        name=name,
        is_operator=is_operator,
        created_us=now_us(),
    )
    with database.writing() as connection:
        if connection.execute(sa.select(schema.people).where(schema.people.c.email == made.email)).first():
            raise AccountExists(f"somebody has the address {made.email} already")
        connection.execute(sa.insert(schema.people).values(values_of(made)))
    return made


def find_person(database: Database, id_or_email: str) -> Person:
    """Raises AccountNotFound."""
    with database.reading() as connection:
        return person_in(connection, id_or_email)


def list_people(database: Database) -> list[Person]:
    """Everybody, by address."""
    with database.reading() as connection:
        return [Person(**row) for row in connection.execute(_people().order_by(schema.people.c.email)).mappings()]


def update_person(database: Database, person_id: str, change: PersonChange) -> Person:
    """Change a person; disabling one ends every session. Raises AccountNotFound, AccountInvalid."""
    with database.writing() as connection:
        new = msgspec.structs.replace(person_in(connection, person_id), **values_set(change))
        chosen = schema.people.c.person_id == new.person_id
        connection.execute(sa.update(schema.people).where(chosen).values(values_of(new)))
        if not new.is_enabled:
            connection.execute(sa.delete(schema.sessions).where(schema.sessions.c.person_id == new.person_id))
    return new


def set_member(database: Database, tenant_id: str, person_id: str, role: Role) -> Member:
    """Give a person a role in a tenant, or another role. Raises AccountNotFound, AccountInvalid.

    The last owner of a tenant stays its owner.
    """
    if role not in ROLES:
        raise AccountInvalid(f"role {role!r} is none of {', '.join(ROLES)}")
    find_tenant(database, tenant_id)
    table = schema.members
    with database.writing() as connection:
        person = person_in(connection, person_id)
        if role != "owner":
            _keep_an_owner(connection, tenant_id, person.person_id)
        chosen = sa.and_(table.c.tenant_id == tenant_id, table.c.person_id == person.person_id)
        if not connection.execute(sa.update(table).where(chosen).values(role=role)).rowcount:
            values = {"tenant_id": tenant_id, "person_id": person.person_id, "role": role, "created_us": now_us()}
            connection.execute(sa.insert(table).values(values))
    return Member(tenant_id=tenant_id, person_id=person.person_id, email=person.email, name=person.name, role=role)


def remove_member(database: Database, tenant_id: str, person_id: str) -> None:
    """Take a person's role away. Raises AccountNotFound, and AccountInvalid for the last owner."""
    table = schema.members
    with database.writing() as connection:
        _keep_an_owner(connection, tenant_id, person_id)
        chosen = sa.and_(table.c.tenant_id == tenant_id, table.c.person_id == person_id)
        if not connection.execute(sa.delete(table).where(chosen)).rowcount:
            raise AccountNotFound(f"{person_id[:80]!r} is no member of tenant {tenant_id[:80]!r}")


def list_members(database: Database, tenant_id: str) -> list[Member]:
    """The members of a tenant, by address."""
    return _members(database, schema.members.c.tenant_id == tenant_id)


def list_memberships(database: Database, person_id: str) -> list[Member]:
    """A person's roles, by tenant."""
    return sorted(_members(database, schema.members.c.person_id == person_id), key=lambda member: member.tenant_id)


def role_in(database: Database, person_id: str, tenant_id: str) -> Role | None:
    """A person's role in a tenant; None for somebody who is no member of it."""
    table = schema.members
    query = sa.select(table.c.role).where(table.c.person_id == person_id, table.c.tenant_id == tenant_id)
    with database.reading() as connection:
        role: Role | None = connection.execute(query).scalar_one_or_none()
        return role


def email_of(text: str) -> str:
    """An address as it is stored. Raises AccountInvalid."""
    email = text.strip().lower()
    if not EMAIL.fullmatch(email) or not email.isprintable():
        raise AccountInvalid(f"{text[:80]!r} is no e-mail address")
    return email


def person_in(connection: sa.Connection, id_or_email: str) -> Person:
    """Raises AccountNotFound."""
    table = schema.people
    chosen = (table.c.person_id == id_or_email) | (table.c.email == id_or_email.strip().lower())
    row = connection.execute(_people().where(chosen)).mappings().one_or_none()
    if row is None:
        raise AccountNotFound(f"nobody has the id or address {id_or_email[:80]!r}; `tidegate accounts people list`")
    return Person(**row)


def _people() -> sa.Select[Any]:
    return sa.select(*(schema.people.c[name] for name in Person.__struct_fields__))


def _members(database: Database, chosen: sa.ColumnElement[bool]) -> list[Member]:
    members, people = schema.members, schema.people
    query = (
        sa.select(members.c.tenant_id, members.c.person_id, people.c.email, people.c.name, members.c.role)
        .join(people, people.c.person_id == members.c.person_id)
        .where(chosen)
        .order_by(people.c.email)
    )
    with database.reading() as connection:
        return [Member(**row) for row in connection.execute(query).mappings()]


def _keep_an_owner(connection: sa.Connection, tenant_id: str, person_id: str) -> None:
    """Raises AccountInvalid where this person is the tenant's only owner."""
    table = schema.members
    query = sa.select(table.c.person_id).where(table.c.tenant_id == tenant_id, table.c.role == "owner")
    owners = [row[0] for row in connection.execute(query.with_for_update())]
    if owners == [person_id]:
        raise AccountInvalid(f"{person_id} is the only owner of tenant {tenant_id!r}; make somebody else one first")
