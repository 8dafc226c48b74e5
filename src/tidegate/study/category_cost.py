"""Cost against use of every task category (State of AI, Figure 31)."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from tidegate.study.categories import category_of, rule_of, rule_text
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.price_points import MILLION, NANO, Point, Points, medians
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.scatter import (
    CATEGORY_SEGMENTS,
    UNIT,
    line_cells,
    median_cells,
    point_cells,
    quadrant_note,
    segment_of,
)
from tidegate.study.select import Ask, select

NAME = "category_cost"
QUESTION = "Which kinds of work are dear, and which are common?"


def category_cost(facts: Facts, source: Source, params: Params) -> Result:
    """One dot a category: charged cost per million tokens and (weighted) tokens of its labelled calls."""
    rule = rule_of(source, params)
    asked = Ask(group="tag_path", relation="tags", where=f"label_rule = '{rule}'", of="any")
    no_byok = msgspec.structs.replace(params, include_byok=False)
    tokens = _sums(facts, source, msgspec.structs.replace(no_byok, measure="tokens"), asked)
    spend = _sums(facts, source, msgspec.structs.replace(no_byok, measure="spend"), asked)
    found = _points(source, params, tokens, spend)
    period = found.first.isoformat()
    cut = medians(found.points)
    rows: list[Cell] = []
    for point in found.points:
        segment = segment_of(point, cut, CATEGORY_SEGMENTS)
        rows.extend(point_cells(period, point, {"category": point.key, "segment": segment}))
    line, told = line_cells(period, found.points)
    return Result(
        figure=NAME,
        definition=(
            f"Each task category by cost and tokens of its labelled calls, weights counted. Cost: {found.cost_words}; "
            f"{rule_text(source, params)}. Segments: quadrants at the two medians."
        ),
        source_id=source.source_id,
        window=found.window,
        rows=(*rows, *median_cells(period, cut), *line),
        n=len(found.points),
        missing_share=0.0,
        notes=(
            *told,
            *found.notes(source, "categories with a positive cost"),
            quadrant_note(found, cut, CATEGORY_SEGMENTS.values()),
            "Calls without a label, or in no named category, are in no dot.",
        ),
        unit=UNIT,
        down=("category", "segment", "statistic"),
    )


def _sums(facts: Facts, source: Source, params: Params, asked: Ask) -> dict[str, int]:
    """The measure by category over the whole window."""
    selected, values = select(NAME, facts, source, params, asked)
    sums: dict[str, int] = defaultdict(int)
    for path, value in facts.query(f"SELECT grouped, sum(value) FROM ({selected}) GROUP BY ALL", values):
        if path and (category := category_of(path)) != "other":
            sums[category] += int(value or 0)
    return sums


def _points(source: Source, params: Params, tokens: dict[str, int], spend: dict[str, int]) -> Points:
    names: Sequence[str] = sorted(name for name in tokens if tokens[name])
    points = [
        Point(key=name, cost=spend[name] / tokens[name] * MILLION / NANO, tokens=tokens[name])
        for name in names
        if spend.get(name)
    ]
    if not points:
        raise NotComputable(NAME, source.source_id, "no labelled call has a cost (cost_nano_usd)")
    free = [name for name in names if not spend.get(name)]
    return Points(
        points=tuple(sorted(points, key=lambda point: (-point.tokens, point.key))),
        basis="charged",
        first=max(source.first, params.window.first or source.first),
        last=min(source.last, params.window.last or source.last),
        total=sum(tokens.values()),
        free_keys=len(free),
        free_tokens=sum(tokens[name] for name in free),
        unpriced_keys=0,
        unpriced_tokens=0,
    )
