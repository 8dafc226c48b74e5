"""Lines over periods, one a group: the form of shares that do not add up, and of means."""

from collections.abc import Sequence

import altair as alt

from tidegate.report.palette import colours_of
from tidegate.report.points import Drawing, Record, inline, legend_of, log_ticks, period_axis
from tidegate.report.theme import HEIGHT_PX
from tidegate.study.result import Result

PLAIN = "format(datum.value, ',')"
PERCENT = "format(datum.value, '.0%')"


def lines(
    result: Result,
    data: Sequence[Record],
    column: str,
    field: str,
    *,
    title: str,
    log: bool = False,
) -> Drawing:
    """Lines with a point a period, coloured by `column` in order of appearance; zero-based unless logarithmic.

    field: `value`, or `share` in percent.
    """
    order = list(dict.fromkeys(str(record[column]) for record in data))
    colour = alt.Color(
        f"{column}:N",
        scale=alt.Scale(domain=order, range=colours_of(order)),
        sort=order,
        legend=legend_of(order, stroke=True),
    )
    scale = alt.Scale(type="log") if log else alt.Scale(zero=True)
    axis = alt.Axis(title=title, labelExpr=PERCENT if field == "share" else PLAIN, tickCount=6)
    if log:
        ticks = log_ticks(float(record[field] or 0) for record in data)
        axis = alt.Axis(title=title, labelExpr=PERCENT if field == "share" else PLAIN, values=ticks)
    base = alt.Chart(inline(data)).encode(
        x=period_axis(result),
        y=alt.Y(f"{field}:Q", scale=scale, axis=axis),
        color=colour,
        tooltip=[
            alt.Tooltip("period:N", title=f"{result.grain} of"),
            alt.Tooltip(f"{column}:N", title="of"),
            alt.Tooltip("text:N", title="amount"),
        ],
    )
    return alt.layer(base.mark_line(strokeWidth=2.5), base.mark_point(filled=True, size=36, opacity=1)).properties(
        height=HEIGHT_PX
    )
