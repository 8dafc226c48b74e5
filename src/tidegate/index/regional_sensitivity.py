"""Which choice moves the regional index most: for the ranking as a whole, and for each region."""

import msgspec
import numpy as np

from tidegate.index.regional import Index
from tidegate.index.regional_vary import Space, factor_names, worlds
from tidegate.index.scale import ranks
from tidegate.index.sensitivity import Indices, estimate, saltelli
from tidegate.index.table import Matrix
from tidegate.index.uncertainty import mean_rank_shift

BOOTSTRAPS = 200


class Moved(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """shift: indices of the mean absolute rank shift from the index as built; scores, places: (factors, regions)."""

    shift: Indices
    scores: Indices
    places: Indices


def sensitivity(index: Index, space: Space, base: int = 1024, draws: int = BOOTSTRAPS) -> Moved:
    """First and total order indices over the choices of a space, with bootstrap intervals of 90 %.

    base: rows of the design's first half, a power of two; base x (factors + 2) worlds are computed. A choice that the
    space fixes has indices of 0.
    """
    names = factor_names(index.framework)
    cube = saltelli(len(names), base, index.spec.seed)
    spec = index.spec
    found = worlds(index.evidence, index.framework, space, cube, seed=spec.seed, weights=spec.weights)
    return Moved(
        shift=estimate(mean_rank_shift(found, index.scores), names, draws=draws, seed=spec.seed),
        scores=estimate(found, names),
        places=estimate(ranks(found), names),
    )


def dropped(index: Index) -> dict[str, tuple[Matrix, Matrix]]:
    """Without each group with data in turn: scores and rank shifts by region, weights rescaled among the others."""
    found = {}
    for group in index.groups:
        weights = {g: float(w) for g, w in zip(index.groups, index.weights, strict=True)} | {group: 0.0}
        without = msgspec.structs.replace(index, spec=msgspec.structs.replace(index.spec, weights=weights))
        found[group] = (without.scores, np.asarray(without.ranks - index.ranks))
    return found
