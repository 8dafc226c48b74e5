"""The table of roles and actions, whole: each cell is said here once more, by hand."""

import pytest

from tidegate.accounts.people import ROLES, Role
from tidegate.console.access import (
    IN_INSTALLATION,
    IN_TENANT,
    Caller,
    TenantNotFound,
    may,
    may_grant,
    require,
)
from tidegate.core.errors import Forbidden

TENANT = """
                    owner admin member billing auditor
tenant.read           x     x     x      x       x
tenant.change         x     x     -      -       -
project.read          x     x     x      x       x
project.change        x     x     -      -       -
member.read           x     x     -      -       x
member.change         x     x     -      -       -
owner.change          x     -     -      -       -
key.read              x     x     x      -       x
key.create            x     x     x      -       -
key.change            x     x     -      -       -
quota.read            x     x     x      x       x
quota.change          x     x     -      -       -
usage.read            x     x     x      x       x
wallet.read           x     x     -      x       x
voucher.redeem        x     x     -      x       -
topup.read            x     x     -      x       x
topup.order           x     x     -      x       -
service_key.read      x     x     -      -       x
service_key.change    x     x     -      -       -
"""
INSTALLATION = """
                        owner admin member billing auditor
tenant.list               x     x     x      x       x
tenant.create             x     x     -      -       -
tenant.enable             x     x     -      -       -
quota.limit_tenant        x     x     -      -       -
wallet.credit             x     x     -      x       -
wallet.terms              x     x     -      x       -
voucher.read              x     x     -      x       x
voucher.create            x     x     -      x       -
topup.review              x     x     -      x       x
price.read                x     x     -      x       x
price.change              x     x     -      x       -
hook.read                 x     x     -      x       x
hook.change               x     x     -      x       -
person.read               x     x     -      -       x
person.change             x     -     -      -       -
provider_key.read         x     x     -      -       x
provider_key.change       x     x     -      -       -
installation_key.read     x     x     -      -       x
installation_key.change   x     -     -      -       -
"""


def cells(table: str) -> dict[tuple[str, str], bool]:
    head, *lines = [line.split() for line in table.strip().splitlines()]
    return {(line[0], role): cell == "x" for line in lines for role, cell in zip(head, line[1:], strict=True)}


def someone(role: Role, tenant_id: str | None) -> Caller:
    if tenant_id is None:
        return Caller(kind="person", caller_id="p", name="P", role=role)
    return Caller(kind="person", caller_id="p", name="P", roles={tenant_id: role})


def test_no_action_is_missing_from_these_tables() -> None:
    """A new action is decided here too."""
    assert {action for action, _ in cells(TENANT)} == set(IN_TENANT)
    assert {action for action, _ in cells(INSTALLATION)} == set(IN_INSTALLATION)


@pytest.mark.parametrize(("action", "role", "allowed"), [(*cell, said) for cell, said in cells(TENANT).items()])
def test_what_a_role_in_a_tenant_allows(action: str, role: Role, allowed: bool) -> None:
    """There and nowhere else; a role in the installation allows as much in every tenant."""
    assert may(someone(role, "t"), action, "t") == allowed
    assert may(someone(role, None), action, "t") == allowed
    assert not may(someone(role, "t"), action, "other")
    assert not may(someone(role, "t"), action)
    with pytest.raises(TenantNotFound):
        require(someone(role, "t"), action, "other")
    if not allowed:
        with pytest.raises(Forbidden, match="one of the roles"):
            require(someone(role, "t"), action, "t")


@pytest.mark.parametrize(("action", "role", "allowed"), [(*cell, said) for cell, said in cells(INSTALLATION).items()])
def test_what_a_role_in_the_installation_allows(action: str, role: Role, allowed: bool) -> None:
    """A tenant's own people are not the operator's, whatever their role there."""
    assert may(someone(role, None), action) == allowed
    assert not may(someone(role, "t"), action)
    assert not may(someone(role, "t"), action, "t")
    if not allowed:
        with pytest.raises(Forbidden, match=r"of the installation\.$"):
            require(someone(role, None), action)


@pytest.mark.parametrize("action", [*IN_TENANT, *IN_INSTALLATION])
def test_an_api_key_manages_nothing(action: str) -> None:
    """Not even its own tenant; the refusal says what would."""
    key = Caller(kind="api_key", caller_id="key_1", name="k", tenant_id="t")
    assert not may(key, action, "t") and not may(key, action)
    with pytest.raises(Forbidden, match="service key"):
        require(key, action, "t")


@pytest.mark.parametrize("role", ROLES)
def test_nobody_hands_out_more_than_they_have(role: Role) -> None:
    """An admin makes no owners; who makes no members makes nobody; a tenant's owner makes no operators."""
    assert may_grant(someone("owner", "t"), role, "t")
    assert may_grant(someone("admin", "t"), role, "t") == (role != "owner")
    for weak in ("member", "billing", "auditor"):
        assert not may_grant(someone(weak, "t"), role, "t")
        assert not may_grant(someone(weak, None), role, None)
    assert not may_grant(someone("owner", "t"), role, None)
    assert not may_grant(someone("owner", "t"), role, "other")
    assert may_grant(someone("owner", None), role, None)
