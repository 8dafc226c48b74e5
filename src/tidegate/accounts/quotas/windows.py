"""When windows begin and end: by the calendar of a time zone, or rolling.

Every instant belongs to exactly one calendar window, also where clocks are put forward or back: a day begins at the
first instant that bears its date, however long it then is (23, 24 or 25 hours, and others in history).
"""

import functools
import zoneinfo
from datetime import UTC, date, datetime, timedelta

from tidegate.core.errors import AccountsError
from tidegate.core.quota import Quota, Window, WindowKey

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
LENGTH_US: dict[Window, int] = {
    "minute": MINUTE_US,
    "hour": HOUR_US,
    "day": DAY_US,
    "week": 7 * DAY_US,
    "month": 30 * DAY_US,
}
"""How long a rolling window is; a rolling month has 30 days."""

BUCKETS = 60
"""A rolling window forgets what was granted in steps of this part of it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def bucket_us(window: Window) -> int:
    """The step of a rolling window, in microseconds."""
    return LENGTH_US[window] // BUCKETS


def window_of(quota: Quota, subject: str, at_us: int) -> WindowKey:
    """The window of a quota that an instant is in. subject: whose; the quota's own, unless that is `*`."""
    is_open = quota.is_rolling or quota.window == "lifetime"
    start_us = 0 if is_open else window_start_us(quota.window, at_us, quota.timezone)
    return WindowKey(quota.quota_id, subject, start_us)


def window_start_us(window: Window, at_us: int, timezone: str = "UTC") -> int:
    """First microsecond of the calendar window around an instant; 0 for `lifetime`.

    Raises AccountsError where there is no such time zone.
    """
    if window == "lifetime":
        return 0
    if window in ("minute", "hour"):
        length_us = LENGTH_US[window]
        offset_us = _offset_us(at_us, timezone)
        return (at_us + offset_us) // length_us * length_us - offset_us
    day = (_EPOCH + at_us * _US).astimezone(zone(timezone)).date()
    following = _next_period(window, _period(window, day))
    start_us = _first_instant_us(following, timezone)  # already begun, where clocks went back over midnight
    return start_us if start_us <= at_us else _first_instant_us(_period(window, day), timezone)


def window_end_us(window: Window, start_us: int, timezone: str = "UTC") -> int | None:
    """First microsecond after the calendar window that begins at `start_us`; None for `lifetime`."""
    if window == "lifetime":
        return None
    if window in ("minute", "hour"):
        return start_us + LENGTH_US[window]
    day = (_EPOCH + start_us * _US).astimezone(zone(timezone)).date()
    return _first_instant_us(_next_period(window, _period(window, day)), timezone)


@functools.lru_cache(maxsize=1024)
def zone(timezone: str) -> zoneinfo.ZoneInfo:
    """Raises AccountsError where there is no such time zone."""
    try:
        return zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise AccountsError(
            f"{timezone!r} is no time zone that is known here; write an IANA name such as Asia/Kolkata"
        ) from None


def _offset_us(at_us: int, timezone: str) -> int:
    if timezone == "UTC":
        return 0
    offset = (_EPOCH + at_us * _US).astimezone(zone(timezone)).utcoffset()
    return 0 if offset is None else offset // _US


def _period(window: Window, day: date) -> date:
    if window == "week":
        return day - timedelta(days=day.weekday())  # ISO 8601: weeks begin on Monday
    return day.replace(day=1) if window == "month" else day


def _next_period(window: Window, first: date) -> date:
    if window == "month":
        return (first + timedelta(days=32)).replace(day=1)
    return first + timedelta(days=7 if window == "week" else 1)


@functools.lru_cache(maxsize=4096)
def _first_instant_us(day: date, timezone: str) -> int:
    """The first instant that bears this date or, where the zone left it out, a later one."""
    here = zone(timezone)
    midnight = datetime(day.year, day.month, day.day)
    late = (midnight.replace(tzinfo=here, fold=0) - _EPOCH) // _US
    early = (midnight.replace(tzinfo=here, fold=1) - _EPOCH) // _US
    if late <= early:  # no gap; a midnight that comes twice counts the first time
        return late
    low, high = early // 1_000_000, late // 1_000_000  # clocks jumped over midnight: find the second they did
    while low < high:
        middle = (low + high) // 2
        if (_EPOCH + timedelta(seconds=middle)).astimezone(here).replace(tzinfo=None) >= midnight:
            high = middle
        else:
            low = middle + 1
    return low * 1_000_000
