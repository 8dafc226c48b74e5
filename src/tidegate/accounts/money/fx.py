"""Exchange rates: those that come with the program (`data/fx.csv`), and the operator's own."""

import csv
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

import msgspec

from tidegate.core.errors import AccountsError
from tidegate.core.fx import FxTable, Quote

COLUMNS: Final = ("day", "base", "quote", "rate", "source", "checked")


@cache
def shipped_quotes() -> tuple[Quote, ...]:
    """The quotes of `data/fx.csv`."""
    return read_quotes(resources.files("tidegate.data").joinpath("fx.csv").read_text("utf-8"), "data/fx.csv")


def read_quotes(text: str, where: str, *, is_own: bool = False) -> tuple[Quote, ...]:
    """Quotes of a CSV with the columns COLUMNS. Raises AccountsError naming the line."""
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise AccountsError(f"{where}: the columns are {reader.fieldnames}, expected {', '.join(COLUMNS)}")
    found = []
    for line in reader:
        try:
            found.append(msgspec.convert({**line, "is_own": is_own}, Quote))
        except (ValueError, TypeError, AccountsError) as error:
            raise AccountsError(f"{where}, line {reader.line_num}: {error}") from error
    return tuple(found)


def fx_table(own: Iterable[Quote] = ()) -> FxTable:
    """The shipped quotes and these of the operator's own."""
    return FxTable((*shipped_quotes(), *own))
