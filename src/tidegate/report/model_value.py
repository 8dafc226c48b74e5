"""Chart of `model_value`: tokens, calls and spend side by side, by model."""

from tidegate.report.measure_shares import side_by_side
from tidegate.report.points import Drawing
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Three bars a model, from zero."""
    return side_by_side(result, "model")
