"""Weights under which each group correlates with the index as much as it is meant to matter.

The search stays on the simplex, so no weight can turn negative, and what is reported belongs to the weights returned,
not to the last ones tried. Source: Becker et al., Ecological Indicators 80 (2017) 12-22, with the constraint added.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from tidegate.index.correlate import correlation
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats

STARTS: Final = 8
"""The objective has local minima; the best of these many seeded starts is kept."""


class Balance(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """weights, target, obtained: (groups,) each sums to 1; obtained are the correlations' shares at these weights.

    distance: sum of squared differences of obtained and target; 0 where the target can be met.
    """

    weights: Floats
    target: Floats
    obtained: Floats
    correlations: Floats
    distance: float


def balance_weights(
    groups: Floats,
    target: Floats,
    *,
    index: Callable[[Floats], Floats] | None = None,
    kind: str = "pearson",
    seed: int = 0,
) -> Balance:
    """Weights >= 0 with sum 1 that bring the correlations' shares nearest to the target.

    groups: (units, groups) scores of the level to weigh; target: (groups,) relative importance. index: (groups,)
    weights -> (units,) index, for levels in between; None is the weighted mean of the groups. Raises IndexRefusal
    when a group is constant or a target is not above 0.
    """
    from scipy.optimize import minimize

    check(groups, target)
    measure, wanted = correlation(kind), target / target.sum()
    build = index or (lambda weights: groups @ weights)

    def importances(weights: Floats) -> Floats:
        whole = build(weights)
        return np.array([measure(groups[:, place], whole) for place in range(groups.shape[1])])

    def distance(weights: Floats) -> float:
        found = importances(weights / weights.sum())
        total = found.sum()
        return float(np.square(found / total - wanted).sum()) if total > 0 else 4.0

    random = np.random.default_rng(seed)
    starts = [wanted, *random.dirichlet(np.ones(len(wanted)), STARTS - 1)]
    rule = {"type": "eq", "fun": lambda weights: weights.sum() - 1.0}
    tries = []
    for start in starts:
        bounds = [(0.0, 1.0)] * len(start)
        done = minimize(
            distance, start, method="SLSQP", bounds=bounds, constraints=[rule], options={"ftol": 1e-15, "maxiter": 500}
        )
        weights = np.clip(done.x, 0.0, None)
        if weights.sum() > 0:
            tries.append(weights / weights.sum())
    best = min(tries, key=distance)
    found = importances(best)
    return Balance(
        weights=best, target=wanted, obtained=found / found.sum(), correlations=found, distance=distance(best)
    )


def check(groups: Floats, target: Floats) -> None:
    if len(target) != groups.shape[1] or len(target) < 2:
        raise IndexRefusal(f"{len(target)} targets for {groups.shape[1]} groups; give one each, for two or more.")
    if (target <= 0).any():
        raise IndexRefusal(f"Target {int(np.argmin(target))} is {target.min():g}; an importance is above 0.")
    if np.isnan(groups).any():
        row, column = np.argwhere(np.isnan(groups))[0]
        raise IndexRefusal(f"Unit {row} has no score in group {column}; balance needs a full table.")
    if (np.ptp(groups, axis=0) == 0).any():
        raise IndexRefusal(f"Group {int(np.argmin(np.ptp(groups, axis=0)))} is constant: it correlates with nothing.")
