"""Chart of `market_map`: a dot a model, coloured by author; authors beyond the seventh in grey."""

import altair as alt

from tidegate.report.palette import colours_of
from tidegate.report.points import Drawing
from tidegate.report.scatter import dots, scatter
from tidegate.report.theme import GREY
from tidegate.study.result import Result

AUTHORS_MAX = 7
OTHER = "other authors"


def chart(result: Result) -> Drawing:
    """Log against log; dashed lines at the medians; the most used models are named."""
    every = dots(result, ("author", "model"))
    authors = [str(record["author"]) for record in every if record["model"] == "all"][:AUTHORS_MAX]
    data = [record for record in every if record["model"] != "all"]
    for record in data:
        record["group"] = record["author"] if record["author"] in authors else OTHER
    domain = [*authors, OTHER]
    colour = alt.Color("group:N", scale=alt.Scale(domain=domain, range=[*colours_of(authors), GREY]), sort=domain)
    return scatter(result, data, colour, {"model": "model", "author": "author", "segment": "segment"}, label="model")
