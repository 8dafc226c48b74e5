"""Chart of `prompt_length`: input and output tokens a call, three statistics of each."""

import altair as alt

from tidegate.report.points import Drawing, inline, period_axis, records
from tidegate.report.theme import BLUE, GREEN, HEIGHT_PX, ORANGE
from tidegate.study.result import Result

STATISTICS = ["median", "mean", "p90"]
COLOURS = [BLUE, GREEN, ORANGE]
ROW_PX = 26


def chart(result: Result) -> Drawing:
    """Lines over weeks, solid for input and dashed for output; bars where there is one week only. Zero-based."""
    data = records(result, lambda cell: cell.groups["length_of"] != "total")
    colour = alt.Color("statistic:N", scale=alt.Scale(domain=STATISTICS, range=COLOURS), sort=STATISTICS)
    tooltip = [
        alt.Tooltip("period:N", title="week of"),
        alt.Tooltip("length_of:N", title="of"),
        alt.Tooltip("statistic:N"),
        alt.Tooltip("text:N", title="tokens a call"),
    ]
    plain = "format(datum.value, ',')"
    if len({record["period"] for record in data}) == 1:
        return (
            alt.Chart(inline(data))
            .mark_bar()
            .encode(
                x=alt.X("value:Q", axis=alt.Axis(title=result.unit, labelExpr=plain)),
                y=alt.Y("length_of:N", axis=alt.Axis(title=None, domain=False, ticks=False)),
                yOffset=alt.YOffset("statistic:N", sort=STATISTICS),
                color=colour,
                tooltip=tooltip,
            )
            .properties(height=ROW_PX * 6)
        )
    base = alt.Chart(inline(data)).encode(
        x=period_axis(result),
        y=alt.Y("value:Q", axis=alt.Axis(title=result.unit, labelExpr=plain), scale=alt.Scale(zero=True)),
        color=colour,
        detail="length_of:N",
        tooltip=tooltip,
    )
    dash = alt.StrokeDash(
        "length_of:N",
        scale=alt.Scale(domain=["input", "output"], range=[[1, 0], [5, 4]]),
        legend=alt.Legend(symbolType="stroke", symbolStrokeWidth=3),
    )
    lines = base.mark_line(strokeWidth=2.5).encode(strokeDash=dash)
    return alt.layer(lines, base.mark_point(filled=True, size=36, opacity=1)).properties(height=HEIGHT_PX)
