"""What is left of quotas now, by window: for people; workers have their own word from the store."""

import msgspec
import sqlalchemy as sa

from tidegate.accounts.quotas.table import list_quotas
from tidegate.accounts.quotas.windows import window_end_us
from tidegate.accounts.schema.quotas import windows
from tidegate.core.quota import Quota


class WindowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A window in use, in the quota's unit.

    `spent`: by what workers told last, which is a second old at most while they are alive. `reserved`: what they hold
    beyond it, for calls that run or are to come. `ends_us`: None where the window never ends, or rolls.
    """

    quota: Quota
    subject: str
    spent: int
    reserved: int
    ends_us: int | None

    @property
    def left(self) -> int:
        return self.quota.limit - self.spent


def window_statuses(connection: sa.Connection, tenant_id: str, now_us: int) -> list[WindowStatus]:
    """Windows of a tenant's quotas that are open now; a quota that nobody used yet has none."""
    found = []
    for quota in list_quotas(connection, tenant_id):
        query = sa.select(windows.c.subject, windows.c.start_us, windows.c.held, windows.c.unspent)
        query = query.where(windows.c.quota_id == quota.quota_id).order_by(windows.c.subject, windows.c.start_us)
        for subject, start_us, held, unspent in connection.execute(query):
            ends_us = None if quota.is_rolling else window_end_us(quota.window, start_us, quota.timezone)
            if ends_us is not None and not start_us <= now_us < ends_us:
                continue
            reserved = min(unspent, held)
            found.append(
                WindowStatus(quota=quota, subject=subject, spent=held - reserved, reserved=reserved, ends_us=ends_us)
            )
    return found
