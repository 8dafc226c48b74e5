"""What Chinese open models are used for (State of AI, Figure 7)."""

from tidegate.study.category_share import draw_categories
from tidegate.study.facts import Facts, Source
from tidegate.study.open_by_size import OPEN
from tidegate.study.open_categories import refuse_series
from tidegate.study.params import Params
from tidegate.study.result import Result

NAME = "chinese_open_categories"
QUESTION = "What are Chinese open models used for?"


def chinese_open_categories(facts: Facts, source: Source, params: Params) -> Result:
    """Shares by task category of models with open weights from mainland China, Taiwan or Hong Kong."""
    refuse_series(NAME, source)
    whose = " of open models whose author sits in mainland China, Taiwan or Hong Kong"
    return draw_categories(NAME, facts, source, params, f"{OPEN} AND origin = 'CN'", whose)
