"""Chart of `free_or_paid`: paid, free and own-key use."""

from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_shares
from tidegate.study.result import Result

LABELS = {"paid": "paid", "free": "free", "byok": "own provider key", "unknown": "unknown"}


def chart(result: Result) -> Drawing:
    """Stacked areas, or bars where periods are few."""
    return stacked_shares(result, "payment", labels=LABELS)
