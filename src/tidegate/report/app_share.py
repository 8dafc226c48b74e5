"""Chart of `app_share`: the largest applications and the rest."""

from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_shares
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Stacked areas, or bars where periods are few."""
    return stacked_shares(result, "app")
