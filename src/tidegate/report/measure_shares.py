"""Chart of `measure_shares`: tokens, calls and spend side by side."""

import altair as alt

from tidegate.report.points import Drawing, Record, inline, records
from tidegate.report.theme import BLUE, GREEN, ORANGE
from tidegate.study.measure_shares import MEASURES, VALUE
from tidegate.study.result import Result

COLOURS = {"tokens": BLUE, "calls": GREEN, "spend": ORANGE}
BAR_PX = 11


def chart(result: Result) -> Drawing:
    """Three bars an author, from zero."""
    return side_by_side(result, "author")


def side_by_side(result: Result, column: str) -> Drawing:
    """A bar for each measure of each group, the groups by tokens; what a token is worth written at the end."""
    data = records(result, lambda cell: cell.groups["measure"] != VALUE)
    worth = {cell.groups[column]: cell.value for cell in result.rows if cell.groups["measure"] == VALUE}
    order = list(dict.fromkeys(str(record[column]) for record in data))
    shown = [name for name in MEASURES if any(record["measure"] == name for record in data)]
    top = max((float(record["share"] or 0) for record in data), default=0.0) or 1.0
    notes: list[Record] = [
        {column: name, "text": f"× {worth[name]:.2f}", "at": top * 1.02}
        for name in order
        if worth.get(name) is not None
    ]
    title = "share over the window; × value per token" if notes else "share over the window"
    y = alt.Y(f"{column}:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=220))
    offset = alt.YOffset("measure:N", sort=shown, scale=alt.Scale(domain=shown))
    bars = (
        alt.Chart(inline(data))
        .mark_bar()
        .encode(
            x=alt.X(
                "share:Q",
                scale=alt.Scale(domain=[0, top * 1.12]),
                axis=alt.Axis(format="%", title=title, tickCount=6),
            ),
            y=y,
            yOffset=offset,
            color=alt.Color(
                "measure:N", scale=alt.Scale(domain=shown, range=[COLOURS[name] for name in shown]), sort=shown
            ),
            tooltip=[
                alt.Tooltip(f"{column}:N"),
                alt.Tooltip("measure:N"),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
    )
    texts = alt.Chart(inline(notes)).mark_text(align="left", fontSize=11).encode(x="at:Q", y=y, text="text:N")
    return alt.layer(bars, texts).properties(height=BAR_PX * max(1, len(shown)) * max(1, len(order)) + 40)
