"""Moments and spans as people write them on the command line, all in UTC."""

import datetime
import re
from typing import Final

from tidegate.core.errors import TidegateError

_SPAN: Final = re.compile(r"([1-9]\d{0,4})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def today(now_us: int) -> str:
    """The UTC day, ISO."""
    return print_moment(now_us)[:10]


def days_between(day: str, now_us: int) -> int:
    """Days from an ISO day to today, UTC."""
    return (datetime.date.fromisoformat(today(now_us)) - datetime.date.fromisoformat(day)).days


def print_moment(us: int | None) -> str:
    """ISO to the second; "" for never."""
    if us is None:
        return ""
    return (_EPOCH + datetime.timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None, option: str) -> int | None:
    """UTC microseconds of `2026-12-01` or `2026-12-01T08:00`; None stays. Raises TidegateError."""
    if text is None:
        return None
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise TidegateError(
            f"{option} {text!r} is no date; write for example 2026-12-01 or 2026-12-01T08:00"
        ) from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return (found - _EPOCH) // datetime.timedelta(microseconds=1)


def ending(span: str | None, now_us: int) -> int | None:
    """When a span such as 90d, 12h or 30m that begins now is over; None stays. Raises TidegateError."""
    return None if span is None else now_us + span_s(span) * 1_000_000


def span_s(text: str, option: str = "") -> int:
    """Seconds of a span such as 90d. Raises TidegateError, naming the option."""
    match = _SPAN.fullmatch(text)
    if not match:
        raise TidegateError(f"{option} {text!r} is not a span; write for example 90d, 12h or 30m".lstrip())
    return int(match[1]) * _SECONDS[match[2]]
