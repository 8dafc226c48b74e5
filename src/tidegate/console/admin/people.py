"""People and their roles: the members of a tenant, and everybody for the installation; service keys of programs."""

from typing import Final

import msgspec

from tidegate.accounts.errors import AccountNotFound
from tidegate.accounts.links import forget_password, make_link
from tidegate.accounts.people import (
    Member,
    Person,
    PersonChange,
    Role,
    create_person,
    find_person,
    list_members,
    list_people,
    remove_member,
    role_in,
    set_member,
    update_person,
)
from tidegate.accounts.service_keys import (
    ServiceKey,
    ServiceKeyWish,
    create_service_key,
    list_service_keys,
    revoke_service_key,
)
from tidegate.console.access import may_grant
from tidegate.console.admin import ROOT, TENANT
from tidegate.console.admin.sessions import Done
from tidegate.console.operations import Asked, Operation
from tidegate.core.errors import Forbidden, InvalidRequest


class NewMember(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who gets which role. Somebody who is not known yet is made known, and can sign in with the link of the reply."""

    email: str
    role: Role
    name: str = ""


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a tenant."""

    data: list[Member]


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """The member; `link`: for somebody new, good once within a day, to set a password. It is told here only."""

    member: Member
    link: str | None = None


class NewPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody to be made known."""

    email: str
    name: str = ""
    is_operator: bool = False


class People(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody who may sign in."""

    data: list[Person]


class Invited(msgspec.Struct, frozen=True, kw_only=True):
    """The person, and the link with which they set a password: good once, within a day, told here only."""

    person: Person
    link: str


class NewServiceKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service key to be made; `expires_us`: UTC microseconds, None: until it is revoked."""

    name: str
    role: Role
    expires_us: int | None = None


class ServiceKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Service keys, revoked ones included; never a secret."""

    data: list[ServiceKey]


class MadeServiceKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key and its secret, which is told here only."""

    service_key: ServiceKey
    secret: str


def welcome_url(asked: Asked, link: str) -> str:
    """A link as a browser opens it."""
    return f"{asked.backend.config.console.public_url.rstrip('/')}/console/welcome?link={link}"


def _members(asked: Asked) -> Members:
    return Members(data=list_members(asked.backend.database, asked.tenant_id))


def _set_member(asked: Asked) -> Joined:
    """Nobody hands out, or takes away, a role above their own. Somebody who exists gets no link: they have a way in."""
    database, body = asked.backend.database, asked.body
    _check_grant(asked, body.role, asked.tenant_id)
    link = None
    try:
        person = find_person(database, body.email)
    except AccountNotFound:
        person = create_person(database, body.email, body.name)
        link = welcome_url(asked, make_link(database, asked.backend.pepper, person.person_id))
    former = role_in(database, person.person_id, asked.tenant_id)
    if former is not None:
        _check_grant(asked, former, asked.tenant_id)
    return Joined(member=set_member(database, asked.tenant_id, person.person_id, body.role), link=link)


def _remove_member(asked: Asked) -> Done:
    person_id = asked.path["person_id"]
    former = role_in(asked.backend.database, person_id, asked.tenant_id)
    if former is not None:
        _check_grant(asked, former, asked.tenant_id)
    remove_member(asked.backend.database, asked.tenant_id, person_id)
    return Done()


def _check_grant(asked: Asked, role: Role, tenant_id: str | None) -> None:
    if not may_grant(asked.caller, role, tenant_id):
        raise Forbidden(f"Only an owner gives or takes the role {role} here.")


def _people(asked: Asked) -> People:
    return People(data=list_people(asked.backend.database))


def _invite(asked: Asked) -> Invited:
    body, database = asked.body, asked.backend.database
    person = create_person(database, body.email, body.name, is_operator=body.is_operator)
    return Invited(person=person, link=welcome_url(asked, make_link(database, asked.backend.pepper, person.person_id)))


def _change_person(asked: Asked) -> Person:
    if asked.path["person_id"] == asked.caller.caller_id and (
        asked.body.is_enabled is False or asked.body.is_operator is False
    ):
        raise InvalidRequest("Nobody locks themselves out; let another operator do it.")
    database = asked.backend.database
    before = find_person(database, asked.path["person_id"])
    if asked.body.is_operator is True and not before.is_operator:
        forget_password(database, before.person_id)  # a tenant's admin may have invited them, and have it
    return update_person(database, before.person_id, asked.body)


def _link(asked: Asked) -> Invited:
    person = find_person(asked.backend.database, asked.path["person_id"])
    link = make_link(asked.backend.database, asked.backend.pepper, person.person_id)
    return Invited(person=person, link=welcome_url(asked, link))


def _service_keys(asked: Asked) -> ServiceKeys:
    return ServiceKeys(data=list_service_keys(asked.backend.database, asked.path.get("tenant_id")))


def _make_service_key(asked: Asked) -> MadeServiceKey:
    tenant_id = asked.path.get("tenant_id")
    _check_grant(asked, asked.body.role, tenant_id)
    wish = ServiceKeyWish(tenant_id=tenant_id, **msgspec.structs.asdict(asked.body))
    made, secret = create_service_key(asked.backend.database, asked.backend.pepper, wish)
    return MadeServiceKey(service_key=made, secret=secret)


def _revoke_service_key(asked: Asked) -> Done:
    database, key_id, tenant_id = asked.backend.database, asked.path["service_key_id"], asked.path.get("tenant_id")
    found = next((key for key in list_service_keys(database, tenant_id) if key.service_key_id == key_id), None)
    if found is None:
        raise AccountNotFound(f"no service key here has the id {key_id[:80]!r}")
    if tenant_id is not None:
        _check_grant(asked, found.role, tenant_id)
    revoke_service_key(database, key_id)
    return Done()


_ONE = f"{ROOT}/people/{{person_id}}"
OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{TENANT}/members", summary="People with a role in a tenant.", action="member.read",
        run=_members, reply=Members,
    ),
    Operation(
        method="PUT", path=f"{TENANT}/members", summary="Give somebody a role, or another one.",
        action="member.change", run=_set_member, body=NewMember, reply=Joined,
    ),
    Operation(
        method="DELETE", path=f"{TENANT}/members/{{person_id}}", summary="Take a role away.",
        action="member.change", run=_remove_member, reply=Done,
    ),
    Operation(
        method="GET", path=f"{TENANT}/service-keys", summary="Service keys of a tenant.",
        action="service_key.read", run=_service_keys, reply=ServiceKeys,
    ),
    Operation(
        method="POST", path=f"{TENANT}/service-keys", summary="Make a service key; its secret is told once.",
        action="service_key.change", run=_make_service_key, body=NewServiceKey, reply=MadeServiceKey, status=201,
    ),
    Operation(
        method="DELETE", path=f"{TENANT}/service-keys/{{service_key_id}}", summary="Revoke a service key.",
        action="service_key.change", run=_revoke_service_key, reply=Done,
    ),
    Operation(
        method="GET", path=f"{ROOT}/people", summary="Everybody who may sign in.", action="person.read",
        run=_people, reply=People,
    ),
    Operation(
        method="POST", path=f"{ROOT}/people", summary="Make somebody known; the reply has a one-time link.",
        action="person.change", run=_invite, body=NewPerson, reply=Invited, status=201,
    ),
    Operation(
        method="PATCH", path=_ONE, summary="Change a person; who becomes an operator needs a new link.",
        action="person.change", run=_change_person, body=PersonChange, reply=Person,
    ),
    Operation(
        method="POST", path=f"{_ONE}/link", summary="A one-time link, for who forgot their password.",
        action="person.change", run=_link, reply=Invited, status=201,
    ),
    Operation(
        method="GET", path=f"{ROOT}/service-keys", summary="All service keys.", action="installation_key.read",
        run=_service_keys, reply=ServiceKeys,
    ),
    Operation(
        method="POST", path=f"{ROOT}/service-keys", summary="Make a service key with a role in every tenant.",
        action="installation_key.change", run=_make_service_key, body=NewServiceKey, reply=MadeServiceKey, status=201,
    ),
    Operation(
        method="DELETE", path=f"{ROOT}/service-keys/{{service_key_id}}", summary="Revoke any service key.",
        action="installation_key.change", run=_revoke_service_key, reply=Done,
    ),
)  # fmt: skip
