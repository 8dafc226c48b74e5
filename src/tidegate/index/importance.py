"""What a weight does, beside what it is: a group's weight, its correlation with the index and its first-order effect.

The effect is Var(E[index | group]) / Var(index), with the conditional mean by local linear regression whose width
leaves out each unit in turn. It needs many units; with nine regions it says nothing. Source: Paruolo, Saisana and
Saltelli, Journal of the Royal Statistical Society A 176 (2013) 609-634.
"""

from typing import Final

import msgspec
import numpy as np

from tidegate.index.correlate import pairs, pearson
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats, Tree, effective_weights

UNITS_MIN: Final = 10
WIDTHS: Final = np.geomspace(0.1, 5.0, 25)
"""Kernel widths tried, in standard deviations of the column."""


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    """weight: in the index, a fraction of 1. effect: part of the index's variance; n: units it rests on."""

    code: str
    weight: float
    correlation: float
    effect: float
    n: int


def importances(table: Floats, tree: Tree, weights: Floats, codes: tuple[str, ...]) -> tuple[Importance, ...]:
    """For elements by code. table: (units, columns), as `aggregate` returns it."""
    shares, index = effective_weights(tree, weights), table[:, tree.root.column]
    return tuple(
        Importance(
            code=code,
            weight=float(shares[place]),
            correlation=pearson(table[:, place], index),
            effect=main_effect(table[:, place], index),
            n=len(pairs(table[:, place], index)[0]),
        )
        for code in codes
        for place in [tree.column(code)]
    )


def main_effect(x: Floats, y: Floats) -> float:
    """Var(E[y | x]) / Var(y), between 0 and 1. Raises IndexRefusal for fewer than ten units or a constant column."""
    x, y = pairs(x, y)
    if len(x) < UNITS_MIN:
        raise IndexRefusal(f"An effect needs {UNITS_MIN} units or more, not {len(x)}; take countries, not regions.")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise IndexRefusal("A column is constant: it has no effect and feels none.")
    best, fitted = np.inf, y
    for width in WIDTHS * x.std():
        smooth = smoother(x, float(width))
        own = np.diag(smooth)
        if (own > 1 - 1e-9).any():
            continue  # a unit so far from all others that it only sees itself
        guess = smooth @ y
        error = float(np.square((y - guess) / (1 - own)).mean())
        if error < best:
            best, fitted = error, guess
    if not np.isfinite(best):
        return pearson(x, y) ** 2
    return float(min(1.0, fitted.var() / y.var()))


def smoother(x: Floats, width: float) -> Floats:
    """(units, units) matrix that turns y into its local linear estimate with a Gaussian kernel."""
    apart = x[None] - x[:, None]
    kernel = np.exp(-0.5 * np.square(apart / width))
    zero, one, two = (np.sum(kernel * apart**power, axis=1, keepdims=True) for power in (0, 1, 2))
    base = zero * two - one**2
    flat = np.abs(base) < 1e-12 * np.maximum(zero * two, 1e-300)
    line = kernel * (two - one * apart) / np.where(flat, 1.0, base)
    return np.asarray(np.where(flat, kernel / zero, line))
