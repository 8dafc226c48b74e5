"""Chart of `billing_and_ip`: pairs of paying and calling country, the same ones told apart."""

import altair as alt

from tidegate.report.points import Drawing, inline, records
from tidegate.report.ranking import ROW_PX
from tidegate.report.theme import BLUE, ORANGE
from tidegate.study.result import Result

SAME, OTHER = "same country", "another country"


def chart(result: Result) -> Drawing:
    """One bar a pair, largest first, from zero."""
    data = records(result)
    for record in data:
        record["pair"] = f"{record['billing_country']} pays, {record['ip_country']} calls"
        record["group"] = SAME if record["billing_country"] == record["ip_country"] else OTHER
    order = [str(record["pair"]) for record in data]
    return (
        alt.Chart(inline(data))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", axis=alt.Axis(format="%", title="share over the window", tickCount=6)),
            y=alt.Y("pair:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=220)),
            color=alt.Color("group:N", scale=alt.Scale(domain=[SAME, OTHER], range=[BLUE, ORANGE]), sort=[SAME, OTHER]),
            tooltip=[alt.Tooltip("pair:N"), alt.Tooltip("text:N", title="amount")],
        )
        .properties(height=ROW_PX * max(1, len(order)))
    )
