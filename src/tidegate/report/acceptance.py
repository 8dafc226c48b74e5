"""Chart of `acceptance`: the part accepted of each model and each category, with its interval."""

from tidegate.report.judged import COST_FREE_AXIS, judged_chart
from tidegate.report.points import Drawing
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Horizontal intervals from zero to one; models above, categories below."""
    return judged_chart(result, "rate", COST_FREE_AXIS)
