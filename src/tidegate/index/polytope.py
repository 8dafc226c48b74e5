"""Which weights could give a published table at all: a set, described from outside, never an estimate.

Nine numbers, one spent on the scale, determine no weights. So this says how near any weights come, between what bounds
each weight may lie, what part of all weight sets fits, and how badly a fit on eight regions misses the ninth.
"""

from typing import Final

import msgspec
import numpy as np

from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats

LEADER: Final = 100.0

READING: Final = (
    "Weights in this region of the simplex would give the published table within {tolerance:g} points from these "
    "inputs; the table was a judgement made before weights were written down; agreement is not evidence that the "
    "index measures demand."
)


class Nearest(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The weights whose largest miss is smallest, with a free scale. deviation: that miss, in points."""

    deviation: float
    weights: Floats
    factor: float


class Consistent(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """low, high: (groups,) bounds of each weight over all sets that fit within the tolerance; NaN where none does.

    part: of all weight sets that fit, by `samples` even draws; reading: the sentence to print beside it.
    """

    tolerance: float
    low: Floats
    high: Floats
    part: float
    samples: int
    reading: str


class LeftOut(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A non-negative fit on all units but one, asked for the one. predicted: (units,); worst: the unit most missed."""

    rmse_inside: float
    rmse_outside: float
    predicted: Floats
    worst: int
    worst_miss: float


def nearest_weights(scores: Floats, published: Floats) -> Nearest:
    """min t subject to |Z u - y| <= t, u >= 0, where u is scale times weights.

    scores: (units, groups) of 0 or more; published: (units,).
    """
    from scipy.optimize import linprog

    check(scores, published)
    units, groups = scores.shape
    slack = np.ones((units, 1))
    done = linprog(
        np.r_[np.zeros(groups), 1.0],
        A_ub=np.block([[scores, -slack], [-scores, -slack]]),
        b_ub=np.r_[published, -published],
        method="highs",
    )
    if not done.success:
        raise IndexRefusal(f"No weights could be compared with the table: {done.message}")
    scaled = done.x[:groups]
    factor = float(scaled.sum())
    weights = scaled / factor if factor > 0 else np.full(groups, np.nan)
    return Nearest(deviation=float(done.x[-1]), weights=weights, factor=factor)


def consistent_weights(
    scores: Floats, published: Floats, tolerance: float, *, leader: bool = True, samples: int = 20000, seed: int = 0
) -> Consistent:
    """Every weight's bounds over the sets that bring all units within the tolerance.

    leader: the scale is set by the best unit standing at 100, as the index itself is; otherwise it is free. Exact
    bounds by fractional linear programmes (Charnes and Cooper 1962), one for each unit that could lead.
    """
    check(scores, published)
    if tolerance < 0:
        raise IndexRefusal(f"A tolerance is 0 or more index points, not {tolerance:g}.")
    leaders: list[int | None] = list(range(len(published))) if leader else [None]
    groups = scores.shape[1]
    low, high = np.full(groups, np.nan), np.full(groups, np.nan)
    for first in leaders:
        for group in range(groups):
            least = extreme(scores, published, tolerance, first, group, 1.0)
            if least is None:
                break
            most = extreme(scores, published, tolerance, first, group, -1.0)
            low[group] = np.fmin(low[group], least)
            high[group] = np.fmax(high[group], least if most is None else most)
    return Consistent(
        tolerance=tolerance,
        low=low,
        high=high,
        part=fitting_part(scores, published, tolerance, leader=leader, samples=samples, seed=seed),
        samples=samples,
        reading=READING.format(tolerance=tolerance),
    )


def extreme(
    scores: Floats, published: Floats, tolerance: float, first: int | None, group: int, sign: float
) -> float | None:
    """The least (sign 1) or largest (sign -1) weight of a group when unit `first` leads; None where nothing fits.

    Variables are the weights z with sum 1 and a scale s: |Z z - y s| <= e s.
    """
    from scipy.optimize import linprog

    units, groups = scores.shape
    over = np.c_[scores, -(published + tolerance)]
    under = np.c_[-scores, published - tolerance]
    rows, equal, sides = [over, under], [np.r_[np.ones(groups), 0.0]], [1.0]
    if first is not None:
        rows.append(np.c_[scores, np.full(units, -LEADER)])
        equal.append(np.r_[scores[first], -LEADER])
        sides.append(0.0)
    limits = np.vstack(rows)
    done = linprog(
        sign * np.eye(groups + 1)[group],
        A_ub=limits,
        b_ub=np.zeros(len(limits)),
        A_eq=np.array(equal),
        b_eq=sides,
        method="highs",
    )
    return float(done.x[group]) if done.success else None


def fitting_part(
    scores: Floats, published: Floats, tolerance: float, *, leader: bool, samples: int, seed: int
) -> float:
    """Part of all weight sets (even on the simplex) for which a scale brings every unit within the tolerance."""
    weights = np.random.default_rng(seed).dirichlet(np.ones(scores.shape[1]), samples)
    index = weights @ scores.T
    if leader:
        best = index.max(axis=1, keepdims=True)
        fits = np.abs(LEADER * index / np.where(best > 0, best, np.nan) - published) <= tolerance
        return float(fits.all(axis=1).mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(index > 0, (published - tolerance) / index, np.where(published > tolerance, np.inf, -np.inf))
        most = np.where(index > 0, (published + tolerance) / index, np.inf)
    return float((np.maximum(least.max(axis=1), 0.0) <= most.min(axis=1)).mean())


def leave_one_out(scores: Floats, published: Floats) -> LeftOut:
    """Non-negative least squares without each unit in turn, beside the fit on all of them."""
    from scipy.optimize import nnls

    check(scores, published)
    inside = scores @ nnls(scores, published)[0] - published
    predicted = np.empty(len(published))
    for unit in range(len(published)):
        kept = np.arange(len(published)) != unit
        predicted[unit] = scores[unit] @ nnls(scores[kept], published[kept])[0]
    missed = np.abs(predicted - published)
    return LeftOut(
        rmse_inside=float(np.sqrt(np.square(inside).mean())),
        rmse_outside=float(np.sqrt(np.square(missed).mean())),
        predicted=predicted,
        worst=int(missed.argmax()),
        worst_miss=float(missed.max()),
    )


def check(scores: Floats, published: Floats) -> None:
    if scores.shape[0] != len(published):
        raise IndexRefusal(f"{scores.shape[0]} units have scores and {len(published)} are published; give the same.")
    if np.isnan(scores).any() or (scores < 0).any():
        row, column = np.argwhere(np.isnan(scores) | (scores < 0))[0]
        raise IndexRefusal(f"Unit {row}, group {column} holds {scores[row, column]:g}; a score of 0 or more is needed.")
    if np.isnan(published).any():
        raise IndexRefusal(f"Unit {int(np.isnan(published).argmax())} has no published number; leave it out.")
