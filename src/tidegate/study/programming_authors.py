"""Whose models are paid for programming (State of AI, Figure 20): by spend where there is any."""

import msgspec

from tidegate.study.authors import REST_OF_LIST
from tidegate.study.categories import by_category, in_category, rule_text, unlabelled
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import Result
from tidegate.study.shares import Drawn, cells, finish, tabulate

NAME = "programming_authors"
QUESTION = "Whose models are paid for programming?"
AUTHORS_MAX = 10
NOBODY = ("", *sorted(REST_OF_LIST))


def programming_authors(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of programming spend by author, the largest by name; of the asked measure where there are no costs."""
    by_spend = "spend" in source.measures
    asked = msgspec.structs.replace(params, measure="spend") if by_spend else params
    where = in_category(NAME, facts, source, asked, "programming")
    by_author = tabulate(NAME, facts, source, asked, by_category(source, asked, where, "coalesce(author, '')"))
    table, names = by_author.top(AUTHORS_MAX, rest=True, never=NOBODY)
    notes = [] if by_spend else [f"The source has no costs, so this is by {params.measure}: another question."]
    return finish(
        source,
        asked,
        table,
        Drawn(
            figure=NAME,
            of="calls labelled programming",
            definition=(
                f"Share of programming {asked.measure} in each {params.grain} by author of the model, for the "
                f"{AUTHORS_MAX} largest over the window; `other` is everybody else. {rule_text(source, asked)}."
            ),
            rows=cells(table, "author", names),
            missing=unlabelled(NAME, facts, source, asked),
            notes=notes,
        ),
    )
