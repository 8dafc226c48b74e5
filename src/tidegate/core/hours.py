"""Hours at which a price differs: ranges of the clock on some days of the week, in a time zone, between two dates.

A window is held against the clock on the wall there: 02:30 to 03:30 in Berlin begins at once when clocks are put
forward over its begin, and may come twice, or in two pieces, in the night when they go back.
"""

import functools
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from tidegate.core.errors import CatalogError

PricedAt = Literal["sent", "completed"]
"""The moment whose price a call has: when it was sent to the provider, or when its answer was complete."""

MINUTE_US: Final = 60_000_000
DAY_US: Final = 1440 * MINUTE_US
DAY_MINUTES: Final = 1440
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EXAMPLE: Final = "'16:30-00:30' or 'mon-fri 09:00-12:00 14:00-18:00 Asia/Shanghai except 2026-10-01'"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_STEP_US: Final = 6 * 60 * MINUTE_US  # no zone changes its clocks twice within it
_RANGE: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)
_DAY_RANGE: Final = re.compile(rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?")
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}Z)?", re.ASCII)
NO_CALENDARS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


class HoursUnclear(ValueError):
    """A text that is no window of hours."""


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hours of a week.

    `ranges`: (first minute, minute after the last) of a day, 0 to 1440; one that ends at or before its begin runs past
    midnight, and belongs to the day on which it begins. `days`: those on which it begins, 0 is Monday; `days_off`: ISO
    dates on which it does not. `valid_from`, `valid_until`: ISO dates of its begin, the end exclusive; empty: open.
    `zone`: whose clock and calendar that is (IANA). Raises HoursUnclear for a range that is none.
    """

    ranges: tuple[tuple[int, int], ...]
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    zone: str = "UTC"
    valid_from: str = ""
    valid_until: str = ""
    days_off: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.ranges or not self.days:
            raise HoursUnclear(f"a window needs hours and days; write {EXAMPLE}")
        for start, end in self.ranges:
            if not (0 <= start < DAY_MINUTES and 0 <= end <= DAY_MINUTES) or start == end:
                raise HoursUnclear(f"{_clock(start)}-{_clock(end)} is no part of a day; a whole day is 00:00-24:00")

    @property
    def name(self) -> str:
        """Days, hours and zone in one word: `mon-fri_09:00-12:00_Asia/Shanghai`."""
        days = [] if len(self.days) == len(DAYS) else [_days_text(self.days)]
        hours = [f"{_clock(start)}-{_clock(end)}" for start, end in self.ranges]
        return "_".join([*days, *hours, *([] if self.zone == "UTC" else [self.zone])])

    def holds(self, at_us: int) -> bool:
        """Whether an instant (UTC microseconds) is within it."""
        if self.zone == "UTC":
            day, minute = divmod(at_us // MINUTE_US, DAY_MINUTES)
            today = day + _EPOCH.toordinal()
        else:
            local = _local(at_us, zone_of(self.zone))
            today, minute = local.toordinal(), local.hour * 60 + local.minute
        for start, end in self.ranges:
            if start < end:
                if start <= minute < end and self._begins(today):
                    return True
            elif (minute >= start and self._begins(today)) or (minute < end and self._begins(today - 1)):
                return True
        return False

    def _begins(self, ordinal: int) -> bool:
        if (ordinal - 1) % 7 not in self.days:  # 1 January of the year 1 was a Monday
            return False
        if not (self.valid_from or self.valid_until or self.days_off):
            return True
        day = date.fromordinal(ordinal).isoformat()
        return self.valid_from <= day and (not self.valid_until or day < self.valid_until) and day not in self.days_off

    def edges(self, from_us: int, until_us: int) -> Iterator[int]:
        """Instants at which it may begin or end, in any order; some are none, and none is missing within the span."""
        zone = zone_of(self.zone)
        first = _local(from_us - DAY_US, zone).date()
        for number in range((until_us - from_us) // DAY_US + 4):
            midnight = datetime.combine(first + timedelta(days=number), datetime.min.time())
            for minute in {minute for pair in self.ranges for minute in pair}:
                clock = midnight + timedelta(minutes=minute)
                for fold in (0, 1):  # a clock that is put back shows some times twice
                    yield (clock.replace(tzinfo=zone, fold=fold) - _EPOCH) // _US
        if self.zone != "UTC":
            yield from _clock_changes(zone, from_us, until_us)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _days_text(days: tuple[int, ...]) -> str:
    if len(days) > 2 and days == tuple(range(days[0], days[-1] + 1)):
        return f"{DAYS[days[0]]}-{DAYS[days[-1]]}"
    return "_".join(DAYS[day] for day in days)


@functools.lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """A time zone by its IANA name. Raises HoursUnclear, with names that are near."""
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(name, zoneinfo.available_timezones(), n=3, cutoff=0.5)
        mend = f"did you mean {' or '.join(near)}?" if near else "write an IANA name such as Asia/Shanghai"
        raise HoursUnclear(f"{name!r} is no time zone that is known here; {mend}") from None


def _local(at_us: int, zone: tzinfo) -> datetime:
    return (_EPOCH + at_us * _US).astimezone(zone)


def _clock_changes(zone: tzinfo, from_us: int, until_us: int) -> Iterator[int]:
    """The instants at which clocks are put forward or back, to the second."""
    begin = from_us
    while begin < until_us:
        end = min(begin + _STEP_US, until_us)
        offset = _local(begin, zone).utcoffset()
        if _local(end, zone).utcoffset() != offset:
            low, high = begin // 1_000_000, -(-end // 1_000_000)
            while high - low > 1:
                middle = (low + high) // 2
                same = _local(middle * 1_000_000, zone).utcoffset() == offset
                low, high = (middle, high) if same else (low, middle)
            yield high * 1_000_000
        begin = end


def parse_window(text: str, calendars: Mapping[str, tuple[str, ...]] = NO_CALENDARS) -> tuple[Window, PricedAt]:
    """A window as people write it: words in any order, of which only the hours must be there.

    Days (`mon-fri`, `sat`), hours (`16:30-00:30`, several), a zone (UTC where none is said), `from DAY`, `until DAY`
    (exclusive), `except DAY` or a calendar's name, and `completed` where a call's price is that of its end.
    calendars: days off by name. Raises HoursUnclear.
    """
    ranges: list[tuple[int, int]] = []
    days: list[int] = []
    off: list[str] = []
    said: dict[str, str] = {}
    priced_at: PricedAt = "sent"
    words = iter(text.split())
    for word in words:
        if found := _RANGE.fullmatch(word):
            hours = [int(part) for part in found.groups()]
            ranges.append((hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]))
        elif found := _DAY_RANGE.fullmatch(word.lower()):
            days += _days_of(found[1], found[2] or found[1])
        elif word in ("from", "until"):
            said[f"valid_{word}"] = _day(next(words, ""), word)
        elif word == "except":
            off += _days_off(next(words, ""), calendars)
        elif word in ("completed", "sent"):
            priced_at = "completed" if word == "completed" else "sent"
        elif "/" in word or word == "UTC":
            zone_of(word)
            said["zone"] = word
        else:
            raise HoursUnclear(
                f"{word!r} in the hours {text!r} is neither hours, days, a zone nor a date; write {EXAMPLE}"
            )
    wanted = tuple(sorted(set(days))) or tuple(range(len(DAYS)))
    return Window(ranges=tuple(ranges), days=wanted, days_off=tuple(sorted(off)), **said), priced_at


def _days_of(first: str, last: str) -> list[int]:
    start, end = DAYS.index(first), DAYS.index(last)
    return [day % 7 for day in range(start, end + 1 if start <= end else end + 8)]


def _day(text: str, word: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise HoursUnclear(f"after {word!r} stands a day as 2026-08-16, seen {text!r}") from None


def _days_off(text: str, calendars: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if text in calendars:
        return calendars[text]
    try:
        return (date.fromisoformat(text).isoformat(),)
    except ValueError:
        known = ", ".join(sorted(calendars)) or "none"
        raise HoursUnclear(
            f"after 'except' stands a day as 2026-10-01 or a calendar ({known}), seen {text!r}"
        ) from None


def moment_us(moment: str) -> int:
    """The first instant (UTC microseconds) of an ISO day, or of a minute of one (`2026-08-16T16:00Z`).

    Both kinds, and a mix of them, are in the order of their text. Raises CatalogError.
    """
    if _MOMENT.fullmatch(moment):
        try:
            found = datetime.fromisoformat(moment.replace("Z", "+00:00"))
            return (found.replace(tzinfo=UTC) - _EPOCH) // _US
        except ValueError:
            pass
    raise CatalogError(f"{moment[:40]!r} is no moment; write a day (2026-08-17) or a minute of one (2026-08-16T16:00Z)")


def moment_text(at_us: int) -> str:
    """The minute of an instant, as `moment_us` reads it."""
    return (_EPOCH + at_us * _US).strftime("%Y-%m-%dT%H:%MZ")
