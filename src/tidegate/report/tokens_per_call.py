"""Chart of `tokens_per_call`: mean input, output, reasoning and total tokens a call."""

from tidegate.report.lines import lines
from tidegate.report.points import Drawing, records
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """One line a length on a logarithmic axis: input is often twenty times the output. Zeros have no place on it."""
    data = records(result, lambda cell: bool(cell.value))
    return lines(result, data, "length_of", "value", title="mean tokens a call (log)", log=True)
