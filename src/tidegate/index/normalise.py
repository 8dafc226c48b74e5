"""Normalisation: indicators of different units on one scale.

The functions take (n_units,) or (n_units, n_indicators) float64 and work column by column; NaN is missing and stays so.
They are the bare formulas: an indicator of direction -1 is handed in as -x (only `goalposts` and `distance_to_target`
take the direction themselves). `normalise` does that for a whole table, and refuses what would mislead: a column whose
present values are all equal, and a ratio to the leader of an indicator where less is better, because -x / max(-x) is
x / min(x), which would reward the worse.

For a volume, the ratio to the leader keeps proportions: half the users is half the score. Min-max makes the smallest
unit zero, whatever its size.

Formulas: OECD/JRC Handbook on Constructing Composite Indicators (2008), step 5.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from tidegate.index.framework import Framework, Indicator
from tidegate.index.table import IndexRefusal, Matrix, Table, Vector

Name = Literal[
    "min_max",
    "z_score",
    "ratio",
    "share",
    "rank",
    "borda",
    "percentile",
    "distance_to_leader",
    "distance_to_reference",
    "distance_to_target",
    "goalposts",
    "scaled",
    "root",
    "log",
    "none",
]
NEED_SPREAD: Final = frozenset(
    ("min_max", "z_score", "rank", "borda", "percentile", "distance_to_leader", "distance_to_reference")
)
PROPORTIONS: Final = frozenset(("ratio", "share", "root", "log"))  # meaningful for amounts of which more is better


class Normalisation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a column is scaled.

    low, high: ends of the scale of `min_max` and of `goalposts` (which starts at 0), and the raw values that become 0
    and 100 in `scaled`, in units of direction times value. mean, sd: of `z_score`. reference: the unit of
    `distance_to_reference`. target, posts_low, posts_high: in the indicator's unit; None for the framework's. cap: no
    score above the target's or reference's. floor: the value that becomes 0 in `log`, in the indicator's unit.
    as_written: apply a ratio to an indicator of direction -1 by the letter of the formula, instead of refusing.
    """

    name: Name = "min_max"
    low: float = 0.0
    high: float = 100.0
    mean: float = 0.0
    sd: float = 1.0
    reference: str = ""
    target: float | None = None
    posts_low: float | None = None
    posts_high: float | None = None
    cap: bool = False
    floor: float | None = None
    as_written: bool = False


def lowest(x: Matrix) -> Vector:
    """Smallest present value of each column; NaN where none is present."""
    found: Vector = np.fmin.reduce(x, axis=0)
    return found


def highest(x: Matrix) -> Vector:
    """Largest present value of each column; NaN where none is present."""
    found: Vector = np.fmax.reduce(x, axis=0)
    return found


def _mean(x: Matrix) -> Vector:
    present = ~np.isnan(x)
    count = present.sum(axis=0)
    with np.errstate(invalid="ignore"):
        found: Vector = np.where(present, x, 0.0).sum(axis=0) / np.where(count, count, np.nan)
    return found


def _range(x: Matrix) -> Vector:
    """highest - lowest; refuses a column of equal values, by number."""
    spread = highest(x) - lowest(x)
    if np.any(spread == 0):
        number = int(np.argmax(np.atleast_1d(spread) == 0))
        raise IndexRefusal(f"column {number} is constant: every present value is equal, so there is no range to scale")
    return spread


def min_max(x: Matrix, low: float = 0.0, high: float = 100.0) -> Matrix:
    """(x - min) / (max - min) (high - low) + low."""
    return (x - lowest(x)) / _range(x) * (high - low) + low


def z_score(x: Matrix, mean: float = 0.0, sd: float = 1.0) -> Matrix:
    """(x - mean) / sd, with the standard deviation of a sample (n - 1), moved to the mean and deviation asked for."""
    _range(x)
    centred = x - _mean(x)
    count = (~np.isnan(x)).sum(axis=0)
    deviation = np.sqrt(np.nansum(centred * centred, axis=0) / np.where(count > 1, count - 1, np.nan))
    scaled: Matrix = centred / deviation * sd + mean
    return scaled


def ratio(x: Matrix) -> Matrix:
    """x / max: the leader is 1, half of it 0.5."""
    top = highest(x)
    if np.any(top == 0):
        raise IndexRefusal("the largest value is 0, so there is no leader to compare with; leave the column out")
    return x / top


def share(x: Matrix) -> Matrix:
    """x / sum of the present values. The whole is what is in the column: units that are missing are not in it."""
    total = np.nansum(x, axis=0)
    if np.any((total == 0) & ~np.isnan(lowest(x))):
        raise IndexRefusal("the present values sum to 0, so nothing is a share of them; leave the column out")
    return x / np.where(total == 0, np.nan, total)


def rank(x: Matrix) -> Matrix:
    """1 for the smallest; equal values share the lowest rank of theirs."""
    columns = x.reshape(len(x), -1)
    order = np.sort(columns, axis=0)  # NaN goes last
    found = np.full(columns.shape, np.nan)
    for number in range(columns.shape[1]):
        column = columns[:, number]
        found[:, number] = np.searchsorted(order[:, number], column, side="left") + 1
    found[np.isnan(columns)] = np.nan
    return found.reshape(x.shape)


def borda(x: Matrix) -> Matrix:
    """rank - 1: how many present units are below."""
    return rank(x) - 1


def percentile(x: Matrix) -> Matrix:
    """(rank - 1) / (n - 1) over the n present units."""
    count = (~np.isnan(x)).sum(axis=0)
    if np.any(count == 1):
        raise IndexRefusal("only one unit has a value, so it has no percentile among others")
    return (rank(x) - 1) / np.where(count > 1, count - 1, np.nan)


def distance_to_leader(x: Matrix) -> Matrix:
    """1 - (max - x) / (max - min): min-max on [0, 1], said as a distance."""
    return 1 - (highest(x) - x) / _range(x)


def distance_to_reference(x: Matrix, row: int, *, cap: bool = False) -> Matrix:
    """1 - (x_ref - x) / (x_ref - min) for the unit in `row`; cap: at most 1.

    A reference that is itself the smallest gives infinities and NaN, as the formula does; `normalise` refuses it.
    """
    reference = x[row]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Matrix = 1 - (reference - x) / (reference - lowest(x))
    return np.where(found > 1, 1.0, found) if cap else found


def distance_to_target(x: Matrix, target: float | Vector, direction: int = 1, *, cap: bool = False) -> Matrix:
    """(x - min) / (target - min), or (max - x) / (max - target) where less is better; cap: at most 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        end = lowest(x) if direction == 1 else highest(x)
        found = (x - end) / (target - end)
    return np.where(found > 1, 1.0, found) if cap else found


def goalposts(x: Matrix, posts: tuple[float, float], top: float, direction: int = 1, *, clip: bool = True) -> Matrix:
    """(x - a) / (b - a) between two fixed values, times `top`; reversed where less is better; clip: to [0, top]."""
    low, high = posts
    if not low < high:
        raise IndexRefusal(f"goalposts {low:g} .. {high:g}; the first must be below the second")
    found = (x - low) / (high - low) if direction == 1 else (high - x) / (high - low)
    return (np.clip(found, 0.0, 1.0) if clip else found) * top


def scaled(x: Matrix, low: float, high: float, top: float = 100.0) -> Matrix:
    """(x - low) / (high - low) top, not clipped."""
    if low == high:
        raise IndexRefusal(f"scaled between {low:g} and {high:g}; the two ends must differ")
    return (x - low) / (high - low) * top


def root_ratio(x: Matrix) -> Matrix:
    """sqrt(x / max): proportions, compressed. x >= 0."""
    if np.any(x < 0):
        raise IndexRefusal("a value is below 0 and has no root; use min_max or z_score for signed columns")
    return np.sqrt(ratio(x))


def log_ratio(x: Matrix, floor: float | Vector) -> Matrix:
    """ln(x / floor) / ln(max / floor): 0 at the floor, 1 for the leader. 0 < floor < max; values below it are 0."""
    top = highest(x)
    if np.any(~(np.asarray(floor) > 0)) or np.any(top <= floor):
        raise IndexRefusal("the floor of a log ratio is above 0 and below the largest value; state another floor")
    found: Matrix = np.log(np.maximum(x, floor) / floor) / np.log(top / floor)
    return found


def normalise(
    table: Table,
    framework: Framework,
    spec: Normalisation | None = None,
    by_indicator: Mapping[str, Normalisation] | None = None,
) -> Table:
    """Every column scaled as `spec` says, or as `by_indicator` says of it; more is better in the result.

    Columns must be indicators of the framework. Bounds go: they are in the old units. Raises IndexRefusal naming
    the column, for a constant one and for a method that its direction, sign or missing parameter does not allow.
    """
    spec = spec or Normalisation()
    found = np.empty_like(table.values)
    for number, code in enumerate(table.indicators):
        chosen = (by_indicator or {}).get(code, spec)
        column = table.values[:, number]
        if np.isnan(column).all():
            found[:, number] = np.nan
            continue
        try:
            found[:, number] = _column(column, table.units, framework.indicator(code), chosen)
        except IndexRefusal as error:
            raise IndexRefusal(f"indicator {code}, {chosen.name}: {error}") from error
    return table.with_values(found)


def normalise_together(
    tables: Sequence[Table],
    framework: Framework,
    spec: Normalisation | None = None,
    by_indicator: Mapping[str, Normalisation] | None = None,
) -> tuple[Table, ...]:
    """Several vintages on one scale: one set of parameters for all, without which scores do not compare over time.

    All tables have the same indicators; units may differ. The reference of `distance_to_reference` is the first
    vintage's.
    """
    if len({table.indicators for table in tables}) != 1:
        raise IndexRefusal("the vintages have different indicators; pick those that all have")
    units = [f"{unit} #{n}" if n else unit for n, table in enumerate(tables) for unit in table.units]
    together = Table.of(units, tables[0].indicators, np.vstack([table.values for table in tables]))
    scores = normalise(together, framework, spec, by_indicator).values
    ends = np.cumsum([len(table.units) for table in tables])[:-1]
    return tuple(table.with_values(part) for table, part in zip(tables, np.split(scores, ends), strict=True))


def _column(x: Vector, units: tuple[str, ...], indicator: Indicator, spec: Normalisation) -> Vector:
    """One column, with what only a whole table knows: direction, target, goalposts, which unit is the reference."""
    if spec.name in NEED_SPREAD and highest(x) == lowest(x):
        raise IndexRefusal(
            f"every present value is {float(highest(x)):g}; a constant tells no units apart, leave it out"
        )
    if spec.name in PROPORTIONS:
        _allow_proportion(x, indicator, spec)
    if spec.name == "distance_to_target":
        return _to_target(x, indicator, spec)
    if spec.name == "goalposts":
        return goalposts(x, _posts(indicator, spec), spec.high, indicator.direction)
    if spec.name == "distance_to_reference":
        return _to_reference(indicator.direction * x, units, spec)
    if spec.name == "log":
        return log_ratio(x, _floor(spec))
    plain: dict[str, Callable[[Vector], Vector]] = {
        "min_max": lambda y: min_max(y, spec.low, spec.high),
        "z_score": lambda y: z_score(y, spec.mean, spec.sd),
        "scaled": lambda y: scaled(y, spec.low, spec.high),
        "ratio": ratio,
        "share": share,
        "root": root_ratio,
        "rank": rank,
        "borda": borda,
        "percentile": percentile,
        "distance_to_leader": distance_to_leader,
        "none": lambda y: y,
    }
    return plain[spec.name](indicator.direction * x)


def _allow_proportion(x: Vector, indicator: Indicator, spec: Normalisation) -> None:
    if spec.as_written:
        return
    if indicator.direction == -1:
        raise IndexRefusal("less of it is better, and a proportion would reward the worse; use min_max or goalposts")
    if np.any(x < 0):
        raise IndexRefusal(f"{float(lowest(x)):g} is below 0 and no amount; use min_max or z_score for signed columns")


def _to_target(x: Vector, indicator: Indicator, spec: Normalisation) -> Vector:
    target = indicator.target if spec.target is None else spec.target
    if target is None:
        raise IndexRefusal("there is no target; state one in the framework or in the method")
    end = lowest(x) if indicator.direction == 1 else highest(x)
    if not (target - end) * indicator.direction > 0:
        side = "above the smallest" if indicator.direction == 1 else "below the largest"
        raise IndexRefusal(f"target {target:g} must be {side} value, {float(end):g}")
    return distance_to_target(x, target, indicator.direction, cap=spec.cap)


def _to_reference(x: Vector, units: tuple[str, ...], spec: Normalisation) -> Vector:
    if spec.reference not in units:
        raise IndexRefusal(f"reference {spec.reference!r} is no unit; there are {', '.join(units)}")
    row = units.index(spec.reference)
    if np.isnan(x[row]) or x[row] == lowest(x):
        why = "has no value" if np.isnan(x[row]) else "is itself the worst"
        raise IndexRefusal(f"reference {spec.reference} {why}; name another unit")
    return distance_to_reference(x, row, cap=spec.cap)


def _posts(indicator: Indicator, spec: Normalisation) -> tuple[float, float]:
    if spec.posts_low is not None and spec.posts_high is not None:
        return spec.posts_low, spec.posts_high
    if indicator.goalposts is None:
        raise IndexRefusal("there are no goalposts; state them in the framework or in the method")
    return indicator.goalposts.low, indicator.goalposts.high


def _floor(spec: Normalisation) -> float:
    if spec.floor is None:
        raise IndexRefusal("a log ratio needs a floor, the value that becomes 0; state one in the indicator's unit")
    return spec.floor
