"""Chart of `tool_call_share`: the part that ends in a tool call."""

import altair as alt

from tidegate.report.points import Drawing, inline, period_axis, records
from tidegate.report.theme import BLUE, HEIGHT_PX
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """One line with a point a period, from zero."""
    data = records(result, lambda cell: cell.groups["tools"] == "tool_calls" and cell.share is not None)
    base = alt.Chart(inline(data)).encode(
        x=period_axis(result),
        y=alt.Y("share:Q", scale=alt.Scale(zero=True), axis=alt.Axis(format="%", title="share in calls of tools")),
        tooltip=[alt.Tooltip("period:N", title=f"{result.grain} of"), alt.Tooltip("text:N", title="in calls of tools")],
    )
    points = base.mark_point(filled=True, size=36, opacity=1, color=BLUE)
    return alt.layer(base.mark_line(strokeWidth=2.5, color=BLUE), points).properties(height=HEIGHT_PX)
