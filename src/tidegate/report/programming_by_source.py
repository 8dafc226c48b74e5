"""Chart of `programming_by_source`: programming by kind of model."""

from tidegate.report.oss_split import LABELS
from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_shares
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Stacked areas, or bars where periods are few."""
    return stacked_shares(result, "source_type", labels=LABELS, title="share of programming")
