"""Tables of an index as CSV: a row a unit, a column an indicator, an interval where only bounds are known.

A cell is a number, `low .. high` for an interval, `< high` for one from 0, or empty (or NA) where nothing is known. A 0
is a 0. Other columns, such as names or labels, are read only by those who ask for them.
"""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tidegate.index.table import IndexRefusal, Table, bounded

MISSING: Final = frozenset(("", "NA", "n/a", "NaN", "null"))
UNIT: Final = "unit"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE: Final = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})")
_BELOW: Final = re.compile(rf"<=?\s*({_NUMBER})")


def read_table(file: Path, indicators: Sequence[str], unit: str = UNIT) -> Table:
    """The table of a CSV file with a header. unit: the column of the codes of countries or regions.

    Raises IndexRefusal with file, line, column and mend for a column that is not there, a cell that is none of the
    forms above, a unit without a code and one that is there twice.
    """
    header, rows = _rows(file)
    for column in (unit, *indicators):
        if column not in header:
            raise IndexRefusal(f"{file} has no column {column!r}; its header is {', '.join(header) or 'empty'}")
    lines: dict[str, int] = {}
    values: list[list[float]] = []
    bounds: dict[tuple[str, str], tuple[float, float]] = {}
    for line, row in rows:
        code = row[unit].strip()
        if not code or code in lines:
            why = f"unit {code!r} is on line {lines[code]} too; merge the two" if code else f"{unit} is empty; name it"
            raise IndexRefusal(f"{file}, line {line}: {why}")
        lines[code] = line
        cells = []
        for indicator in indicators:
            low, high = _cell(row[indicator].strip(), f"{file}, line {line}, column {indicator}")
            cells.append((low + high) / 2)
            if low < high:
                bounds[code, indicator] = low, high
        values.append(cells)
    if not values:
        raise IndexRefusal(f"{file} has a header and no rows; add a row a unit")
    table = Table.of(tuple(lines), indicators, values)
    return bounded(table, bounds) if bounds else table


def read_labels(file: Path, column: str, unit: str = UNIT) -> dict[str, str]:
    """A column of words by unit, such as the group that a unit is imputed from; units without one are left out."""
    header, rows = _rows(file)
    for name in (unit, column):
        if name not in header:
            raise IndexRefusal(f"{file} has no column {name!r}; its header is {', '.join(header) or 'empty'}")
    return {row[unit].strip(): row[column].strip() for _, row in rows if row[column].strip() not in MISSING}


def write_table(table: Table, file: Path, names: Mapping[str, str] | None = None) -> None:
    """The table as a CSV file that `read_table` gives back to the last digit. names: a second column, by unit."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([UNIT, *(["name"] if names else []), *table.indicators])
        for row, unit in enumerate(table.units):
            cells = [_written(table, row, column) for column in range(len(table.indicators))]
            writer.writerow([unit, *([names.get(unit, "")] if names else []), *cells])


def _written(table: Table, row: int, column: int) -> str:
    value = float(table.values[row, column])
    if math.isnan(value):
        return ""
    if table.low is not None and table.high is not None and table.low[row, column] < table.high[row, column]:
        return f"{float(table.low[row, column])!r} .. {float(table.high[row, column])!r}"
    return repr(value)


def _cell(text: str, at: str) -> tuple[float, float]:
    """Lowest and highest that the cell may be; NaN twice where nothing is known."""
    if text in MISSING:
        return math.nan, math.nan
    if re.fullmatch(_NUMBER, text):
        return float(text), float(text)
    if found := _RANGE.fullmatch(text):
        low, high = float(found[1]), float(found[2])
        if low > high:
            raise IndexRefusal(f"{at}: the bound {text!r} is reversed; write {found[2]} .. {found[1]}")
        return low, high
    if found := _BELOW.fullmatch(text):
        if float(found[1]) < 0:
            raise IndexRefusal(f"{at}: {text!r} has no lower end; write both, as -5 .. -1")
        return 0.0, float(found[1])
    if text.startswith(">"):
        raise IndexRefusal(f"{at}: {text!r} is open above; write both ends, as 9 .. 12")
    mend = (
        "write it without separators and signs" if re.search(r"\d", text) else "leave it empty where nothing is known"
    )
    raise IndexRefusal(f"{at}: {text!r} is no number; {mend}. Accepted are 2.5, 1 .. 3, < 2 and an empty cell")


def _rows(file: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The header, and each row by column with its line number; the header is line 1."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise IndexRefusal(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise IndexRefusal(f"{file}: byte {error.start} is not UTF-8 text; save it as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(reader, [])]
    if twice := [name for place, name in enumerate(header) if name in header[:place]]:
        raise IndexRefusal(f"{file} has two columns named {twice[0]!r}; rename one")
    rows = []
    for fields in reader:
        if not fields:
            continue
        if len(fields) != len(header):
            seen = f"{len(fields)} fields where the header has {len(header)}"
            raise IndexRefusal(f"{file}, line {reader.line_num}: {seen}; quote those with a comma")
        rows.append((reader.line_num, dict(zip(header, fields, strict=True))))
    return header, rows
