"""Missing values: ways to fill them, each filled cell marked and none written over.

A step that cannot fill a cell leaves it missing. `multiple` gives several completed tables instead of one, so that what
is not known shows as spread; the single fills are for a nominal index. Methods: OECD/JRC Handbook (2008), step 3; van
Buuren, Flexible Imputation of Missing Data (2018), 3.4 and 4.5, for `multiple`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tidegate.index.framework import Framework
from tidegate.index.normalise import highest, lowest
from tidegate.index.table import ESTIMATED, IMPUTED, IndexRefusal, Mask, Matrix, Table, Vector

How = Literal["mean", "median"]

PREDICTORS_MAX: Final = 10  # of a regression: those most correlated with the column
DONORS: Final = 5  # units among which a drawn value is chosen
ROUNDS: Final = 5  # passes over the columns; the fills settle within a few
RIDGE: Final = 0.1  # of the number of units, on standardised predictors


def impute_column(table: Table, how: How = "mean") -> Table:
    """Each gap takes the mean or median of its column's present values."""
    values = table.values.copy()
    for number in range(values.shape[1]):
        values[:, number] = _fill(values[:, number], how)
    return _filled(table, values)


def impute_group(table: Table, labels: Mapping[str, str], how: How = "mean") -> Table:
    """Each gap takes the mean or median of the units with the same label; a group without any value stays missing.

    labels: of units; one without a label takes part in no group.
    """
    if unknown := sorted(set(labels) - set(table.units)):
        raise IndexRefusal(f"unit {unknown[0]!r} has a label but no row; there are {', '.join(table.units)}")
    values = table.values.copy()
    for label in dict.fromkeys(labels.values()):
        members = [number for number, unit in enumerate(table.units) if labels.get(unit) == label]
        for number in range(values.shape[1]):
            values[members, number] = _fill(values[members, number], how)
    return _filled(table, values)


def impute_row(table: Table, framework: Framework, how: How = "mean", level: int | None = 2) -> Table:
    """Each gap takes the level that the unit has in the group's other indicators.

    Columns are brought to [0, 1], more being better; the gap takes the mean or median of the unit's present values
    there, and goes back to its own unit. level: whose groups, 2 being those right above indicators; None is all
    indicators together.
    """
    values = table.values.copy()
    direction = np.array([framework.indicator(code).direction for code in table.indicators], dtype=np.float64)
    turned = values * direction
    low, high = lowest(turned), highest(turned)
    if (flat := low == high).any():
        code = table.indicators[int(np.flatnonzero(flat)[0])]
        raise IndexRefusal(f"indicator {code} is constant and has no range to place a unit in; leave it out")
    scores = (turned - low) / (high - low)
    for columns in _groups(framework, table.indicators, level):
        for row in range(len(values)):
            scores[row, columns] = _fill(scores[row, columns], how)
    back = (scores * (high - low) + low) * direction
    return _filled(table, np.where(np.isnan(values), back, values))


def impute_regression(table: Table) -> Table:
    """Each gap takes the ridge regression of its column on those most correlated with it, over several passes."""
    return _filled(table, _chained(table.values, None, _no_draw))


def multiple(table: Table, draws: int, seed: int) -> NDArray[np.float64]:
    """(draws, n_units, n_indicators): the table completed several times, each a draw of what the gaps may hold.

    A gap takes the value of a unit that a regression on resampled units finds alike (predictive mean matching), so
    it is always a value that some unit has. A cell known within bounds is drawn evenly between them. Columns with fewer
    than two present values stay missing. The same seed gives the same draws.
    """
    if draws < 1:
        raise IndexRefusal(f"{draws} draws; at least 1")
    found = np.empty((draws, *table.values.shape))
    for number, source in enumerate(np.random.SeedSequence(seed).spawn(draws)):
        rng = np.random.default_rng(source)
        start = table.values.copy()
        if table.low is not None and table.high is not None:
            cells = table.low < table.high  # never of a gap, whose bounds are NaN
            start[cells] = rng.uniform(table.low[cells], table.high[cells])
        found[number] = _chained(start, rng, _donor)
    return found


def shared_profiles(table: Table, indicators: Collection[str], at_least: int = 3) -> tuple[tuple[str, ...], ...]:
    """Units that carry the same values in all of these columns, three or more together: a source's own estimates.

    A measurement does not repeat to the last digit in several columns; a regional average does. Units with a gap there
    are not compared.
    """
    picked = table.pick(indicators=tuple(indicators))
    alike: dict[tuple[float, ...], list[str]] = {}
    for unit, row in zip(picked.units, picked.values, strict=True):
        if not np.isnan(row).any():
            alike.setdefault(tuple(row.tolist()), []).append(unit)
    return tuple(tuple(units) for units in alike.values() if len(units) >= at_least)


def mark_shared(table: Table, indicators: Collection[str], at_least: int = 3) -> Table:
    """The table with the cells of `shared_profiles` marked as the source's estimates."""
    marks = table.marks.copy()
    rows = [table.units.index(unit) for units in shared_profiles(table, indicators, at_least) for unit in units]
    columns = [table.at(code) for code in indicators]
    marks[np.ix_(rows, columns)] |= ESTIMATED
    return Table(
        units=table.units,
        indicators=table.indicators,
        values=table.values,
        marks=marks,
        low=table.low,
        high=table.high,
    )


def _filled(table: Table, values: Matrix) -> Table:
    return table.with_values(values, mark=IMPUTED, keep_bounds=True)


def _fill(x: Vector, how: How) -> Vector:
    present = x[~np.isnan(x)]
    if not len(present) or len(present) == len(x):
        return x
    middle = present.mean() if how == "mean" else np.median(present)
    filled: Vector = np.where(np.isnan(x), middle, x)
    return filled


def _groups(framework: Framework, indicators: Sequence[str], level: int | None) -> list[list[int]]:
    """Column numbers of each group of a level."""
    if level is None:
        return [list(range(len(indicators)))]
    groups = [group.code for group in framework.groups if framework.level(group.code) == level]
    if not groups:
        levels = sorted({framework.level(group.code) for group in framework.groups})
        raise IndexRefusal(f"framework {framework.name} has no groups at level {level}; its levels are {levels}")
    leaves = [set(framework.leaves(group)) for group in groups]
    return [[number for number, code in enumerate(indicators) if code in members] for members in leaves]


def _chained(values: Matrix, rng: np.random.Generator | None, draw: Callable[..., Vector]) -> Matrix:
    """Fill gaps column by column from regressions on the others, beginning with the columns' means."""
    missing = np.isnan(values)
    usable = (~missing).sum(axis=0) >= 2
    gaps = [number for number in np.flatnonzero(missing.any(axis=0)) if usable[number]]
    filled = values.copy()
    for number in np.flatnonzero(usable):
        filled[:, number] = _fill(values[:, number], "mean")
    for _ in range(ROUNDS if gaps else 0):
        for number in gaps:
            others = [other for other in np.flatnonzero(usable) if other != number]
            present = ~missing[:, number]
            predicted = _predict(filled[:, others], filled[:, number], present, rng)
            filled[:, number] = draw(predicted, values[:, number], present, rng)
    return filled


def _predict(others: Matrix, y: Vector, present: Mask, rng: np.random.Generator | None) -> Vector:
    """(n_units,) ridge predictions of y; rng: fit on units drawn with replacement, for the fit's error."""
    rows = np.flatnonzero(present)
    if rng is not None:
        rows = rng.choice(rows, len(rows))
    spread = others.std(axis=0)
    x = (others - others.mean(axis=0)) / np.where(spread == 0, 1.0, spread)
    centre = y[rows].mean()
    strength = np.abs(x[rows].T @ (y[rows] - centre))
    best = np.argsort(-strength, kind="stable")[:PREDICTORS_MAX]
    fit = x[np.ix_(rows, best)]
    middle = fit.mean(axis=0)
    left = (fit - middle).T @ (fit - middle) + RIDGE * len(rows) * np.eye(len(best))
    slopes = np.linalg.solve(left, (fit - middle).T @ (y[rows] - centre))
    predicted: Vector = centre + (x[:, best] - middle) @ slopes
    return predicted


def _no_draw(predicted: Vector, values: Vector, present: Mask, rng: None) -> Vector:
    found: Vector = np.where(present, values, predicted)
    return found


def _donor(predicted: Vector, values: Vector, present: Mask, rng: np.random.Generator) -> Vector:
    """Each gap takes the value of one of the present units whose predictions are nearest to its own."""
    donors = np.flatnonzero(present)
    filled = values.copy()
    for gap in np.flatnonzero(~present):
        nearest = np.argsort(np.abs(predicted[donors] - predicted[gap]), kind="stable")[:DONORS]
        filled[gap] = values[donors[rng.choice(nearest)]]
    return filled
