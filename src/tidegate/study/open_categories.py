"""What open models are used for (State of AI, Figure 6)."""

from tidegate.study.category_share import draw_categories
from tidegate.study.facts import Facts, Source
from tidegate.study.open_by_size import OPEN
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result

NAME = "open_categories"
QUESTION = "What are open models used for?"


def open_categories(facts: Facts, source: Source, params: Params) -> Result:
    """Shares by task category of models with open weights."""
    refuse_series(NAME, source)
    return draw_categories(NAME, facts, source, params, OPEN, " of models with open weights")


def refuse_series(figure: str, source: Source) -> None:
    """A published series by category and author does not say which model, so weights are not known."""
    if source.series:
        raise NotComputable(figure, source.source_id, "it has no models (response_model), so no weights are known")
