"""Chart of `price_elasticity`: one line a method, its estimate and 95 % interval; zero and one to one marked."""

import altair as alt

from tidegate.report.intervals import estimates
from tidegate.report.points import Drawing, Record, inline
from tidegate.report.theme import BLUE
from tidegate.study.result import Result

ROW_PX = 44
MARKS: list[Record] = [{"x": 0.0, "label": "no response"}, {"x": -1.0, "label": "spend unchanged"}]


def chart(result: Result) -> Drawing:
    """Horizontal intervals; dashed rules at 0 and at -1, where spend does not depend on the price."""
    data = estimates(result, ("method", "sample"), "elasticity")
    for record in data:
        record["name"] = f"{record['method']}: {record['sample']}"
    order = [str(record["name"]) for record in data]
    y = alt.Y("name:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=330))
    tooltip = [alt.Tooltip("name:N", title="method"), alt.Tooltip("text:N", title="elasticity"), alt.Tooltip("n:Q")]
    base = alt.Chart(inline(data))
    x = alt.X("elasticity:Q", axis=alt.Axis(title="elasticity of tokens by price"))
    bars = base.mark_rule(color=BLUE, strokeWidth=2.5).encode(x=alt.X("low:Q"), x2="high:Q", y=y, tooltip=tooltip)
    dots = base.mark_point(filled=True, size=90, color=BLUE, opacity=1).encode(x=x, y=y, tooltip=tooltip)
    marked = alt.Chart(inline(MARKS))
    rules = marked.mark_rule(strokeDash=[5, 4]).encode(x="x:Q")
    words = marked.mark_text(align="left", dx=4, baseline="bottom", fontSize=11).encode(
        x="x:Q", y=alt.value(-2), text="label:N"
    )
    return alt.layer(rules, words, bars, dots).properties(height=ROW_PX * max(1, len(data)))
