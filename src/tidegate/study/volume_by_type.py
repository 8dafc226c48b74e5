"""How much in all, by kind of model (State of AI, Figure 2)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.oss_split import SOURCE_TYPE_SQL, SOURCE_TYPES
from tidegate.study.params import Params
from tidegate.study.result import Result
from tidegate.study.shares import Drawn, Missing, cells, finish, tabulate

NAME = "volume_by_type"
QUESTION = "How fast does the volume grow, and which models carry the growth?"


def volume_by_type(facts: Facts, source: Source, params: Params) -> Result:
    """The measure by source_type and period, and the growth from the first kept period to the last."""
    table = tabulate(NAME, facts, source, params, SOURCE_TYPE_SQL)
    totals = [sum(groups.values()) for _, groups in sorted(table.sums.items())]
    notes = []
    if len(totals) > 1 and totals[0]:
        notes.append(
            f"The last {params.grain} has {totals[-1] / totals[0]:.2f} times the first one's {params.measure}."
        )
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"Sum of {params.measure} in each {params.grain}, by kind of model as in oss_split (open weights from "
                "China, open weights from elsewhere, closed, cloaked, unknown). Sums, not shares: a period that the "
                "source covers in part would be too low, so incomplete ones are dropped."
            ),
            rows=cells(table, "source_type", SOURCE_TYPES),
            missing=Missing(table.share("unknown"), "no known weights or no known country (`unknown`)"),
            notes=notes,
        ),
    )
