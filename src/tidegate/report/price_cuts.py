"""Chart of `price_cuts`: effect on ln tokens by week from the cut, with its band; the cut marked."""

import altair as alt

from tidegate.report.intervals import estimates
from tidegate.report.points import Drawing, inline
from tidegate.report.theme import BLUE, HEIGHT_PX
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """A line with points and error bars; a dashed rule between the last week before and the first after."""
    data = estimates(result, ("weeks_from_cut",), "effect")
    for record in data:
        record["week"] = int(str(record["weeks_from_cut"]))
    x = alt.X("week:Q", axis=alt.Axis(title="weeks from the price cut", format="d", tickMinStep=1, grid=False))
    tooltip = [
        alt.Tooltip("week:Q", title="week"),
        alt.Tooltip("text:N", title="change of ln tokens"),
        alt.Tooltip("models:Q", title="models with a cut"),
    ]
    base = alt.Chart(inline(data))
    bars = base.mark_rule(color=BLUE, opacity=0.55, strokeWidth=2).encode(
        x=x, y=alt.Y("low:Q", axis=alt.Axis(title="change of ln tokens against week -1")), y2="high:Q", tooltip=tooltip
    )
    line = base.mark_line(color=BLUE, strokeWidth=2.5, point={"filled": True, "size": 60, "opacity": 1}).encode(
        x=x, y="effect:Q", tooltip=tooltip
    )
    zero = alt.Chart(inline([{"y": 0.0}])).mark_rule().encode(y="y:Q")
    cut = alt.Chart(inline([{"x": -0.5}])).mark_rule(strokeDash=[5, 4]).encode(x="x:Q")
    return alt.layer(zero, cut, bars, line).properties(height=HEIGHT_PX)
