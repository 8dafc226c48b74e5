"""Chart of `cost_per_accepted`: what an accepted call of each model and each category costs, with its interval."""

from tidegate.report.judged import COST_AXIS, judged_chart
from tidegate.report.points import Drawing
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Horizontal intervals from zero; models above, categories below."""
    return judged_chart(result, "an accepted call", COST_AXIS)
