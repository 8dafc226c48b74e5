"""Quotas of a tenant. Its own people limit projects, keys and end users; what limits the tenant is the operator's."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidegate.accounts.errors import AccountNotFound
from tidegate.accounts.quotas.table import held_of, list_quotas, read_quota, remove_quota, set_quota
from tidegate.console.access import may, require
from tidegate.console.admin import TENANT
from tidegate.console.operations import Asked, Operation
from tidegate.core.errors import Forbidden, InvalidRequest
from tidegate.core.quota import Quota, Scope, Unit, Window

OWN_SCOPES: Final = ("project", "key", "user")


class QuotaWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quota: so many units for somebody in a window. Fields as in `Quota`; `limit` in units, money in nano-USD."""

    scope: Scope
    unit: Unit
    window: Window
    limit: Annotated[int, Meta(ge=0)]
    subject: str = "*"
    is_rolling: bool = False
    timezone: str = "UTC"
    name: str = ""


class QuotaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A quota; `held`: of all its windows, what workers hold, what they spent included."""

    quota: Quota
    held: int


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """The quotas of a tenant, its wallet among them."""

    data: list[QuotaStatus]


def _list(asked: Asked) -> Quotas:
    with asked.backend.database.reading() as connection:
        found = list_quotas(connection, asked.tenant_id)
        return Quotas(data=[QuotaStatus(quota=quota, held=held_of(connection, quota.quota_id)) for quota in found])


def _set(asked: Asked) -> QuotaStatus:
    quota_id, wish = asked.path["quota_id"], asked.body
    _check_scope(asked, wish.scope)
    if not may(asked.caller, "quota.limit_tenant") and not quota_id.startswith(f"{asked.tenant_id}:"):
        raise Forbidden(f"A quota of your own has an id that begins with {asked.tenant_id}: and goes on as you like.")
    if wish.subject == "*" and wish.scope == "tenant":
        wish = msgspec.structs.replace(wish, subject=asked.tenant_id)
    quota = Quota(quota_id=quota_id, tenant_id=asked.tenant_id, **msgspec.structs.asdict(wish))
    with asked.backend.database.writing() as connection:
        known = read_quota(connection, quota_id)
        if known is not None and known.tenant_id != asked.tenant_id:
            raise InvalidRequest(f"The id {quota_id!r} is taken; choose another.", param="quota_id")
        if known is not None and known.is_wallet:
            raise InvalidRequest("A wallet is credited, not set.", param="quota_id")
        set_quota(connection, quota)
        return QuotaStatus(quota=quota, held=held_of(connection, quota_id))


def _remove(asked: Asked) -> Quota:
    with asked.backend.database.writing() as connection:
        known = read_quota(connection, asked.path["quota_id"])
        if known is None or known.tenant_id != asked.tenant_id:
            raise AccountNotFound(f"no quota of tenant {asked.tenant_id!r} has the id {asked.path['quota_id'][:80]!r}")
        _check_scope(asked, known.scope)
        return remove_quota(connection, known.quota_id)


def _check_scope(asked: Asked, scope: str) -> None:
    if scope not in OWN_SCOPES:
        require(asked.caller, "quota.limit_tenant")


_ONE = f"{TENANT}/quotas/{{quota_id}}"
OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{TENANT}/quotas", summary="Quotas of a tenant.", action="quota.read", run=_list,
        reply=Quotas,
    ),
    Operation(
        method="PUT", path=_ONE, summary="Make a quota, or change its limit or name.", action="quota.change",
        run=_set, body=QuotaWish, reply=QuotaStatus,
    ),
    Operation(method="DELETE", path=_ONE, summary="Lift a quota.", action="quota.change", run=_remove, reply=Quota),
)  # fmt: skip
