"""Stacked shares over periods: the form of most charts."""

from collections.abc import Mapping, Sequence

import altair as alt

from tidegate.report.palette import REST, colours_of
from tidegate.report.points import Drawing, Record, inline, legend_of, period_axis, records
from tidegate.report.theme import HEIGHT_PX, value_axis
from tidegate.study.result import Result

AREA_PERIODS_MIN = 3  # fewer are bars: an area needs something to join
BAR_PX = 48
PLOT_PX = 640  # shared among the bars
NO_LABELS: Mapping[str, str] = {}


def stacked_shares(
    result: Result, column: str, *, labels: Mapping[str, str] = NO_LABELS, bars: bool = False, title: str = "share"
) -> Drawing:
    """Shares of each period by `column`, stacked from zero to one: areas, or bars where wanted or periods are few.

    labels: how groups are called in the legend, in the order of stacking; without them the largest lies lowest.
    """
    data, domain, colours = prepared(result, column, labels)
    axis = alt.Axis(format="%", title=title)
    y = alt.Y("share:Q", stack="zero", scale=alt.Scale(domain=[0, 1]), axis=axis)
    return _drawn(result, data, y, domain, colours, bars=bars)


def stacked_values(result: Result, column: str, *, labels: Mapping[str, str] = NO_LABELS, title: str = "") -> Drawing:
    """Amounts of each period by `column` as stacked bars from zero."""
    data, domain, colours = prepared(result, column, labels)
    axis = alt.Axis(title=title or result.unit, labelExpr=value_axis(result.unit), tickCount=6)
    return _drawn(result, data, alt.Y("value:Q", stack="zero", axis=axis), domain, colours, bars=True)


def prepared(
    result: Result, column: str, labels: Mapping[str, str] = NO_LABELS
) -> tuple[list[Record], list[str], list[str]]:
    """Records with `group` (the label) and `order`; the labels in order; their colours."""
    data = records(result)
    order = stacking_order(data, column, labels)
    for record in data:
        name = str(record[column])
        record["group"], record["order"] = labels.get(name, name), order.index(name) if name in order else -1
    shown = [record for record in data if record["order"] != -1]
    return shown, [labels.get(name, name) for name in order], colours_of(order)


def stacking_order(data: Sequence[Record], column: str, labels: Mapping[str, str]) -> list[str]:
    """Groups that have anything: in the order of `labels`, then the largest first; what sums up the rest comes last."""
    totals: dict[str, float] = {}
    for record in data:
        amount = record["share"] if record["share"] is not None else record["value"]
        totals[str(record[column])] = totals.get(str(record[column]), 0.0) + float(amount or 0)
    known = [name for name in labels if totals.get(name)]
    found = sorted((name for name in totals if totals[name] and name not in labels), key=lambda name: -totals[name])
    ranked = [name for name in found if name not in REST]
    return known + ranked + [name for name in found if name in REST]


def _drawn(
    result: Result, data: Sequence[Record], y: alt.Y, domain: Sequence[str], colours: Sequence[str], *, bars: bool
) -> Drawing:
    base = alt.Chart(inline(data))
    bar_px = 0
    periods = len({record["period"] for record in data})
    if bars or periods < AREA_PERIODS_MIN:
        bar_px = max(4, min(BAR_PX, PLOT_PX // max(1, periods)))
        mark = base.mark_bar(size=bar_px)
    else:
        mark = base.mark_area(interpolate="linear", line=False)
    return mark.encode(
        x=period_axis(result, bar_px // 2 + 4 if bar_px else 0),
        y=y,
        color=alt.Color(
            "group:N",
            scale=alt.Scale(domain=list(domain), range=list(colours)),
            sort=list(domain),
            legend=legend_of(domain),
        ),
        order=alt.Order("order:Q"),
        tooltip=[
            alt.Tooltip("period:N", title=f"{result.grain} of"),
            alt.Tooltip("group:N", title="group"),
            alt.Tooltip("text:N", title="amount"),
        ],
    ).properties(height=HEIGHT_PX)
