"""People and programs that manage: roles, passwords, identities, sessions, service keys."""

import time

import pytest
import sqlalchemy as sa

from tidegate.accounts import schema
from tidegate.accounts.errors import AccountExists, AccountInvalid, AccountNotFound
from tidegate.accounts.keys import Accounts
from tidegate.accounts.people import (
    Member,
    PersonChange,
    create_person,
    find_person,
    list_members,
    list_memberships,
    list_people,
    remove_member,
    role_in,
    set_member,
    update_person,
)
from tidegate.accounts.service_keys import (
    ServiceKeyWish,
    create_service_key,
    find_service_key,
    list_service_keys,
    revoke_service_key,
)
from tidegate.accounts.sign_in import (
    check_password,
    close_session,
    link_identity,
    open_session,
    person_of_identity,
    session_of,
    set_password,
)
from tidegate.accounts.tenancy import Tenant, create_tenant

PASSWORD = "correct horse battery"


def test_a_person_has_one_address_in_any_writing(accounts: Accounts) -> None:
    """Upper case and spaces are how people type it."""
    made = create_person(accounts.database, " Ada@Example.com ", "Ada")
    assert made.email == "ada@example.com"
    assert find_person(accounts.database, "ADA@example.com") == made == find_person(accounts.database, made.person_id)
    with pytest.raises(AccountExists):
        create_person(accounts.database, "ada@EXAMPLE.com")
    for text in ("", "ada", "a b@c", "@c", "a@", "a@b@c", "a@" + "b" * 300):
        with pytest.raises(AccountInvalid, match="e-mail"):
            create_person(accounts.database, text)
    assert list_people(accounts.database) == [made]


def test_a_role_is_of_one_tenant_and_the_last_owner_stays(accounts: Accounts) -> None:
    """A tenant that nobody owns could not be managed by its own people."""
    for tenant in ("acme", "other"):
        create_tenant(accounts.database, Tenant(tenant_id=tenant))
    ada, bob = (create_person(accounts.database, f"{name}@x.org", name) for name in ("ada", "bob"))
    owner = set_member(accounts.database, "acme", ada.person_id, "owner")
    assert owner == Member(tenant_id="acme", person_id=ada.person_id, email="ada@x.org", name="ada", role="owner")
    set_member(accounts.database, "other", ada.person_id, "auditor")
    set_member(accounts.database, "acme", bob.person_id, "billing")
    assert [(m.email, m.role) for m in list_members(accounts.database, "acme")] == [
        ("ada@x.org", "owner"), ("bob@x.org", "billing"),
    ]  # fmt: skip
    assert [(m.tenant_id, m.role) for m in list_memberships(accounts.database, ada.person_id)] == [
        ("acme", "owner"), ("other", "auditor"),
    ]  # fmt: skip
    assert role_in(accounts.database, bob.person_id, "acme") == "billing"
    assert role_in(accounts.database, bob.person_id, "other") is None
    with pytest.raises(AccountInvalid, match="only owner"):
        set_member(accounts.database, "acme", ada.person_id, "member")
    with pytest.raises(AccountInvalid, match="only owner"):
        remove_member(accounts.database, "acme", ada.person_id)
    set_member(accounts.database, "acme", bob.person_id, "owner")
    remove_member(accounts.database, "acme", ada.person_id)
    with pytest.raises(AccountNotFound):
        remove_member(accounts.database, "acme", ada.person_id)
    with pytest.raises(AccountInvalid, match="none of owner"):
        set_member(accounts.database, "acme", bob.person_id, "king")  # type: ignore[arg-type]
    with pytest.raises(AccountNotFound):
        set_member(accounts.database, "nowhere", bob.person_id, "owner")


@pytest.mark.parametrize("accounts", ["sqlite"], indirect=True)  # each try is meant to be slow
def test_a_password_opens_its_own_account_and_no_other(accounts: Accounts) -> None:
    """Stored as argon2id; a disabled person's opens nothing; neither does anything for one who has none."""
    ada = create_person(accounts.database, "ada@x.org")
    create_person(accounts.database, "none@x.org")
    set_password(accounts.database, ada.person_id, PASSWORD)
    assert check_password(accounts.database, "Ada@x.org", PASSWORD) == ada
    for email, password in [
        ("ada@x.org", PASSWORD + "x"), ("ada@x.org", ""), ("none@x.org", PASSWORD), ("none@x.org", ""),
        ("nobody@x.org", PASSWORD), ("", PASSWORD), ("ada@x.org", "\ud800" * 10), ("ada@x.org", "x" * 5000),
    ]:  # fmt: skip
        assert check_password(accounts.database, email, password) is None
    with accounts.database.reading() as connection:
        stored = connection.execute(sa.select(schema.people.c.password_hash)).scalars().all()
    assert sorted(text[:9] if text else "" for text in stored) == ["", "$argon2id"]
    update_person(accounts.database, ada.person_id, PersonChange(is_enabled=False))
    assert check_password(accounts.database, "ada@x.org", PASSWORD) is None


@pytest.mark.parametrize("password", ["", "short", "x" * 1025, "tab\tin the middle", "\ud800" * 12])
def test_a_password_that_is_no_protection_is_refused(accounts: Accounts, password: str) -> None:
    """Or could not be typed again."""
    ada = create_person(accounts.database, "ada@x.org")
    with pytest.raises(AccountInvalid, match="at least 10"):
        set_password(accounts.database, ada.person_id, password)


def test_a_session_ends_with_its_time_its_password_its_person_and_its_sign_out(accounts: Accounts) -> None:
    """And its token is nowhere in the database."""
    ada = create_person(accounts.database, "ada@x.org")
    pepper = accounts.pepper

    def signed_in(token: str) -> bool:
        found = session_of(accounts.database, pepper, token)
        return found is not None and found.person == ada

    token = open_session(accounts.database, pepper, ada.person_id, lasts_s=60)
    assert signed_in(token) and not signed_in(token + "x") and not signed_in("") and not signed_in("\ud800")
    assert session_of(accounts.database, b"q" * 32, token) is None
    close_session(accounts.database, pepper, token)
    assert not signed_in(token)
    over = open_session(accounts.database, pepper, ada.person_id, lasts_s=0)
    assert not signed_in(over)
    token = open_session(accounts.database, pepper, ada.person_id, lasts_s=60)
    set_password(accounts.database, ada.person_id, PASSWORD)
    assert not signed_in(token), "whoever knew the old password is out"
    token = open_session(accounts.database, pepper, ada.person_id, lasts_s=60)
    update_person(accounts.database, ada.person_id, PersonChange(is_enabled=False))
    assert not signed_in(token)
    with accounts.database.reading() as connection:
        rows = connection.execute(sa.select(schema.sessions)).all()
    assert rows == []


def test_an_identity_is_one_persons(accounts: Accounts) -> None:
    """The same subject of another provider is somebody else."""
    ada, bob = (create_person(accounts.database, f"{name}@x.org") for name in ("ada", "bob"))
    link_identity(accounts.database, ada.person_id, "https://id.example", "17")
    link_identity(accounts.database, ada.person_id, "https://id.example", "17")
    assert person_of_identity(accounts.database, "https://id.example", "17") == ada
    assert person_of_identity(accounts.database, "https://other.example", "17") is None
    with pytest.raises(AccountExists):
        link_identity(accounts.database, bob.person_id, "https://id.example", "17")
    update_person(accounts.database, ada.person_id, PersonChange(is_enabled=False))
    assert person_of_identity(accounts.database, "https://id.example", "17") is None


def test_a_service_key_is_found_by_its_secret_until_it_ends(accounts: Accounts) -> None:
    """Of one tenant or of all; only its hash is kept."""
    create_tenant(accounts.database, Tenant(tenant_id="acme"))
    pepper, database = accounts.pepper, accounts.database
    made, secret = create_service_key(
        database, pepper, ServiceKeyWish(name="provisioning", role="admin", tenant_id="acme")
    )
    every, every_secret = create_service_key(database, pepper, ServiceKeyWish(name="all", role="auditor"))
    assert find_service_key(database, pepper, secret) == made and made.tenant_id == "acme"
    assert find_service_key(database, pepper, every_secret) == every and every.tenant_id is None
    assert find_service_key(database, pepper, secret + "x") is None
    assert find_service_key(database, pepper, "\ud800") is None
    over = ServiceKeyWish(name="over", role="member", expires_us=time.time_ns() // 1000 - 1)
    assert find_service_key(database, pepper, create_service_key(database, pepper, over)[1]) is None
    revoke_service_key(database, made.service_key_id)
    assert find_service_key(database, pepper, secret) is None
    with pytest.raises(AccountNotFound):
        revoke_service_key(database, made.service_key_id)
    assert [key.name for key in list_service_keys(database)] == ["provisioning", "all", "over"]
    assert [key.name for key in list_service_keys(database, "acme")] == ["provisioning"]
    with pytest.raises(AccountNotFound):
        create_service_key(database, pepper, ServiceKeyWish(name="x", role="admin", tenant_id="nowhere"))
