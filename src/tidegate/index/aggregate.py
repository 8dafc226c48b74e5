"""Many values into one: means of several kinds, outranking and the mean with a penalty for imbalance.

Every function takes values (..., units, children) and weights (..., children), whose leading axes broadcast, so that
one call serves one index or ten thousand runs of it. NaN is a missing value: the weights of those present are
rescaled, and a unit with nothing present stays NaN. Formulas: OECD/JRC Handbook (2008), step 6; De Muro, Mazziotta and
Pareto (2011) for MPI, Mazziotta and Pareto (2016) for AMPI.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from tidegate.index.table import IndexRefusal, Mask
from tidegate.index.tree import Floats, Tree

Combine = Callable[[Floats, Floats], Floats]

TIE = 1e-12
"""Two outranking sums closer than this are equal: weights such as 1/3 do not add up to exact halves."""


def arithmetic(values: Floats, weights: Floats) -> Floats:
    """sum w x / sum w over the values present."""
    gaps = np.isnan(values)
    if not gaps.any():
        shares = weights / weights.sum(axis=-1, keepdims=True)
        mean: Floats = np.einsum("...uk,...k->...u", values, shares, optimize=False)
        return mean
    kept = (~gaps).astype(np.float64)
    total = np.einsum("...uk,...k->...u", np.where(gaps, 0.0, values), weights, optimize=False)
    weight = np.einsum("...uk,...k->...u", kept, weights, optimize=False)
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)


def geometric(values: Floats, weights: Floats) -> Floats:
    """exp(sum w ln x / sum w). Raises IndexRefusal where a value is not above 0, naming its place."""
    need_positive(values, "geometric")
    return np.exp(arithmetic(np.log(values), weights))


def harmonic(values: Floats, weights: Floats) -> Floats:
    """sum w / sum(w / x). Raises IndexRefusal where a value is not above 0, naming its place."""
    need_positive(values, "harmonic")
    return 1.0 / arithmetic(1.0 / values, weights)


def power(exponent: float) -> Combine:
    """The power mean (sum w x^p / sum w)^(1/p); p = 0 is the geometric mean, its limit.

    Missing values are left out, as in every other mean here. Raises IndexRefusal for a value below 0, or of 0 with
    p below 0.
    """
    if exponent == 0:
        return geometric

    def mean(values: Floats, weights: Floats) -> Floats:
        if exponent < 0:
            need_positive(values, f"power {exponent:g}")
        elif (values < 0).any():
            raise IndexRefusal(f"A power mean needs values of 0 or more; {broken(values, values < 0)}")
        raised: Floats = np.power(values, exponent)
        return np.power(arithmetic(raised, weights), 1.0 / exponent)

    return mean


def outranking(values: Floats, weights: Floats) -> Floats:
    """(..., units, units) weight of the columns in which the row's unit beats the column's, ties counted half.

    Only columns present for both count, their weights rescaled to 1. Two units with nothing in common draw (0.5).
    """
    above, below = values[..., :, None, :], values[..., None, :, :]
    both = ~(np.isnan(above) | np.isnan(below))
    won = np.where(both, (above > below) + 0.5 * (above == below), 0.0)
    total = np.einsum("...uvk,...k->...uv", won, weights, optimize=False)
    weight = np.einsum("...uvk,...k->...uv", both.astype(np.float64), weights, optimize=False)
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), 0.5)


def copeland(values: Floats, weights: Floats) -> Floats:
    """Units outranked minus units that outrank: a whole number from -(n-1) to n-1."""
    sums = outranking(values, weights)
    score = (sums > 0.5 + TIE).sum(axis=-1) - (sums < 0.5 - TIE).sum(axis=-1)
    return np.where(np.isnan(values).all(axis=-1), np.nan, score.astype(np.float64))


def mazziotta_pareto(sign: float = -1.0) -> Combine:
    """M + sign * S^2 / M, the mean with a penalty for unbalanced profiles (MPI and AMPI alike).

    Values are standardised to a mean of 100 before (MPI: 100 + 10 z; AMPI: goalposts to [70, 130]); see
    `mpi_scale` and `ampi_scale`. sign: -1 for a phenomenon that is good when high, +1 for one that is bad.
    """

    def penalised(values: Floats, weights: Floats) -> Floats:
        mean = arithmetic(values, weights)
        if (mean <= 0).any():
            raise IndexRefusal("A row has a mean of 0 or less; standardise to a mean of 100 first (mpi_scale).")
        spread = arithmetic(np.square(values - mean[..., None]), weights)
        return mean + sign * spread / mean

    return penalised


def mpi_scale(values: Floats, ddof: int = 1) -> Floats:
    """100 + 10 z by column. ddof: 1 divides by n - 1, as `z-score` does; 0 by n, as the 2011 paper does."""
    spread = np.nanstd(values, axis=-2, ddof=ddof, keepdims=True)
    if (spread == 0).any():
        raise IndexRefusal(f"Column {int(np.argwhere(spread == 0)[0][-1])} is constant: it has no z-score.")
    scaled: Floats = 100.0 + 10.0 * (values - np.nanmean(values, axis=-2, keepdims=True)) / spread
    return scaled


def ampi_scale(values: Floats, low: Floats, high: Floats, direction: Floats) -> Floats:
    """(x - low) / (high - low) * 60 + 70 by column; 200 minus that where direction is -1.

    low, high, direction: (children,). Raises IndexRefusal for a goalpost pair that is not in order.
    """
    if not (high > low).all():
        place = int(np.argmin(high > low))
        raise IndexRefusal(f"Goalposts {low[place]:g} and {high[place]:g} of column {place} are not in order.")
    scaled = (values - low) / (high - low) * 60.0 + 70.0
    return np.where(direction < 0, 200.0 - scaled, scaled)


METHODS: Final[dict[str, Combine]] = {
    "arithmetic": arithmetic,
    "geometric": geometric,
    "harmonic": harmonic,
    "copeland": copeland,
    "mpi": mazziotta_pareto(-1.0),
    "mpi-negative": mazziotta_pareto(1.0),
}


def method(name: str) -> Combine:
    """The method of a name; `power:P` is the power mean. Raises IndexRefusal with those that exist."""
    head, _, exponent = name.partition(":")
    if head == "power" and exponent:
        try:
            return power(float(exponent))
        except ValueError:
            raise IndexRefusal(f"{name!r}: the exponent of a power mean is a number, such as power:0.5.") from None
    if name not in METHODS:
        raise IndexRefusal(f"No aggregation {name!r}; there are {', '.join(METHODS)} and power:P.")
    return METHODS[name]


def present_share(values: Floats, weights: Floats, by: str) -> Floats:
    """(..., units) part of the children present, by `count` or by `weight`, as a fraction of 1."""
    kept = (~np.isnan(values)).astype(np.float64)
    if by not in ("count", "weight"):
        raise IndexRefusal(f"Presence is counted by 'count' or by 'weight', not by {by!r}.")
    share: Floats = kept.mean(axis=-1)
    if by == "weight":
        share = np.einsum("...uk,...k->...u", kept, weights, optimize=False) / weights.sum(axis=-1)[..., None]
    return share


def combine(values: Floats, weights: Floats, by_method: Combine, threshold: float = 0.0, by: str = "count") -> Floats:
    """One composite: NaN where less than `threshold` of the children is present."""
    score = by_method(values, weights)
    if threshold > 0 and np.isnan(values).any():
        return np.where(present_share(values, weights, by) < threshold - TIE, np.nan, score)
    return score


def aggregate(
    values: Floats, tree: Tree, weights: Floats, methods: Sequence[Combine], threshold: float = 0.0, by: str = "count"
) -> Floats:
    """Every composite of the tree, as (..., units, columns) with the indicators in front.

    values: (..., units, indicators); weights: (..., columns). methods: one for each level from the bottom, or one for
    all. threshold: smallest part of the children that must be present.
    """
    steps = tuple(methods) * tree.levels if len(methods) == 1 else tuple(methods)
    if len(steps) != tree.levels:
        raise IndexRefusal(f"{len(steps)} methods for {tree.levels} levels; give one, or one for each level.")
    runs = np.broadcast_shapes(values.shape[:-2], weights.shape[:-1])
    table = np.empty((*runs, values.shape[-2], len(tree.codes)))
    table[..., : len(tree.indicators)] = values
    for node in tree.nodes:
        source = values if node.level == 1 else table  # a table shared by all runs is read once
        children = span(node.children)
        score = combine(source[..., children], weights[..., children], steps[node.level - 1], threshold, by)
        table[..., node.column] = score
    return table


def span(columns: tuple[int, ...]) -> slice | list[int]:
    """Neighbouring columns as a slice, which copies nothing."""
    if columns == tuple(range(columns[0], columns[-1] + 1)):
        return slice(columns[0], columns[-1] + 1)
    return list(columns)


def need_positive(values: Floats, name: str) -> None:
    if (wrong := values <= 0).any():
        raise IndexRefusal(
            f"A {name} mean needs values above 0; {broken(values, wrong)} Normalise to a range above 0, such as 1-100."
        )


def broken(values: Floats, wrong: Mask) -> str:
    """Which value it was, by its last two places."""
    place = np.argwhere(wrong)[0]
    return f"row {int(place[-2])}, column {int(place[-1])} holds {values[tuple(place)]:g}."
