"""A result as the records that charts read."""

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt

from tidegate.study.pivot import cell_text
from tidegate.study.result import Cell, Result

Record = dict[str, str | int | float | None]
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


def period_axis(result: Result) -> alt.X:
    """Time on the x axis: UTC, every period's first day a tick, labels left out where they would collide."""
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
    return alt.X("period:T", scale=alt.Scale(type="utc"), axis=axis)
