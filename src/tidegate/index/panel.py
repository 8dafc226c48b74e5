"""Gaps of one period filled from the same unit's other periods."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from tidegate.index.table import IMPUTED, IndexRefusal, Table, Vector

How = Literal["last", "linear", "linear_constant", "constant"]


def impute_panel(tables: Mapping[float, Table], how: How = "last", most_back: int | None = None) -> dict[float, Table]:
    """The tables by period with gaps filled; periods are numbers, such as years, and come back in their order.

    how: `last` takes the latest earlier value, at most `most_back` periods of the panel back; `linear` lies on the line
    between the neighbours and leaves the ends open; `linear_constant` also continues the first and last value outward;
    `constant` keeps a value until the next, and the first backward. Units may differ between periods, indicators not.
    """
    if len(tables) < 2:
        raise IndexRefusal(f"{len(tables)} period; a panel has at least two")
    if len({table.indicators for table in tables.values()}) != 1:
        raise IndexRefusal("the periods have different indicators; pick those that all have")
    if most_back is not None and how != "last":
        raise IndexRefusal(f"most_back is of `last`; {how} looks at all periods")
    if most_back is not None and most_back < 1:
        raise IndexRefusal(f"most_back is {most_back}; at least one period back")
    times = sorted(tables)
    filled = {time: tables[time].values.copy() for time in times}
    for unit in dict.fromkeys(unit for time in times for unit in tables[time].units):
        having = [time for time in times if unit in tables[time].units]
        rows = [tables[time].units.index(unit) for time in having]
        series = np.array([tables[time].values[row] for time, row in zip(having, rows, strict=True)])
        for number in range(series.shape[1]):
            whole = _last(series[:, number], having, times, most_back) if how == "last" else None
            column = _between(having, series[:, number], how) if whole is None else whole
            for time, row, value in zip(having, rows, column, strict=True):
                filled[time][row, number] = value
    return {time: tables[time].with_values(filled[time], mark=IMPUTED, keep_bounds=True) for time in times}


def _last(y: Vector, having: Sequence[float], times: Sequence[float], most_back: int | None) -> Vector:
    """most_back counts the panel's periods, in which the unit may be absent."""
    found = y.copy()
    places = [times.index(time) for time in having]
    latest: int | None = None
    for number, place in enumerate(places):
        if not np.isnan(y[number]):
            latest = number
        elif latest is not None and (most_back is None or place - places[latest] <= most_back):
            found[number] = y[latest]
    return found


def _between(having: Sequence[float], y: Vector, how: How) -> Vector:
    present = ~np.isnan(y)
    if not present.any() or present.all():
        return y
    t = np.asarray(having, dtype=np.float64)
    if how == "constant":
        at = np.searchsorted(t[present], t, side="right") - 1
        step: Vector = y[present][np.maximum(at, 0)]
        return step
    ends = (np.nan, np.nan) if how == "linear" else (None, None)
    line: Vector = np.interp(t, t[present], y[present], left=ends[0], right=ends[1])
    return np.where(present, y, line)
