"""The market by author: cost against use of every model, coloured by who made it (State of AI, Figure 33)."""

from collections import defaultdict

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.price_points import Point, medians, model_points
from tidegate.study.result import Cell, Result
from tidegate.study.scatter import MODEL_SEGMENTS, UNIT, median_cells, point_cells, quadrant_note, segment_of

NAME = "market_map"
QUESTION = "Where does each author stand between price and volume?"


def market_map(facts: Facts, source: Source, params: Params) -> Result:
    """One dot a model and one an author: the author's cost is that of all its tokens together."""
    found = model_points(NAME, facts, source, params)
    period = found.first.isoformat()
    cut = medians(found.points)
    rows: list[Cell] = []
    for point in found.points:
        segment = segment_of(point, cut, MODEL_SEGMENTS)
        rows.extend(point_cells(period, point, {"author": point.author, "model": point.key, "segment": segment}))
    for author in authors(found.points):
        rows.extend(point_cells(period, author, {"author": author.key, "model": "all"}))
    return Result(
        figure=NAME,
        definition=(
            f"Each model (variants apart) and each author by cost and tokens over the window. Cost: "
            f"{found.cost_words}; an author's is of all its priced tokens together."
        ),
        source_id=source.source_id,
        window=found.window,
        rows=(*rows, *median_cells(period, cut)),
        n=len(found.points),
        missing_share=found.missing_share,
        notes=(
            *found.notes(source, "models with a positive cost"),
            quadrant_note(found, cut, MODEL_SEGMENTS.values()),
        ),
        unit=UNIT,
        down=("author", "model", "segment", "statistic"),
    )


def authors(points: tuple[Point, ...]) -> list[Point]:
    """One point an author, most used first."""
    spent: dict[str, float] = defaultdict(float)
    tokens: dict[str, int] = defaultdict(int)
    for point in points:
        spent[point.author] += point.cost * point.tokens
        tokens[point.author] += point.tokens
    found = [Point(key=name, cost=spent[name] / tokens[name], tokens=tokens[name], author=name) for name in tokens]
    return sorted(found, key=lambda point: (-point.tokens, point.key))
