"""Weeks and months of UTC days: where they begin, and which of them a source covers."""

import calendar
import datetime as dt
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import msgspec

from tidegate.study.result import StudyError

Grain = Literal["week", "month"]
Anchor = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
ANCHORS: dict[str, int] = {name: number for number, name in enumerate(get_args(Anchor), 1)}  # as ISO numbers days

SPARSE_MODELS_SHARE = 4  # a day with fewer than a quarter of the usual models is not a day of full collection
SPARSE_MEDIAN_MIN = 8  # with fewer models than this a quarter of them says nothing
ONE_DAY = dt.timedelta(days=1)


class Window(msgspec.Struct, frozen=True):
    """Days from `first` to `last`, both included; None is open on that side."""

    first: dt.date | None = None
    last: dt.date | None = None

    def __contains__(self, day: dt.date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


def parse_window(text: str | None) -> Window:
    """`2026-01-01:2026-03-31`, both days included; `2026-01:2026-03` in whole months; either side may be empty."""
    if not text:
        return Window()
    first, colon, last = text.partition(":")
    if not colon:
        raise StudyError(f"window {text!r}: write A:B with UTC days, both included, e.g. 2026-01-01:2026-03-31")
    window = Window(_day(text, first, last=False), _day(text, last, last=True))
    if window.first and window.last and window.first > window.last:
        raise StudyError(f"window {text!r} ends before it begins")
    return window


def _day(window: str, text: str, *, last: bool) -> dt.date | None:
    text = text.strip()
    if not text:
        return None
    try:
        if len(text) == len("2026-01"):
            month = dt.date.fromisoformat(f"{text}-01")
            return month.replace(day=calendar.monthrange(month.year, month.month)[1]) if last else month
        return dt.date.fromisoformat(text)
    except ValueError:
        raise StudyError(f"window {window!r}: {text!r} is neither a day (2026-01-31) nor a month (2026-01)") from None


def period_of(day: dt.date, grain: Grain, anchor: Anchor = "monday") -> dt.date:
    """The first day of the period that holds `day`."""
    if grain == "month":
        return day.replace(day=1)
    return day - dt.timedelta(days=(day.isoweekday() - ANCHORS[anchor]) % 7)


def period_end(period: dt.date, grain: Grain) -> dt.date:
    """The last day of the period that begins on `period`."""
    if grain == "month":
        return period.replace(day=calendar.monthrange(period.year, period.month)[1])
    return period + 6 * ONE_DAY


def period_sql(column: str, grain: Grain, anchor: Anchor = "monday") -> str:
    """`period_of` as DuckDB SQL over a DATE column."""
    if grain == "month":
        return f"CAST(date_trunc('month', {column}) AS DATE)"
    return f"({column} - CAST((isodow({column}) - {ANCHORS[anchor]} + 7) % 7 AS INTEGER))"


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """Which periods a source covers.

    kept: the periods to draw, ascending. partial: kept although incomplete, since no complete one exists.
    dropped: incomplete periods at the ends, with their days present and total. gaps: kept periods inside the range
    that lack days. sparse: days with far fewer models than usual (collection was starting or failing).
    """

    kept: tuple[dt.date, ...]
    partial: bool
    dropped: tuple[tuple[dt.date, int, int], ...]
    gaps: tuple[tuple[dt.date, int, int], ...]
    sparse: tuple[tuple[dt.date, int], ...]
    grain: Grain

    @property
    def window(self) -> str:
        if not self.kept:
            return ":"
        return f"{self.kept[0]}:{period_end(self.kept[-1], self.grain)}"

    def notes(self) -> list[str]:
        """What was left out and what is thin, in sentences."""
        told = []
        if self.sparse:
            days = span_text([day for day, _ in self.sparse])
            fewest = min(models for _, models in self.sparse)
            most = max(models for _, models in self.sparse)
            count = f"{fewest} to {most}" if fewest < most else str(most)
            told.append(
                f"On {days} the source has only {count} model{'s' * (most != 1)} a day, far below its median: "
                "days of incomplete collection, not of low demand. At the ends they do not count as covered."
            )
        for period, present, days_total in self.dropped:
            told.append(f"Incomplete {self.grain} {period} dropped: {present} of {days_total} days.")
        if self.partial:
            told.append(f"No complete {self.grain} in the window: what is shown is partial.")
        for period, present, days_total in self.gaps:
            told.append(f"{self.grain.capitalize()} {period} has data on {present} of its {days_total} days.")
        return told


def cover(days: Mapping[dt.date, int], window: Window, grain: Grain, anchor: Anchor, *, continuous: bool) -> Coverage:
    """Decide which periods are complete.

    days: distinct models of each day on which the source has anything, inside the window or not. continuous: a
    source that records every call: a day without any lies between two others as a quiet day, not as a gap.
    """
    sparse = [] if continuous else sparse_days(days)
    thin = {day for day, _ in sparse}
    solid = sorted(day for day in days if day in window and day not in thin)
    if continuous and solid:
        full = [solid[0] + number * ONE_DAY for number in range((solid[-1] - solid[0]).days + 1)]
    else:  # sparse days between full ones count as covered; they are named all the same
        full = sorted(day for day in days if solid and solid[0] <= day <= solid[-1])
    present = Counter(period_of(day, grain, anchor) for day in full)
    touched = sorted(period_of(day, grain, anchor) for day in days if day in window)
    counted = []
    start = touched[0] if touched else None
    while start is not None and start <= touched[-1]:
        end = period_end(start, grain)
        counted.append((start, present[start], (end - start).days + 1))
        start = end + ONE_DAY
    whole = [number for number, (_, seen, total) in enumerate(counted) if seen == total]
    first, last = (whole[0], whole[-1] + 1) if whole else (0, len(counted))
    kept = counted[first:last]
    return Coverage(
        kept=tuple(start for start, _, _ in kept),
        partial=bool(counted) and not whole,
        dropped=tuple(counted[:first] + counted[last:]),
        gaps=tuple(item for item in kept if item[1] < item[2]),
        sparse=tuple((day, models) for day, models in sparse if day in window),
        grain=grain,
    )


def sparse_days(models_by_day: Mapping[dt.date, int]) -> list[tuple[dt.date, int]]:
    """Days whose number of models is less than a quarter of the median day's: a collector starting or failing."""
    if not models_by_day:
        return []
    median = statistics.median(models_by_day.values())
    if median < SPARSE_MEDIAN_MIN:
        return []
    return [(day, count) for day, count in sorted(models_by_day.items()) if count * SPARSE_MODELS_SHARE < median]


def span_text(days: Iterable[dt.date]) -> str:
    """Days as text, runs of neighbours joined: `2025-11-11..2025-11-14, 2026-01-02`."""
    runs: list[list[dt.date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][-1] == ONE_DAY:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)
