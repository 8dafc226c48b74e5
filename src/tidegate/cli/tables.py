"""Printing a table as a person, a program or a spreadsheet wants it."""

import csv
import sys
from collections.abc import Sequence

import msgspec

Cell = str | int | float | bool | None


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], form: str, *, title: str = "") -> None:
    """Print rows on stdout. form: `table` (rich), `json` (a list of objects) or `csv` (header first)."""
    if form == "json":
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(objects), indent=2).decode() + "\n")
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        _print_rich(columns, rows, title)


def printable(text: str) -> str:
    """Text as a terminal may have it: control characters, which callers can put into names, are spelled out."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text("" if cell is None else f"{cell:,}" if type(cell) is int else printable(str(cell))) for cell in row)
        )
    Console().print(table)
