"""What remains of a ranking when every choice varies: intervals, rank probabilities, who is above whom."""

import msgspec
import numpy as np

from tidegate.index.choices import Model, nominal, random_draws, scores
from tidegate.index.scale import ranks
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats


class Summary(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Of one quantity over all runs, each (units,). low, high: the ends of the interval asked for."""

    nominal: Floats
    mean: Floats
    median: Floats
    low: Floats
    high: Floats


class Uncertainty(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Scores and ranks over the runs.

    interval: the middle part that low and high hold, a fraction of 1. rank_probability: (units, units), of unit u
    being ranked k + 1; a unit without score counts in no rank. above: (units, units), of u scoring higher than v, ties
    counted half; 0.5 on the diagonal.
    """

    runs: int
    seed: int
    interval: float
    score: Summary
    rank: Summary
    rank_probability: Floats
    above: Floats


def vary(model: Model, runs: int, seed: int, interval: float = 0.9) -> Uncertainty:
    """Draw every factor at once, `runs` times. Same model, runs and seed: same numbers."""
    if runs < 1:
        raise IndexRefusal(f"{runs} runs vary nothing; 10000 are usual.")
    return summarise(scores(model, random_draws(model, runs, seed)), nominal(model), seed, interval)


def summarise(found: Floats, start: Floats, seed: int = 0, interval: float = 0.9) -> Uncertainty:
    """Summaries of (runs, units) scores; start: (units,) the nominal ones."""
    if not 0 < interval < 1:
        raise IndexRefusal(f"An interval holds a part between 0 and 1 of the runs, not {interval:g}.")
    places = ranks(found)
    return Uncertainty(
        runs=len(found),
        seed=seed,
        interval=interval,
        score=summary(found, start, interval),
        rank=summary(places, ranks(start), interval),
        rank_probability=rank_probability(places),
        above=above(found),
    )


def summary(found: Floats, start: Floats, interval: float) -> Summary:
    """Over the runs in which the unit has a value."""
    quantile, mean = (np.nanquantile, np.nanmean) if np.isnan(found).any() else (np.quantile, np.mean)
    tail = (1.0 - interval) / 2.0
    seen = ~np.isnan(found).all(axis=0)
    table = np.full((4, found.shape[1]), np.nan)
    table[:3, seen] = quantile(found[:, seen], [tail, 0.5, 1.0 - tail], axis=0)
    table[3, seen] = mean(found[:, seen], axis=0)
    return Summary(nominal=start, mean=table[3], median=table[1], low=table[0], high=table[2])


def rank_probability(places: Floats) -> Floats:
    """(units, units) part of the runs in which unit u has rank k + 1."""
    runs, units = places.shape
    held = ~np.isnan(places)
    cell = np.where(held, np.arange(units) * units + np.nan_to_num(places, nan=1.0) - 1.0, -1.0).astype(np.int64)
    counts = np.bincount(cell[held], minlength=units * units)
    return np.asarray(counts.reshape(units, units) / runs)


def above(found: Floats) -> Floats:
    """(units, units) part of the runs, among those where both have a score, in which u is above v."""
    units = found.shape[1]
    share = np.full((units, units), 0.5)
    columns = np.ascontiguousarray(found.T)
    for u in range(units):
        rest = columns[u + 1 :]
        wins = (columns[u] > rest).sum(axis=1) + 0.5 * (columns[u] == rest).sum(axis=1)
        both = (~np.isnan(columns[u]) & ~np.isnan(rest)).sum(axis=1)
        part = np.where(both > 0, wins / np.maximum(both, 1), 0.5)
        share[u, u + 1 :], share[u + 1 :, u] = part, 1.0 - part
    return share


def mean_rank_shift(found: Floats, start: Floats) -> Floats:
    """(runs,) mean, over the units ranked in both, of how many ranks each moved from the nominal ranking."""
    shift = np.abs(ranks(found) - ranks(start))
    held = ~np.isnan(shift)
    count = held.sum(axis=-1)
    return np.asarray(np.where(held, shift, 0.0).sum(axis=-1) / np.where(count > 0, count, np.nan))
