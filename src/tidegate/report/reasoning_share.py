"""Chart of `reasoning_share`: the ways of counting reasoning beside each other."""

from tidegate.report.lines import lines
from tidegate.report.points import Drawing, records
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """One line a way of counting, from zero."""
    data = records(result, lambda cell: cell.share is not None)
    return lines(result, data, "way", "share", title="share that is reasoning")
