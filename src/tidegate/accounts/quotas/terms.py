"""What holds for a window of a quota at a moment, as the arithmetic of `account.py` wants it."""

from tidegate.accounts.quotas.account import Terms
from tidegate.accounts.quotas.windows import LENGTH_US, bucket_us, window_end_us
from tidegate.core.quota import Quota


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
