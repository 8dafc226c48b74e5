"""Where the growth of a series bends, and which dated events lie there.

The log of the series is fitted by straight pieces that meet at knots. A knot is added while the Bayesian information
criterion n ln(RSS / n) + (2 + 4 k) ln n falls, and all knots are moved to their best place after each addition. A knot
costs four parameters, not two, since its place was searched for: with two, 18 to 28 % of steady synthetic series of
8 to 24 noisy points got a bend, with four 0 to 8 % (60 series each). An event near a knot is a coincidence in time, not
a cause.
"""

import csv
import datetime as dt
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegate.market.book import SHIPPED
from tidegate.market.claim import MarketError
from tidegate.market.series import Point, Series

KNOTS_MAX = 4
KNOT_COST = 4  # parameters
SEGMENT_MIN = 2  # steps between knots, and between a knot and an end
POINTS_MIN = 6
NEAR_DAYS = 45
NOISE_FLOOR = 1e-4  # of the log: below this a residual is rounding, not misfit


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened on a day."""

    day: dt.date
    what: str
    source: str
    checked: str


class ChangePoint(msgspec.Struct, frozen=True, kw_only=True):
    """A bend: growth per 30 days before and after (0.25 is 25 %), and the events within NEAR_DAYS."""

    day: dt.date
    growth_before: float
    growth_after: float
    events: tuple[str, ...]


def shipped_events() -> tuple[Event, ...]:
    """data/market/events.csv."""
    return read_events(SHIPPED / "events.csv")


def read_events(path: Path) -> tuple[Event, ...]:
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(msgspec.convert(row, Event, strict=False) for row in csv.DictReader(file))


def change_points(series: Series, events: Sequence[Event] = ()) -> tuple[ChangePoint, ...]:
    """The bends that the criterion asks for, in order of time."""
    points = series.points
    if len(points) < POINTS_MIN:
        raise MarketError(f"{series.key} has {len(points)} points; change points need {POINTS_MIN}")
    days = np.array([(point.day - points[0].day).days for point in points], dtype=np.float64)
    logs = np.log([point.value for point in points])
    knots = _knots(days, logs)
    slopes = _slopes(days, logs, knots)
    return tuple(_told(points, knot, slopes[i], slopes[i + 1], events) for i, knot in enumerate(knots))


def _told(points: Sequence[Point], knot: int, before: float, after: float, events: Sequence[Event]) -> ChangePoint:
    day = points[knot].day
    near = sorted((abs((event.day - day).days), f"{event.day} {event.what}") for event in events)
    return ChangePoint(
        day=day,
        growth_before=math.expm1(before * 30),
        growth_after=math.expm1(after * 30),
        events=tuple(text for apart, text in near if apart <= NEAR_DAYS),
    )


def _design(days: NDArray[np.float64], knots: Sequence[int]) -> NDArray[np.float64]:
    hinges = [np.maximum(0.0, days - days[knot]) for knot in knots]
    return np.column_stack([np.ones_like(days), days, *hinges])


def _rss(days: NDArray[np.float64], logs: NDArray[np.float64], knots: Sequence[int]) -> float:
    design = _design(days, knots)
    fitted, *_ = np.linalg.lstsq(design, logs, rcond=None)
    return float(np.sum((logs - design @ fitted) ** 2)) + len(logs) * NOISE_FLOOR**2


def _criterion(days: NDArray[np.float64], logs: NDArray[np.float64], knots: Sequence[int]) -> float:
    n = len(days)
    return n * math.log(_rss(days, logs, knots) / n) + (2 + KNOT_COST * len(knots)) * math.log(n)


def _knots(days: NDArray[np.float64], logs: NDArray[np.float64]) -> list[int]:
    best: list[int] = []
    score = _criterion(days, logs, best)
    trial: list[int] = []
    for _ in range(KNOTS_MAX):
        trial = _add(days, logs, trial)
        if not trial:
            break
        now = _criterion(days, logs, trial)
        if now < score:  # two knots may pay where one alone does not: go on, keep the best
            best, score = trial, now
    return best


def _add(days: NDArray[np.float64], logs: NDArray[np.float64], knots: Sequence[int]) -> list[int]:
    """One knot more where it helps most, then each knot in turn moved to its best place."""
    places = _places(len(days), knots)
    if not places:
        return []
    found = sorted([*knots, min(places, key=lambda place: _rss(days, logs, [*knots, place]))])
    for _ in range(len(days)):
        moved = list(found)
        for index in range(len(moved)):
            others = moved[:index] + moved[index + 1 :]
            place = min(_places(len(days), others), key=lambda place: _rss(days, logs, [*others, place]))
            moved = sorted([*others, place])
        if moved == found:
            break
        found = moved
    return found


def _places(count: int, knots: Sequence[int]) -> list[int]:
    inside = range(SEGMENT_MIN, count - SEGMENT_MIN)
    return [place for place in inside if all(abs(place - knot) >= SEGMENT_MIN for knot in knots)]


def _slopes(days: NDArray[np.float64], logs: NDArray[np.float64], knots: Sequence[int]) -> list[float]:
    fitted, *_ = np.linalg.lstsq(_design(days, knots), logs, rcond=None)
    return [float(slope) for slope in np.cumsum(fitted[1:])]
