"""Which models are called for tools (State of AI, Figure 13)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.model_names import NOBODY, by_slug
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result
from tidegate.study.shares import Ask, Drawn, Missing, cells, finish, tabulate

NAME = "top_tool_models"
QUESTION = "Which models are called for tools?"
MODELS_MAX = 10
_NOT, _UNKNOWN = "|not", "|unknown"
_GROUP = (
    f"CASE WHEN finish_class IS NULL THEN '{_UNKNOWN}' WHEN finish_class <> 'tool_calls' THEN '{_NOT}' "
    "ELSE coalesce(model, '') END"
)


def top_tool_models(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of the models with most tool-call measure over the window, of their own sum."""
    whole = tabulate(NAME, facts, source, params, Ask(group=_GROUP, of="models"))
    if whole.total() and whole.total(_UNKNOWN) == whole.total():
        raise NotComputable(NAME, source.source_id, "it does not say how calls ended (finish_reason)")
    called = by_slug(whole.regrouped(lambda name: None if name.startswith("|") else name), facts.makers.catalog)
    table, names = called.top(MODELS_MAX, rest=False, never=NOBODY)
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            of="calls that end in a tool call",
            definition=(
                f"Share of {params.measure} in each {params.grain} among the {MODELS_MAX} models with most "
                f"{params.measure} in calls that end in a tool call, over the whole window: their sum is 100 %."
            ),
            rows=cells(table, "model", names),
            missing=Missing(whole.share(_UNKNOWN), "no finish reason"),
        ),
    )
