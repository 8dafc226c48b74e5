"""Estimates with their intervals: records of one estimate each, and how they are drawn."""

from collections import defaultdict
from collections.abc import Sequence

from tidegate.report.points import Record
from tidegate.study.result import Result


def estimates(result: Result, key: Sequence[str], value: str) -> list[Record]:
    """Statistics of one key as one record, those without `value` left out; `text` reads it with its interval."""
    found: dict[tuple[str, ...], Record] = defaultdict(dict)
    for cell in result.rows:
        if "statistic" in cell.groups and cell.value is not None:
            record = found[tuple(cell.groups[name] for name in key)]
            record.update({name: cell.groups[name] for name in key})
            record[cell.groups["statistic"]] = cell.value
    kept = [record for record in found.values() if value in record]
    for record in kept:
        text = f"{float(record[value] or 0):+.2f}"
        if "low" in record:
            text += f" (95 % {float(record['low'] or 0):+.2f} to {float(record['high'] or 0):+.2f})"
        record["text"] = text
    return kept
