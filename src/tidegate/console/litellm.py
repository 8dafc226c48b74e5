"""LiteLLM's management paths, for scripts written for it; served where `console.litellm_paths` says so.

Its master key is a service key, its team a project, its budget a quota of the key. What has no counterpart here is
refused by name, never passed over: a limit that is not in force is no limit.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidegate.accounts.errors import AccountNotFound
from tidegate.accounts.keys import Key, KeyChange, KeyWish
from tidegate.accounts.quotas.table import list_quotas, remove_quota, set_quota
from tidegate.accounts.tenancy import Project, create_project, find_project, now_us
from tidegate.console.key_limits import Reset, clear_limit, limits_of, set_limit
from tidegate.console.openrouter.account import TenantQuery, account_of, iso, nano_usd, today, usd, usd_or_null
from tidegate.console.operations import Asked, Kind, Operation
from tidegate.console.usage import Spending, spending
from tidegate.core.errors import InvalidRequest
from tidegate.core.quota import Quota, Unit, Window

SERVICE_KEY: Final[frozenset[Kind]] = frozenset(("service_key",))
RATES: Final[dict[str, tuple[Unit, Window]]] = {
    "rpm_limit": ("requests", "minute"),
    "tpm_limit": ("tokens", "minute"),
    "max_parallel_requests": ("calls_open", "lifetime"),
}
RESETS: Final[dict[str, Reset]] = {
    "1d": "daily", "24h": "daily", "7d": "weekly", "1w": "weekly", "30d": "monthly", "1mo": "monthly",
}  # fmt: skip
_SPAN = re.compile(r"([1-9]\d{0,5})(s|m|h|d|w|mo)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "mo": 30 * 86_400}
Rate = Annotated[int, Meta(ge=0)]


class _Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key may be told. `max_budget`: USD; `budget_duration`: a day, week or month, by the calendar of UTC.

    `metadata` and `user_id` only describe: they are taken, and not kept.
    """

    key_alias: str | UnsetType = UNSET
    duration: str | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    max_budget: Decimal | UnsetType | None = UNSET
    budget_duration: str | UnsetType | None = UNSET
    rpm_limit: Rate | UnsetType | None = UNSET
    tpm_limit: Rate | UnsetType | None = UNSET
    max_parallel_requests: Rate | UnsetType | None = UNSET
    blocked: bool | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    user_id: str | UnsetType | None = UNSET


class GenerateKey(_Terms, frozen=True, kw_only=True):
    """A key to be made. `key`: its secret, where a client's is fixed; `team_id`: a project's id."""

    key: str | None = None
    team_id: str | None = None


class UpdateKey(_Terms, frozen=True, kw_only=True):
    """New terms of a key, by its secret or its id; what is left out stays, null lifts a limit."""

    key: str


class KeyQuery(TenantQuery, frozen=True, kw_only=True):
    """Which key: by its secret or its id."""

    key: str


class DeleteKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which keys, by their secrets or ids."""

    keys: Annotated[list[str], Meta(min_length=1, max_length=1000)]


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A key. `token`: its id; `spend`: USD in all."""

    token: str
    key_name: str
    key_alias: str
    spend: msgspec.Raw
    max_budget: msgspec.Raw
    budget_duration: str | None
    models: tuple[str, ...]
    team_id: str
    expires: str | None
    blocked: bool
    created_at: str | None
    rpm_limit: int | None
    tpm_limit: int | None
    max_parallel_requests: int | None


class KeyInfoReply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `/key/info`."""

    key: str
    info: KeyInfo


class GeneratedKey(KeyInfo, frozen=True, kw_only=True):
    """The key and its secret, which is told here only."""

    key: str


class DeletedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What calls nothing any more."""

    deleted_keys: list[str]


class NewTeam(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A team, which is a project here. Limits of it are set as quotas (`/api/admin/v1`)."""

    team_alias: str
    team_id: str | None = None


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """The project."""

    team_id: str
    team_alias: str


class Liveliness(msgspec.Struct, frozen=True, kw_only=True):
    """The console lives, and so did the gateway that passed the request on."""

    status: str = "connected"
    db: str = "connected"


def _generate(asked: Asked) -> GeneratedKey:
    """Disabled until its limits are in force."""
    body: GenerateKey = asked.body
    accounts, tenant_id = asked.backend.accounts(), account_of(asked, "key.create", asked.query.tenant_id)
    project_id = body.team_id or "default"
    find_project(asked.backend.database, tenant_id, project_id)
    _check(body)
    wish = KeyWish(
        name=body.key_alias or "litellm",
        tenant_id=tenant_id,
        project_id=project_id,
        expires_us=_expiry(body.duration) or None,
        models=body.models or (),
        is_enabled=False,
    )
    made = accounts.add_key(wish, body.key)
    _set_limits(asked, accounts.key(made.key_id), body, Spending())
    accounts.update_key(made.key_id, KeyChange(is_enabled=body.blocked is not True))
    return GeneratedKey(**_info(asked, accounts.key(made.key_id)), key=made.secret)


def _update(asked: Asked) -> KeyInfoReply:
    body: UpdateKey = asked.body
    key = _key(asked, body.key, "key.change", asked.query.tenant_id)
    _check(body)
    lines = asked.backend.lines(key.tenant_id, key_id=key.key_id)
    _set_limits(asked, key, body, spending(lines, today()))
    change = KeyChange(
        name=body.key_alias,
        models=body.models,
        expires_us=_expiry(body.duration),
        is_enabled=UNSET if body.blocked is UNSET else not body.blocked,
    )
    changed = asked.backend.accounts().update_key(key.key_id, change)
    return KeyInfoReply(key=key.key_id, info=KeyInfo(**_info(asked, changed)))


def _show(asked: Asked) -> KeyInfoReply:
    key = _key(asked, asked.query.key, "key.read", asked.query.tenant_id)
    return KeyInfoReply(key=key.key_id, info=KeyInfo(**_info(asked, key)))


def _delete(asked: Asked) -> DeletedKeys:
    found = [_key(asked, name, "key.change", asked.query.tenant_id).key_id for name in asked.body.keys]
    for key_id in found:
        asked.backend.accounts().revoke_key(key_id)
    return DeletedKeys(deleted_keys=found)


def _new_team(asked: Asked) -> Team:
    body: NewTeam = asked.body
    tenant_id = account_of(asked, "project.change", asked.query.tenant_id)
    project_id = body.team_id or re.sub(r"[^a-z0-9_-]+", "-", body.team_alias.lower()).strip("-")
    made = create_project(
        asked.backend.database, Project(tenant_id=tenant_id, project_id=project_id, name=body.team_alias)
    )
    return Team(team_id=made.project_id, team_alias=made.name)


def _alive(asked: Asked) -> Liveliness:
    asked.backend.accounts().version()
    return Liveliness()


def _key(asked: Asked, name: str, action: str, tenant_id: str | None) -> Key:
    """A key of the caller's tenant, by secret or id. Raises AccountNotFound."""
    tenant_id = account_of(asked, action, tenant_id)
    accounts = asked.backend.accounts()
    key = accounts.key(name) if name.startswith("key_") else accounts.find_key(name)
    if key is None or key.tenant_id != tenant_id or key.revoked_us is not None:
        raise AccountNotFound("no key here is this one; say its secret, or its id")
    return key


def _check(body: _Terms) -> None:
    """Raises InvalidRequest for what cannot be kept, before anything is changed."""
    if body.budget_duration and body.budget_duration not in RESETS:
        raise InvalidRequest(f"budget_duration: one of {', '.join(RESETS)} is accepted", param="budget_duration")
    if isinstance(body.max_budget, Decimal):
        nano_usd(body.max_budget, "max_budget")
    if isinstance(body.duration, str) and not _SPAN.fullmatch(body.duration):
        raise InvalidRequest("duration: for example 30s, 12h, 30d or 1mo is accepted", param="duration")


def _set_limits(asked: Asked, key: Key, body: _Terms, spent: Spending) -> None:
    with asked.backend.database.writing() as connection:
        known = limits_of(connection, key.tenant_id, (key.key_id,)).get(key.key_id)
        if body.max_budget is None:
            clear_limit(connection, key.tenant_id, key.key_id)
        elif body.max_budget is not UNSET or (body.budget_duration is not UNSET and known is not None):
            amount = (
                nano_usd(body.max_budget, "max_budget") if body.max_budget is not UNSET else known.limit if known else 0
            )
            reset = (
                _RESET_OF.get(known.window)
                if known and body.budget_duration is UNSET
                else RESETS.get(body.budget_duration or "")
            )
            set_limit(connection, (key.tenant_id, key.key_id), amount, reset, spent)
        for name, (unit, window) in RATES.items():
            wanted = getattr(body, name)
            if wanted is UNSET:
                continue
            quota_id = f"{key.key_id}.{name}"
            if wanted is not None:
                quota = Quota(
                    quota_id=quota_id, tenant_id=key.tenant_id, scope="key", subject=key.key_id, unit=unit,
                    window=window, limit=wanted, name=f"{name} of {key.key_id}",
                )  # fmt: skip
                set_quota(connection, quota)
            elif any(quota.quota_id == quota_id for quota in list_quotas(connection, key.tenant_id)):
                remove_quota(connection, quota_id)


_RESET_OF: Final[dict[str, Reset]] = {"day": "daily", "week": "weekly", "month": "monthly"}
_DURATION_OF: Final = {"day": "1d", "week": "7d", "month": "1mo"}


def _info(asked: Asked, key: Key) -> dict[str, Any]:
    backend = asked.backend
    spent = spending(backend.lines(key.tenant_id, key_id=key.key_id), today())
    with backend.database.reading() as connection:
        limit = limits_of(connection, key.tenant_id, (key.key_id,)).get(key.key_id)
        rates = {quota.quota_id: quota.limit for quota in list_quotas(connection, key.tenant_id)}
    return {
        "token": key.key_id,
        "key_name": key.hint,
        "key_alias": key.name,
        "spend": usd(spent.total),
        "max_budget": usd_or_null(limit.limit if limit else None),
        "budget_duration": _DURATION_OF.get(limit.window) if limit else None,
        "models": key.models,
        "team_id": key.project_id,
        "expires": iso(key.expires_us),
        "blocked": not key.is_enabled,
        "created_at": iso(key.created_us),
        **{name: rates.get(f"{key.key_id}.{name}") for name in RATES},
    }


def _expiry(duration: str | UnsetType | None) -> int | UnsetType | None:
    if not isinstance(duration, str):
        return duration
    match = _SPAN.fullmatch(duration)
    assert match is not None  # `_check` was first
    return now_us() + int(match[1]) * _SECONDS[match[2]] * 1_000_000


OPERATIONS: Final = (
    Operation(
        method="POST", path="/key/generate", summary="LiteLLM: make a key.", callers=SERVICE_KEY, run=_generate,
        query=TenantQuery, body=GenerateKey, reply=GeneratedKey,
    ),
    Operation(
        method="GET", path="/key/info", summary="LiteLLM: a key's terms and spend.", callers=SERVICE_KEY, run=_show,
        query=KeyQuery, reply=KeyInfoReply,
    ),
    Operation(
        method="POST", path="/key/update", summary="LiteLLM: change a key.", callers=SERVICE_KEY, run=_update,
        query=TenantQuery, body=UpdateKey, reply=KeyInfoReply,
    ),
    Operation(
        method="POST", path="/key/delete", summary="LiteLLM: delete keys.", callers=SERVICE_KEY, run=_delete,
        query=TenantQuery, body=DeleteKeys, reply=DeletedKeys,
    ),
    Operation(
        method="POST", path="/team/new", summary="LiteLLM: make a team (a project).", callers=SERVICE_KEY,
        run=_new_team, query=TenantQuery, body=NewTeam, reply=Team,
    ),
    Operation(
        method="GET", path="/health/liveliness", summary="LiteLLM: it lives.", callers=frozenset(), run=_alive,
        reply=Liveliness,
    ),
    Operation(
        method="GET", path="/health/readiness", summary="LiteLLM: it is ready.", callers=frozenset(), run=_alive,
        reply=Liveliness,
    ),
)  # fmt: skip
