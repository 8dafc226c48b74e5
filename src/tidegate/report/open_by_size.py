"""Chart of `open_by_size`: open models by size."""

from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_shares
from tidegate.study.result import Result

LABELS = {"small": "small", "medium": "medium", "large": "large", "unknown": "unknown"}


def chart(result: Result) -> Drawing:
    """Stacked areas, or bars where periods are few."""
    return stacked_shares(result, "size", labels=LABELS, title="share of open models")
