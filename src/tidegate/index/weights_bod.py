"""Benefit of the doubt: each unit under the weights that suit it best, within limits.

Without limits many units reach 1 by weighing one column only (20 of 51 countries on a known set), so limits on each
column's share of the score are asked for. Source: Cherchye et al., Social Indicators Research 82 (2007) 111-145.
"""

import msgspec
import numpy as np

from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats


class Doubt(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """scores: (units,) from 0 to 1, 1 where the unit is at the frontier; weights: (units, columns) its own best."""

    scores: Floats
    weights: Floats


def benefit_of_doubt(values: Floats, low: Floats | None, high: Floats | None) -> Doubt:
    """max w z_u subject to w z_v <= 1 for every unit v, w >= 0 and share limits low <= w_i z_ui / w z_u <= high.

    values: (units, columns) of 0 or more without gaps, higher better. low, high: (columns,) shares from 0 to 1; None
    for no limits, which must be written out. A column where a unit is 0 can carry no share, so its lower limit binds
    the unit's score to 0. Raises IndexRefusal for limits that no shares meet.
    """
    from scipy.optimize import linprog

    check(values, low, high)
    units, columns = values.shape
    scores, weights = np.empty(units), np.empty((units, columns))
    for unit in range(units):
        own = np.diag(values[unit])
        rows, sides = [values], [np.ones(units)]
        if low is not None:
            rows.append(np.outer(low, values[unit]) - own)
            sides.append(np.zeros(columns))
        if high is not None:
            rows.append(own - np.outer(high, values[unit]))
            sides.append(np.zeros(columns))
        done = linprog(-values[unit], A_ub=np.vstack(rows), b_ub=np.concatenate(sides), method="highs")
        if not done.success:
            raise IndexRefusal(f"Unit {unit} has no weights within the limits: {done.message}")
        scores[unit], weights[unit] = -done.fun, done.x
    return Doubt(scores=np.clip(scores, 0.0, 1.0), weights=weights)


def check(values: Floats, low: Floats | None, high: Floats | None) -> None:
    if np.isnan(values).any() or (values < 0).any():
        wrong = np.isnan(values) | (values < 0)
        row, column = np.argwhere(wrong)[0]
        raise IndexRefusal(f"Unit {row}, column {column} holds {values[row, column]:g}; 0 or more is needed.")
    least = np.zeros(values.shape[1]) if low is None else low
    most = np.ones(values.shape[1]) if high is None else high
    if (least > most).any() or least.sum() > 1 + 1e-12 or most.sum() < 1 - 1e-12:
        raise IndexRefusal(
            f"No shares meet the limits: lower ones sum to {least.sum():g}, upper ones to {most.sum():g}; "
            "lower must be at most 1, upper at least 1, each pair in order."
        )
