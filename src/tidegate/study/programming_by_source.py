"""Whose models write code: open or closed, Chinese or not (State of AI, Figure 8)."""

from tidegate.study.categories import by_category, in_category, rule_text, unlabelled
from tidegate.study.facts import Facts, Source
from tidegate.study.open_categories import refuse_series
from tidegate.study.oss_split import SOURCE_TYPE_SQL, SOURCE_TYPES
from tidegate.study.params import Params
from tidegate.study.result import Result
from tidegate.study.shares import Drawn, cells, finish, tabulate

NAME = "programming_by_source"
QUESTION = "Which kind of model is used for programming?"


def programming_by_source(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of the measure labelled programming by source_type."""
    return draw_source_types(NAME, facts, source, params, "programming")


def draw_source_types(figure: str, facts: Facts, source: Source, params: Params, category: str) -> Result:
    """Shares of one category's measure by kind of model."""
    refuse_series(figure, source)
    where = in_category(figure, facts, source, params, category)
    table = tabulate(figure, facts, source, params, by_category(source, params, where, SOURCE_TYPE_SQL))
    unknown = table.share("unknown")
    notes = [f"{100 * unknown:.1f} % of it is of models of no known weights or country."] if unknown else []
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=figure,
            of=f"calls labelled {category}",
            definition=(
                f"Share of {category} {params.measure} in each {params.grain} by kind of model, as in oss_split; "
                f"{rule_text(source, params)}."
            ),
            rows=cells(table, "source_type", SOURCE_TYPES),
            missing=unlabelled(figure, facts, source, params),
            notes=notes,
        ),
    )
