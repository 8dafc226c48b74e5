"""Chart of `models_by_size`: how many open models of each size are in use."""

from tidegate.report.open_by_size import LABELS
from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_shares
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Stacked bars."""
    return stacked_shares(result, "size", labels=LABELS, bars=True, title="share of models in use")
