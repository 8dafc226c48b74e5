"""Low-balance hooks. The operator's business: a hook calls any address that this host can reach."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidegate.accounts.errors import AccountNotFound
from tidegate.accounts.money.hooks import (
    Delivery,
    Hook,
    add_hook,
    hook_secret,
    list_deliveries,
    list_hooks,
    remove_hook,
)
from tidegate.accounts.tenancy import find_tenant, now_us
from tidegate.console.admin import TENANT
from tidegate.console.operations import Asked, Operation


class HookWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to POST once the tenant's balance falls below a threshold, nano-USD."""

    url: str
    threshold_nano_usd: Annotated[int, Meta(ge=0)]


class MadeHook(msgspec.Struct, frozen=True, kw_only=True):
    """The hook, and the secret that its posts are signed with (Standard Webhooks)."""

    hook: Hook
    secret: str

    def __repr__(self) -> str:
        return f"MadeHook({self.hook.hook_id})"


class Hooks(msgspec.Struct, frozen=True, kw_only=True):
    """The hooks of a tenant."""

    data: list[Hook]


class Deliveries(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook had to tell, newest first."""

    data: list[Delivery]


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """The hook that is no more."""

    hook_id: str


def _list(asked: Asked) -> Hooks:
    return Hooks(data=list_hooks(asked.backend.database, asked.tenant_id))


def _add(asked: Asked) -> MadeHook:
    wish: HookWish = asked.body
    find_tenant(asked.backend.database, asked.tenant_id)
    hook = add_hook(asked.backend.database, asked.tenant_id, wish.threshold_nano_usd, wish.url, now_us())
    return MadeHook(hook=hook, secret=hook_secret(asked.backend.pepper, hook.hook_id))


def _deliveries(asked: Asked) -> Deliveries:
    return Deliveries(data=list_deliveries(asked.backend.database, _own(asked)))


def _remove(asked: Asked) -> Removed:
    hook_id = _own(asked)
    remove_hook(asked.backend.database, hook_id)
    return Removed(hook_id=hook_id)


def _own(asked: Asked) -> str:
    hook_id = asked.path["hook_id"]
    if hook_id not in {hook.hook_id for hook in list_hooks(asked.backend.database, asked.tenant_id)}:
        raise AccountNotFound(f"no hook {hook_id[:64]!r} in this tenant")
    return hook_id


_HOOK: Final = f"{TENANT}/hooks/{{hook_id}}"
OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{TENANT}/hooks", summary="Whom a low balance is told.", action="hook.read",
        run=_list, reply=Hooks,
    ),
    Operation(
        method="POST", path=f"{TENANT}/hooks", summary="Tell an address when the balance runs low.",
        action="hook.change", run=_add, body=HookWish, reply=MadeHook, status=201,
    ),
    Operation(
        method="GET", path=f"{_HOOK}/deliveries", summary="What a hook told, and whether it was taken.",
        action="hook.read", run=_deliveries, reply=Deliveries,
    ),
    Operation(
        method="DELETE", path=_HOOK, summary="Remove a hook.", action="hook.change", run=_remove, reply=Removed,
    ),
)  # fmt: skip
