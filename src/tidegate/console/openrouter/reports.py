"""`GET /credits` and `GET /activity`."""

import datetime
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from tidegate.accounts.books.wallets import wallet_of
from tidegate.console.openrouter.account import TenantQuery, account_of, today, usd
from tidegate.console.operations import PROGRAMS, Asked, Operation
from tidegate.console.usage import Line, spending
from tidegate.core.errors import InvalidRequest

DAYS: Final = 30


class Credits(msgspec.Struct, frozen=True, kw_only=True):
    """USD: all that was ever paid in, and all that calls came to, those not settled yet included."""

    total_credits: msgspec.Raw
    total_usage: msgspec.Raw


class CreditsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `GET /credits`."""

    data: Credits


class ActivityQuery(TenantQuery, frozen=True, kw_only=True):
    """Which days, keys and projects. `api_key_hash`: a key's id; `workspace_id`: a project's."""

    date: str | None = None
    api_key_hash: str | None = None
    user_id: str | None = None
    group_by: Literal["workspace"] | None = None
    workspace_id: str | None = None


class ActivityRow(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one UTC day to one endpoint. `usage`: USD charged; `workspace_id`: where it was asked for."""

    date: str
    model: str
    model_permaslug: str
    endpoint_id: str
    provider_name: str
    usage: msgspec.Raw
    byok_usage_inference: msgspec.Raw
    requests: int
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    workspace_id: str | msgspec.UnsetType = msgspec.UNSET


class ActivityReply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `GET /activity`: the last 30 whole UTC days, and today as far as it has come; newest first."""

    data: list[ActivityRow]


def _credits(asked: Asked) -> CreditsReply:
    backend = asked.backend
    tenant_id = account_of(asked, "wallet.read", asked.query.tenant_id)
    with backend.database.reading() as connection:
        wallet = wallet_of(connection, tenant_id)
    used = spending(backend.lines(tenant_id), today()).total
    return CreditsReply(data=Credits(total_credits=usd(wallet.credits_nano_usd), total_usage=usd(used)))


def _activity(asked: Asked) -> ActivityReply:
    query: ActivityQuery = asked.query
    tenant_id = account_of(asked, "usage.read", query.tenant_id)
    if query.user_id is not None:
        raise InvalidRequest("user_id: keys here belong to projects, not to people; use workspace_id", param="user_id")
    first = today() - datetime.timedelta(days=DAYS)
    day = None if query.date is None else _day(query.date, first)
    lines = asked.backend.lines(tenant_id, key_id=query.api_key_hash, since=day or first)
    wanted = (
        line
        for line in lines
        if (day is None or line.day == day)
        and (query.workspace_id is None or line.project_id == query.workspace_id)
        and line.model is not None
        and line.endpoint_id is not None
    )
    return ActivityReply(data=_rows(wanted, by_project=query.group_by is not None))


def _day(text: str, first: datetime.date) -> datetime.date:
    try:
        day = datetime.date.fromisoformat(text)
        if len(text) == 10 and first <= day <= today():
            return day
    except ValueError:
        pass
    raise InvalidRequest(f"date: a UTC day of the last {DAYS} as YYYY-MM-DD, not {text[:40]!r}", param="date")


def _rows(lines: Iterable[Line], *, by_project: bool) -> list[ActivityRow]:
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        project = line.project_id or "default"
        place = (line.day.isoformat(), line.model or "", line.endpoint_id or "", line.provider_name or "")
        groups.setdefault((*place, project) if by_project else place, []).append(line)
    ordered = sorted(groups.items(), key=lambda item: item[0])
    ordered.sort(key=lambda item: item[0][0], reverse=True)
    return [_row(place, group) for place, group in ordered]


def _row(place: tuple[str, ...], lines: list[Line]) -> ActivityRow:
    day, model, endpoint_id, provider_name, *project = place
    return ActivityRow(
        date=day,
        model=model,
        model_permaslug=model,
        endpoint_id=endpoint_id,
        provider_name=provider_name,
        usage=usd(sum(line.cost_nano_usd for line in lines)),
        byok_usage_inference=usd(sum(line.upstream_cost_nano_usd for line in lines if line.is_byok)),
        requests=sum(line.calls for line in lines),
        prompt_tokens=sum(line.input_tokens for line in lines),
        completion_tokens=sum(line.output_tokens for line in lines),
        reasoning_tokens=sum(line.reasoning_tokens for line in lines),
        workspace_id=project[0] if project else msgspec.UNSET,
    )


OPERATIONS: Final = tuple(
    operation
    for root in ("/api/v1", "/v1")
    for operation in (
        Operation(
            method="GET", path=f"{root}/credits", summary="What was paid in and what was used, USD.",
            callers=PROGRAMS, run=_credits, query=TenantQuery, reply=CreditsReply,
        ),
        Operation(
            method="GET", path=f"{root}/activity", summary="Usage by day and endpoint.",
            callers=PROGRAMS, run=_activity, query=ActivityQuery, reply=ActivityReply,
        ),
    )
)  # fmt: skip
