"""Scores on a scale that people read, and ranks."""

import msgspec
import numpy as np

from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats


class Scaled(msgspec.Struct, frozen=True, kw_only=True):
    """Scores with the best unit at 100. scores: (units,) unrounded; factor: what each was multiplied by."""

    scores: Floats
    factor: float
    leader: int


def leader_scale(scores: Floats) -> Scaled:
    """100 x / max x. Raises IndexRefusal unless the best score is above 0: a ratio to it would have no meaning."""
    if np.isnan(scores).all():
        raise IndexRefusal("No unit has a score, so none leads.")
    leader = int(np.nanargmax(scores))
    if scores[leader] <= 0:
        raise IndexRefusal(f"The best score is {scores[leader]:g}; scale to the leader needs one above 0.")
    factor = 100.0 / float(scores[leader])
    return Scaled(scores=scores * factor, factor=factor, leader=leader)


def leader_scales(scores: Floats) -> Floats:
    """(..., units) each row with its own best unit at 100; NaN stays."""
    best = np.fmax.reduce(scores, axis=-1, keepdims=True)
    if (best <= 0).any():
        raise IndexRefusal(f"A best score is {best.min():g}; scale to the leader needs one above 0.")
    scaled: Floats = 100.0 * scores / best
    return scaled


def ranks(scores: Floats) -> Floats:
    """(..., units) 1 for the highest; equal scores share the best of their ranks; NaN has none.

    Take them from unrounded scores: rounding makes ties that are not there.
    """
    low = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-low, axis=-1, kind="stable")
    held = np.take_along_axis(low, order, axis=-1)
    place = np.broadcast_to(np.arange(1.0, scores.shape[-1] + 1), held.shape).copy()
    place[..., 1:][held[..., 1:] == held[..., :-1]] = 0.0
    place = np.maximum.accumulate(place, axis=-1)
    found = np.empty(scores.shape)
    np.put_along_axis(found, order, place, axis=-1)
    return np.where(np.isnan(scores), np.nan, found)
