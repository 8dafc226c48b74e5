"""What holds for a window of a quota at a moment, as the arithmetic of `account.py` wants it."""

from tidegate.accounts.quotas.account import Terms
from tidegate.accounts.quotas.windows import LENGTH_US, bucket_us, window_end_us
from tidegate.core.quota import Quota

RATE_KEPT_US = 3_600_000_000
"""Windows of rates are kept this long after their end, for late words of workers."""

MONEY_KEPT_US = 62 * 86_400_000_000
"""Windows of money are kept until the books of their month are closed for good."""


def terms_of(quota: Quota, start_us: int, *, workers: int, now_us: int) -> Terms:
    """start_us: of the window; 0 for rolling and `lifetime` ones. workers: how many are alive."""
    if quota.is_rolling:
        return Terms(
            limit=quota.limit,
            workers=workers,
            now_us=now_us,
            step_us=bucket_us(quota.window),
            length_us=LENGTH_US[quota.window],
        )
    end_us = window_end_us(quota.window, start_us, quota.timezone)
    return Terms(limit=quota.limit, workers=workers, now_us=now_us, end_us=end_us)


def forgotten_us(quota: Quota, start_us: int, *, now_us: int) -> int | None:
    """When a window that is in use now can be forgotten; None: never."""
    if quota.is_rolling:
        return now_us + LENGTH_US[quota.window] + bucket_us(quota.window) + RATE_KEPT_US
    end_us = window_end_us(quota.window, start_us, quota.timezone)
    if end_us is None:
        return None
    return end_us + (MONEY_KEPT_US if quota.unit == "nano_usd" else RATE_KEPT_US)
