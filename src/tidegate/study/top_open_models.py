"""The largest open models beside each other (State of AI, Figure 3)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.model_names import NOBODY, by_slug
from tidegate.study.params import Params
from tidegate.study.quantity import percent
from tidegate.study.result import Result
from tidegate.study.shares import Ask, Drawn, Missing, cells, finish, tabulate

NAME = "top_open_models"
QUESTION = "Does one open model dominate the others?"
MODELS_MAX = 15
_CLOSED, _UNKNOWN = "|closed", "|unknown"
_GROUP = (
    f"CASE WHEN weights = 'open' AND origin <> 'cloaked' THEN coalesce(model, '') "
    f"WHEN weights = 'closed' OR origin = 'cloaked' THEN '{_CLOSED}' ELSE '{_UNKNOWN}' END"
)


def top_open_models(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of the MODELS_MAX open models that are largest over the whole window, of their own sum."""
    whole = tabulate(NAME, facts, source, params, Ask(group=_GROUP, of="models"))
    openly = by_slug(whole.regrouped(lambda name: None if name.startswith("|") else name), facts.makers.catalog)
    table, names = openly.top(MODELS_MAX, rest=False, never=NOBODY)
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            of="models with open weights",
            definition=(
                f"Share of {params.measure} in each {params.grain} among the {MODELS_MAX} models with open weights "
                "that are largest over the whole window: their sum is 100 %, other open models are left out. Variants "
                "and dated releases of one name count together."
            ),
            rows=cells(table, "model", names),
            missing=Missing(whole.share(_UNKNOWN), "no known weights, so it may belong here"),
            notes=_notes(table.total(), openly.total(), table.totals(), params),
        ),
    )


def _notes(shown: int, openly: int, totals: dict[str, int], params: Params) -> list[str]:
    told = []
    if openly:
        told.append(f"These {len(totals)} models carry {percent(shown / openly)} of all open models' {params.measure}.")
    if shown:
        first = next(iter(totals))
        told.append(
            f"The largest over the window, {first}, has {percent(totals[first] / shown)} of these and "
            f"{percent(totals[first] / openly)} of all open ones: the two are different statements."
        )
    return told
