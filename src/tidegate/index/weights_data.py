"""Weights that data alone suggest, for comparison only: spread is not importance.

values: (units, columns), normalised to 0..1 with higher better, no gaps. Formulas: entropy (Shannon), standard
deviation, CRITIC (Diakoulaki et al. 1995), Gini, MEREC (Keshavarz-Ghorabaee et al. 2021).
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from tidegate.index.correlate import correlation_matrix
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats


def entropy(values: Floats) -> Floats:
    """1 less the entropy of each column's shares over ln n, as shares; 0 ln 0 is 0."""
    part = values / values.sum(axis=0)
    logs = np.zeros_like(part)
    np.log(part, out=logs, where=part > 0)
    return share(1.0 + (part * logs).sum(axis=0) / np.log(len(values)))


def deviation(values: Floats) -> Floats:
    """Standard deviations (n - 1) as shares."""
    return share(values.std(axis=0, ddof=1))


def critic(values: Floats) -> Floats:
    """Standard deviation times the sum of 1 - r with the other columns, as shares."""
    return share(values.std(axis=0, ddof=1) * (1.0 - correlation_matrix(values)).sum(axis=0))


def gini(values: Floats) -> Floats:
    """Gini coefficient of each column, sum |x_u - x_v| / (2 n^2 mean), as shares."""
    apart = np.abs(values[:, None] - values[None]).sum(axis=(0, 1))
    return share(apart / (2.0 * len(values) ** 2 * values.mean(axis=0)))


def merec(values: Floats) -> Floats:
    """How much the log score changes without the column, as shares; values above 0."""
    if (values <= 0).any():
        raise IndexRefusal("MEREC takes logarithms: normalise to a range above 0, such as 0.01 to 1.")
    count = values.shape[1]
    logs = np.abs(np.log(values.min(axis=0) / values))
    whole = np.log1p(logs.sum(axis=1) / count)
    less = np.log1p((logs.sum(axis=1, keepdims=True) - logs) / count)
    return share(np.abs(less - whole[:, None]).sum(axis=0))


DATA_WEIGHTS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "entropy": entropy,
    "deviation": deviation,
    "critic": critic,
    "gini": gini,
    "merec": merec,
}


def data_weights(values: Floats, name: str) -> Floats:
    """(columns,) by name. Raises IndexRefusal for gaps, values below 0 or a name that does not exist."""
    if name not in DATA_WEIGHTS:
        raise IndexRefusal(f"No weights {name!r}; there are {', '.join(DATA_WEIGHTS)}.")
    if np.isnan(values).any() or (values < 0).any():
        raise IndexRefusal(f"Weights by {name} need 0 or more in every cell; impute and normalise first.")
    return DATA_WEIGHTS[name](values)


def share(raw: Floats) -> Floats:
    if not raw.sum() > 0:
        raise IndexRefusal("All columns are alike to this method: it gives no weights.")
    return np.asarray(raw / raw.sum())
