"""`GET /key`: what a key may know of itself; `/keys`: keys made, listed, changed and deleted by a service key."""

import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidegate.accounts.keys import Key, KeyChange, KeyNotFound, KeyPage, KeyWish
from tidegate.accounts.tenancy import find_project
from tidegate.console.key_limits import RESET_OF, Reset, clear_limit, limits_of, remaining, set_limit
from tidegate.console.openrouter.account import TenantQuery, account_of, iso, nano_usd, today, usd, usd_or_null
from tidegate.console.operations import PROGRAMS, Asked, Operation
from tidegate.console.usage import Line, Spending, spending
from tidegate.core.errors import InvalidRequest
from tidegate.core.quota import Quota

PAGE: Final = 100


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A relic of OpenRouter's: -1 means that it says nothing."""

    requests: int = -1
    interval: str = "10s"
    note: str = "This field is deprecated and safe to ignore."


class _Used(msgspec.Struct, frozen=True, kw_only=True):
    """USD: in all, and on this UTC day, week and month; `byok`: what providers charged to the caller's own key."""

    label: str
    limit: msgspec.Raw
    limit_remaining: msgspec.Raw
    limit_reset: Reset | None
    usage: msgspec.Raw
    usage_daily: msgspec.Raw
    usage_weekly: msgspec.Raw
    usage_monthly: msgspec.Raw
    byok_usage: msgspec.Raw
    byok_usage_daily: msgspec.Raw
    byok_usage_weekly: msgspec.Raw
    byok_usage_monthly: msgspec.Raw
    expires_at: str | None
    include_byok_in_limit: bool = False
    creator_user_id: str | None = None


class CurrentKey(_Used, frozen=True, kw_only=True):
    """The key that asks. `is_management_key`: a service key, which calls no models and has used nothing."""

    is_management_key: bool
    is_provisioning_key: bool
    is_free_tier: bool = False
    rate_limit: RateLimit = RateLimit()


class CurrentKeyReply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `GET /key`."""

    data: CurrentKey


class ListedKey(_Used, frozen=True, kw_only=True):
    """A key as it is managed. `hash`: its id; `workspace_id`: its project."""

    hash: str
    name: str
    disabled: bool
    created_at: str
    updated_at: str | None
    workspace_id: str


class ListedKeyReply(msgspec.Struct, frozen=True, kw_only=True):
    """One key."""

    data: ListedKey


class ListedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Up to 100 keys, oldest first; deleted ones are gone."""

    data: list[ListedKey]


class CreatedKeyReply(msgspec.Struct, frozen=True, kw_only=True):
    """The key, and its secret, which is told here only."""

    data: ListedKey
    key: str


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """It calls nothing any more."""

    deleted: bool = True


class KeysQuery(TenantQuery, frozen=True, kw_only=True):
    """Which keys: `offset` of them are left out; of one project, where `workspace_id` names it, else of all."""

    include_disabled: str = "false"
    offset: Annotated[int, Meta(ge=0)] | None = None
    workspace_id: str | None = None


class OpenRouterKeyWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made. `limit`: USD; `limit_reset`: by what it comes again, at midnight UTC; null: never."""

    name: Annotated[str, Meta(min_length=1)]
    limit: Decimal | None = None
    limit_reset: Reset | None = None
    expires_at: datetime.datetime | None = None
    include_byok_in_limit: bool = False
    workspace_id: str | None = None
    creator_user_id: str | None = None


class OpenRouterKeyChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New values of a key; what is left out stays. `limit` null: none."""

    name: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    limit: Decimal | UnsetType | None = UNSET
    limit_reset: Reset | UnsetType | None = UNSET
    include_byok_in_limit: bool | UnsetType = UNSET


def _current(asked: Asked) -> CurrentKeyReply:
    caller = asked.caller
    if caller.kind == "service_key":
        used = _used(Key(key_id="", tenant_id="", project_id="", name="", hint=caller.name), None, [])
        return CurrentKeyReply(data=CurrentKey(**used, is_management_key=True, is_provisioning_key=True))
    key, tenant_id = asked.backend.accounts().key(caller.caller_id), caller.tenant_id or ""
    lines = asked.backend.lines(tenant_id, key_id=key.key_id)
    with asked.backend.database.reading() as connection:
        limit = limits_of(connection, tenant_id, (key.key_id,)).get(key.key_id)
    return CurrentKeyReply(
        data=CurrentKey(**_used(key, limit, lines), is_management_key=False, is_provisioning_key=False)
    )


def _used(key: Key, limit: Quota | None, lines: list[Line]) -> dict[str, Any]:
    """The fields that both forms of a key have."""
    spent, byok = spending(lines, today()), spending(lines, today(), byok=True)
    found: dict[str, Any] = {
        "label": key.hint,
        "limit": usd_or_null(limit.limit if limit else None),
        "limit_remaining": usd_or_null(remaining(limit, spent) if limit else None),
        "limit_reset": RESET_OF[limit.window] if limit else None,
        "expires_at": iso(key.expires_us),
    }
    for prefix, sums in (("usage", spent), ("byok_usage", byok)):
        names = {"": sums.total, "_daily": sums.day, "_weekly": sums.week, "_monthly": sums.month}
        found |= {prefix + name: usd(amount) for name, amount in names.items()}
    return found


def _listed(key: Key, limit: Quota | None, lines: list[Line]) -> ListedKey:
    return ListedKey(
        **_used(key, limit, lines),
        hash=key.key_id,
        name=key.name,
        disabled=not key.is_enabled,
        created_at=iso(key.created_us) or "",
        updated_at=iso(key.updated_us),
        workspace_id=key.project_id,
    )


def _list(asked: Asked) -> ListedKeys:
    query: KeysQuery = asked.query
    tenant_id = account_of(asked, "key.read", query.tenant_id)
    backend = asked.backend
    page = KeyPage(
        tenant_id=tenant_id,
        project_id=query.workspace_id,
        offset=query.offset or 0,
        limit=PAGE,
        with_revoked=False,
        with_disabled=query.include_disabled.lower() in ("true", "1"),
    )
    found, _ = backend.accounts().page_of_keys(page)
    lines: dict[str | None, list[Line]] = {}
    for line in backend.lines(tenant_id, key_id=frozenset(key.key_id for key in found)):
        lines.setdefault(line.key_id, []).append(line)
    with backend.database.reading() as connection:
        limits = limits_of(connection, tenant_id, [key.key_id for key in found])
    return ListedKeys(data=[_listed(key, limits.get(key.key_id), lines.get(key.key_id, [])) for key in found])


def _create(asked: Asked) -> CreatedKeyReply:
    """Disabled until its limit is in force: there is no moment at which it could spend more."""
    body: OpenRouterKeyWish = asked.body
    backend, tenant_id = asked.backend, account_of(asked, "key.create", asked.query.tenant_id)
    _check_byok(body.include_byok_in_limit)
    limit = None if body.limit is None else nano_usd(body.limit, "limit")
    project_id = body.workspace_id or "default"
    find_project(backend.database, tenant_id, project_id)
    wish = KeyWish(
        name=body.name,
        tenant_id=tenant_id,
        project_id=project_id,
        expires_us=_us(body.expires_at),
        is_enabled=limit is None,
    )
    made = backend.accounts().add_key(wish)
    if limit is not None:
        with backend.database.writing() as connection:
            set_limit(connection, (tenant_id, made.key_id), limit, body.limit_reset, Spending())
        backend.accounts().update_key(made.key_id, KeyChange(is_enabled=True))
    return CreatedKeyReply(data=_shown(asked, tenant_id, made.key_id), key=made.secret)


def _find(asked: Asked) -> ListedKeyReply:
    tenant_id = account_of(asked, "key.read", asked.query.tenant_id)
    return ListedKeyReply(data=_shown(asked, tenant_id, _own(asked, tenant_id).key_id))


def _change(asked: Asked) -> ListedKeyReply:
    body: OpenRouterKeyChange = asked.body
    tenant_id = account_of(asked, "key.change", asked.query.tenant_id)
    key = _own(asked, tenant_id)
    _check_byok(body.include_byok_in_limit)
    change = KeyChange(name=body.name, is_enabled=UNSET if body.disabled is UNSET else not body.disabled)
    _change_limit(asked, key, body)
    asked.backend.accounts().update_key(key.key_id, change)
    return ListedKeyReply(data=_shown(asked, tenant_id, key.key_id))


def _change_limit(asked: Asked, key: Key, body: OpenRouterKeyChange) -> None:
    """A limit keeps its reset where only the amount changes, and the other way round."""
    if body.limit is UNSET and body.limit_reset is UNSET:
        return
    lines = asked.backend.lines(key.tenant_id, key_id=key.key_id)
    with asked.backend.database.writing() as connection:
        known = limits_of(connection, key.tenant_id, (key.key_id,)).get(key.key_id)
        if body.limit is UNSET:
            amount = known.limit if known else None
        else:
            amount = None if body.limit is None else nano_usd(body.limit, "limit")
        reset = (RESET_OF[known.window] if known else None) if body.limit_reset is UNSET else body.limit_reset
        if amount is None:
            clear_limit(connection, key.tenant_id, key.key_id)
        else:
            set_limit(connection, (key.tenant_id, key.key_id), amount, reset, spending(lines, today()))


def _delete(asked: Asked) -> Deleted:
    tenant_id = account_of(asked, "key.change", asked.query.tenant_id)
    asked.backend.accounts().revoke_key(_own(asked, tenant_id).key_id)
    return Deleted()


def _own(asked: Asked, tenant_id: str) -> Key:
    """The key of the path, if it is the tenant's and was not deleted. Raises KeyNotFound."""
    key = asked.backend.accounts().key(asked.path["hash"])
    if key.tenant_id != tenant_id or key.revoked_us is not None:
        raise KeyNotFound(f"no key here has the hash {asked.path['hash'][:80]!r}; GET /api/v1/keys lists them")
    return key


def _shown(asked: Asked, tenant_id: str, key_id: str) -> ListedKey:
    backend = asked.backend
    lines = backend.lines(tenant_id, key_id=key_id)
    with backend.database.reading() as connection:
        limit = limits_of(connection, tenant_id, (key_id,)).get(key_id)
    return _listed(backend.accounts().key(key_id), limit, lines)


def _check_byok(wanted: bool | UnsetType) -> None:
    if wanted is True:
        raise InvalidRequest(
            "include_byok_in_limit: limits here are of what is charged; what a caller's own provider key pays is not",
            param="include_byok_in_limit",
        )


def _us(moment: datetime.datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


OPERATIONS: Final = tuple(
    operation
    for root in ("/api/v1", "/v1")
    for operation in (
        Operation(
            method="GET", path=f"{root}/key", summary="The key that asks: its limit and what it used.",
            callers=PROGRAMS, run=_current, reply=CurrentKeyReply,
        ),
        Operation(
            method="GET", path=f"{root}/keys", summary="Keys, with what each used.", callers=PROGRAMS, run=_list,
            query=KeysQuery, reply=ListedKeys,
        ),
        Operation(
            method="POST", path=f"{root}/keys", summary="Make a key.", callers=PROGRAMS, run=_create,
            query=TenantQuery, body=OpenRouterKeyWish, reply=CreatedKeyReply, status=201,
        ),
        Operation(
            method="GET", path=f"{root}/keys/{{hash}}", summary="One key.", callers=PROGRAMS, run=_find,
            query=TenantQuery, reply=ListedKeyReply,
        ),
        Operation(
            method="PATCH", path=f"{root}/keys/{{hash}}", summary="Change a key.", callers=PROGRAMS, run=_change,
            query=TenantQuery, body=OpenRouterKeyChange, reply=ListedKeyReply,
        ),
        Operation(
            method="DELETE", path=f"{root}/keys/{{hash}}", summary="Delete a key.", callers=PROGRAMS, run=_delete,
            query=TenantQuery, reply=Deleted,
        ),
    )
)  # fmt: skip
