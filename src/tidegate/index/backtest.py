"""Did the index foretell usage: the regional shares it implies against observed ones, beside simple baselines."""

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from tidegate.index.correlate import kendall, pairs, spearman
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats

SUM_MIN: Final = 1e-12


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How near one prediction came. distance: total variation, 0 for the same shares and 1 for none in common."""

    predictor: str
    spearman: float
    kendall: float
    distance: float
    n: int


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """skill: by baseline, 1 less the ratio of distances: above 0 the index is nearer than the baseline, 1 is exact.

    None where the baseline itself is exact. truth: what was observed, with its bias stated by whoever ran this.
    """

    truth: str
    index: Score
    baselines: tuple[Score, ...]
    skill: dict[str, float | None]


def backtest(index: Floats, observed: Floats, baselines: Mapping[str, Floats], truth: str) -> Backtest:
    """Compare the shares that an index implies with those observed later.

    index, observed, each baseline: (units,) in any unit, 0 or more; all are compared as shares over the units where
    every one of them is known. Raises IndexRefusal with fewer than three such units.
    """
    columns = {"index": index, "observed": observed, **baselines}
    known = ~np.any([np.isnan(column) for column in columns.values()], axis=0)
    if known.sum() < 3:
        raise IndexRefusal(f"Only {int(known.sum())} units are known to index, truth and baselines; three are needed.")
    truth_share = shares(observed[known], truth)
    own = score("index", index[known], truth_share)
    others = tuple(score(name, column[known], truth_share) for name, column in baselines.items())
    skill = {
        other.predictor: None if other.distance < SUM_MIN else 1.0 - own.distance / other.distance for other in others
    }
    return Backtest(truth=truth, index=own, baselines=others, skill=skill)


def score(predictor: str, predicted: Floats, truth_share: Floats) -> Score:
    """Order and shares of one predictor."""
    return Score(
        predictor=predictor,
        spearman=spearman(predicted, truth_share),
        kendall=kendall(predicted, truth_share),
        distance=total_variation(shares(predicted, predictor), truth_share),
        n=len(truth_share),
    )


def shares(values: Floats, name: str) -> Floats:
    """values / sum. Raises IndexRefusal for a value below 0 or a sum of 0."""
    if (values < 0).any():
        raise IndexRefusal(f"{name} has a value of {values.min():g}; shares need 0 or more.")
    if values.sum() <= 0:
        raise IndexRefusal(f"{name} sums to 0: there are no shares of it.")
    return np.asarray(values / values.sum())


def total_variation(p: Floats, q: Floats) -> float:
    """Half the sum of absolute differences, over the units that have both."""
    p, q = pairs(p, q)
    return float(0.5 * np.abs(p - q).sum())
