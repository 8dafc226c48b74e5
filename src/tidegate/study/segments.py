"""The four segments of the market with examples (State of AI, Table 5)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.price_points import medians, model_points
from tidegate.study.result import Cell, Result
from tidegate.study.scatter import MODEL_SEGMENTS, UNIT, point_cells, quadrant_note, segment_of

NAME = "segments"
QUESTION = "Which models are efficient giants, premium leaders, specialists, or the long tail?"
EXAMPLES = 2  # of each segment, as in the table


def segments(facts: Facts, source: Source, params: Params) -> Result:
    """Each segment's models, tokens and spend, and its most used models as examples."""
    found = model_points(NAME, facts, source, params)
    period = found.first.isoformat()
    cut = medians(found.points)
    tokens_total = sum(point.tokens for point in found.points)
    spend_total = sum(point.cost * point.tokens for point in found.points)
    rows: list[Cell] = []
    for segment in MODEL_SEGMENTS.values():
        inside = [point for point in found.points if segment_of(point, cut, MODEL_SEGMENTS) == segment]
        tokens = sum(point.tokens for point in inside)
        spend = sum(point.cost * point.tokens for point in inside)
        whole = {"segment": segment, "model": "all"}
        share = len(inside) / len(found.points)
        rows.append(Cell(period=period, groups={**whole, "axis": "models"}, value=len(inside), share=share))
        rows.append(Cell(period=period, groups={**whole, "axis": "usage"}, value=tokens, share=tokens / tokens_total))
        cost = spend / tokens if tokens else None
        rows.append(Cell(period=period, groups={**whole, "axis": "cost"}, value=cost, share=spend / spend_total))
        for point in inside[:EXAMPLES]:
            rows.extend(point_cells(period, point, {"segment": segment, "model": point.key}))
    return Result(
        figure=NAME,
        definition=(
            f"Models by quadrant of cost and use, cut at the medians over models, the {EXAMPLES} most used of each "
            f"as examples. Cost: {found.cost_words}. Shares: of models, of tokens, and (beside cost) of spend."
        ),
        source_id=source.source_id,
        window=found.window,
        rows=tuple(rows),
        n=len(found.points),
        missing_share=found.missing_share,
        notes=(
            *found.notes(source, "models with a positive cost"),
            quadrant_note(found, cut, MODEL_SEGMENTS.values()),
        ),
        unit=UNIT,
        down=("segment", "model"),
    )
