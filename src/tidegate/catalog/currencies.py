"""Prices that are published in another currency than USD, at the dated exchange rates of `fx.csv`."""

import difflib
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from tidegate.catalog.tables import read_lines
from tidegate.core.errors import AccountsError, CatalogError
from tidegate.core.fx import MINOR_DIGITS, FxTable, Quote, Rate, RateUnknown
from tidegate.core.money import NANO_PER_USD
from tidegate.core.price import Face, KindRates, Price, Rates, Tier, round_half_even

FX: Final = "fx.csv"
FX_COLUMNS: Final = ("day", "base", "quote", "rate", "source", "checked")
FX_AGE_DAYS_MAX: Final = 45  # of a rate in use; rates are shipped for the end of each month
USD: Final = "USD"


def read_quotes(folder: Path, *, is_own: bool) -> list[Quote]:
    """The quotes of a folder's `fx.csv`, none where it has none. Raises CatalogError naming the line."""
    found = []
    for number, line in enumerate(read_lines(folder / FX, FX_COLUMNS), start=2):
        try:
            said: dict[str, Any] = dict(zip(FX_COLUMNS, line.split(","), strict=True))
            found.append(Quote(**said, is_own=is_own))
        except (ValueError, AccountsError) as error:
            raise CatalogError(f"{folder / FX}:{number}: {error}; columns are {','.join(FX_COLUMNS)}") from error
    return found


def exchange(shipped: Path, folders: Iterable[Path], own: Iterable[Quote] = ()) -> FxTable:
    """All rates: those that come with the program; those of an installation's folders, and `own`, win over them."""
    theirs = [quote for folder in folders for quote in read_quotes(folder, is_own=True)]
    return FxTable([*read_quotes(shipped, is_own=False), *theirs, *own])


def rate_on(table: FxTable, currency: str, day: str, where: str) -> Rate:
    """The exchange rate in force on an ISO day: the newest of that day or before.

    Raises CatalogError for a currency that is not known, with names that are near, and where no rate is that old.
    """
    if currency not in MINOR_DIGITS:
        near = difflib.get_close_matches(currency.upper(), MINOR_DIGITS, n=3, cutoff=0.5)
        mend = f"Did you mean {' or '.join(near)}?" if near else f"Known are {', '.join(MINOR_DIGITS)}."
        raise CatalogError(f"{where}: {currency!r} is no currency that is known here. {mend}")
    try:
        return table.rate(currency, day)
    except RateUnknown as error:
        raise CatalogError(f"{where}: {error}. State the price in USD.") from error


def in_usd(nano_amount: int, rate: Rate) -> int:
    """Billionths of a currency in nano-USD, rounded once, half to even."""
    minor = 10 ** MINOR_DIGITS[rate.currency]
    return round_half_even(nano_amount * minor * rate.numerator, rate.denominator * NANO_PER_USD)


def price_in_usd(price: Price, rate: Rate) -> Price:
    """A price whose rates are of another currency, and each of its hours, at a rate of exchange, which its id names."""
    stem, hours, name = price.price_id.partition("~")
    return msgspec.structs.replace(
        price,
        price_id=f"{stem}-{rate.currency}-{rate.day}{hours}{name}",
        rates=_rates_in_usd(price.rates, rate),
        tiers=tuple(
            Tier(input_tokens_above=tier.input_tokens_above, rates=_rates_in_usd(tier.rates, rate))
            for tier in price.tiers
        ),
        source=f"{price.source}; {rate.source} of {rate.day}",
        currency=rate.currency,
        fx_day=rate.day,
        faces=tuple(Face(price=price_in_usd(face.price, rate), window=face.window) for face in price.faces),
    )


def _rates_in_usd(rates: Rates, rate: Rate) -> Rates:
    found = {name: _converted(getattr(rates, name), rate) for name in Rates.__struct_fields__ if name != "kinds"}
    kinds = rates.kinds
    if kinds is not None:
        kinds = KindRates(**{name: _converted(getattr(kinds, name), rate) for name in KindRates.__struct_fields__})
    return Rates(**found, kinds=kinds)  # type: ignore[arg-type]  # input and output stay the integers that they are


def _converted(amount: int | None, rate: Rate) -> int | None:
    return None if amount is None else in_usd(amount, rate)


def stale_rates(
    prices: Iterable[Price | None], day: str, age_days_max: int = FX_AGE_DAYS_MAX
) -> dict[tuple[str, str], int]:
    """Rates of exchange that prices rest on and that are older than `age_days_max` on a day: how many prices of each.

    By currency and the rate's own day.
    """
    found: dict[tuple[str, str], int] = {}
    today = date.fromisoformat(day[:10])
    for price in prices:
        if price is not None and price.fx_day and (today - date.fromisoformat(price.fx_day)).days > age_days_max:
            found[price.currency, price.fx_day] = found.get((price.currency, price.fx_day), 0) + 1
    return found
