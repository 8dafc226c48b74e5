"""Chart of `multihoming`: accounts and applications that use several models, or several authors', at once."""

from tidegate.report.lines import lines
from tidegate.report.points import Drawing, records
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """One line a unit and statistic, from zero."""
    data = records(result, lambda cell: cell.share is not None)
    for record in data:
        record["group"] = f"{record['unit']}s: {record['statistic']}"
    data.sort(key=lambda record: (str(record["group"]), str(record["period"])))
    return lines(result, data, "group", "share", title="share")
