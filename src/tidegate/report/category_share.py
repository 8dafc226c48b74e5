"""Chart of `category_share`: shares of task categories."""

from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_shares
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Stacked bars."""
    return stacked_shares(result, "category", bars=True, title="share of what is labelled")
