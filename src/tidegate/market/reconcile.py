"""Parts and their whole made to agree: weighted least squares with nothing below zero, each adjustment shown."""

from collections.abc import Sequence

import msgspec
import numpy as np

from tidegate.market.claim import APPROX, MarketError


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """A figure and how far it may be off (one unit of weight is 1 / error^2). error None: 10 % of the value."""

    name: str
    value: float
    error: float | None = None


class Adjusted(msgspec.Struct, frozen=True, kw_only=True):
    """What was stated, what it became, and by how many of its errors it moved. stated None: the rest, never told."""

    name: str
    stated: float | None
    value: float
    change: float | None
    errors: float | None


def reconcile(whole: Stated, parts: Sequence[Stated], *, complete: bool) -> tuple[Adjusted, ...]:
    """min sum((x - v) / e)^2 over parts and whole = sum of parts (plus a rest, unless complete), all x >= 0.

    The whole is no variable but the sum of the others, so that this is one non-negative least squares problem.
    """
    from scipy.optimize import nnls

    if not parts:
        raise MarketError(f"{whole.name} has no parts to agree with; name at least one")
    for one in (whole, *parts):
        if one.value < 0 or (one.error is not None and one.error <= 0):
            raise MarketError(f"{one.name}: value {one.value}, error {one.error}; neither may lie below zero")
    scale = max(one.value for one in (whole, *parts)) or 1.0
    count = len(parts) + (0 if complete else 1)
    rows, targets = [], []
    for index, part in enumerate(parts):
        row = np.zeros(count)
        row[index] = scale / _error(part)
        rows.append(row)
        targets.append(part.value / _error(part))
    rows.append(np.full(count, scale / _error(whole)))
    targets.append(whole.value / _error(whole))
    found, _ = nnls(np.array(rows), np.array(targets))
    values = [float(value) * scale for value in found]
    told = [_adjusted(part, value) for part, value in zip(parts, values, strict=False)]
    if not complete:
        told.append(Adjusted(name="rest", stated=None, value=values[-1], change=None, errors=None))
    return (_adjusted(whole, sum(values)), *told)


def _error(one: Stated) -> float:
    return one.error if one.error is not None else max(APPROX * one.value, 1e-12)


def _adjusted(one: Stated, value: float) -> Adjusted:
    change = value - one.value
    return Adjusted(name=one.name, stated=one.value, value=value, change=change, errors=change / _error(one))
