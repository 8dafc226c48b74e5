"""Total volume by author: of open models (State of AI, Table 1) and of all."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import UNITS, Params
from tidegate.study.result import Cell, Result
from tidegate.study.shares import Table, common_notes, missing_note, tabulate

NAME = "author_totals"
QUESTION = "Whose models carry the volume?"
_GROUP = "concat(CASE WHEN origin = 'cloaked' THEN 'cloaked' ELSE weights END, '|', coalesce(author, 'unknown'))"


def author_totals(facts: Facts, source: Source, params: Params) -> Result:
    """Totals over the whole window by author, largest first: `models` is `open` or `all`; shares within each."""
    table = tabulate(NAME, facts, source, params, _GROUP)
    total = table.total()
    missing = _missing(table) / total if total else 0.0
    return Result(
        figure=NAME,
        definition=(
            f"Total {params.measure} over the window by author of the model, for models with open weights (`open`) and "
            "for all (`all`); shares are of the total of the same group of models."
        ),
        source_id=source.source_id,
        window=table.coverage.window,
        rows=(*_ranked(table, "open"), *_ranked(table, "all")),
        n=table.n,
        missing_share=missing,
        notes=(
            *common_notes(source, params, table),
            *missing_note(missing, "no known weights: it counts in `all` only"),
        ),
        unit=UNITS[params.measure],
        grain=params.grain,
        down=("author",),
    )


def _ranked(table: Table, models: str) -> list[Cell]:
    """Authors by total, largest first; equals by name. An author without any is left out."""
    totals: dict[str, int] = {}
    for groups in table.sums.values():
        for group, value in groups.items():
            weights, _, author = group.partition("|")
            if models in ("all", weights):
                totals[author] = totals.get(author, 0) + value
    whole = sum(totals.values())
    period = table.coverage.kept[0].isoformat() if table.coverage.kept else ""
    return [
        Cell(period=period, groups={"models": models, "author": author}, value=value, share=value / whole)
        for author, value in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        if value
    ]


def _missing(table: Table) -> int:
    return sum(
        value for groups in table.sums.values() for group, value in groups.items() if group.startswith("unknown|")
    )
