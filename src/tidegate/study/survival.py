"""How long users stay with a model: Kaplan and Meier's curve of the months until their last use.

Sources: E. L. Kaplan, P. Meier, JASA 53 (1958); Greenwood's variance; intervals on the scale of log(-log S)
(J. D. Kalbfleisch, R. L. Prentice, The Statistical Analysis of Failure Time Data, 2002, section 1.4).
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tidegate.study.cohorts import monthly
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.regression import LEVEL
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.retention import MODELS_MAX, activity_notes, window_of

NAME = "survival"
QUESTION = "How long do users stay with a model?"
IDLE_MONTHS = 2  # without use, up to the end of the data: gone. Whoever was active since may yet go on.


class Step(msgspec.Struct, frozen=True):
    """The curve after `month` months of use. at_risk: seen that long; gone: last used then; low, high: of LEVEL."""

    month: int
    at_risk: int
    gone: int
    survival: float
    low: float
    high: float


def survival(facts: Facts, source: Source, params: Params) -> Result:
    """The share of units still to be active after 1, 2, ... months, by model, with its interval."""
    activity = monthly(NAME, facts, source, params, params.unit)
    if len(activity.periods) <= IDLE_MONTHS:
        raise NotComputable(
            NAME, source.source_id, f"it has {len(activity.periods)} months; {IDLE_MONTHS + 1} at least"
        )
    rows: list[Cell] = []
    censored = 0
    for place, model in enumerate(activity.largest(MODELS_MAX)):
        months, gone = lifetimes(activity.of(model))
        censored += 0 if place else int((~gone).sum())
        for step in kaplan_meier(months, gone):
            for name, value in (("still used", step.survival), ("low", step.low), ("high", step.high)):
                groups = {"model": model, "months": str(step.month), "statistic": name}
                rows.append(Cell(period=activity.periods[0].isoformat(), groups=groups, value=value))
            groups = {"model": model, "months": str(step.month), "statistic": "at risk"}
            rows.append(Cell(period=activity.periods[0].isoformat(), groups=groups, value=step.at_risk))
    return Result(
        figure=NAME,
        definition=(
            "The probability that a unit goes on using the model beyond so many months after its first use (the month "
            "of first use is the first), by Kaplan and Meier; low and high: "
            f"{LEVEL:.0%} interval (log-log, Greenwood)."
        ),
        source_id=source.source_id,
        window=window_of(activity),
        rows=tuple(rows),
        n=activity.units,
        missing_share=0.0,
        notes=(
            source.describe(),
            *activity_notes(activity, params),
            f"Gone: no use in the last {IDLE_MONTHS} complete months; whoever was active in them is censored "
            f"({censored} of {activity.units} units of the gateway). Idle months before the last use do not count as "
            "leaving; whoever returns later than that will correct the curve upwards.",
        ),
        unit="fraction",
        grain="month",
        down=("model", "months"),
    )


def lifetimes(active: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Months from first to last use, both counted, and whether the unit is gone. active: (units, months)."""
    first = active.argmax(axis=1)
    last = active.shape[1] - 1 - active[:, ::-1].argmax(axis=1)
    return np.asarray(last - first + 1), np.asarray(last < active.shape[1] - IDLE_MONTHS)


def kaplan_meier(months: NDArray[np.intp], gone: NDArray[np.bool_]) -> list[Step]:
    """The curve at every whole month from 1 to the longest lifetime. Deaths precede censorings of the same month."""
    z = float(ndtri((1 + LEVEL) / 2))
    found = []
    remaining, variance = 1.0, 0.0
    for month in range(1, int(months.max()) + 1 if len(months) else 1):
        at_risk, deaths = int((months >= month).sum()), int((gone & (months == month)).sum())
        remaining *= 1 - deaths / at_risk
        if deaths:
            variance += math.inf if at_risk == deaths else deaths / (at_risk * (at_risk - deaths))
        low, high = _interval(remaining, variance, z)
        found.append(Step(month, at_risk, deaths, remaining, low, high))
    return found


def _interval(remaining: float, variance: float, z: float) -> tuple[float, float]:
    """On the log(-log) scale; a curve that has not fallen, or has reached zero, has no width there."""
    if remaining in (0.0, 1.0):
        return remaining, remaining
    reach = z * math.sqrt(variance) / math.log(remaining)
    centre = math.log(-math.log(remaining))
    return math.exp(-math.exp(centre - reach)), math.exp(-math.exp(centre + reach))
