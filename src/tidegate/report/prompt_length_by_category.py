"""Chart of `prompt_length_by_category`: mean prompt tokens by category; medians and p90 are in the table."""

from tidegate.report.lines import lines
from tidegate.report.points import Drawing, records
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """One line a category, from zero, the longest first in the legend."""
    data = records(result, lambda cell: cell.groups["statistic"] == "mean")
    longest = sorted(data, key=lambda record: (-float(record["value"] or 0), str(record["category"])))
    order = list(dict.fromkeys(str(record["category"]) for record in longest))
    data.sort(key=lambda record: (order.index(str(record["category"])), str(record["period"])))
    return lines(result, data, "category", "value", title="mean input tokens a call")
