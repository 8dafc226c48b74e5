"""Token, call and spend share side by side, and what a token is worth, by model."""

from tidegate.study.facts import Facts, Source
from tidegate.study.measure_shares import draw_measures
from tidegate.study.model_names import NOBODY
from tidegate.study.params import Params
from tidegate.study.result import Result

NAME = "model_value"
QUESTION = "Which models carry the tokens, the calls and the money?"


def model_value(facts: Facts, source: Source, params: Params) -> Result:
    """As measure_shares, by model: dated releases and variants of one name together."""
    catalog = facts.makers.catalog
    return draw_measures(
        NAME, facts, source, params, "model", lambda name: name if name in NOBODY else catalog.resolve(name).model
    )
