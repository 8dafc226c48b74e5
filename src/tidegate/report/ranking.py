"""Horizontal bars, largest first: the form of tables over the whole window."""

from collections.abc import Sequence

import altair as alt

from tidegate.report.points import Drawing, Record, inline
from tidegate.report.theme import BLUE

ROW_PX = 24


def share_bars(
    data: Sequence[Record], column: str, *, title: str = "share", colour: str = BLUE, rows_max: int = 20
) -> Drawing:
    """One bar a group from zero, in the order given, with its share written at the end."""
    shown = [record for record in data if record["share"] is not None][:rows_max]
    order = [str(record[column]) for record in shown]
    for record in shown:
        record["percent"] = f"{100 * float(record['share'] or 0):.1f} %"
    top = max((float(record["share"] or 0) for record in shown), default=1.0) or 1.0
    base = alt.Chart(inline(shown)).encode(
        x=alt.X(
            "share:Q", scale=alt.Scale(domain=[0, top * 1.08]), axis=alt.Axis(format="%", title=title, tickCount=6)
        ),
        y=alt.Y(f"{column}:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=220)),
        tooltip=[alt.Tooltip(f"{column}:N"), alt.Tooltip("text:N", title="amount")],
    )
    texts = base.mark_text(align="left", dx=5).encode(text="percent:N")
    return alt.layer(base.mark_bar(color=colour), texts).properties(height=ROW_PX * max(1, len(order)))
