"""Chart of `programming_length`: programming calls beside all calls, mean and median."""

import altair as alt

from tidegate.report.points import Drawing, inline, period_axis, records
from tidegate.report.theme import BLUE, GREY, HEIGHT_PX
from tidegate.study.programming_length import EVERY, PROGRAMMING
from tidegate.study.result import Result

STATISTICS = ["mean", "median"]


def chart(result: Result) -> Drawing:
    """Solid lines are means, dashed ones medians; from zero."""
    data = records(result, lambda cell: cell.groups["statistic"] in STATISTICS)
    stroke = alt.Legend(symbolType="stroke", symbolStrokeWidth=3)
    base = alt.Chart(inline(data)).encode(
        x=period_axis(result),
        y=alt.Y("value:Q", scale=alt.Scale(zero=True), axis=alt.Axis(title=result.unit)),
        color=alt.Color("calls:N", scale=alt.Scale(domain=[PROGRAMMING, EVERY], range=[BLUE, GREY]), legend=stroke),
        detail="statistic:N",
        tooltip=[
            alt.Tooltip("period:N", title="week of"),
            alt.Tooltip("calls:N"),
            alt.Tooltip("statistic:N"),
            alt.Tooltip("text:N", title="tokens a call"),
        ],
    )
    dash = alt.StrokeDash(
        "statistic:N", scale=alt.Scale(domain=STATISTICS, range=[[1, 0], [5, 4]]), sort=STATISTICS, legend=stroke
    )
    drawn = alt.layer(
        base.mark_line(strokeWidth=2.5).encode(strokeDash=dash), base.mark_point(filled=True, size=36, opacity=1)
    )
    return drawn.properties(height=HEIGHT_PX)
