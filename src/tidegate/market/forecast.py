"""A forecast with its interval, kept when made and scored when the figure is published.

Method `log-drift`: the log of the rate is a random walk with drift in continuous time. Drift and variance come from
the steps d_i over dt_i days: mu = sum(d) / sum(dt), s2 = sum((d - mu dt)^2 / dt) / (n - 1). At h days past the last
point the log is normal around last + mu h with variance s2 (h + h^2 / sum(dt)), the second term for the drift's own
error; quantiles are Student's t with n - 1 degrees, so that few points give a wide band.
"""

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from tidegate.market.claim import MarketError
from tidegate.market.series import Point, Series

METHOD = "log-drift"
POINTS_MIN = 3
LEVEL = 0.9


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Point (the median) and interval for a day, from the claims named. made_at: the day it was made."""

    key: str
    unit: str
    day: dt.date
    value: float
    low: float
    high: float
    level: float
    method: str
    points: int
    last_day: dt.date
    last_claims: tuple[str, ...]
    made_at: dt.date


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a forecast.

    interval_score is Gneiting and Raftery's (2007, eq. 43) on natural logs: lower is better.
    """

    key: str
    day: dt.date
    made_at: dt.date
    published: float
    claims: tuple[str, ...]
    value: float
    low: float
    high: float
    inside: bool
    log_error: float
    interval_score: float


def forecast(series: Series, *, made_at: dt.date, day: dt.date | None = None, level: float = LEVEL) -> Forecast:
    """The rate on a day past the last point; default: one median step ahead."""
    if not 0 < level < 1:
        raise MarketError(f"level {level} is no probability; it lies between 0 and 1, 0.9 by default")
    points = series.points
    if len(points) < POINTS_MIN:
        raise MarketError(
            f"{series.key} has {len(points)} points; an interval needs {POINTS_MIN}: add claims of the same scope"
        )
    gaps = [(b.day - a.day).days for a, b in pairwise(points)]
    target = day or points[-1].day + dt.timedelta(days=sorted(gaps)[len(gaps) // 2])
    ahead = (target - points[-1].day).days
    if ahead <= 0:
        raise MarketError(f"{target} is not after the last point, {points[-1].day}; a series shows that day itself")
    center, spread, freedom = _law(points, ahead)
    from scipy.stats import t as student  # a second to import: only here

    width = float(student.ppf((1 + level) / 2, freedom)) * spread
    return Forecast(
        key=series.key,
        unit=series.unit,
        day=target,
        value=_exp(center),
        low=_exp(center - width),
        high=_exp(center + width),
        level=level,
        method=METHOD,
        points=len(points),
        last_day=points[-1].day,
        last_claims=points[-1].claims,
        made_at=made_at,
    )


def _law(points: Sequence[Point], ahead: int) -> tuple[float, float, int]:
    """Centre and scale of the log at `ahead` days, and the degrees of freedom."""
    pairs = list(pairwise(points))
    days = [(b.day - a.day).days for a, b in pairs]
    steps = [math.log(b.value / a.value) for a, b in pairs]
    drift = sum(steps) / sum(days)
    freedom = len(steps) - 1
    variance = sum((d - drift * t) ** 2 / t for d, t in zip(steps, days, strict=True)) / freedom
    spread = math.sqrt(variance * (ahead + ahead**2 / sum(days)))
    return math.log(points[-1].value) + drift * ahead, spread, freedom


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def score(kept: Iterable[Forecast], series: Sequence[Series]) -> tuple[Score, ...]:
    """Every kept forecast for whose day a figure has since been published within half the step to it."""
    by_key = {one.key: one for one in series}
    found = []
    for made in kept:
        later = [p for p in by_key[made.key].points if p.day > made.last_day] if made.key in by_key else []
        near = min(later, key=lambda p: abs((p.day - made.day).days), default=None)
        if near and abs((near.day - made.day).days) <= max(3, (made.day - made.last_day).days / 2):
            found.append(_score(made, near))
    return tuple(found)


def _score(made: Forecast, point: Point) -> Score:
    seen, low, high = math.log(point.value), math.log(made.low), math.log(made.high)
    alpha = 1 - made.level
    missed = max(0.0, low - seen) + max(0.0, seen - high)
    return Score(
        key=made.key,
        day=point.day,
        made_at=made.made_at,
        published=point.value,
        claims=point.claims,
        value=made.value,
        low=made.low,
        high=made.high,
        inside=low <= seen <= high,
        log_error=seen - math.log(made.value),
        interval_score=high - low + 2 / alpha * missed,
    )


def walk_forward(series: Series, *, level: float = LEVEL) -> tuple[Score, ...]:
    """What the method would have said before each later point, and how it went."""
    found = []
    for count in range(POINTS_MIN, len(series.points)):
        past = msgspec.structs.replace(series, points=series.points[:count])
        target = series.points[count]
        made = forecast(past, made_at=past.points[-1].day, day=target.day, level=level)
        if made.low > 0 and made.high < math.inf:
            found.append(_score(made, target))
    return tuple(found)


def keep(path: Path, made: Forecast) -> None:
    """Append a forecast to a file of lines; what is there stays."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(made) + b"\n")


def kept(path: Path) -> tuple[Forecast, ...]:
    """The forecasts of a file, oldest first."""
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found.append(msgspec.json.decode(line, type=Forecast))
        except msgspec.DecodeError as error:
            raise MarketError(f"{path.name}, line {number}: {error}; it holds one forecast a line") from error
    return tuple(found)
