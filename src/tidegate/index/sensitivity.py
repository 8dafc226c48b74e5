"""How much of the uncertainty each decision brings: variance-based first and total order indices.

The design is Saltelli's: two samples A and B of a Sobol sequence and, for each factor, A with that column taken from B;
N (d + 2) runs. Outputs are centred by the mean of A and B before the first-order estimate: without that it carries the
mean of the output into every index. Source: Saltelli et al., Computer Physics Communications 181 (2010) 259-270.
"""

import msgspec
import numpy as np

from tidegate.index.choices import Draws, Model, nominal, scores
from tidegate.index.scale import ranks
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats
from tidegate.index.uncertainty import mean_rank_shift


class Indices(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Of one output or of several, each (factors, *outputs). NaN where the output does not vary.

    first: part of the variance a factor brings by itself; total: with all its interactions. The bounds are bootstrap
    percentiles over the design's rows, None if not asked for.
    """

    factors: tuple[str, ...]
    runs: int
    first: Floats
    total: Floats
    first_low: Floats | None = None
    first_high: Floats | None = None
    total_low: Floats | None = None
    total_high: Floats | None = None


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """rank_shift: of the mean rank shift; score, rank: of each unit's score and rank, (factors, units)."""

    rank_shift: Indices
    score: Indices
    rank: Indices


def saltelli(factors: int, base: int, seed: int) -> Floats:
    """(base * (factors + 2), factors) points in [0, 1): A, B, then A with column i of B, for each i.

    base: rows of A, a power of two, on which the balance of a Sobol sequence rests.
    """
    from scipy.stats import qmc

    if base < 2 or base & (base - 1):
        raise IndexRefusal(f"A Sobol design needs a power of two as base, not {base}; take {1 << base.bit_length()}.")
    both = qmc.Sobol(2 * factors, scramble=True, rng=np.random.default_rng(seed)).random(base)
    first, second = both[:, :factors], both[:, factors:]
    mixed = np.repeat(first[None], factors, axis=0)
    for factor in range(factors):
        mixed[factor, :, factor] = second[:, factor]
    return np.concatenate([first, second, mixed.reshape(-1, factors)])


def options(points: Floats, sizes: tuple[int, ...]) -> Draws:
    """Option numbers floor(u k): each of a factor's k options owns the same part of [0, 1)."""
    return np.asarray(np.minimum(np.floor(points * np.array(sizes)), np.array(sizes) - 1), dtype=np.int64)


def estimate(
    outputs: Floats, factors: tuple[str, ...], *, draws: int = 0, seed: int = 0, interval: float = 0.9
) -> Indices:
    """Indices of outputs in the order of `saltelli`: (base * (factors + 2), *outputs).

    draws: bootstrap samples of the design's rows; 0 for no interval.
    """
    blocks = len(factors) + 2
    if len(outputs) % blocks:
        raise IndexRefusal(f"{len(outputs)} outputs do not fit a design of {len(factors)} factors (N x {blocks}).")
    table = outputs.reshape(blocks, len(outputs) // blocks, *outputs.shape[1:])
    first, total = estimators(table)
    found = Indices(factors=factors, runs=len(outputs), first=first, total=total)
    if not draws:
        return found
    random = np.random.default_rng(seed)
    samples = [estimators(table[:, random.integers(0, table.shape[1], table.shape[1])]) for _ in range(draws)]
    tail = (1.0 - interval) / 2.0
    first_low, first_high = np.quantile([sample[0] for sample in samples], [tail, 1 - tail], axis=0)
    total_low, total_high = np.quantile([sample[1] for sample in samples], [tail, 1 - tail], axis=0)
    return msgspec.structs.replace(
        found, first_low=first_low, first_high=first_high, total_low=total_low, total_high=total_high
    )


def estimators(table: Floats) -> tuple[Floats, Floats]:
    """First and total order of (blocks, base, *outputs); the variance is that of A and B together, n - 1."""
    base_a, base_b, mixed = table[0], table[1], table[2:]
    both = np.concatenate([base_a, base_b])
    variance = both.var(axis=0, ddof=1)
    variance = np.where(variance > 1e-300, variance, np.nan)
    first: Floats = ((base_b - both.mean(axis=0)) * (mixed - base_a)).mean(axis=1) / variance
    total: Floats = np.square(base_a - mixed).mean(axis=1) / (2.0 * variance)
    return first, total


def sensitivity(model: Model, base: int, seed: int, draws: int = 200) -> Sensitivity:
    """Which decision matters, for the ranking as a whole and for each unit."""
    names = tuple(choice.factor for choice in model.factors)
    sizes = tuple(len(choice.options) for choice in model.factors)
    found = scores(model, options(saltelli(len(names), base, seed), sizes))
    start = nominal(model)
    return Sensitivity(
        rank_shift=estimate(mean_rank_shift(found, start), names, draws=draws, seed=seed),
        score=estimate(found, names),
        rank=estimate(ranks(found), names),
    )
