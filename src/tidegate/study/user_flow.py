"""Who came, stayed, left and came back, by model and month: what retention curves add up."""

import numpy as np
from numpy.typing import NDArray

from tidegate.study.cohorts import WORDS, monthly
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import Cell, Result
from tidegate.study.retention import MODELS_MAX, activity_notes, window_of

NAME = "user_flow"
QUESTION = "Who comes, stays, leaves and comes back?"
FLOWS = ("new", "stayed", "returned", "left")


def user_flow(facts: Facts, source: Source, params: Params) -> Result:
    """New, staying, returning and leaving units of each month; shares are of those active the month before."""
    activity = monthly(NAME, facts, source, params, params.unit)
    rows: list[Cell] = []
    for model in activity.largest(MODELS_MAX):
        flows = flow(activity.of(model))
        for place, month in enumerate(activity.periods[1:], 1):
            before = flows["active"][place - 1]
            for name in FLOWS:
                value = flows[name][place]
                share = value / before if before and name in ("stayed", "left") else None
                groups = {"model": model, "month": month.isoformat()[:7], "flow": name}
                rows.append(Cell(period=month.isoformat(), groups=groups, value=value, share=share))
    return Result(
        figure=NAME,
        definition=(
            f"{WORDS[params.unit].capitalize()} of each model by month: new (first use ever), stayed (active this "
            "month and the one before), returned (active, idle the month before, active earlier: resurrected) and left "
            "(active the month before, not this one: churned); share: of those active the month before."
        ),
        source_id=source.source_id,
        window=window_of(activity),
        rows=tuple(rows),
        n=activity.units,
        missing_share=0.0,
        notes=(source.describe(), *activity_notes(activity, params), "Active units = new + stayed + returned."),
        unit=WORDS[params.unit],
        grain="month",
        down=("model", "month"),
    )


def flow(active: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Counts by period: active, new, stayed, returned, left. active: (units, periods)."""
    before = np.zeros_like(active)
    before[:, 1:] = active[:, :-1]
    ever = np.zeros_like(active)
    ever[:, 1:] = np.logical_or.accumulate(active, axis=1)[:, :-1]
    found = {
        "active": active,
        "new": active & ~ever,
        "stayed": active & before,
        "returned": active & ~before & ever,
        "left": ~active & before,
    }
    return {name: [int(count) for count in kind.sum(axis=0)] for name, kind in found.items()}
