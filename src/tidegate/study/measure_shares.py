"""Token, call and spend share side by side, and what a token is worth, by author."""

from collections.abc import Callable

import msgspec

from tidegate.study.authors import REST_OF_LIST
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Measure, Params
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.shares import Ask, Drawn, Missing, Table, finish, tabulate

NAME = "measure_shares"
QUESTION = "Whose models carry the tokens, the calls and the money?"
GROUPS_MAX = 15
MEASURES: tuple[Measure, ...] = ("tokens", "calls", "spend")
VALUE = "value per token"


def measure_shares(facts: Facts, source: Source, params: Params) -> Result:
    """Shares over the window by author in each measure of the source, and spend share over token share."""
    return draw_measures(NAME, facts, source, params, "author", lambda name: name)


def draw_measures(
    figure: str, facts: Facts, source: Source, params: Params, column: str, name_of: Callable[[str], str]
) -> Result:
    """One group's shares in every measure; of rows that carry all measures of the source."""
    measures = [measure for measure in MEASURES if measure in source.measures]
    if len(measures) < 2:
        raise NotComputable(figure, source.source_id, f"it has {' and '.join(measures) or 'no measure'} only")
    ask = Ask(
        group=f"coalesce({column}, '')",
        where="spend IS NOT NULL AND tokens IS NOT NULL" if "spend" in measures else "true",
        of="models" if column == "model" else "authors",
    )
    tables: dict[Measure, Table] = {}
    for measure in measures:
        asked = msgspec.structs.replace(params, measure=measure)
        tables[measure] = tabulate(figure, facts, source, asked, ask).regrouped(name_of)
    totals = {measure: table.totals() for measure, table in tables.items()}
    ranked = sorted({name for found in totals.values() for name in found if name and name not in REST_OF_LIST})
    largest = sorted(ranked, key=lambda name: (-max(_share(totals[m], name) for m in measures), name))[:GROUPS_MAX]
    table = tables[measures[0]]
    period = table.coverage.kept[0].isoformat() if table.coverage.kept else ""
    rows: list[Cell] = []
    for name in sorted(largest, key=lambda name: (-totals[measures[0]].get(name, 0), name)):
        for measure in measures:
            value, share = totals[measure].get(name, 0), _share(totals[measure], name)
            rows.append(Cell(period=period, groups={column: name, "measure": measure}, value=value, share=share))
        if "spend" in measures and "tokens" in measures and (tokens := _share(totals["tokens"], name)):
            worth = round(_share(totals["spend"], name) / tokens, 4)
            rows.append(Cell(period=period, groups={column: name, "measure": VALUE}, value=worth))
    return finish(
        source,
        msgspec.structs.replace(params, measure=measures[0]),
        table,
        Drawn(
            figure=figure,
            definition=(
                f"Share over the whole window by {column} in {', '.join(measures)}, side by side, of the rows that "
                f"have all of them; `{VALUE}` is the share of spend over the share of tokens: above 1 a token costs "
                "more than the source's average."
            ),
            rows=tuple(rows),
            missing=Missing(_share(totals[measures[0]], ""), f"no {column}"),
            notes=[
                "Calls on callers' own provider keys are not charged here: they lower a token's value. See --no-byok."
            ],
            unit="tokens, calls, nano-USD or a ratio",
            down=(column,),
        ),
    )


def _share(totals: dict[str, int], name: str) -> float:
    whole = sum(totals.values())
    return totals.get(name, 0) / whole if whole else 0.0
