"""Made-up data on which our estimates are compared with other programs'. `random.Random` draws the same everywhere."""

import random

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cross_section() -> tuple[Array, Array, Array]:
    """(y, x with a constant, weights) of 40 observations whose spread grows with x."""
    draw = random.Random(7)
    x = np.array([draw.gauss(0, 1.4) for _ in range(40)])
    y = np.array([2.0 - 0.5 * value + draw.gauss(0, 0.4 + 0.3 * abs(value)) for value in x])
    weights = np.array([draw.uniform(0.2, 5.0) for _ in range(40)])
    return y, np.column_stack([np.ones(40), x]), weights


def unbalanced_panel() -> tuple[Array, Array, NDArray[np.intp], NDArray[np.intp]]:
    """(y, x, units, times): 23 units, 11 times, a third missing, two regressors, errors that stay with the unit."""
    draw = random.Random(11)
    lines = []
    for unit in range(23):
        level, lasting = draw.gauss(0, 2), draw.gauss(0, 0.5)
        for time in range(11):
            first, second = draw.gauss(level / 4, 1), draw.gauss(time / 5, 1)
            noise = lasting * (time - 5) / 5 + draw.gauss(0, 0.3 + unit / 40)
            if draw.random() < 0.66:
                lines.append((level + 0.1 * time - 0.6 * first + 0.25 * second + noise, first, second, unit, time))
    columns = np.array(lines)
    return columns[:, 0], columns[:, 1:3], columns[:, 3].astype(np.intp), columns[:, 4].astype(np.intp)


def lifetimes() -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """(months, gone) of 150 made-up users: whole months from 1 to 14, about half of them censored."""
    draw = random.Random(13)
    pairs = [(min(int(draw.expovariate(0.22)) + 1, 14), draw.random() < 0.55) for _ in range(150)]
    return np.array([months for months, _ in pairs]), np.array([gone for _, gone in pairs])
