"""Chart of `category_tags`: what each category is made of, its parts named where there is room."""

from itertools import groupby

import altair as alt

from tidegate.report.palette import CYCLE, PALE
from tidegate.report.points import Drawing, Record, inline, records
from tidegate.study.result import Result

PARTS_MAX = 5  # named parts of a category; the rest is one
NAMED_FROM = 0.14  # of the bar: below, a name has no room
ROW_PX = 34


def chart(result: Result) -> Drawing:
    """One bar a category, stacked to its whole, the largest part first; last parts of paths as names."""
    data: list[Record] = []
    for category, cells in groupby(records(result), key=lambda record: str(record["category"])):
        parts = list(cells)
        start = 0.0
        for place, part in enumerate(parts[:PARTS_MAX]):
            share = float(part["share"] or 0)
            leaf = str(part["tag"]).rpartition("/")[2]
            at = {"start": start, "end": start + share}
            data.append({**part, **at, "place": f"{place + 1}", "leaf": _fit(leaf, share)})
            start += share
        if len(parts) > PARTS_MAX:
            rest: Record = {"category": category, "tag": f"{len(parts) - PARTS_MAX} more", "text": ""}
            data.append({**rest, "place": "rest", "start": start, "end": 1.0, "leaf": ""})
    for record in data:
        record["middle"] = (float(record["start"] or 0) + float(record["end"] or 0)) / 2
    order = list(dict.fromkeys(str(record["category"]) for record in data))
    places = [*(str(place + 1) for place in range(PARTS_MAX)), "rest"]
    y = alt.Y("category:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False))
    base = alt.Chart(inline(data)).encode(y=y)
    bars = base.mark_bar(stroke="white", strokeWidth=1).encode(
        x=alt.X("start:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", title="share of the category")),
        x2="end:Q",
        color=alt.Color("place:N", scale=alt.Scale(domain=places, range=[*CYCLE[:PARTS_MAX], PALE]), legend=None),
        tooltip=[alt.Tooltip("category:N"), alt.Tooltip("tag:N"), alt.Tooltip("text:N", title="amount")],
    )
    names = base.mark_text(color="white", fontSize=11).encode(x="middle:Q", text="leaf:N")
    return alt.layer(bars, names).properties(height=ROW_PX * max(1, len(order)))


def _fit(name: str, share: float) -> str:
    """The name, cut to what fits in this share of the bar; empty where nothing does."""
    room = int(share * 110)
    if share < NAMED_FROM:
        return ""
    return name if len(name) <= room else f"{name[: room - 1]}…"
