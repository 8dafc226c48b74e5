"""Weight sets: named, relative inside a parent, and never below zero.

What a person decides stands here (equal, by count, a budget, experts' intervals); what data suggest is in
`weights_pca`, `weights_balance`, `weights_bod` and `weights_data`.
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats, Tree, check_weights


class WeightSet(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """values: (columns,) relative inside each parent. basis: who set them or how; it is part of every output."""

    name: str
    version: str
    basis: str
    values: Floats


def equal_weights(tree: Tree) -> Floats:
    """(columns,) every child of a parent weighs the same."""
    return np.ones(len(tree.codes))


def count_weights(tree: Tree) -> Floats:
    """(columns,) each composite weighs as many indicators as it holds, so that every indicator counts the same."""
    weights = np.ones(len(tree.codes))
    for node in tree.nodes:
        weights[node.column] = weights[list(node.children)].sum()
    weights[tree.root.column] = 1.0
    return weights


def budget_weights(allocations: Floats) -> Floats:
    """(children,) mean of what each person gave out of their own budget. allocations: (people, children).

    Budgets of different size count the same. Raises IndexRefusal for an allocation below 0 or an empty budget.
    """
    if (allocations < 0).any():
        person, child = np.argwhere(allocations < 0)[0]
        raise IndexRefusal(f"Person {person} gives {allocations[person, child]:g} to child {child}; 0 is the least.")
    totals = allocations.sum(axis=1, keepdims=True)
    if (totals <= 0).any():
        raise IndexRefusal(f"Person {int(np.argmin(totals))} gives nothing to anything; leave that row out.")
    return np.asarray((allocations / totals).mean(axis=0))


def with_weights(tree: Tree, weights: Floats, changes: Mapping[str, float]) -> Floats:
    """(columns,) the same weights but for some codes. Raises IndexRefusal by code."""
    changed = weights.astype(np.float64).copy()
    for code, weight in changes.items():
        changed[tree.column(code)] = weight
    check_weights(tree, changed)
    return changed


class Expert(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Weights on the simplex inside intervals. low, high: (children,) shares from 0 to 1."""

    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        for place, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if not 0 <= low <= high <= 1:
                raise IndexRefusal(f"Interval {low:g} to {high:g} of child {place} is not inside 0 to 1 and in order.")
        if self.low.sum() > 1 or self.high.sum() < 1:
            raise IndexRefusal(
                f"No shares fit: the lower ends sum to {self.low.sum():g} (at most 1), "
                f"the upper ends to {self.high.sum():g} (at least 1)."
            )

    def central(self) -> Floats:
        """(children,) the point where each interval is used to the same part, which sums to 1."""
        room = self.high.sum() - self.low.sum()
        part = 0.0 if room == 0 else (1.0 - self.low.sum()) / room
        return np.asarray(self.low + part * (self.high - self.low))

    def draw(self, sets: int, seed: int, burn: int = 50) -> Floats:
        """(sets, children) evenly over all shares inside the intervals (hit and run from the central point)."""
        random = np.random.default_rng(seed)
        point, count = self.central(), len(self.low)
        found = np.empty((sets, count))
        if count == 1:
            return np.ones((sets, 1))
        for step in range(sets + burn):
            for _ in range(count):
                way = random.standard_normal(count)
                way -= way.mean()
                live = np.abs(way) > 1e-12
                ends = np.stack([self.low - point, self.high - point])[:, live] / way[live]
                least, most = ends.min(axis=0).max(), ends.max(axis=0).min()
                point = np.clip(point + random.uniform(least, max(least, most)) * way, self.low, self.high)
            if step >= burn:
                found[step - burn] = point / point.sum()
        return found
