"""Cost against use on log axes, cut at the medians: what the three cost figures have in common."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from tidegate.study.price_points import Cut, Point, Points
from tidegate.study.regression import Estimate, NotIdentified, least_squares
from tidegate.study.result import Cell

AXES = ("cost", "usage")
UNIT = "USD per million tokens (cost), tokens (usage)"
MODEL_SEGMENTS = {
    (False, True): "efficient giants",
    (True, True): "premium leaders",
    (False, False): "long tail",
    (True, False): "premium specialists",
}
"""(dear, much used) -> the report's name of a model's quadrant (Tab 5)."""
CATEGORY_SEGMENTS = {
    (False, True): "mass-market volume drivers",
    (True, True): "premium workloads",
    (False, False): "niche utilities",
    (True, False): "specialised experts",
}
"""The same of a category's quadrant (Fig 31)."""


def segment_of(point: Point, cut: Cut, names: Mapping[tuple[bool, bool], str]) -> str:
    return names[cut.is_dear(point), cut.is_used(point)]


def point_cells(period: str, point: Point, groups: Mapping[str, str]) -> Iterator[Cell]:
    """Two cells of a point: its cost and its tokens."""
    yield Cell(period=period, groups={**groups, "axis": "cost"}, value=point.cost)
    yield Cell(period=period, groups={**groups, "axis": "usage"}, value=point.tokens)


def median_cells(period: str, cut: Cut) -> Iterator[Cell]:
    """The two lines at which the quadrants meet."""
    yield Cell(period=period, groups={"statistic": "median", "axis": "cost"}, value=cut.cost)
    yield Cell(period=period, groups={"statistic": "median", "axis": "usage"}, value=cut.tokens)


def slope(points: Sequence[Point], *, weighted: bool = False) -> tuple[Estimate, float]:
    """The OLS slope of ln(tokens) on ln(cost), HC3 errors, with its R2. weighted: each key counts by its tokens.

    Raises NotIdentified.
    """
    y = np.log([float(point.tokens) for point in points])
    x = np.log([point.cost for point in points])
    weights = np.array([float(point.tokens) for point in points]) if weighted else None
    design = np.column_stack([np.ones(len(points)), x])
    fit = least_squares(y, design, weights=None if weights is None else weights / weights.mean())
    return fit.estimate(1), fit.r2


def line_cells(period: str, points: Sequence[Point]) -> tuple[list[Cell], list[str]]:
    """The fitted line as its two ends, and a sentence on it; a sentence only where it cannot be fitted."""
    try:
        found, r2 = slope(points)
    except NotIdentified as error:
        return [], [f"No line is fitted: {error}."]
    costs = sorted(point.cost for point in points)
    centre_x = np.mean([math.log(point.cost) for point in points])
    centre_y = np.mean([math.log(point.tokens) for point in points])
    cells = []
    for end, cost in (("line start", costs[0]), ("line end", costs[-1])):
        tokens = math.exp(centre_y + found.value * (math.log(cost) - centre_x))
        cells.append(Cell(period=period, groups={"statistic": end, "axis": "cost"}, value=cost))
        cells.append(Cell(period=period, groups={"statistic": end, "axis": "usage"}, value=tokens))
    low, high = found.interval
    told = (
        f"Line: ln(tokens) on ln(cost) over keys, OLS with HC3 errors: slope {found.value:.3f} (95 % {low:.3f} to "
        f"{high:.3f}, n = {found.n}, R2 {r2:.3f}). It compares different models; `price_elasticity` has other methods."
    )
    return cells, [told]


def quadrant_note(points: Points, cut: Cut, names: Iterable[str]) -> str:
    return (
        f"Quadrants ({', '.join(names)}) meet at the medians over keys: {cut.cost:.3f} USD per million and "
        f"{cut.tokens:,.0f} tokens. On the line counts as not dear and as much used."
    )
