"""The regional index under every choice that could have been made: which map, which reading of China, which method,
which weights, and how wrong the figures themselves may be.

One row of a unit cube is one world: its first numbers choose, the others set weights. So the same function serves
random runs and a sensitivity design.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final, Literal

import msgspec
import numpy as np

from tidegate.index.evidence import Evidence, map_names, read_map
from tidegate.index.framework import Framework
from tidegate.index.regional_columns import China, columns_of, region_table
from tidegate.index.regional_scores import (
    MEANS,
    NORMALISATIONS,
    combined,
    group_scores,
    group_weights,
    leader_100,
    normalised,
    present_groups,
)
from tidegate.index.scale import ranks
from tidegate.index.table import IndexRefusal, Matrix, Vector
from tidegate.index.uncertainty import above, rank_probability

Weighing = Literal["near", "simplex", "fixed"]

CHOICES: Final = ("map", "china", "normalisation", "mean")
NEAR: Final = 0.25
ERROR_DRAWS: Final = 1000
"""Sets of errors of the figures, drawn once for each map and reading; a run takes one of them."""
RUNS_MAX: Final = 1_000_000


class Space(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may vary. One entry fixes a choice.

    weighing: `near` draws each weight within 25 % of the set's, `simplex` any weights alike likely, `fixed` none.
    errors: draw each figure within its error, and each bounded one within its bounds.
    """

    maps: tuple[str, ...]
    china: tuple[China, ...] = ("telemetry", "national")
    normalisations: tuple[str, ...] = tuple(NORMALISATIONS)
    means: tuple[str, ...] = MEANS
    weighing: Weighing = "near"
    errors: bool = True


def every_choice() -> Space:
    """All maps, both readings, all methods, weights within 25 %, figures within their errors."""
    return Space(maps=tuple(map_names()))


def multiverse(one_map: str) -> Space:
    """The space of the method's section 4.3: methods, readings and any weights, on figures taken as they are."""
    return Space(maps=(one_map,), weighing="simplex", errors=False)


class Runs(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """scores: (runs, n_regions), the leader of each run at 100. factors: (runs, n_factors), the row of the cube."""

    units: tuple[str, ...]
    scores: Matrix
    factors: Matrix
    seed: int

    @cached_property
    def ranks(self) -> Matrix:
        """(runs, n_regions): 1 is highest."""
        return ranks(self.scores)

    def quantiles(self, at: Sequence[float] = (0.05, 0.5, 0.95)) -> Matrix:
        """(len(at), n_regions) of the scores."""
        return np.asarray(np.quantile(self.scores, at, axis=0))

    def rank_quantiles(self, at: Sequence[float] = (0.05, 0.5, 0.95)) -> Matrix:
        return np.asarray(np.quantile(self.ranks, at, axis=0, method="inverted_cdf"))

    @cached_property
    def rank_probabilities(self) -> Matrix:
        """(n_regions, n_regions): part of the runs in which a region (row) has a rank (column, from 1)."""
        return rank_probability(self.ranks)

    @cached_property
    def above(self) -> Matrix:
        """(n_regions, n_regions): part of the runs in which the row's region stands above the column's; ties half."""
        return above(self.scores)


def factor_names(framework: Framework) -> tuple[str, ...]:
    """What each column of the unit cube sets."""
    return (*CHOICES, *(f"weight {group}" for group in present_groups(framework)), "data error")


def vary(
    evidence: Evidence,
    framework: Framework,
    space: Space,
    runs: int = 10_000,
    seed: int = 20260525,
    weights: dict[str, float] | None = None,
) -> Runs:
    """So many random worlds of a space. weights: the set around which `near` draws; None: the framework's.

    Raises IndexRefusal for fewer than 100 runs, which say nothing of a 90 % interval.
    """
    if not 100 <= runs <= RUNS_MAX:
        raise IndexRefusal(f"{runs} runs; ask for 100 to {RUNS_MAX:,}")
    cube = np.random.default_rng(seed).random((runs, len(factor_names(framework))))
    scores = worlds(evidence, framework, space, cube, seed=seed, weights=weights)
    return Runs(units=framework.units, scores=scores, factors=cube, seed=seed)


def worlds(
    evidence: Evidence,
    framework: Framework,
    space: Space,
    cube: Matrix,
    *,
    seed: int = 0,
    weights: dict[str, float] | None = None,
) -> Matrix:
    """(rows, n_regions) scores, the leader of each at 100, of rows of a unit cube (rows, n_factors).

    The rows decide everything: the same row and seed give the same world.
    """
    options = (space.maps, space.china, space.normalisations, space.means)
    if empty := [name for name, values in zip(CHOICES, options, strict=True) if not values]:
        raise IndexRefusal(f"nothing to choose from for {empty[0]}; name at least one")
    chosen = np.column_stack([(cube[:, at] * len(values)).astype(int) for at, values in enumerate(options)])
    drawn = _weights(space.weighing, group_weights(framework, weights), cube[:, len(CHOICES) : -1])
    draws = ERROR_DRAWS if space.errors else 1
    error = (cube[:, -1] * draws).astype(int)
    found = np.empty((len(cube), len(framework.units)))
    for a, map_name in enumerate(space.maps):
        for b, china in enumerate(space.china):
            scores = _groups(evidence, framework, map_name, china, seed if space.errors else None)
            here = (chosen[:, 0] == a) & (chosen[:, 1] == b)
            for c, between in enumerate(space.normalisations):
                z = normalised(scores, between)
                for d, mean in enumerate(space.means):
                    rows = np.flatnonzero(here & (chosen[:, 2] == c) & (chosen[:, 3] == d))
                    found[rows] = combined(z[error[rows]], drawn[rows], mean)
    return leader_100(found)


def _groups(evidence: Evidence, framework: Framework, map_name: str, china: China, seed: int | None) -> Matrix:
    """(draws, n_regions, n_groups) with errors drawn; (1, n_regions, n_groups) of the figures as they are: seed None.

    Each indicator has a stream of its own, so that another reading of one leaves the errors of the others alone.
    """
    columns = columns_of(evidence, framework, read_map(map_name), china)
    if seed is None:
        table = region_table(columns, framework.units)
        return group_scores(framework, {code: table.column(code)[None, :] for code in table.indicators})
    figures = {}
    for number, column in enumerate(columns):
        values = column.drawn(ERROR_DRAWS, np.random.default_rng((seed, number)))
        figures[column.code] = column.by_region(values, len(framework.units))
    return group_scores(framework, figures)


def _weights(weighing: Weighing, nominal: Vector, cube: Matrix) -> Matrix:
    """(rows, n_groups) summing to 1. On the simplex: exponentials of uniform numbers, which is uniform there."""
    if weighing == "fixed":
        return np.broadcast_to(nominal, cube.shape)
    raw = -np.log1p(-cube) if weighing == "simplex" else nominal * (1 + NEAR * (2 * cube - 1))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))
