"""Which weights of the four groups could give the table published on 2026-05-25: a set, and how little it says.

The published table is never a target: nothing of the index is chosen by it, and no weight here is an estimate.
"""

import csv
from typing import Final

import msgspec
import numpy as np

from tidegate.index.evidence import FACTS
from tidegate.index.polytope import LeftOut, Nearest, consistent_weights, leave_one_out, nearest_weights
from tidegate.index.regional import Index
from tidegate.index.table import IndexRefusal, Vector

PUBLISHED: Final = "published-2026-05-25.csv"
TOLERANCES: Final = (10.0, 15.0, 20.0)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """One group at one tolerance in index points. low, high: of its weight; None where no weights fit.

    stated: the framework's weight among groups with data. part: of all weight sets that fit, however the groups mix.
    """

    tolerance: float
    group: str
    low: float | None
    high: float | None
    stated: float
    part: float


class Weighed(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    bounds: tuple[Bounds, ...]
    nearest: Nearest
    left_out: LeftOut
    readings: tuple[str, ...]


def published(regions: tuple[str, ...]) -> Vector:
    """(regions,) the nine numbers as published. Raises IndexRefusal for a region that the table leaves out."""
    with (FACTS / PUBLISHED).open(encoding="utf-8") as file:
        said = {row["region"]: float(row["published"]) for row in csv.DictReader(file)}
    if left := [region for region in regions if region not in said]:
        raise IndexRefusal(f"{PUBLISHED} leaves out {left[0]}; add its row")
    return np.array([said[region] for region in regions])


def weighed(index: Index, tolerances: tuple[float, ...] = TOLERANCES) -> Weighed:
    """The sets of weights that bring every region within a tolerance, the nearest miss, and leave-one-out."""
    scores, table = 100.0 * index.z, published(index.regions)
    found, readings = [], []
    for tolerance in tolerances:
        sets = consistent_weights(scores, table, tolerance, seed=index.spec.seed)
        readings.append(sets.reading)
        for at, group in enumerate(index.groups):
            none = bool(np.isnan(sets.low[at]))
            found.append(
                Bounds(
                    tolerance=tolerance,
                    group=group,
                    low=None if none else float(sets.low[at]),
                    high=None if none else float(sets.high[at]),
                    stated=float(index.weights[at]),
                    part=sets.part,
                )
            )
    return Weighed(
        bounds=tuple(found),
        nearest=nearest_weights(scores, table),
        left_out=leave_one_out(scores, table),
        readings=tuple(readings),
    )
