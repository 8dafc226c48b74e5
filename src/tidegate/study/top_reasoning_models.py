"""Which reasoning models carry the reasoning (State of AI, Figure 11)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.model_names import NOBODY, by_slug
from tidegate.study.params import Params
from tidegate.study.result import Result
from tidegate.study.shares import Ask, Drawn, Missing, cells, finish, tabulate

NAME = "top_reasoning_models"
QUESTION = "Which reasoning models carry the reasoning?"
MODELS_MAX = 10
_NO, _UNKNOWN = "|no", "|unknown"
_GROUP = f"CASE WHEN is_reasoning THEN coalesce(model, '') WHEN is_reasoning IS NULL THEN '{_UNKNOWN}' ELSE '{_NO}' END"


def top_reasoning_models(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of the largest reasoning models, and of all others together, in what goes to reasoning models."""
    whole = tabulate(NAME, facts, source, params, Ask(group=_GROUP, of="models"))
    thinking = by_slug(whole.regrouped(lambda name: None if name.startswith("|") else name), facts.makers.catalog)
    table, names = thinking.top(MODELS_MAX, rest=True, never=NOBODY)
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            of="reasoning models",
            definition=(
                f"Share of {params.measure} in each {params.grain} among models that can reason, for the {MODELS_MAX} "
                "that are largest over the window; `other` is every other reasoning model. Leaving free traffic out "
                "(as State of AI does for one model's free launch) takes variants named `free` away; a launch given "
                "away under the plain name is told apart only where the source has costs: see free_or_paid."
            ),
            rows=cells(table, "model", names),
            missing=Missing(whole.share(_UNKNOWN), "a model of which nobody knows whether it reasons: left out"),
        ),
    )
