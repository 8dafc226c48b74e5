"""Chart of `user_flow`: those who came, stayed and returned above zero, those who left below it, over all models."""

import altair as alt

from tidegate.report.points import Drawing, inline, period_axis, records
from tidegate.report.theme import BLUE, GREEN, HEIGHT_PX, ORANGE, VERMILION
from tidegate.study.cohorts import ANY_MODEL
from tidegate.study.result import Result

COLOURS = {"stayed": BLUE, "returned": GREEN, "new": ORANGE, "left": VERMILION}

BARS_PX = 560  # of all bars together, on a drawing of the usual width


def chart(result: Result) -> Drawing:
    """Stacked bars by month; the models by themselves are in the table."""
    data = records(result, lambda cell: cell.groups["model"] == ANY_MODEL)
    order = list(COLOURS)
    for record in data:
        record["order"] = order.index(str(record["flow"]))
        if record["flow"] == "left":
            record["value"] = -int(record["value"] or 0)
    months = len({record["period"] for record in data})
    return (
        alt.Chart(inline(data))
        .mark_bar(size=max(4, min(40, BARS_PX // max(1, months))))
        .encode(
            x=period_axis(result),
            y=alt.Y(
                "value:Q",
                stack="zero",
                axis=alt.Axis(title=f"{result.unit}, {ANY_MODEL}", labelExpr="format(abs(datum.value), ',')"),
            ),
            color=alt.Color("flow:N", scale=alt.Scale(domain=order, range=list(COLOURS.values())), sort=order),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("month:N"),
                alt.Tooltip("flow:N"),
                alt.Tooltip("text:N", title=result.unit),
            ],
        )
        .properties(height=HEIGHT_PX)
    )
