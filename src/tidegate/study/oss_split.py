"""Open against closed models, and where the open ones come from (State of AI, Figure 1)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import UNITS, Params
from tidegate.study.result import Result
from tidegate.study.shares import cells, common_notes, missing_note, tabulate
from tidegate.study.weights_readings import reading_notes

NAME = "oss_split"
QUESTION = "How much goes to models with open weights, and is it Chinese?"
SOURCE_TYPES = ("open_cn", "open_row", "closed", "cloaked", "unknown")
SOURCE_TYPE_SQL = (
    "CASE WHEN origin = 'cloaked' THEN 'cloaked' WHEN weights = 'closed' THEN 'closed' "
    "WHEN weights = 'open' AND origin = 'CN' THEN 'open_cn' "
    "WHEN weights = 'open' AND origin <> 'unknown' THEN 'open_row' ELSE 'unknown' END"
)


def oss_split(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of the measure by source_type: open_cn, open_row, closed, cloaked, unknown."""
    table = tabulate(NAME, facts, source, params, SOURCE_TYPE_SQL)
    missing = table.share("unknown")
    return Result(
        figure=NAME,
        definition=(
            f"Share of {params.measure} by kind of model in each {params.grain}: open_cn and open_row have "
            "weights that can be downloaded, from authors in mainland China, Taiwan or Hong Kong, and from anywhere "
            "else; closed ones are served by API only, wherever their author sits; cloaked ones ran under a code "
            "name. Weights decide, not the licence."
        ),
        source_id=source.source_id,
        window=table.coverage.window,
        rows=cells(table, "source_type", SOURCE_TYPES),
        n=table.n,
        missing_share=missing,
        notes=(
            *reading_notes(NAME, facts, source, params, table),
            *common_notes(source, params, table),
            *missing_note(missing, "no known weights, or open weights from an author of no known country (`unknown`)"),
        ),
        unit=UNITS[params.measure],
        grain=params.grain,
    )
