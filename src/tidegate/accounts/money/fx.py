"""Exchange rates: those that come with the program (`data/fx.csv`), and the operator's own."""

import csv
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.database import Database, touch
from tidegate.accounts.schema.money_in import fx_quotes
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


def read_fx(connection: sa.Connection) -> FxTable:
    """All rates: the shipped ones, and the operator's own, which win."""
    return fx_table(own_quotes(connection))


def own_quotes(connection: sa.Connection) -> list[Quote]:
    """The operator's own, by day."""
    found = connection.execute(sa.select(fx_quotes).order_by(fx_quotes.c.day, fx_quotes.c.quote))
    return [
        Quote(day=row.day, base=row.base, quote=row.quote, rate=row.rate, source=row.source, is_own=True)
        for row in found
    ]


def set_quote(database: Database, quote: Quote, now_us: int) -> None:
    """Enter a rate of the operator's own, in place of another one of the same day. Orders that are made keep theirs."""
    key = (fx_quotes.c.day == quote.day, fx_quotes.c.base == quote.base, fx_quotes.c.quote == quote.quote)
    row = {"day": quote.day, "base": quote.base, "quote": quote.quote, "rate": quote.rate, "source": quote.source}
    with database.writing() as connection:
        touch(connection)
        connection.execute(sa.delete(fx_quotes).where(*key))
        connection.execute(sa.insert(fx_quotes).values(**row, set_us=now_us))


def remove_quote(database: Database, day: str, currency: str) -> int:
    """Take back the operator's own rates of a currency and day; how many there were."""
    named = (fx_quotes.c.base == currency) | (fx_quotes.c.quote == currency)
    with database.writing() as connection:
        touch(connection)
        return int(connection.execute(sa.delete(fx_quotes).where(fx_quotes.c.day == day, named)).rowcount)
