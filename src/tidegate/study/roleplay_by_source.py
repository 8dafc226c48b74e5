"""Whose models play roles: open or closed, Chinese or not (State of AI, Figure 9)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.programming_by_source import draw_source_types
from tidegate.study.result import Result

NAME = "roleplay_by_source"
QUESTION = "Which kind of model is used for roleplay?"


def roleplay_by_source(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of the measure labelled roleplay by source_type."""
    return draw_source_types(NAME, facts, source, params, "roleplay")
