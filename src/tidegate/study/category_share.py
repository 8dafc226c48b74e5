"""What language models are used for, over time (State of AI, Figure 19)."""

from tidegate.study.categories import base_totals, by_category, named, rule_of, rule_text, unlabelled
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import Result
from tidegate.study.shares import Drawn, cells, finish, tabulate

NAME = "category_share"
QUESTION = "What are language models used for?"


def category_share(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of the labelled measure by task category, of all models."""
    return draw_categories(NAME, facts, source, params, "true", "")


def draw_categories(figure: str, facts: Facts, source: Source, params: Params, where: str, whose: str) -> Result:
    """Shares by task category of the labelled calls that fulfil `where`; `whose` says in words which models'."""
    table, present, notes = named(tabulate(figure, facts, source, params, by_category(source, params, where)), params)
    totals = None
    if rule_of(source, params) == "any":
        base = base_totals(figure, facts, source, params, where)
        totals = {period: sum(groups.values()) for period, groups in base.sums.items()}
        notes.append("Shares are of all that is labelled, other categories included: labels overlap.")
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=figure,
            of=f"labelled calls{whose}",
            definition=(
                f"Share of {params.measure}{whose} in each {params.grain} by what the call is about: "
                f"{rule_text(source, params)}. Of the calls in a named category, each counted as often as its "
                "sampling weight says."
            ),
            rows=cells(table, "category", present, totals),
            missing=unlabelled(figure, facts, source, params, where),
            notes=notes,
        ),
    )
