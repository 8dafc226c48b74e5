"""A result as a table for people: periods down and groups across, unless a figure says what goes down."""

import csv
import io
from collections.abc import Sequence

import msgspec

from tidegate.study.params import UNITS
from tidegate.study.quantity import percent, quantity
from tidegate.study.result import Cell, Result, Value


class Pivot(msgspec.Struct, frozen=True):
    """Texts: `columns` is the header, its first cell names what goes down."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def pivot(result: Result) -> Pivot:
    """The cells of a result arranged for reading."""
    named = result.down or ("period",)
    period = "week of" if result.grain == "week" else "month of"
    down = ", ".join(period if name == "period" else name for name in named)
    lines: dict[str, dict[str, str]] = {}
    across: dict[str, None] = {}
    for cell in result.rows:
        places = {**cell.groups, "period": cell.period}
        name = ", ".join(places[group] for group in named if group in places)
        column = " ".join(value for key, value in cell.groups.items() if key not in named) or result.unit
        across[column] = None
        lines.setdefault(name, {})[column] = cell_text(cell, result.unit)
    rows = tuple((name, *(values.get(column, "") for column in across)) for name, values in lines.items())
    return Pivot((down, *across), rows)


def cell_text(cell: Cell, unit: str) -> str:
    """`9.28 T (46.6 %)`; an absent value is empty."""
    if cell.value is None:
        return ""
    measure = next((measure for measure, name in UNITS.items() if name == unit), None)
    value = plain(cell.value) if measure is None else quantity(int(cell.value), measure)
    return value if cell.share is None else f"{value} ({percent(cell.share)})"


def plain(value: Value) -> str:
    """A count in full; what was measured to two decimals from 1 on, below that to four significant digits."""
    if isinstance(value, int) or value == round(value, 2):
        return f"{value:,}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"


def as_csv(results: Sequence[Result]) -> str:
    """Long form, one line per cell; several figures share the union of their grouping columns."""
    groups = list(dict.fromkeys(name for result in results for cell in result.rows for name in cell.groups))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["figure", "source_id", "period", *groups, "value", "share"])
    for result in results:
        for cell in result.rows:
            named = [cell.groups.get(name, "") for name in groups]
            writer.writerow([result.figure, result.source_id, cell.period, *named, cell.value, cell.share])
    return out.getvalue()
