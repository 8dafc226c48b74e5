"""Chart of `chinese_open_categories`: what Chinese open models are used for."""

from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_shares
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Stacked areas, or bars where periods are few."""
    return stacked_shares(result, "category", title="share of Chinese open models")
