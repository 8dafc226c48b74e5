"""Chart of `continent_table`: shares over the whole window, largest first."""

from tidegate.report.points import Drawing, records
from tidegate.report.ranking import share_bars
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """One bar a continent, from zero."""
    return share_bars(records(result), "continent", title="share over the window")
