"""Chart of `oss_split`: shares of each period, stacked from zero to the whole."""

import altair as alt

from tidegate.report.points import Drawing, inline, period_axis, records
from tidegate.report.theme import BLUE, GREY, HEIGHT_PX, ORANGE, PURPLE, VERMILION
from tidegate.study.result import Result

LABELS = {
    "open_cn": "open, Chinese",
    "open_row": "open, rest of world",
    "closed": "closed",
    "cloaked": "cloaked",
    "unknown": "unknown",
}
COLOURS = {"open_cn": VERMILION, "open_row": ORANGE, "closed": BLUE, "cloaked": PURPLE, "unknown": GREY}


def chart(result: Result) -> Drawing:
    """Stacked areas, or bars where there are too few periods to join."""
    data = records(result)
    order = list(LABELS)
    for record in data:
        record["order"] = order.index(str(record["source_type"]))
        record["group"] = LABELS[str(record["source_type"])]
    shown = [name for name in order if any(record["source_type"] == name and record["value"] for record in data)]
    domain = [LABELS[name] for name in shown]
    data = [record for record in data if record["source_type"] in shown]
    base = alt.Chart(inline(data))
    few = len({record["period"] for record in data}) < 3
    mark = base.mark_bar(size=48) if few else base.mark_area(interpolate="linear", line=False)
    return mark.encode(
        x=period_axis(result),
        y=alt.Y("share:Q", stack="zero", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", title="share")),
        color=alt.Color(
            "group:N", scale=alt.Scale(domain=domain, range=[COLOURS[name] for name in shown]), sort=domain
        ),
        order=alt.Order("order:Q"),
        tooltip=[
            alt.Tooltip("period:N", title=f"{result.grain} of"),
            alt.Tooltip("group:N", title="models"),
            alt.Tooltip("text:N", title="amount"),
        ],
    ).properties(height=HEIGHT_PX)
