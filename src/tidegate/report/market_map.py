"""Chart of `market_map`: a dot a model, coloured by author; authors beyond the seventh in grey."""

import altair as alt

from tidegate.report.points import Drawing
from tidegate.report.scatter import dots, scatter
from tidegate.report.theme import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION
from tidegate.study.result import Result

COLOURS = [VERMILION, BLUE, GREEN, ORANGE, PURPLE, SKY]
OTHER = "other authors"


def chart(result: Result) -> Drawing:
    """Log against log; dashed lines at the medians; the most used models are named."""
    every = dots(result, ("author", "model"))
    authors = [str(record["author"]) for record in every if record["model"] == "all"][: len(COLOURS)]
    data = [record for record in every if record["model"] != "all"]
    for record in data:
        record["group"] = record["author"] if record["author"] in authors else OTHER
    domain = [*authors, OTHER]
    colour = alt.Color("group:N", scale=alt.Scale(domain=domain, range=[*COLOURS[: len(authors)], GREY]), sort=domain)
    return scatter(result, data, colour, {"model": "model", "author": "author", "segment": "segment"}, label="model")
