"""Chart of `outlier_accounts`: the weeks that an account bends."""

import altair as alt

from tidegate.report.points import Drawing, inline, records
from tidegate.report.ranking import ROW_PX
from tidegate.report.theme import BLUE, VERMILION
from tidegate.study.result import Result

KINDS = ["everything", "tool calls"]


def chart(result: Result) -> Drawing:
    """One bar an account, week and kind, heaviest first, from zero to the whole week."""
    data = records(result)
    for record in data:
        record["case"] = f"{record['account']}, week of {record['period']}"
    order = list(dict.fromkeys(str(record["case"]) for record in data))
    return (
        alt.Chart(inline(data))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", title="share of the week")),
            y=alt.Y("case:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=260)),
            yOffset=alt.YOffset("of:N", sort=KINDS, scale=alt.Scale(domain=KINDS)),
            color=alt.Color("of:N", scale=alt.Scale(domain=KINDS, range=[BLUE, VERMILION]), sort=KINDS),
            tooltip=[alt.Tooltip("case:N"), alt.Tooltip("of:N"), alt.Tooltip("text:N", title="amount")],
        )
        .properties(height=(ROW_PX + 4) * max(1, len(order)))
    )
