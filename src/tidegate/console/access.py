"""Who may do what: one table of actions and roles, and the caller it is asked about.

A caller is a person who signed in, a service key (a program that manages), or an API key (which calls models, and may
look after itself alone). Persons and service keys have one role in each tenant they belong to; operators, and service
keys of no tenant, have one in the installation, which holds in every tenant and for what belongs to none.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from tidegate.accounts.people import ROLES, Role
from tidegate.core.errors import Forbidden, GatewayError

_ALL: Final = frozenset(ROLES)
_OWNER: Final = frozenset[Role](("owner",))
_RUNS: Final = frozenset[Role](("owner", "admin"))
_SEES: Final = frozenset[Role](("owner", "admin", "auditor"))
_PAYS: Final = frozenset[Role](("owner", "admin", "billing"))
_SEES_MONEY: Final = frozenset[Role](("owner", "admin", "billing", "auditor"))

IN_TENANT: Final[Mapping[str, frozenset[Role]]] = {
    "tenant.read": _ALL,
    "tenant.change": _RUNS,
    "project.read": _ALL,
    "project.change": _RUNS,
    "member.read": _SEES,
    "member.change": _RUNS,
    "owner.change": _OWNER,  # to make somebody an owner, or to take that from somebody
    "key.read": frozenset(("owner", "admin", "member", "auditor")),
    "key.create": frozenset(("owner", "admin", "member")),
    "key.change": _RUNS,
    "quota.read": _ALL,
    "quota.change": _RUNS,  # of projects, keys and end users: what limits the tenant is the operator's
    "usage.read": _ALL,
    "wallet.read": _SEES_MONEY,
    "voucher.redeem": _PAYS,
    "topup.read": _SEES_MONEY,
    "topup.order": _PAYS,
    "service_key.read": _SEES,
    "service_key.change": _RUNS,
}
"""What the people of a tenant may do in it."""

IN_INSTALLATION: Final[Mapping[str, frozenset[Role]]] = {
    "tenant.list": _ALL,
    "tenant.create": _RUNS,
    "tenant.enable": _RUNS,
    "quota.limit_tenant": _RUNS,
    "wallet.credit": _PAYS,
    "wallet.terms": _PAYS,
    "voucher.read": _SEES_MONEY,
    "voucher.create": _PAYS,
    "topup.review": _SEES_MONEY,
    "price.read": _SEES_MONEY,
    "price.change": _PAYS,
    "hook.read": _SEES_MONEY,
    "hook.change": _PAYS,
    "person.read": _SEES,
    "person.change": _OWNER,
    "provider_key.read": _SEES,
    "provider_key.change": _RUNS,
    "installation_key.read": _SEES,
    "installation_key.change": _OWNER,
}
"""What only those may do who have their role in the installation: a tenant's owner is not its operator."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `role`: in the installation. `roles`: by tenant. An API key has neither: only its tenant and itself.

    `csrf`: what a browser must repeat in a header before its cookie changes anything; "" where there is no cookie.
    """

    kind: Literal["person", "service_key", "api_key"]
    caller_id: str
    name: str
    role: Role | None = None
    roles: Mapping[str, Role] = {}
    tenant_id: str | None = None
    csrf: str = ""

    def role_in(self, tenant_id: str) -> Role | None:
        """The stronger claim first: the installation's."""
        return self.role or self.roles.get(tenant_id)


class TenantNotFound(GatewayError):
    """Also for a tenant that the caller does not belong to: that it exists is nobody's news."""

    status, code, kind = 404, "tenant_not_found", "invalid_request_error"

    def __init__(self, tenant_id: str) -> None:
        super().__init__(f"No tenant {tenant_id[:64]!r} here that this caller belongs to.", param="tenant_id")


def may(caller: Caller, action: str, tenant_id: str | None = None) -> bool:
    """Whether the table allows it. tenant_id: where; None for actions of the installation."""
    if action in IN_INSTALLATION:
        return caller.role in IN_INSTALLATION[action]
    return tenant_id is not None and caller.role_in(tenant_id) in IN_TENANT[action]


def require(caller: Caller, action: str, tenant_id: str | None = None) -> None:
    """Raises TenantNotFound for somebody else's tenant, Forbidden naming the roles that may."""
    if may(caller, action, tenant_id):
        return
    if action in IN_TENANT and tenant_id is not None and caller.kind != "api_key" and not caller.role_in(tenant_id):
        raise TenantNotFound(tenant_id)
    needed = IN_INSTALLATION.get(action) or IN_TENANT[action]
    where = "of the installation" if action in IN_INSTALLATION else "of the tenant"
    roles = ", ".join(role for role in ROLES if role in needed)
    if caller.kind == "api_key":
        raise Forbidden(
            f"An API key may not do this ({action}): use a service key with one of the roles {roles} {where}; "
            "`tidegate accounts service-keys create` makes one."
        )
    raise Forbidden(f"This needs ({action}) one of the roles {roles} {where}.")


def may_grant(caller: Caller, role: Role, tenant_id: str | None) -> bool:
    """Whether the caller may make somebody else a `role`: nobody hands out more than they have."""
    if tenant_id is None:
        return may(caller, "installation_key.change")
    return may(caller, "owner.change" if role == "owner" else "member.change", tenant_id)
