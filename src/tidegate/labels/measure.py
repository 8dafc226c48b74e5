"""How good labels are, against labels somebody trusts: F1 by class, macro-F1 with its interval, calibration."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)  # percentiles: a 95 % interval


class ClassScore(msgspec.Struct, frozen=True, kw_only=True):
    """One class. rows: how many truly belong to it. Precision is None where the class was never said."""

    name: str
    rows: int
    precision: float | None
    recall: float
    f1: float


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Every class with test rows, and their unweighted mean F1 with a 95 % bootstrap interval over rows.

    without_rows: classes that the test never asks for; they are in no mean.
    """

    classes: tuple[ClassScore, ...]
    macro_f1: float
    low: float
    high: float
    accuracy: float
    rows: int
    without_rows: tuple[str, ...]
    seed: int


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Rows whose confidence lies in [low, high): how sure the labels were, and how often right."""

    low: float
    high: float
    rows: int
    mean_confidence: float | None
    share_right: float | None


def score(truth: Sequence[str], said: Sequence[str | None], classes: Sequence[str], seed: int = 0) -> Scores:
    """F1 = 2 x right / (said + true) per class, over classes that have rows; a label outside `classes` is just wrong.

    The interval resamples rows with replacement; a class that a resample lacks is out of that resample's mean.
    """
    if not truth:
        raise ValueError("no labelled rows to measure against; give at least one")
    names = [*classes]
    place = {name: index for index, name in enumerate(names)}
    true = np.array([place[name] for name in truth])
    guess = np.array([place.get(name or "", len(names)) for name in said])
    right, told, rows = _counts(true, guess, len(names))
    found = tuple(
        ClassScore(
            name=name,
            rows=int(rows[i]),
            precision=float(right[i] / told[i]) if told[i] else None,
            recall=float(right[i] / rows[i]),
            f1=float(2 * right[i] / (told[i] + rows[i])),
        )
        for i, name in enumerate(names)
        if rows[i]
    )
    draw = np.random.default_rng(seed)
    picks = (draw.integers(0, true.size, true.size) for _ in range(RESAMPLES))
    means = [_macro_f1(*_counts(true[pick], guess[pick], len(names))) for pick in picks]
    low, high = np.percentile(means, INTERVAL)
    return Scores(
        classes=found,
        macro_f1=_macro_f1(right, told, rows),
        low=float(low),
        high=float(high),
        accuracy=float((true == guess).mean()),
        rows=int(true.size),
        without_rows=tuple(name for i, name in enumerate(names) if not rows[i]),
        seed=seed,
    )


def confusion(truth: Sequence[str], said: Sequence[str | None]) -> dict[tuple[str, str], int]:
    """(true class, said class) to how many rows; `none` for a row without a label."""
    found: dict[tuple[str, str], int] = {}
    for pair in zip(truth, [name or "none" for name in said], strict=True):
        found[pair] = found.get(pair, 0) + 1
    return found


def calibration(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> tuple[list[Bin], float]:
    """Equal bins of confidence, and the expected calibration error: mean |confidence - share right|, by rows."""
    sure, hit = np.array(confidence, float), np.array(right, float)
    where = np.minimum((sure * bins).astype(int), bins - 1)
    found, error = [], 0.0
    for index in range(bins):
        inside = where == index
        rows = int(inside.sum())
        mean, share = (float(sure[inside].mean()), float(hit[inside].mean())) if rows else (None, None)
        if mean is not None and share is not None:
            error += rows / sure.size * abs(mean - share)
        edges = (index / bins, (index + 1) / bins)
        found.append(Bin(low=edges[0], high=edges[1], rows=rows, mean_confidence=mean, share_right=share))
    return found, error


def best_temperature(scores: npt.NDArray[np.float64], loss: Callable[[npt.NDArray[np.float64]], float]) -> float:
    """The divisor of scores with the least loss, of a fixed grid: a search whose answer no rounding can move."""
    grid = np.round(np.geomspace(0.2, 5.0, 60), 4)
    return float(min(grid, key=lambda divisor: loss(scores / divisor)))


def _counts(
    true: npt.NDArray[np.int64], guess: npt.NDArray[np.int64], size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    right = np.bincount(true[true == guess], minlength=size)
    return right, np.bincount(guess, minlength=size + 1)[:size], np.bincount(true, minlength=size)


def _macro_f1(right: npt.NDArray[np.int64], told: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> float:
    there = rows > 0
    return float((2 * right[there] / (told[there] + rows[there])).mean())
