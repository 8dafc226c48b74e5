"""How many open models of each size find users (State of AI, Figure 5)."""

from collections import Counter

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.open_by_size import OPEN
from tidegate.study.params import Params
from tidegate.study.result import Result
from tidegate.study.shares import Ask, Drawn, Missing, cells, finish, tabulate
from tidegate.study.sizes import SIZES, size_namer, size_text

NAME = "models_by_size"
QUESTION = "How many open models of each size are in use?"


def models_by_size(facts: Facts, source: Source, params: Params) -> Result:
    """Distinct open models with any traffic in each period, by size class, and each class's share of their number."""
    amounts = tabulate(NAME, facts, source, params, Ask(group="coalesce(model, '')", where=OPEN, of="models"))
    catalog, size_of = facts.makers.catalog, size_namer(facts, params)
    counts = {}
    for period, groups in amounts.sums.items():
        used = {catalog.resolve(name).model for name, value in groups.items() if value and name}
        counts[period] = dict(Counter(map(size_of, used)))
    table = msgspec.structs.replace(amounts, sums=counts)
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            of="models with open weights",
            definition=(
                f"Number of models with open weights that have any {params.measure} in the {params.grain}, by size, "
                f"{size_text(params)}; shares are of that number. Variants and dated releases count as one model."
            ),
            rows=cells(table, "size", SIZES),
            missing=Missing(table.share("unknown"), f"no known {params.size_by} size; the measure here is models"),
            unit="models",
        ),
    )
