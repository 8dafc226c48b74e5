"""Cost against use of every model, open and closed told apart (State of AI, Figure 32)."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.price_points import medians, model_points
from tidegate.study.result import Cell, Result
from tidegate.study.scatter import (
    MODEL_SEGMENTS,
    UNIT,
    line_cells,
    median_cells,
    point_cells,
    quadrant_note,
    segment_of,
)

NAME = "model_cost"
QUESTION = "Are cheaper models used more?"


def model_cost(facts: Facts, source: Source, params: Params) -> Result:
    """One dot a model: cost per million tokens, tokens, weights, author, segment; medians and the fitted line."""
    found = model_points(NAME, facts, source, params)
    period = found.first.isoformat()
    cut = medians(found.points)
    rows: list[Cell] = []
    for point in found.points:
        segment = segment_of(point, cut, MODEL_SEGMENTS)
        groups = {"model": point.key, "author": point.author, "weights": point.weights, "segment": segment}
        rows.extend(point_cells(period, point, groups))
    line, told = line_cells(period, found.points)
    return Result(
        figure=NAME,
        definition=(
            f"Each model (variants apart) by cost and tokens over the window. Cost: {found.cost_words}. Segments: "
            "quadrants at the two medians."
        ),
        source_id=source.source_id,
        window=found.window,
        rows=(*rows, *median_cells(period, cut), *line),
        n=len(found.points),
        missing_share=found.missing_share,
        notes=(
            *told,
            *found.notes(source, "models with a positive cost"),
            quadrant_note(found, cut, MODEL_SEGMENTS.values()),
            "Cross-sections mix price with quality, age and promotion: no cause is shown.",
        ),
        unit=UNIT,
        down=("model", "author", "weights", "segment", "statistic"),
    )
