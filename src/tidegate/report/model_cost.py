"""Chart of `model_cost`: a dot a model, open and closed weights told apart, with the fitted line."""

import altair as alt

from tidegate.report.points import Drawing
from tidegate.report.scatter import dots, scatter
from tidegate.report.theme import BLUE, GREY, VERMILION
from tidegate.study.result import Result

WEIGHTS = {"open": ("open weights", VERMILION), "closed": ("closed", BLUE), "unknown": ("unknown", GREY)}


def chart(result: Result) -> Drawing:
    """Log against log; dashed lines at the medians, the line of least squares in grey; the most used are named."""
    data = dots(result, ("model",))
    for record in data:
        record["group"] = WEIGHTS.get(str(record["weights"]), WEIGHTS["unknown"])[0]
    shown = [entry for entry in WEIGHTS.values() if any(record["group"] == entry[0] for record in data)]
    colour = alt.Color(
        "group:N", scale=alt.Scale(domain=[name for name, _ in shown], range=[colour for _, colour in shown])
    )
    return scatter(result, data, colour, {"model": "model", "segment": "segment"}, label="model")
