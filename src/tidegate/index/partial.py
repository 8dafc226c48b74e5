"""An index of which a part is absent for everyone: what it says, and between what bounds the whole could lie."""

import msgspec
import numpy as np

from tidegate.index.table import IndexRefusal, Mask
from tidegate.index.tree import Floats


class Partial(msgspec.Struct, frozen=True, kw_only=True):
    """scores: (units,) from the groups present, weights rescaled among them. absent: group -> share of the weight.

    low, high: (units,) the index if the absent groups stood at the bottom or at the top of the scale.
    """

    scores: Floats
    absent: dict[str, float]
    low: Floats
    high: Floats

    @property
    def absent_weight(self) -> float:
        """The part of the index that rests on nothing, a fraction of 1."""
        return float(sum(self.absent.values()))


def partial_index(
    groups: tuple[str, ...], values: Floats, weights: Floats, bounds: tuple[float, float] = (0.0, 100.0)
) -> Partial:
    """A weighted arithmetic mean over the groups present, with the absent ones named and bounded.

    values: (units, groups); a column of NaN only is an absent group, and each absent group is filled with anything in
    `bounds`. A single gap in a group that others have is filled in the same way for that unit's bounds. Raises
    IndexRefusal when every group is absent.
    """
    missing = np.isnan(values)
    absent: Mask = np.asarray(missing.all(axis=0))
    if absent.all():
        raise IndexRefusal(f"All groups are absent ({', '.join(groups)}): there is nothing to build the index on.")
    shares = weights / weights.sum()
    present = np.where(missing, 0.0, shares)
    known = np.where(missing, 0.0, values) @ shares
    weight = present.sum(axis=1)
    gap = 1.0 - weight
    return Partial(
        scores=np.where(weight > 0, known / np.where(weight > 0, weight, 1.0), np.nan),
        absent={group: float(share) for group, share, gone in zip(groups, shares, absent, strict=True) if gone},
        low=known + gap * bounds[0],
        high=known + gap * bounds[1],
    )
