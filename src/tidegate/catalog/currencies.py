"""Prices that are published in another currency than USD, at the dated exchange rates of `fx.csv`."""

import difflib
from functools import cache
from typing import Final

from tidegate.catalog.catalog import DATA
from tidegate.catalog.tables import read_lines
from tidegate.core.errors import CatalogError
from tidegate.core.fx import MINOR_DIGITS, FxTable, Quote, Rate, RateUnknown
from tidegate.core.money import NANO_PER_USD
from tidegate.core.price import round_half_even

FX_COLUMNS: Final = ("day", "base", "quote", "rate", "source", "checked")
USD: Final = "USD"


@cache
def shipped_rates() -> FxTable:
    """All quotes that come with the program."""
    lines = (line.split(",") for line in read_lines(DATA / "fx.csv", FX_COLUMNS))
    return FxTable(Quote(**dict(zip(FX_COLUMNS, line, strict=True))) for line in lines)  # type: ignore[arg-type]


def rate_on(currency: str, day: str, where: str) -> Rate:
    """The exchange rate in force on an ISO day: the newest of that day or before.

    Raises CatalogError for a currency that is not known, with names that are near, and where no rate is that old.
    """
    if currency not in MINOR_DIGITS:
        near = difflib.get_close_matches(currency.upper(), MINOR_DIGITS, n=3, cutoff=0.5)
        mend = f"Did you mean {' or '.join(near)}?" if near else f"Known are {', '.join(MINOR_DIGITS)}."
        raise CatalogError(f"{where}: {currency!r} is no currency that is known here. {mend}")
    try:
        return shipped_rates().rate(currency, day)
    except RateUnknown as error:
        raise CatalogError(f"{where}: {error}. State the price in USD.") from error


def in_usd(nano_amount: int, rate: Rate) -> int:
    """Billionths of a currency in nano-USD, rounded once, half to even."""
    minor = 10 ** MINOR_DIGITS[rate.currency]
    return round_half_even(nano_amount * minor * rate.numerator, rate.denominator * NANO_PER_USD)
