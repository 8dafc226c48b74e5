"""Chart of `segments`: each segment's part of models, tokens and spend, side by side."""

import altair as alt

from tidegate.report.points import Drawing, inline, records
from tidegate.report.theme import BLUE, GREEN, ORANGE
from tidegate.study.result import Result
from tidegate.study.scatter import MODEL_SEGMENTS

PARTS = {"models": "of models", "usage": "of tokens", "cost": "of spend"}
COLOURS = [BLUE, GREEN, ORANGE]
ROW_PX = 72


def chart(result: Result) -> Drawing:
    """Horizontal bars from zero, three a segment."""
    data = records(result, lambda cell: cell.share is not None)
    for record in data:
        record["part"] = PARTS[str(record["axis"])]
        record["text"] = f"{100 * float(record['share'] or 0):.1f} %"
    order, parts = list(MODEL_SEGMENTS.values()), list(PARTS.values())
    return (
        alt.Chart(inline(data))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", scale=alt.Scale(domainMin=0), axis=alt.Axis(format="%", title="share")),
            y=alt.Y("segment:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=160)),
            yOffset=alt.YOffset("part:N", sort=parts),
            color=alt.Color("part:N", scale=alt.Scale(domain=parts, range=COLOURS), sort=parts),
            tooltip=[alt.Tooltip("segment:N"), alt.Tooltip("part:N", title="share"), alt.Tooltip("text:N", title="is")],
        )
        .properties(height=ROW_PX * len(order))
    )
