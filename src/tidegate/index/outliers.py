"""Outliers: which columns lean on a few extreme units, and what was done about it, point by point.

A column passes where |skewness| < 2 or excess kurtosis < 3.5. One that fails is winsorised, at most so many points; one
that still fails is transformed, from its original values. Skewness and kurtosis are the sample forms G1 and G2 (Joanes
and Gill, The Statistician 47, 1998); the two steps are those of the OECD/JRC Handbook (2008), step 4.

Few units have no outliers, only leaders: test countries, and leave nine regions alone.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec
import numpy as np

from tidegate.index.table import TREATED, IndexRefusal, Mask, Table, Vector

FEW_UNITS: Final = 10  # below this a winsorised point is a tenth of the table and more

Transform = Literal["log_ct", "log_ct_plus", "log_ct_orig", "log_gii", "box_cox", "log", "root", "none"]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column passes below either of them. skew: of the absolute skewness; kurtosis: excess over the normal's."""

    skew: float = 2.0
    kurtosis: float = 3.5


class Treatment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done to a column that fails the test.

    winsorise_max: most points moved at one end plus the other; 0 for none, None for no limit. then: the transform of a
    column that still fails; `log_ct_plus` is `log_ct` that keeps a column with a low tail in order. combine:
    transform the winsorised column rather than the original. box_cox_lambda: 0 is the logarithm. always: transform
    without a test, by decision, as for a table of few units.
    """

    winsorise_max: int | None = 5
    then: Transform = "log_ct_plus"
    limits: Limits = Limits()
    combine: bool = False
    box_cox_lambda: float = 0.0
    always: bool = False


class Winsorised(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """values: (n_units,), the moved points at the next value. high, low: (n_units,) which were moved at which end."""

    values: Vector
    high: Mask
    low: Mask

    @property
    def points(self) -> int:
        """How many were moved, both ends together."""
        return int(self.high.sum() + self.low.sum())


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Skewness and excess kurtosis of a column, None where it has too few or equal values; passes: None with them."""

    skew: float | None
    kurtosis: float | None
    passes: bool | None


class Treated(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a column. done: the steps in order. high, low: the units moved. after: None where none was."""

    indicator: str
    before: Shape
    done: tuple[str, ...]
    high: tuple[str, ...]
    low: tuple[str, ...]
    after: Shape | None

    @property
    def fails(self) -> bool:
        """Whether it leans on a few units still."""
        return (self.after or self.before).passes is False


def skew(x: Vector) -> float:
    """G1 of the present values; NaN for fewer than three or equal ones."""
    y = x[~np.isnan(x)]
    n = len(y)
    d = y - y.mean() if n else y
    squares = float((d**2).sum())
    if n < 3 or squares == 0 or y.min() == y.max():
        return math.nan
    cubes = float((d**3).sum())
    return float(math.sqrt(n) * cubes / squares**1.5 * math.sqrt(n * (n - 1)) / (n - 2))


def kurtosis(x: Vector) -> float:
    """G2 of the present values, excess over the normal's; NaN for fewer than four or equal ones."""
    y = x[~np.isnan(x)]
    n = len(y)
    d = y - y.mean() if n else y
    squares = float((d**2).sum())
    if n < 4 or squares == 0 or y.min() == y.max():
        return math.nan
    excess = n * float((d**4).sum()) / squares**2 - 3
    return ((n + 1) * excess + 6) * (n - 1) / ((n - 2) * (n - 3))


def shape(x: Vector, limits: Limits | None = None) -> Shape:
    """The test of a column."""
    limits = limits or Limits()
    skewness, peak = skew(x), kurtosis(x)
    if math.isnan(skewness):
        return Shape(skew=None, kurtosis=None, passes=None)
    passes = abs(skewness) < limits.skew or peak < limits.kurtosis
    return Shape(skew=skewness, kurtosis=None if math.isnan(peak) else peak, passes=passes)


def winsorise(
    x: Vector, most: int | None = 5, limits: Limits | None = None, *, until_passes: bool = True
) -> Winsorised:
    """Move the most extreme points to the next value, at the end that the skewness points to, until the column passes.

    most: stop when so many points are at the two ends; equal extremes move together, so it may be exceeded. The
    count is of the points now at the end, which holds those moved before. until_passes: False moves `most` in any case.
    """
    values = x.copy()
    high = low = np.zeros(len(x), dtype=np.bool_)
    if most is None and not until_passes:
        raise IndexRefusal("winsorising without a limit and without a test would never stop; state `most`")
    while most is None or high.sum() + low.sum() < most:
        test = shape(values, limits)
        if test.passes is None or (until_passes and test.passes) or test.skew is None:
            break
        if test.skew >= 0:
            high = values == np.nanmax(values)
            values[high] = np.nanmax(values[~high])
        else:
            low = values == np.nanmin(values)
            values[low] = np.nanmin(values[~low])
    return Winsorised(values=values, high=high, low=low)


def log_ct(x: Vector) -> Vector:
    """ln(x - min + (max - min) / 100)."""
    low, high = np.nanmin(x), np.nanmax(x)
    return np.log(x - low + 0.01 * (high - low))


def log_ct_plus(x: Vector) -> Vector:
    """`log_ct` for a column with a high tail; for a low tail -ln(max + (max - min) / 100 - x), in the same order."""
    if not skew(x) < 0:
        return log_ct(x)
    low, high = np.nanmin(x), np.nanmax(x)
    found: Vector = -np.log(high + 0.01 * (high - low) - x)
    return found


def log_ct_orig(x: Vector) -> Vector:
    """ln(x - min + 1)."""
    return np.log(x - np.nanmin(x) + 1)


def log_gii(x: Vector) -> Vector:
    """ln((max - 1)(x - min) / (max - min) + 1), as in the Global Innovation Index. max > 1: else it turns the order."""
    low, high = np.nanmin(x), np.nanmax(x)
    if high <= 1:
        raise IndexRefusal(
            f"the GII's logarithm turns the order of a column whose largest value is {high:g}; scale it up"
        )
    return np.log((high - 1) * (x - low) / (high - low) + 1)


def box_cox(x: Vector, power: float, *, shift: bool = True) -> Vector:
    """(y**power - 1) / power, ln y at power 0. shift: y = x - min + 1; otherwise y = x, which must be above 0."""
    y = x - np.nanmin(x) + 1 if shift else x
    if np.any(y <= 0):
        raise IndexRefusal("a value is not above 0; shift the column first")
    return np.log(y) if power == 0 else (y**power - 1) / power


def log(x: Vector) -> Vector:
    """ln x of values above 0."""
    if np.any(x <= 0):
        raise IndexRefusal("a value is not above 0 and has no logarithm; use root or log_ct_orig")
    return np.log(x)


def root(x: Vector) -> Vector:
    """sqrt x of values of 0 or more."""
    if np.any(x < 0):
        raise IndexRefusal("a value is below 0 and has no root; use log_ct_plus")
    return np.sqrt(x)


def transform(x: Vector, spec: Treatment) -> Vector:
    """The column by `spec.then`."""
    if spec.then == "box_cox":
        return box_cox(x, spec.box_cox_lambda)
    plain: dict[str, Callable[[Vector], Vector]] = {
        "log_ct": log_ct,
        "log_ct_plus": log_ct_plus,
        "log_ct_orig": log_ct_orig,
        "log_gii": log_gii,
        "log": log,
        "root": root,
        "none": lambda y: y,
    }
    return plain[spec.then](x)


def treat_column(x: Vector, spec: Treatment | None = None) -> tuple[Vector, tuple[str, ...], Winsorised | None]:
    """(n_units,) values after treatment, the steps done, and the winsorised points where they were kept."""
    spec = spec or Treatment()
    test = shape(x, spec.limits)
    if test.passes is None or (test.passes and not spec.always):
        return x, (), None
    moved: Winsorised | None = None
    if spec.winsorise_max != 0 and not spec.always:
        moved = winsorise(x, spec.winsorise_max, spec.limits)
        if shape(moved.values, spec.limits).passes or spec.then == "none":
            return moved.values, ("winsorise",), moved
    if spec.then == "none":
        return x, (), None
    if moved is not None and spec.combine:
        return transform(moved.values, spec), ("winsorise", spec.then), moved
    return transform(x, spec), (spec.then,), None


def treat(
    table: Table, spec: Treatment | None = None, by_indicator: Mapping[str, Treatment | None] | None = None
) -> tuple[Table, tuple[Treated, ...]]:
    """Every column tested and treated; what was done to each, in the table's order.

    by_indicator: another treatment of some columns, None to leave one alone. Raises IndexRefusal for winsorising
    a table of fewer than ten units, and for a transform that a column cannot take.
    """
    values = table.values.copy()
    records = []
    for number, code in enumerate(table.indicators):
        chosen = (by_indicator or {}).get(code, spec or Treatment())
        column = table.values[:, number]
        if chosen is None:
            chosen = Treatment(winsorise_max=0, then="none")
        _allow_few(len(table.units), code, column, chosen)
        try:
            found, done, moved = treat_column(column, chosen)
        except IndexRefusal as error:
            raise IndexRefusal(f"indicator {code}: {error}") from error
        values[:, number] = found
        records.append(_record(table, code, (column, found), done, moved, chosen.limits))
    return table.with_values(values, mark=TREATED, keep_bounds=True), tuple(records)


def _allow_few(units: int, code: str, column: Vector, spec: Treatment) -> None:
    winsorises = spec.winsorise_max != 0 and not spec.always
    if winsorises and units < FEW_UNITS and shape(column, spec.limits).passes is False:
        raise IndexRefusal(
            f"indicator {code}: {units} units are too few to winsorise; test countries before they become regions, "
            "or transform by decision (`always`, with `then`) and show the effect"
        )


def _record(
    table: Table,
    code: str,
    columns: tuple[Vector, Vector],
    done: tuple[str, ...],
    moved: Winsorised | None,
    limits: Limits,
) -> Treated:
    units = table.units
    return Treated(
        indicator=code,
        before=shape(columns[0], limits),
        done=done,
        high=() if moved is None else tuple(units[n] for n in np.flatnonzero(moved.high)),
        low=() if moved is None else tuple(units[n] for n in np.flatnonzero(moved.low)),
        after=shape(columns[1], limits) if done else None,
    )
