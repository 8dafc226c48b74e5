"""Chart of `jevons`: each price cut by how far the price fell and how far use grew beside the market."""

import math
from collections import defaultdict
from collections.abc import Sequence

import altair as alt

from tidegate.report.points import Drawing, Record, inline, log_ticks
from tidegate.report.theme import BLUE, VERMILION
from tidegate.study.result import Result

HEIGHT_PX = 380
ROSE, FELL = "spend rose beside the market", "spend fell beside the market"


def ticks(title: str, values: Sequence[float]) -> alt.Axis:
    return alt.Axis(title=title, format="~g", values=log_ticks(values))


def chart(result: Result) -> Drawing:
    """Log against log; on the dashed line use grew by as much as the price fell, so spend stayed as it was."""
    found: dict[tuple[str, str], Record] = defaultdict(dict)
    for cell in result.rows:
        record = found[cell.groups["model"], cell.groups["cut"]]
        record.update({"model": cell.groups["model"], "cut": cell.groups["cut"]})
        record[cell.groups["ratio"]] = cell.value
    data = list(found.values())
    for record in data:
        beside = float(record["tokens"] or 0) / float(record["market"] or 1)
        record["use"] = beside
        record["group"] = ROSE if float(record["spend_beside_market"] or 0) > 1 else FELL
        record["text"] = f"price x {float(record['price'] or 0):.2f}, use beside the market x {beside:.2f}"
    log = alt.Scale(type="log", nice=False, padding=16)
    x = alt.X(
        "price:Q",
        scale=log,
        axis=ticks("price after / before, log scale", [float(record["price"] or 1) for record in data]),
    )
    y = alt.Y(
        "use:Q",
        scale=log,
        axis=ticks(
            "tokens after / before, over the market's, log scale", [float(record["use"] or 1) for record in data]
        ),
    )
    scale = alt.Scale(domain=[ROSE, FELL], range=[VERMILION, BLUE])
    tooltip = [alt.Tooltip("model:N"), alt.Tooltip("cut:N", title="cut seen"), alt.Tooltip("text:N", title="change")]
    dots = (
        alt.Chart(inline(data))
        .mark_point(filled=True, size=80, opacity=0.85)
        .encode(x=x, y=y, color=alt.Color("group:N", scale=scale, sort=[ROSE, FELL]), tooltip=tooltip)
    )
    lowest = min(float(record["price"] or 1) for record in data)
    ends: list[Record] = [{"price": price, "use": 1 / price} for price in (lowest, math.sqrt(lowest), 1.0)]
    line = alt.Chart(inline(ends)).mark_line(strokeDash=[5, 4], color="#888888").encode(x=x, y=y)
    return alt.layer(line, dots).properties(height=HEIGHT_PX)
