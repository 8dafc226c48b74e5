"""Quotas as the accounts database keeps them: set, removed, listed; and the limit of a wallet, moved.

All work inside a transaction of the caller's. A removed quota stays as a row, out of sight: workers may hold slices of
it still, and go on being answered.
"""

import ipaddress
import re
import time
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from tidegate.accounts.database import touch
from tidegate.accounts.quotas.statements import SELECT_QUOTAS, parts, say
from tidegate.accounts.quotas.windows import zone
from tidegate.accounts.schema.quotas import quotas, windows
from tidegate.core.errors import AccountsError
from tidegate.core.quota import EACH, Quota, WindowKey

LIMIT_MAX = 1 << 62
"""Of any unit: 4.6 billion USD in nano-USD, and no sum of two overflows 64 bits."""

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NAMES = Quota.__struct_fields__
_COLUMNS = [quotas.c[name] for name in _NAMES]


def set_quota(connection: sa.Connection, quota: Quota) -> None:
    """Make a quota, or change the one of that id. Raises AccountsError where it contradicts itself.

    What the quota counts (its tenant, scope, subject, unit, window) stays as it was made: remove it, and make another.
    """
    check_quota(quota)
    found = connection.execute(sa.select(*_COLUMNS).where(quotas.c.quota_id == quota.quota_id)).mappings().first()
    values: dict[str, Any] = {name: getattr(quota, name) for name in _NAMES}
    values |= {"removed_us": None, "changed": touch(connection)}
    if found is None:
        connection.execute(sa.insert(quotas).values(values))
        return
    before = Quota(**found)
    for name in ("tenant_id", "scope", "subject", "unit", "window", "is_rolling", "timezone", "is_wallet"):
        if getattr(before, name) != getattr(quota, name):
            raise AccountsError(
                f"quota {quota.quota_id!r} has the {name} {getattr(before, name)!r}, and that cannot become "
                f"{getattr(quota, name)!r}: what it counted would be lost. Remove it and make one of another id"
            )
    connection.execute(sa.update(quotas).where(quotas.c.quota_id == quota.quota_id).values(values))


def remove_quota(connection: sa.Connection, quota_id: str) -> Quota:
    """Lift a limit; the quota as it was. Raises AccountsError where there is none, or it is a wallet."""
    quota = read_quota(connection, quota_id)
    if quota is None:
        raise AccountsError(f"there is no quota {quota_id!r}; `tidegate accounts quota list` shows all")
    if quota.is_wallet:
        raise AccountsError(f"quota {quota_id!r} is a wallet: its tenant would then call without paying")
    values = {"removed_us": time.time_ns() // 1000, "changed": touch(connection)}
    connection.execute(sa.update(quotas).where(quotas.c.quota_id == quota_id).values(values))
    return quota


def read_quota(connection: sa.Connection, quota_id: str) -> Quota | None:
    """None where there is none, or it was removed."""
    query = sa.select(*_COLUMNS).where(quotas.c.quota_id == quota_id, quotas.c.removed_us.is_(None))
    row = connection.execute(query).mappings().first()
    return Quota(**row) if row else None


def list_quotas(connection: sa.Connection, tenant_id: str | None = None) -> list[Quota]:
    """All, or those of a tenant; by tenant and id."""
    query = sa.select(*_COLUMNS).where(quotas.c.removed_us.is_(None)).order_by(quotas.c.tenant_id, quotas.c.quota_id)
    if tenant_id is not None:
        query = query.where(quotas.c.tenant_id == tenant_id)
    return [Quota(**row) for row in connection.execute(query).mappings()]


def locked_quotas(connection: sa.Connection, quota_ids: Collection[str]) -> dict[str, Quota]:
    """Quotas by id, removed ones too; on PostgreSQL their limits stay as they are until the transaction ends."""
    held: dict[str, Quota] = {}
    for some in parts(sorted(quota_ids)):  # SQLite: the writer has it all anyway
        for row in say(connection, SELECT_QUOTAS, some, len(some)):
            quota_id, tenant_id, scope, subject, unit, window, limit, is_rolling, timezone, is_wallet, name = row
            held[quota_id] = Quota(
                quota_id=quota_id, tenant_id=tenant_id, scope=scope, subject=subject, unit=unit, window=window,
                limit=limit, is_rolling=bool(is_rolling), timezone=timezone, is_wallet=bool(is_wallet), name=name,
            )  # fmt: skip
    return held


def changed_quotas(connection: sa.Connection, since: int) -> tuple[list[Quota], list[Quota], int]:
    """What a snapshot that saw the version `since` has to learn: quotas that hold, those that were removed, newest."""
    query = sa.select(*_COLUMNS, quotas.c.removed_us, quotas.c.changed).where(quotas.c.changed > since)
    found: tuple[list[Quota], list[Quota]] = ([], [])
    for row in connection.execute(query):
        *fields, removed_us, changed = row
        found[removed_us is not None].append(Quota(**dict(zip(_NAMES, fields, strict=True))))
        since = max(since, changed)
    return *found, since


def move_limit(connection: sa.Connection, quota_id: str, by: int) -> int:
    """Raise or lower the limit of a wallet; the new one. Workers see it at their next exchange.

    Raises AccountsError where there is no such quota, or where less would be left than workers hold or have spent:
    then nothing is changed.
    """
    here = quotas.c.quota_id == quota_id
    query = sa.select(quotas.c.limit).where(here, quotas.c.removed_us.is_(None)).with_for_update()
    before = connection.execute(query).scalar()
    if before is None:
        raise AccountsError(f"there is no quota {quota_id!r}")
    limit = int(before) + by
    if limit > LIMIT_MAX:
        raise AccountsError(f"quota {quota_id!r} cannot go above {LIMIT_MAX}: {limit} was asked")
    if by < 0 and limit < (held := held_of(connection, quota_id)):  # no worker is granted any while the row is locked
        raise AccountsError(
            f"quota {quota_id!r} cannot be lowered by {-by} to {limit}: {held} of it is spent or about to be"
        )
    connection.execute(sa.update(quotas).where(here).values(limit=limit))
    return limit


def held_of(connection: sa.Connection, quota_id: str) -> int:
    """What workers hold of all windows of a quota, what they have spent included; of a wallet: what is gone."""
    query = sa.select(sa.func.coalesce(sa.func.sum(windows.c.held), 0)).where(windows.c.quota_id == quota_id)
    return int(connection.execute(query).scalar_one())


def held_of_window(connection: sa.Connection, window: WindowKey) -> int:
    """What workers hold of one window, what they have spent included."""
    here = (windows.c.quota_id == window.quota_id) & (windows.c.subject == window.subject)
    query = sa.select(windows.c.held).where(here, windows.c.start_us == window.start_us)
    return int(connection.execute(query).scalar() or 0)


def check_quota(quota: Quota) -> None:
    """Raises AccountsError where a quota contradicts itself; the text says what is accepted."""
    said = f"quota {quota.quota_id!r}"
    if not _ID.fullmatch(quota.quota_id):
        raise AccountsError(f"{said}: an id has 1 to 64 letters, digits, `_`, `-`, `.` or `:`")
    if not 0 <= quota.limit <= LIMIT_MAX:
        raise AccountsError(f"{said}: the limit is {quota.limit}; 0 to {LIMIT_MAX} is accepted")
    if not quota.subject or len(quota.subject) > 256:
        raise AccountsError(f"{said}: say whom it limits: an id in the scope {quota.scope}, or * for each one")
    if quota.unit == "calls_open" and (quota.window != "lifetime" or quota.is_rolling):
        raise AccountsError(f"{said}: calls at one time are counted now; their window is `lifetime`, not rolling")
    if quota.is_rolling and quota.window == "lifetime":
        raise AccountsError(f"{said}: a lifetime does not roll")
    if quota.is_wallet and (quota.scope, quota.unit, quota.window) != ("tenant", "nano_usd", "lifetime"):
        raise AccountsError(f"{said}: a wallet is a tenant's, in nano_usd, for its lifetime")
    if quota.scope == "tenant" and quota.subject not in (EACH, quota.tenant_id):
        raise AccountsError(f"{said}: the tenant is {quota.tenant_id!r}, and the subject {quota.subject!r} another")
    if quota.scope == "network" and quota.subject != EACH:
        try:
            ipaddress.ip_network(quota.subject)
        except ValueError as error:
            raise AccountsError(
                f"{said}: the subject is no network: {error}; write for example 203.0.113.0/24"
            ) from None
    zone(quota.timezone)
