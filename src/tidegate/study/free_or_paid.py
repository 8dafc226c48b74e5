"""What is given away and what is paid for."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import Result
from tidegate.study.shares import Ask, Drawn, Missing, cells, finish, tabulate

NAME = "free_or_paid"
QUESTION = "How much of the use is free?"
PAYMENTS = ("paid", "free", "byok", "unknown")
_WITH_COSTS = (
    "CASE WHEN is_byok THEN 'byok' WHEN variant = 'free' OR (spend = 0 AND tokens > 0) THEN 'free' "
    "WHEN spend IS NULL THEN 'unknown' ELSE 'paid' END"
)
_WITHOUT_COSTS = "CASE WHEN is_byok THEN 'byok' WHEN variant = 'free' THEN 'free' ELSE 'paid' END"


def free_or_paid(facts: Facts, source: Source, params: Params) -> Result:
    """Shares by payment: paid, free, on the caller's own provider key (byok), unknown."""
    costs = "spend" in source.measures
    ask = Ask(group=_WITH_COSTS if costs else _WITHOUT_COSTS)
    table = tabulate(NAME, facts, source, params, ask)
    how = (
        "free is the variant named `free`, and what was charged nothing although it used tokens (a launch given away)"
        if costs
        else "free is the variant named `free`; the source has no costs, so a model given away under its plain name "
        "counts as paid"
    )
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=f"Share of {params.measure} in each {params.grain} by payment: {how}. byok: the caller's own "
            "provider key paid. Sums of a day, model, provider and outcome are judged as one.",
            rows=cells(table, "payment", PAYMENTS),
            missing=Missing(table.share("unknown"), "no known cost (`unknown`)"),
        ),
    )
