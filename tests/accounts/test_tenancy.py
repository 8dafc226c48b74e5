"""Tenants, projects and the life of a key, on both engines."""

import time

import pytest

from tidegate.accounts.errors import AccountExists, AccountInvalid, AccountNotFound
from tidegate.accounts.keys import Accounts, KeyChange, KeyNotFound, KeyWish
from tidegate.accounts.tenancy import (
    Project,
    ProjectChange,
    Tenant,
    TenantChange,
    create_project,
    create_tenant,
    find_tenant,
    list_projects,
    list_tenants,
    update_project,
    update_tenant,
)

HOUR_US = 3_600_000_000


def now_us() -> int:
    return time.time_ns() // 1000


def test_a_tenant_is_made_once_with_its_first_project(accounts: Accounts) -> None:
    """What it was told, and what stands in for the rest."""
    wish = Tenant(tenant_id="acme", timezone="Asia/Shanghai", language="zh", billing_country="CN")
    made = create_tenant(accounts.database, wish)
    assert find_tenant(accounts.database, "acme") == made
    assert (made.name, made.is_enabled, made.timezone) == ("acme", True, "Asia/Shanghai")
    assert abs(made.created_us - now_us()) < HOUR_US
    assert [project.project_id for project in list_projects(accounts.database, "acme")] == ["default"]
    with pytest.raises(AccountExists, match="acme"):
        create_tenant(accounts.database, wish)


@pytest.mark.parametrize("text", ["", "Acme", "a b", "a/b", "a" * 65, "é", "a\n"])
def test_an_id_that_would_not_read_well_in_a_statement_is_refused(accounts: Accounts, text: str) -> None:
    """Also where a key would make the tenant by the way."""
    with pytest.raises(AccountInvalid, match="a-z"):
        create_tenant(accounts.database, Tenant(tenant_id=text))
    with pytest.raises(AccountInvalid, match="a-z"):
        accounts.create_key("k", tenant_id=text)
    with pytest.raises(AccountInvalid, match="a-z"):
        accounts.create_key("k", project_id=text)
    assert list_tenants(accounts.database) == [] and accounts.list_keys() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("timezone", "Mars/Olympus"), ("timezone", "../etc"), ("language", "fr"), ("billing_country", "Germany")],
)
def test_a_tenants_field_that_cannot_be_is_refused(accounts: Accounts, field: str, value: str) -> None:
    """At making and at changing, with what is accepted."""
    with pytest.raises(AccountInvalid):
        Tenant(tenant_id="a", **{field: value})
    create_tenant(accounts.database, Tenant(tenant_id="a"))
    with pytest.raises(AccountInvalid):
        update_tenant(accounts.database, "a", TenantChange(**{field: value}))


def test_what_a_change_does_not_name_stays(accounts: Accounts) -> None:
    """And None is a value, where a field has it."""
    made = create_tenant(accounts.database, Tenant(tenant_id="a", name="A", billing_country="DE"))
    changed = update_tenant(accounts.database, "a", TenantChange(is_enabled=False, billing_country=None))
    assert (changed.name, changed.is_enabled, changed.billing_country) == ("A", False, None)
    assert changed.created_us == made.created_us and find_tenant(accounts.database, "a") == changed
    create_project(accounts.database, Project(tenant_id="a", project_id="p"))
    assert update_project(accounts.database, "a", "p", ProjectChange(name="P")).is_enabled
    with pytest.raises(AccountNotFound, match="no tenant 'b'"):
        update_tenant(accounts.database, "b", TenantChange(name="B"))
    with pytest.raises(AccountNotFound, match="no project 'q'"):
        update_project(accounts.database, "a", "q", ProjectChange(name="Q"))
    with pytest.raises(AccountNotFound, match="no tenant 'b'"):
        create_project(accounts.database, Project(tenant_id="b", project_id="p"))
    with pytest.raises(AccountExists, match="'p'"):
        create_project(accounts.database, Project(tenant_id="a", project_id="p"))


def test_a_key_can_be_limited_disabled_and_enabled(accounts: Accounts) -> None:
    """Its fields are what was asked for, and stay where a change does not name them."""
    wish = KeyWish(name="k", tenant_id="t", models=("a/*", "b"), providers=("p",), networks=("10.0.0.0/8",))
    made = accounts.add_key(wish)
    key = accounts.key(made.key_id)
    assert (key.models, key.providers, key.networks, key.updated_us) == (("a/*", "b"), ("p",), ("10.0.0.0/8",), None)
    disabled = accounts.update_key(made.key_id, KeyChange(is_enabled=False, models=()))
    assert (disabled.is_enabled, disabled.models, disabled.providers) == (False, (), ("p",))
    assert disabled.updated_us is not None and not disabled.is_valid(now_us())
    assert accounts.update_key(made.key_id, KeyChange(is_enabled=True)).is_valid(now_us())
    expired = accounts.update_key(made.key_id, KeyChange(expires_us=now_us() - 1))
    assert not expired.is_valid(now_us())
    assert accounts.update_key(made.key_id, KeyChange(expires_us=None)).is_valid(now_us())


@pytest.mark.parametrize(
    "limits",
    [{"networks": ("10.0.0.1/8",)}, {"networks": ("home",)}, {"models": ("a b",)}, {"models": ("",)},
     {"providers": ("a\x00b",)}, {"billing_country": "de"}, {"name": "n" * 129}],
)  # fmt: skip
def test_a_limit_that_would_match_nothing_is_refused(limits: dict[str, tuple[str, ...]]) -> None:
    """A typing error must not lock a customer out, nor let one in."""
    with pytest.raises(AccountInvalid):
        KeyWish(**{"name": "k", **limits})
    with pytest.raises(AccountInvalid):
        KeyChange(**limits)


def test_a_revoked_key_does_not_change_any_more(accounts: Accounts) -> None:
    """Nobody brings it back."""
    made = accounts.create_key("k")
    accounts.revoke_key(made.key_id)
    with pytest.raises(KeyNotFound):
        accounts.update_key(made.key_id, KeyChange(is_enabled=True))
    with pytest.raises(KeyNotFound):
        accounts.rotate_key(made.key_id, overlap_s=10)
    found = accounts.find_key(made.secret)
    assert found is not None and not found.is_valid(now_us())


def test_a_rotated_key_keeps_its_id_and_both_secrets_for_the_overlap(accounts: Accounts) -> None:
    """History and limits stay with it."""
    made = accounts.add_key(KeyWish(name="k", models=("m",)))
    kept = accounts.rotate_key(made.key_id, overlap_s=3600)
    assert kept.key_id == made.key_id and kept.secret != made.secret
    for secret in (made.secret, kept.secret):
        found = accounts.find_key(secret)
        assert found is not None and (found.key_id, found.models) == (made.key_id, ("m",))
    last = accounts.rotate_key(made.key_id)
    assert accounts.find_key(kept.secret) is None, "without overlap the present secret ends"
    assert accounts.find_key(made.secret) is not None, "an earlier one keeps the end that it was given"
    assert accounts.find_key(last.secret) is not None
    with pytest.raises(AccountExists):
        accounts.rotate_key(made.key_id, secret=made.secret)
    with pytest.raises(AccountExists):
        accounts.create_key("other", secret=made.secret)
    with pytest.raises(AccountInvalid, match="a year"):
        accounts.rotate_key(made.key_id, overlap_s=10**9)


def test_a_key_is_named_by_its_id_or_by_a_name_that_is_its_alone(accounts: Accounts) -> None:
    """A guess could revoke or rotate somebody else's."""
    one = accounts.create_key("same")
    assert accounts.valid_key("same").key_id == one.key_id
    two = accounts.create_key("same")
    with pytest.raises(AccountInvalid, match="several keys"):
        accounts.valid_key("same")
    assert accounts.valid_key(two.key_id).key_id == two.key_id
    accounts.revoke_key(one.key_id)
    assert accounts.valid_key("same").key_id == two.key_id


def test_keys_are_listed_by_tenant_and_project(accounts: Accounts) -> None:
    """Oldest first."""
    for tenant, project in (("a", "p"), ("a", "q"), ("b", "p")):
        accounts.create_key(f"{tenant}{project}", tenant_id=tenant, project_id=project)
    assert [key.name for key in accounts.list_keys()] == ["ap", "aq", "bp"]
    assert [key.name for key in accounts.list_keys("a")] == ["ap", "aq"]
    assert [key.name for key in accounts.list_keys("a", "q")] == ["aq"]
    assert [tenant.tenant_id for tenant in list_tenants(accounts.database)] == ["a", "b"]
    assert [tenant.tenant_id for tenant in list_tenants(accounts.database, ["b", "c"])] == ["b"]
