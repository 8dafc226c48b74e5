"""A result as the records that charts read."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import altair as alt

from tidegate.report.theme import EXPORT_WIDTH_PX
from tidegate.study.pivot import cell_text
from tidegate.study.result import Cell, Result

Record = dict[str, str | int | float | None]
CHARACTER_PX, SYMBOL_PX, LABEL_CHARACTERS_MAX = 7.0, 34, 36  # of a legend at its size of text
DECADES_MAX = 3  # up to so many, an axis of logarithms names 2 and 5 too
Drawing = Any  # an Altair chart: its generated methods return unions that no caller can name


def inline(data: Sequence[Record]) -> alt.Data:
    """Records as a chart's own data: nothing is loaded from anywhere."""
    return alt.Data(values=list(data))  # type: ignore[no-untyped-call]  # generated class


def records(result: Result, keep: Callable[[Cell], bool] = lambda cell: True) -> list[Record]:
    """period, the groups, value, share and `text` (for tooltips) of each cell with a value."""
    return [
        {
            "period": cell.period,
            **cell.groups,
            "value": cell.value,
            "share": cell.share,
            "text": cell_text(cell, result.unit),
        }
        for cell in result.rows
        if cell.value is not None and keep(cell)
    ]


def period_axis(result: Result, padding_px: int = 0) -> alt.X:
    """Time on the x axis: UTC, every period's first day a tick, labels left out where they would collide.

    padding_px: room at both ends, for marks that are wider than a point.
    """
    periods = sorted({cell.period for cell in result.rows})
    values = [{"year": int(p[:4]), "month": int(p[5:7]), "date": int(p[8:]), "utc": True} for p in periods]
    form = "%d %b" if result.grain == "week" else "%b %Y"
    title = "week beginning (UTC)" if result.grain == "week" else "month (UTC)"
    axis = alt.Axis(
        values=values,
        format=form,
        labelOverlap="greedy",
        labelSeparation=6,
        labelFlush=False,
        grid=False,
        title=title,
    )
    scale = alt.Scale(type="utc", padding=padding_px) if padding_px else alt.Scale(type="utc")
    return alt.X("period:T", scale=scale, axis=axis)


def legend_of(labels: Sequence[str], *, stroke: bool = False) -> alt.Legend:
    """A legend with as many columns as fit beside each other; stroke: of lines, not of areas."""
    widest = CHARACTER_PX * max((min(len(label), LABEL_CHARACTERS_MAX) for label in labels), default=1) + SYMBOL_PX
    columns = max(1, int(EXPORT_WIDTH_PX // widest))
    fits = len(labels) <= columns
    if stroke:
        return alt.Legend(symbolType="stroke", symbolStrokeWidth=3, columns=0 if fits else columns)
    return alt.Legend(columns=0 if fits else columns)


def log_ticks(values: Iterable[float]) -> list[float]:
    """1, 2 and 5 of each decade between the least and the largest; decades alone where there are many."""
    held = [value for value in values if value > 0]
    if not held:
        return [1.0]
    first, last = math.floor(math.log10(min(held))), math.ceil(math.log10(max(held)))
    steps = (1, 2, 5) if last - first <= DECADES_MAX else (1,)
    return [step * 10.0**power for power in range(first, last + 1) for step in steps]
