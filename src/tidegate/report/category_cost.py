"""Chart of `category_cost`: a dot a task category, named, coloured by its quadrant."""

import altair as alt

from tidegate.report.points import Drawing
from tidegate.report.scatter import dots, scatter
from tidegate.report.theme import BLUE, GREEN, ORANGE, VERMILION
from tidegate.study.result import Result
from tidegate.study.scatter import CATEGORY_SEGMENTS

COLOURS = dict(zip(CATEGORY_SEGMENTS.values(), (GREEN, VERMILION, BLUE, ORANGE), strict=True))


def chart(result: Result) -> Drawing:
    """Log against log; dashed lines at the medians, the line of least squares in grey."""
    data = dots(result, ("category",))
    shown = [name for name in COLOURS if any(record["segment"] == name for record in data)]
    scale = alt.Scale(domain=shown, range=[COLOURS[name] for name in shown])
    colour = alt.Color("segment:N", scale=scale, sort=shown)
    return scatter(result, data, colour, {"category": "category", "segment": "segment"}, label="category")
