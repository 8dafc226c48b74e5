"""Amounts by the size of the unit: dollars by head, gigawatts by dollar of GDP."""

from collections.abc import Mapping

import numpy as np

from tidegate.index.framework import Framework
from tidegate.index.table import IndexRefusal, Table


def denominate(table: Table, framework: Framework, sizes: Table, scale: Mapping[str, float] | None = None) -> Table:
    """Each indicator that names a denominator divided by it; the others as they are.

    sizes: the denominators, by unit. scale: per how much of the denominator, by indicator: 1000 is per thousand; 1
    where not said. A missing denominator leaves the cell missing; bounds are divided too. Raises IndexRefusal for a
    unit without a row, a denominator that is no column, and one of 0 or less.
    """
    if left_out := [unit for unit in table.units if unit not in sizes.units]:
        raise IndexRefusal(f"unit {left_out[0]} has no row among the denominators; add it, empty where not known")
    if unknown := sorted(set(scale or ()) - set(table.indicators)):
        raise IndexRefusal(
            f"scale names {unknown[0]!r}, which is no indicator; there are {', '.join(table.indicators)}"
        )
    matched = sizes.pick(units=table.units)
    divisors = np.ones_like(table.values)
    for number, code in enumerate(table.indicators):
        if denominator := framework.indicator(code).denominator:
            divisors[:, number] = matched.column(denominator) / (scale or {}).get(code, 1.0)
    if (divisors <= 0).any():
        row, column = np.argwhere(divisors <= 0)[0]
        unit, code = table.units[row], table.indicators[column]
        raise IndexRefusal(
            f"unit {unit}: denominator {framework.indicator(code).denominator} of {code} is not above 0; "
            "leave it empty where it is not known"
        )
    return Table(
        units=table.units,
        indicators=table.indicators,
        values=table.values / divisors,
        marks=table.marks,
        low=None if table.low is None else table.low / divisors,
        high=None if table.high is None else table.high / divisors,
    )


def denominated_unit(framework: Framework, code: str, scale: float = 1.0) -> str:
    """What a denominated indicator is measured in: "USD per 1000 persons"; its own unit where it has no denominator."""
    indicator = framework.indicator(code)
    if not indicator.denominator:
        return indicator.unit
    units = {size.code: size.unit for size in framework.sizes}
    units |= {other.code: other.unit for other in framework.indicators}
    many = "" if scale == 1 else f"{scale:g} "
    return f"{indicator.unit} per {many}{units[indicator.denominator]}"
