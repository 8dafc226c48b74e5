"""The one value that every step of an index takes and returns: units by indicators, with what is known of each cell.

A cell is a number or missing (NaN); missing is never zero. A cell known only within bounds keeps them in `low` and
`high`, with its midpoint in `values`. `marks` says of each cell what it is: a measurement, an estimate of the source's,
an imputed or a treated value. Steps add marks and never take them away.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegate.core.errors import TidegateError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]
Marks = NDArray[np.uint8]

ESTIMATED: Final = 1  # by the source, from other units: its error is wider than a measurement's
BOUNDED: Final = 2  # known between `low` and `high` only
IMPUTED: Final = 4  # by us; the source has no value
TREATED: Final = 8  # an outlier moved, or its column transformed
ASSUMED: Final = 16  # a floor or a stand-in that somebody chose
MARK_NAMES: Final[Mapping[int, str]] = {
    ESTIMATED: "estimated",
    BOUNDED: "bounded",
    IMPUTED: "imputed",
    TREATED: "treated",
    ASSUMED: "assumed",
}


class IndexRefusal(TidegateError):
    """The index cannot be computed as asked; the text names unit or indicator, and the mend."""


class Table(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Units in rows, indicators in columns.

    units: codes of countries or regions, unique. indicators: codes, unique.
    values: (n_units, n_indicators) float64; NaN is missing; never infinite.
    low, high: the same shape, or None where every value is exact; equal to `values` in cells that are exact.
    marks: (n_units, n_indicators) uint8, a sum of ESTIMATED, BOUNDED, IMPUTED, TREATED, ASSUMED; 0 is as measured.
    Arrays are not copied; a step makes new ones.
    """

    units: tuple[str, ...]
    indicators: tuple[str, ...]
    values: Matrix
    marks: Marks
    low: Matrix | None = None
    high: Matrix | None = None

    def __post_init__(self) -> None:
        shape = (len(self.units), len(self.indicators))
        for name, array in (
            ("values", self.values),
            ("marks", self.marks),
            ("low", self.low),
            ("high", self.high),
        ):
            if array is not None and array.shape != shape:
                raise IndexRefusal(
                    f"{name} has shape {array.shape}; {shape[0]} units and {shape[1]} indicators need {shape}"
                )
        for what, codes in (("unit", self.units), ("indicator", self.indicators)):
            if twice := sorted({code for code in codes if codes.count(code) > 1}):
                raise IndexRefusal(f"{what} {twice[0]!r} is there twice; merge its rows or rename one")
        if np.isinf(self.values).any():
            raise IndexRefusal(f"{self.where(np.isinf(self.values))} is infinite; leave it out where it is not known")
        if (self.low is None) != (self.high is None):
            raise IndexRefusal("low is given without high, or high without low; a bound needs both ends")
        if self.low is not None and self.high is not None and (self.low > self.high).any():
            at = self.where(self.low > self.high)
            raise IndexRefusal(f"{at} has a lower bound above its upper bound; swap the two")

    @classmethod
    def of(cls, units: Sequence[str], indicators: Sequence[str], values: object) -> "Table":
        """A table of measured values. values: anything that becomes (n_units, n_indicators) float64; NaN is missing."""
        array = np.array(values, dtype=np.float64)
        if array.size != len(units) * len(indicators):
            shape = f"{len(units)} units by {len(indicators)} indicators"
            raise IndexRefusal(f"{array.size} values do not fill {shape}; a gap is NaN, not a shorter row")
        array = array.reshape(len(units), len(indicators))
        marks = np.zeros(array.shape, dtype=np.uint8)
        return cls(units=tuple(units), indicators=tuple(indicators), values=array, marks=marks)

    @property
    def missing(self) -> Mask:
        """(n_units, n_indicators): True where nothing is known."""
        return np.isnan(self.values)

    def where(self, mask: Mask) -> str:
        """The first cell of a mask, in words: "unit AUT, indicator LPI"."""
        row, column = np.argwhere(mask)[0]
        return f"unit {self.units[row]}, indicator {self.indicators[column]}"

    def at(self, indicator: str) -> int:
        """Column number of an indicator. Raises IndexRefusal naming those that there are."""
        if indicator not in self.indicators:
            raise IndexRefusal(f"no indicator {indicator!r} in the table; there are {', '.join(self.indicators)}")
        return self.indicators.index(indicator)

    def column(self, indicator: str) -> Vector:
        """(n_units,) values of one indicator; NaN is missing."""
        column: Vector = self.values[:, self.at(indicator)]
        return column

    def row(self, unit: str) -> dict[str, float | None]:
        """A unit's values by indicator; None where missing."""
        if unit not in self.units:
            raise IndexRefusal(f"no unit {unit!r} in the table; there are {', '.join(self.units)}")
        values = self.values[self.units.index(unit)]
        return {code: None if np.isnan(x) else float(x) for code, x in zip(self.indicators, values, strict=True)}

    def with_values(self, values: Matrix, *, mark: int = 0, keep_bounds: bool = False) -> "Table":
        """The same cells with other values.

        mark: added where a value differs from before (NaN equals NaN). keep_bounds: `low` and `high` still hold,
        as after an imputation; otherwise the values are on another scale and the bounds go.
        """
        changed = ~((self.values == values) | (np.isnan(self.values) & np.isnan(values)))
        marks = np.where(changed, self.marks | np.uint8(mark), self.marks).astype(np.uint8)
        low, high = self.low, self.high
        if keep_bounds and low is not None and high is not None:
            low, high = np.where(changed, values, low), np.where(changed, values, high)
        kept = (low, high) if keep_bounds else (None, None)
        return msgspec.structs.replace(self, values=values, marks=marks, low=kept[0], high=kept[1])

    def pick(self, *, units: Sequence[str] | None = None, indicators: Sequence[str] | None = None) -> "Table":
        """Some units, some indicators, in the order asked for; all where None."""
        known = {unit: number for number, unit in enumerate(self.units)}
        if unknown := [unit for unit in units or () if unit not in known]:
            raise IndexRefusal(f"no unit {unknown[0]!r} in the table; there are {', '.join(self.units)}")
        rows = [known[unit] for unit in (self.units if units is None else units)]
        columns = [self.at(code) for code in (self.indicators if indicators is None else indicators)]
        cells = np.ix_(rows, columns)
        return Table(
            units=tuple(self.units[row] for row in rows),
            indicators=tuple(self.indicators[column] for column in columns),
            values=self.values[cells],
            marks=self.marks[cells],
            low=None if self.low is None else self.low[cells],
            high=None if self.high is None else self.high[cells],
        )


def bounded(table: Table, bounds: Mapping[tuple[str, str], tuple[float, float]]) -> Table:
    """The table with cells known only as intervals, by (unit, indicator): low, high; their midpoint becomes the value.

    An open end is not an interval: a `< 2 GW` is (0, 2), and whoever writes `> 9` must say what it cannot exceed.
    """
    values, marks = table.values.copy(), table.marks.copy()
    low = values.copy() if table.low is None else table.low.copy()
    high = values.copy() if table.high is None else table.high.copy()
    for (unit, indicator), (lowest, highest) in bounds.items():
        at = f"unit {unit}, indicator {indicator}"
        if unit not in table.units:
            raise IndexRefusal(f"{at}: no such unit; there are {', '.join(table.units)}")
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            raise IndexRefusal(f"{at}: the bound {lowest:g} .. {highest:g} is open; state both ends")
        if lowest > highest:
            raise IndexRefusal(f"{at} has a lower bound {lowest:g} above its upper bound {highest:g}; swap the two")
        cell = table.units.index(unit), table.at(indicator)
        values[cell], low[cell], high[cell] = (lowest + highest) / 2, lowest, highest
        marks[cell] |= BOUNDED
    return msgspec.structs.replace(table, values=values, marks=marks, low=low, high=high)
