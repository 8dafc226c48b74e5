"""Usage of a tenant: by day, model, key, project or provider, sealed or not."""

import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from tidegate.console.admin import TENANT
from tidegate.console.operations import Asked, Operation
from tidegate.console.usage import Line

By = Literal["day", "model", "key_id", "project_id", "provider_name"]


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which days (UTC, the last included), and by what; of one key, or all."""

    since: datetime.date | None = None
    until: datetime.date | None = None
    by: By = "day"
    key_id: Annotated[str, Meta(min_length=1)] | None = None


class UsageSum(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of calls. `of`: the day, model, key, project or provider; None where a call was refused before it had one.

    `upstream_cost_nano_usd`: what providers charge; only for who has a role in the installation.
    """

    of: str | None
    calls: int
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_nano_usd: int
    upstream_cost_nano_usd: int | None = None


class UsageReply(msgspec.Struct, frozen=True, kw_only=True):
    """Sums, in the order of what they are of."""

    by: By
    data: list[UsageSum]


def _usage(asked: Asked) -> UsageReply:
    query: UsageQuery = asked.query
    backend = asked.backend
    lines = backend.lines(asked.tenant_id, key_id=query.key_id, since=query.since)
    groups: dict[str | None, list[Line]] = {}
    for line in lines:
        if query.until is None or line.day <= query.until:
            value = getattr(line, query.by)
            groups.setdefault(None if value is None else str(value), []).append(line)
    sees_cost = asked.caller.role is not None
    found = [_sum(of, groups[of], sees_cost=sees_cost) for of in sorted(groups, key=lambda of: (of is None, of or ""))]
    return UsageReply(by=query.by, data=found)


def _sum(of: str | None, lines: list[Line], *, sees_cost: bool) -> UsageSum:
    return UsageSum(
        of=of,
        calls=sum(line.calls for line in lines),
        input_tokens=sum(line.input_tokens for line in lines),
        output_tokens=sum(line.output_tokens for line in lines),
        reasoning_tokens=sum(line.reasoning_tokens for line in lines),
        cost_nano_usd=sum(line.cost_nano_usd for line in lines),
        upstream_cost_nano_usd=sum(line.upstream_cost_nano_usd for line in lines) if sees_cost else None,
    )


OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{TENANT}/usage", summary="Usage of a tenant, sealed or not.", action="usage.read",
        run=_usage, query=UsageQuery, reply=UsageReply,
    ),
)  # fmt: skip
