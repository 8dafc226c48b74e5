"""Chart of `author_totals`: the largest authors, the part with open weights told apart."""

import altair as alt

from tidegate.report.points import Drawing, Record, inline, records
from tidegate.report.theme import BLUE, VERMILION, value_axis
from tidegate.study.result import Result

AUTHORS_MAX = 15
ROW_PX = 22
OPEN, OTHER = "open weights", "closed, cloaked or unknown"


def chart(result: Result) -> Drawing:
    """Horizontal bars from zero, largest first; at most AUTHORS_MAX of them (the table has all)."""
    cells = records(result)
    openly = {str(record["author"]): record for record in cells if record["models"] == "open"}
    largest = [record for record in cells if record["models"] == "all"][:AUTHORS_MAX]
    data: list[Record] = []
    for record in largest:
        author, whole = str(record["author"]), int(record["value"] or 0)
        part = int(openly[author]["value"] or 0) if author in openly else 0
        for name, value, place in ((OPEN, part, 0), (OTHER, whole - part, 1)):
            if value:
                data.append({"author": author, "group": name, "value": value, "order": place, "text": record["text"]})
    order = [str(record["author"]) for record in largest]
    label = value_axis(result.unit)
    scale = alt.Scale(domain=[OPEN, OTHER], range=[VERMILION, BLUE])
    return (
        alt.Chart(inline(data))
        .mark_bar()
        .encode(
            x=alt.X("value:Q", stack="zero", axis=alt.Axis(title=result.unit, labelExpr=label, tickCount=6)),
            y=alt.Y("author:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=140)),
            color=alt.Color("group:N", scale=scale, sort=[OPEN, OTHER]),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("author:N"),
                alt.Tooltip("group:N", title="models"),
                alt.Tooltip("text:N", title="author's total"),
            ],
        )
        .properties(height=ROW_PX * max(1, len(order)))
    )
