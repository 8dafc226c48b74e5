"""Chart of `top_tool_models`: the models most called for tools, of their own sum."""

from tidegate.report.points import Drawing
from tidegate.report.stacked import stacked_shares
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """Stacked bars."""
    return stacked_shares(result, "model", bars=True, title="share of these models")
