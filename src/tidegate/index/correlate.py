"""Three correlations of two columns, over the units that have both."""

from collections.abc import Callable
from typing import Final

import numpy as np

from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats

UNITS_MIN: Final = 3
"""With fewer pairs a correlation is 1, -1 or nothing."""

Correlation = Callable[[Floats, Floats], float]


def pearson(x: Floats, y: Floats) -> float:
    """NaN where fewer than three pairs are there or one column does not vary."""
    x, y = pairs(x, y)
    if len(x) < UNITS_MIN:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else float("nan")


def spearman(x: Floats, y: Floats) -> float:
    """Pearson of the ranks; equal values have the mean of their ranks."""
    x, y = pairs(x, y)
    return pearson(mean_ranks(x), mean_ranks(y))


def kendall(x: Floats, y: Floats) -> float:
    """tau-b: concordant less discordant pairs, corrected for ties."""
    x, y = pairs(x, y)
    if len(x) < UNITS_MIN:
        return float("nan")
    upper = np.triu_indices(len(x), 1)
    first, second = (np.sign(column[:, None] - column[None])[upper] for column in (x, y))
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size > 0 else float("nan")


CORRELATIONS: Final[dict[str, Correlation]] = {"pearson": pearson, "spearman": spearman, "kendall": kendall}


def correlation(kind: str) -> Correlation:
    """By name. Raises IndexRefusal with those that exist."""
    if kind not in CORRELATIONS:
        raise IndexRefusal(f"No correlation {kind!r}; there are {', '.join(CORRELATIONS)}.")
    return CORRELATIONS[kind]


def correlation_matrix(values: Floats, kind: str = "pearson") -> Floats:
    """(columns, columns) of (units, columns); each pair over the units that have both."""
    measure, count = correlation(kind), values.shape[1]
    found = np.eye(count)
    for i in range(count):
        for j in range(i):
            found[i, j] = found[j, i] = measure(values[:, i], values[:, j])
    return found


def pairs(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    both = ~(np.isnan(x) | np.isnan(y))
    return x[both], y[both]


def mean_ranks(x: Floats) -> Floats:
    """1 for the smallest; equal values share the mean of their ranks."""
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2.0)[place.ravel()])
