"""Chart of `country_lead`: one line a group, zero-based, and where the Chinese line first passes the US one."""

from itertools import groupby

import altair as alt

from tidegate.report.points import Drawing, inline, period_axis, records
from tidegate.report.theme import BLUE, GREEN, GREY, HEIGHT_PX, PURPLE, VERMILION, value_axis
from tidegate.study.result import Result

LABELS = {
    "CN": "Chinese models",
    "US": "US models",
    "rest": "other countries",
    "cloaked": "cloaked (no country)",
    "unknown": "country unknown",
}
COLOURS = {"CN": VERMILION, "US": BLUE, "rest": GREEN, "cloaked": PURPLE, "unknown": GREY}
DASHES = {"CN": [1, 0], "US": [1, 0], "rest": [2, 2], "cloaked": [6, 3], "unknown": [1, 3]}


def chart(result: Result) -> Drawing:
    """Lines with a point a period; a rule at the first lead with cloaked models apart, if there is one."""
    data = records(result)
    shown = [name for name in LABELS if any(record["country"] == name for record in data)]
    for record in data:
        record["group"] = LABELS[str(record["country"])]
    domain = [LABELS[name] for name in shown]
    legend = alt.Legend(symbolType="stroke", symbolStrokeWidth=3)
    colour = alt.Color(
        "group:N", scale=alt.Scale(domain=domain, range=[COLOURS[name] for name in shown]), sort=domain, legend=legend
    )
    dash = alt.StrokeDash(
        "group:N", scale=alt.Scale(domain=domain, range=[DASHES[name] for name in shown]), sort=domain, legend=legend
    )
    y = alt.Y(
        "value:Q", axis=alt.Axis(title=result.unit, labelExpr=value_axis(result.unit)), scale=alt.Scale(zero=True)
    )
    tooltip = [
        alt.Tooltip("period:N", title=f"{result.grain} of"),
        alt.Tooltip("group:N", title="models"),
        alt.Tooltip("text:N", title="amount"),
    ]
    base = alt.Chart(inline(data)).encode(x=period_axis(result), y=y, color=colour, tooltip=tooltip)
    layers: list[Drawing] = [
        base.mark_line(strokeWidth=2.5, interpolate="linear").encode(strokeDash=dash),
        base.mark_point(filled=True, size=36, opacity=1),
    ]
    if first := first_lead(result):
        mark = alt.Chart(inline([{"period": first, "label": f"first lead, {result.grain} of {first}"}]))
        x = alt.X("period:T", scale=alt.Scale(type="utc"))
        layers.append(mark.mark_rule(strokeDash=[4, 4]).encode(x=x))
        layers.append(
            mark.mark_text(align="right", dx=-6, dy=6, baseline="top").encode(x=x, y=alt.value(0), text="label:N")
        )
    return alt.layer(*layers).properties(height=HEIGHT_PX)


def first_lead(result: Result) -> str | None:
    """The first period in which CN has strictly more than US, if the result states leads at all and US has any."""
    if any(note.startswith("No complete") for note in result.notes):
        return None
    for period, cells in groupby(result.rows, key=lambda cell: cell.period):
        values = {cell.groups["country"]: cell.value or 0 for cell in cells}
        if values.get("CN", 0) > values.get("US", 0):
            return str(period)
    return None
