"""Chart of `programming_authors`: whose models are paid for programming."""

from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_shares
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Stacked bars."""
    return stacked_shares(result, "author", bars=True, title="share of programming")
