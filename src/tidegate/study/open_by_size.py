"""How large the open models are that people use (State of AI, Figure 4)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import Result
from tidegate.study.shares import Ask, Drawn, Missing, cells, finish, tabulate
from tidegate.study.sizes import SIZES, size_namer, size_text

NAME = "open_by_size"
QUESTION = "Do people use small, medium or large open models?"
OPEN = "weights = 'open' AND origin <> 'cloaked'"


def open_by_size(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of open models' measure by size class, by total or active parameters or by price."""
    ask = Ask(group="coalesce(model, '')", where=OPEN, of="models")
    table = tabulate(NAME, facts, source, params, ask).regrouped(size_namer(facts, params))
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            of="models with open weights",
            definition=(
                f"Share of open models' {params.measure} in each {params.grain} by size, {size_text(params)}. A model "
                "of many experts is large in total and may be small by what is active."
            ),
            rows=cells(table, "size", SIZES),
            missing=Missing(table.share("unknown"), f"no known {params.size_by} size (`unknown`)"),
            notes=["A fall of small models here may be a move to self-hosting, which no router sees."],
        ),
    )
