"""Treatment and normalisation of many runs at once: the column steps of an index on (runs, units, indicators).

Same formulas as the steps for one table; here each column of each run is its own, so a step is a handful of array
passes whatever the number of runs. Columns lie along the axis before the last; NaN is missing and stays.
"""

from collections.abc import Callable

import numpy as np

from tidegate.index.scale import ranks
from tidegate.index.table import IndexRefusal, Mask
from tidegate.index.tree import Floats

Step = Callable[[Floats], Floats]

SKEW_MAX, KURTOSIS_MAX = 2.0, 3.5


def minmax(low: float = 0.0, high: float = 100.0, direction: Floats | None = None) -> Step:
    """Each column onto [low, high]; a column with direction -1 is turned round first."""

    def step(values: Floats) -> Floats:
        turned = values if direction is None else values * direction
        least, most = np.fmin.reduce(turned, axis=-2, keepdims=True), np.fmax.reduce(turned, axis=-2, keepdims=True)
        need_range(most == least)
        scaled: Floats = (turned - least) / (most - least) * (high - low) + low
        return scaled

    return step


def zscore(mean: float = 0.0, deviation: float = 1.0, direction: Floats | None = None) -> Step:
    """(x - mean) / sd, n - 1 in the denominator, onto the given mean and deviation."""

    def step(values: Floats) -> Floats:
        turned = values if direction is None else values * direction
        spread = np.nanstd(turned, axis=-2, ddof=1, keepdims=True)
        need_range(spread == 0)
        scaled: Floats = (turned - np.nanmean(turned, axis=-2, keepdims=True)) / spread * deviation + mean
        return scaled

    return step


def leader(exponent: float = 1.0) -> Step:
    """100 (x / max)^exponent: 1 keeps proportions, 0.5 is the root. For indicators of direction 1 and 0 or more."""

    def step(values: Floats) -> Floats:
        most = positive_maximum(values)
        if (values < 0).any():
            raise IndexRefusal("A value is below 0; a ratio to the leader needs 0 or more. Use min-max instead.")
        ratio: Floats = values / most
        scaled: Floats = 100.0 * (ratio if exponent == 1.0 else np.power(ratio, exponent))
        return scaled

    return step


def log_ratio(floor: Floats | float) -> Step:
    """100 ln(x / floor) / ln(max / floor); a value below the floor counts as the floor. floor: by indicator or one."""

    def step(values: Floats) -> Floats:
        most = positive_maximum(values)
        if (most <= floor).any():
            raise IndexRefusal("A column's largest value is not above its floor; state a lower floor.")
        scaled: Floats = 100.0 * np.log(np.maximum(values, floor) / floor) / np.log(most / floor)
        return scaled

    return step


def rank_share(direction: Floats | None = None) -> Step:
    """100 (rank - 1) / (n - 1), rank 1 for the lowest; equal values share the lower rank."""

    def step(values: Floats) -> Floats:
        turned = values if direction is None else values * direction
        place = np.swapaxes(ranks(-np.swapaxes(turned, -1, -2)), -1, -2)
        present = (~np.isnan(turned)).sum(axis=-2, keepdims=True)
        scaled: Floats = 100.0 * (place - 1) / (present - 1)
        return scaled

    return step


def winsorise(
    points_max: int, skew_max: float = SKEW_MAX, kurtosis_max: float = KURTOSIS_MAX, *, mirror: bool = True
) -> Step:
    """Move a column's extreme points inwards until it passes; log the original column where that does not do.

    A column passes with |skewness| < skew_max or kurtosis < kurtosis_max. At most `points_max` points are moved, those
    at the maximum for a positive skewness, at the minimum for a negative one. mirror: the log of a column with a low
    tail is taken from its other end.
    """

    def step(values: Floats) -> Floats:
        shape = values.shape
        columns = np.moveaxis(values, -2, -1).reshape(-1, shape[-2])  # one column in each row, apart in memory
        treated = columns.copy()
        failing = np.flatnonzero(~passes(treated, skew_max, kurtosis_max))
        active = failing
        while active.size:
            part, allowed = move_inwards(treated[active], columns[active], points_max)
            treated[active] = part
            active = active[allowed & ~passes(part, skew_max, kurtosis_max)]
        if failing.size:
            bad = failing[~passes(treated[failing], skew_max, kurtosis_max)]
            treated[bad] = log_shifted(columns[bad], mirror)
        result: Floats = np.moveaxis(treated.reshape(*shape[:-2], shape[-1], shape[-2]), -1, -2)
        return result

    return step


def move_inwards(rows: Floats, original: Floats, points_max: int) -> tuple[Floats, Mask]:
    """One step of winsorising on each row, and whether the row may take it (its moved points are fewer than allowed).

    Moved points are those that differ from the original. A step that would leave all points equal is not taken: such a
    column tells no units apart.
    """
    high = skewness(rows) >= 0
    side = np.where(high[:, None], rows, -rows)
    top = np.nanmax(side, axis=1, keepdims=True)
    at_top = side == top
    below = np.nanmax(np.where(at_top, -np.inf, side), axis=1, keepdims=True, initial=-np.inf)
    moved = ((rows != original) & ~np.isnan(original)).sum(axis=1)
    least = np.nanmin(side, axis=1)
    allowed: Mask = np.asarray((moved < points_max) & (below[:, 0] > least))
    side = np.where(at_top & allowed[:, None], below, side)
    return np.where(high[:, None], side, -side), allowed


def passes(rows: Floats, skew_max: float, kurtosis_max: float) -> Mask:
    """(rows,) whether each row is free of outliers; a constant row is."""
    skew, kurtosis = moments(rows)
    return np.asarray(~((np.abs(skew) >= skew_max) & (kurtosis >= kurtosis_max)))


def skewness(rows: Floats) -> Floats:
    return moments(rows)[0]


def moments(rows: Floats) -> tuple[Floats, Floats]:
    """Sample skewness G1 and excess kurtosis G2 of each row (Joanes and Gill 1998); NaN where they do not exist."""
    n = (~np.isnan(rows)).sum(axis=1).astype(np.float64)
    apart = rows - np.nanmean(rows, axis=1, keepdims=True)
    square = np.where(np.isnan(apart), 0.0, apart * apart)
    second, third = square.sum(axis=1), (square * np.nan_to_num(apart)).sum(axis=1)
    fourth = np.einsum("ij,ij->i", square, square)
    with np.errstate(divide="ignore", invalid="ignore"):
        skew = np.sqrt(n) * third / second**1.5 * np.sqrt(n * (n - 1)) / (n - 2)
        kurtosis = ((n + 1) * (n * fourth / second**2 - 3) + 6) * (n - 1) / ((n - 2) * (n - 3))
    return skew, kurtosis


def log_shifted(rows: Floats, mirror: bool) -> Floats:
    """ln(x - min + 0.01 range); mirrored for a negative skewness, so that the long tail is drawn in either way."""
    least, most = np.fmin.reduce(rows, axis=1, keepdims=True), np.fmax.reduce(rows, axis=1, keepdims=True)
    shift = 0.01 * (most - least)
    low_tail = mirror & (skewness(rows)[:, None] < 0)
    logged: Floats = np.where(~low_tail, np.log(rows - least + shift), -np.log(most + shift - rows))
    return logged


def need_range(constant: Mask) -> None:
    if constant.any():
        column = int(np.argwhere(constant)[0][-1])
        raise IndexRefusal(f"Indicator column {column} is constant: it has no scale. Take it out of the framework.")


def positive_maximum(values: Floats) -> Floats:
    most: Floats = np.fmax.reduce(values, axis=-2, keepdims=True)
    if (most <= 0).any():
        column = int(np.argwhere(most <= 0)[0][-1])
        raise IndexRefusal(f"Indicator column {column} has no value above 0; a ratio to the leader needs one.")
    return most
