"""From figures by region to scores, for one choice of method or for ten thousand at once.

Inside a group: ratio to the leader, then the weighted mean. Between groups: each group is put on one scale by the
chosen normalisation (with `ratio`: its leader is 1), then weighed. Groups without data take no part; their weight is
told beside the result, never handed out in silence.
"""

from collections.abc import Callable
from typing import Final, Literal

import numpy as np

from tidegate.index.framework import Framework
from tidegate.index.table import IndexRefusal, Matrix, Vector

Between = Literal["ratio", "minmax", "root", "log", "rank"]
Mean = Literal["arithmetic", "geometric"]

LEAST: Final = 0.01
"""What a group's score counts at least in a geometric mean, where the leader has 1: a zero would wipe out the rest."""


def _ratio(x: Matrix) -> Matrix:
    return np.asarray(x / x.max(axis=-1, keepdims=True))


def _minmax(x: Matrix) -> Matrix:
    low = x.min(axis=-1, keepdims=True)
    return np.asarray((x - low) / (x.max(axis=-1, keepdims=True) - low))


def _root(x: Matrix) -> Matrix:
    return np.asarray(np.sqrt(_ratio(x)))


def _log(x: Matrix) -> Matrix:
    """The smallest region that has anything is the floor of the scale, and so 0, as are those that have nothing."""
    floor = np.where(x > 0, x, np.inf).min(axis=-1, keepdims=True)
    return np.asarray(np.log(np.maximum(x, floor) / floor) / np.log(x.max(axis=-1, keepdims=True) / floor))


def _rank(x: Matrix) -> Matrix:
    """The part of the other regions that stand below: 1 for the leader, 0 for the last; equal figures count half."""
    below = (x[..., :, None] > x[..., None, :]).sum(axis=-1)
    equal = (x[..., :, None] == x[..., None, :]).sum(axis=-1) - 1
    return np.asarray((below + equal / 2) / (x.shape[-1] - 1))


NORMALISATIONS: Final[dict[str, Callable[[Matrix], Matrix]]] = {
    "ratio": _ratio,
    "minmax": _minmax,
    "root": _root,
    "log": _log,
    "rank": _rank,
}
MEANS: Final = ("arithmetic", "geometric")


def present_groups(framework: Framework) -> tuple[str, ...]:
    """Groups with data, in the framework's order."""
    return tuple(g.code for g in framework.groups if g.parent == framework.root and not g.absent)


def absent_weights(framework: Framework) -> dict[str, float]:
    """Groups without data, with their part of the whole weight."""
    weights = framework.effective_weights()
    return {g.code: weights[g.code] for g in framework.groups if g.parent == framework.root and g.absent}


def group_weights(framework: Framework, weights: dict[str, float] | None = None) -> Vector:
    """(n_groups,) weights of the groups with data, summing to 1. weights: by group; None: the framework's.

    Raises IndexRefusal for a group that is unknown, absent or left out, and for weights below zero or all zero.
    """
    groups = present_groups(framework)
    if weights is None:
        weights = {group: framework.weight(group) for group in groups}
    if wrong := [group for group in weights if group not in groups]:
        raise IndexRefusal(f"no weight can be given to {wrong[0]!r}; groups with data are {', '.join(groups)}")
    if left := [group for group in groups if group not in weights]:
        raise IndexRefusal(f"group {left[0]!r} has no weight; give one to each of {', '.join(groups)}")
    found = np.array([weights[group] for group in groups], dtype=np.float64)
    if (found < 0).any() or found.sum() <= 0:
        raise IndexRefusal(f"weights {dict(weights)}: none may be below 0, and one must be above it")
    return np.asarray(found / found.sum())


def group_scores(framework: Framework, figures: dict[str, Matrix]) -> Matrix:
    """(..., n_regions, n_groups) of figures (..., n_regions) by indicator: the mean ratio to the leader in a group.

    Raises IndexRefusal for an indicator in which all regions are equal, none is above zero, or one has no figure.
    """
    scores = []
    for group in present_groups(framework):
        codes = framework.leaves(group)
        shares = np.array([framework.weight(code) for code in codes])
        parts = []
        for code in codes:
            x = figures[code]
            if np.isnan(x).any():
                empty = framework.units[int(np.argwhere(np.isnan(x))[0][-1])]
                raise IndexRefusal(
                    f"{code} has no figure for {empty}; add a bound or a floor as region:{empty}, or leave {code} out"
                )
            if (x.max(axis=-1) <= 0).any() or (x.max(axis=-1) == x.min(axis=-1)).any():
                raise IndexRefusal(
                    f"{code} is the same in every region, or zero: it cannot tell them apart; leave it out"
                )
            parts.append(x if len(codes) == 1 else _ratio(x))
        scores.append(np.einsum("k...r,k->...r", np.stack(parts), shares / shares.sum()))
    return np.stack(scores, axis=-1)


def normalised(scores: Matrix, between: str) -> Matrix:
    """(..., n_regions, n_groups) on one scale, the leader of each group at 1."""
    if between not in NORMALISATIONS:
        raise IndexRefusal(f"no normalisation {between!r} between groups; there are {', '.join(NORMALISATIONS)}")
    return np.asarray(np.moveaxis(NORMALISATIONS[between](np.moveaxis(scores, -1, -2)), -2, -1))


def combined(z: Matrix, weights: Matrix, mean: str) -> Matrix:
    """(..., n_regions) the weighted mean over groups. weights: (..., n_groups), summing to 1."""
    if mean not in MEANS:
        raise IndexRefusal(f"no mean {mean!r}; there are {', '.join(MEANS)}")
    if mean == "arithmetic":
        return np.asarray(np.einsum("...rg,...g->...r", z, weights))
    return np.asarray(np.exp(np.einsum("...rg,...g->...r", np.log(_above_zero(z)), weights)))


def _above_zero(z: Matrix) -> Matrix:
    """Scores that a geometric mean can take. A scale whose last region has 0 by its making (min-max, log, rank) is
    lifted by LEAST as a whole, so that the last two regions still differ; on any other the smallest count as LEAST.
    """
    begins_at_zero = z.min(axis=-2, keepdims=True) <= 0
    return np.asarray(np.where(begins_at_zero, z + LEAST, np.maximum(z, LEAST)))


def leader_100(scores: Matrix) -> Matrix:
    """(..., n_regions) with the leader at 100."""
    return np.asarray(100.0 * scores / scores.max(axis=-1, keepdims=True))
