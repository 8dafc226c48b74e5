"""The spending limit of a key as other gateways have it: so many USD a day, week or month, or for good; a quota.

A limit that is set later counts what the key has spent in the window before: that is put into the new quota's window,
so that what is shown as remaining is what may still be spent.
"""

from collections.abc import Collection
from typing import Final, Literal

import sqlalchemy as sa

from tidegate.accounts.quotas.table import remove_quota, set_quota
from tidegate.accounts.quotas.windows import window_end_us, window_of
from tidegate.accounts.schema.quotas import quotas, windows
from tidegate.accounts.tenancy import now_us
from tidegate.console.usage import Spending
from tidegate.core.quota import Quota, Window

Reset = Literal["daily", "weekly", "monthly"]
WINDOW_OF: Final[dict[Reset | None, Window]] = {None: "lifetime", "daily": "day", "weekly": "week", "monthly": "month"}
RESET_OF: Final[dict[Window, Reset | None]] = {window: reset for reset, window in WINDOW_OF.items()}


def limits_of(connection: sa.Connection, tenant_id: str, key_ids: Collection[str]) -> dict[str, Quota]:
    """The limit of each of these keys that has one: the one set here, else the least of the operator's own."""
    found: dict[str, Quota] = {}
    for quota in _of_keys(connection, tenant_id, key_ids):
        if quota.unit != "nano_usd" or quota.is_rolling or quota.window not in RESET_OF:
            continue
        other = found.get(quota.subject)
        if other is None or (not _is_ours(quota), quota.limit) < (not _is_ours(other), other.limit):
            found[quota.subject] = quota
    return found


def set_limit(
    connection: sa.Connection, key: tuple[str, str], limit_nano_usd: int, reset: Reset | None, spent: Spending
) -> Quota:
    """Limit a key, or change its limit. key: (tenant, key id). spent: what it has come to."""
    tenant_id, key_id = key
    ours = list(_ours(connection, tenant_id, key_id))
    now, window = now_us(), WINDOW_OF[reset]
    same = next((quota for quota in ours if quota.window == window), None)
    for quota in ours:
        if quota is not same:
            remove_quota(connection, quota.quota_id)
    quota = Quota(
        quota_id=same.quota_id if same else f"{key_id}.{window}.{now:x}",
        tenant_id=tenant_id,
        scope="key",
        subject=key_id,
        unit="nano_usd",
        window=window,
        limit=limit_nano_usd,
        name=f"limit of {key_id}",
    )
    set_quota(connection, quota)
    if same is None and (before := spent_in(spent, window)):
        start = window_of(quota, key_id, now)
        row = {"quota_id": quota.quota_id, "subject": key_id, "start_us": start.start_us, "held": before}
        row |= {"end_us": window_end_us(window, start.start_us), "unspent": 0, "wanted_us": 0, "lots": "[]"}
        connection.execute(sa.insert(windows).values(row))
    return quota


def clear_limit(connection: sa.Connection, tenant_id: str, key_id: str) -> None:
    """Lift the limit that was set here; quotas of the operator's own stay."""
    for quota in _ours(connection, tenant_id, key_id):
        remove_quota(connection, quota.quota_id)


def remaining(quota: Quota, spent: Spending) -> int:
    """What is left in the window of now, nano-USD, by the ledger."""
    return max(0, quota.limit - spent_in(spent, quota.window))


def spent_in(spent: Spending, window: Window) -> int:
    return {"day": spent.day, "week": spent.week, "month": spent.month}.get(window, spent.total)


def _is_ours(quota: Quota) -> bool:
    return quota.quota_id.startswith(f"{quota.subject}.")


def _ours(connection: sa.Connection, tenant_id: str, key_id: str) -> list[Quota]:
    return [
        quota for quota in _of_keys(connection, tenant_id, (key_id,)) if _is_ours(quota) and quota.unit == "nano_usd"
    ]


def _of_keys(connection: sa.Connection, tenant_id: str, key_ids: Collection[str]) -> list[Quota]:
    """Quotas of single keys: a tenant with many keys has many."""
    columns = [quotas.c[name] for name in Quota.__struct_fields__]
    chosen = (quotas.c.tenant_id == tenant_id, quotas.c.scope == "key", quotas.c.subject.in_(sorted(key_ids)))
    query = sa.select(*columns).where(*chosen, quotas.c.removed_us.is_(None)).order_by(quotas.c.quota_id)
    return [Quota(**row) for row in connection.execute(query).mappings()]
