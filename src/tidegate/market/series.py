"""Series of a rate per day from claims that compare: one entity, one measure, one basis, one scope. INDEX 5.4."""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from tidegate.market.claim import Claim, MarketError, low_high, rate_days, stock

VOLUMES = ("tokens", "calls", "requests", "visits")
CONFIDENCE = "ABCD"


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A rate per day at the middle of its period. high None: stated as "over", without an upper bound."""

    day: dt.date
    value: float
    low: float
    high: float | None
    claims: tuple[str, ...]
    stated: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Growth between two points, log-linear: per_day = ln(v2 / v1) / days. doubling_days None: it does not grow."""

    start: dt.date
    end: dt.date
    multiple: float
    per_day: float
    doubling_days: float | None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Points in order of time. unit: what is counted, per day."""

    key: str
    entity: str
    unit: str
    basis: str
    scope: str
    points: tuple[Point, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(_step(a, b) for a, b in pairwise(self.points))


def series_of(claims: Iterable[Claim], *, bridges: Mapping[str, str] | None = None) -> tuple[Series, ...]:
    """Every series of two points or more. bridges: scope -> scope that a reader declared to be the same.

    Claims with another scope are never chained; peaks and estimates carry their own metric or scope.
    """
    groups: dict[tuple[str, str, str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        if stock(claim.unit) not in VOLUMES or claim.period_end is None or claim.value <= 0 or "peak" in claim.metric:
            continue
        scope = (bridges or {}).get(claim.scope, claim.scope).strip().lower()
        groups[claim.entity.strip().lower(), stock(claim.unit), claim.basis, scope].append(claim)
    found = [_series(members) for members in groups.values()]
    return tuple(sorted((one for one in found if len(one.points) > 1), key=lambda one: one.key))


def find_series(series: Sequence[Series], key: str) -> Series:
    """The series whose key is, or begins with, what was asked for."""
    named = [one for one in series if one.key == key] or [one for one in series if key.lower() in one.key]
    if len(named) != 1:
        known = "; ".join(one.key for one in named or series)
        raise MarketError(f"{key!r} names {len(named)} series; name one of: {known}")
    return named[0]


def point_of(claim: Claim) -> Point:
    """A claim as a rate per day over the days that its period really has."""
    days = rate_days(claim.unit, claim.metric)
    if days and abs(days - 30.4375) < 1e-9 and 28 <= claim.days <= 31:
        days = float(claim.days)  # a month's own days
    per = days or float(claim.days)
    low, high = low_high(claim)
    value = float(claim.value)
    if claim.qualifier == "lt":
        low = 0.0
    middle = claim.period_start + (claim.end - claim.period_start) / 2
    top = None if math.isinf(high) else high / per
    return Point(
        day=middle, value=value / per, low=low / per, high=top, claims=(claim.claim_id,), stated=claim.as_stated
    )


def value_at(series: Series, day: dt.date) -> tuple[float, float | None, float | None]:
    """Value, low, high on a day between two points, by interpolation in logs; outside, a forecast is asked for."""
    points = series.points
    if not points[0].day <= day <= points[-1].day:
        raise MarketError(
            f"{day} lies outside {series.key} ({points[0].day} to {points[-1].day}); ask for a forecast, "
            "whose band widens with time"
        )
    for left, right in pairwise(points):
        if left.day <= day <= right.day:
            part = (day - left.day).days / max(1, (right.day - left.day).days)
            return _between(left.value, right.value, part), *_band(left, right, part)
    raise AssertionError("unreachable: the day is inside")


def _band(left: Point, right: Point, part: float) -> tuple[float | None, float | None]:
    low = _between(left.low, right.low, part) if left.low > 0 and right.low > 0 else None
    high = None if left.high is None or right.high is None else _between(left.high, right.high, part)
    return low, high


def _between(a: float, b: float, part: float) -> float:
    return math.exp(math.log(a) * (1 - part) + math.log(b) * part)


def _series(members: Sequence[Claim]) -> Series:
    first = members[0]
    by_day: dict[dt.date, list[Claim]] = defaultdict(list)
    for claim in members:
        by_day[point_of(claim).day].append(claim)
    points = []
    for _, same in sorted(by_day.items()):
        same.sort(key=lambda one: CONFIDENCE.index(one.confidence) if one.confidence in list(CONFIDENCE) else 9)
        points.append(msgspec.structs.replace(point_of(same[0]), claims=tuple(one.claim_id for one in same)))
    unit = stock(first.unit)
    key = " / ".join(part for part in (first.entity.lower(), f"{unit} per day", first.scope.lower()) if part)
    return Series(
        key=key,
        entity=first.entity,
        unit=f"{unit}_per_day",
        basis=first.basis,
        scope=first.scope,
        points=tuple(points),
    )


def _step(left: Point, right: Point) -> Step:
    days = (right.day - left.day).days
    growth = math.log(right.value / left.value)
    return Step(
        start=left.day,
        end=right.day,
        multiple=right.value / left.value,
        per_day=growth / days,
        doubling_days=math.log(2) / (growth / days) if growth > 0 else None,
    )
