"""Currencies people pay in, and what their money is worth in USD on a day: exact integers, rounded once.

A quote is kept as it was published ("1 EUR = 7.4326 CNY"), never inverted and never crossed beforehand; a rate is the
fraction that follows from one quote or, over a common base, from two of the same day.
"""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import date
from typing import Final

import msgspec

from tidegate.core.errors import AccountsError
from tidegate.core.money import NANO_PER_USD, InvalidMoney, parse_decimal
from tidegate.core.price import round_half_even

MINOR_DIGITS: Final = {"USD": 2, "CNY": 2, "EUR": 2, "IDR": 2, "VND": 0, "THB": 2, "PHP": 2, "INR": 2, "BRL": 2}
"""Currency -> digits of its minor unit (ISO 4217). The rupiah has two, though nobody has seen a sen for decades."""

RATE_DIGITS: Final = 9


class CurrencyUnknown(AccountsError):
    """A currency that is not among those people can pay in."""

    def __init__(self, currency: str) -> None:
        super().__init__(f"currency {currency[:16]!r} is not one of {', '.join(MINOR_DIGITS)}")


class RateUnknown(AccountsError):
    """No quote of the currency on that day or before."""


def minor_digits(currency: str) -> int:
    """Digits after the point. Raises CurrencyUnknown."""
    try:
        return MINOR_DIGITS[currency]
    except KeyError:
        raise CurrencyUnknown(currency) from None


class Amount(msgspec.Struct, frozen=True, order=True):
    """So much money of a currency. `minor`: integer of its smallest unit (US cents, whole dong)."""

    currency: str
    minor: int

    def __str__(self) -> str:
        digits = minor_digits(self.currency)
        whole, part = divmod(abs(self.minor), int(10**digits))
        sign = "-" if self.minor < 0 else ""
        return f"{sign}{whole}.{part:0{digits}d}" if digits else f"{sign}{whole}"


def parse_amount(text: str, currency: str) -> Amount:
    """`parse_amount("1.50", "CNY").minor == 150`. Raises InvalidMoney, also for parts of a minor unit."""
    digits = minor_digits(currency)
    try:
        return Amount(currency, parse_decimal(text, digits))
    except InvalidMoney as error:
        raise InvalidMoney(f"{error} ({currency} has {digits} decimals)") from None


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """One published price of money: 1 `base` = `rate` `quote`, on `day` (ISO date). Raises ValueError for nonsense.

    `rate`: decimal text, as published. `is_own`: the operator's own word, which wins over what was shipped.
    """

    day: str
    base: str
    quote: str
    rate: str
    source: str
    checked: str = ""
    is_own: bool = False

    def __post_init__(self) -> None:
        date.fromisoformat(self.day)
        if self.rate_e9 <= 0:
            raise ValueError(f"1 {self.base} = {self.rate} {self.quote} on {self.day}: a rate is greater than 0")
        if self.base == self.quote:
            raise ValueError(f"a rate is between two currencies, seen {self.base} twice on {self.day}")
        for currency in (self.base, self.quote):
            minor_digits(currency)

    @property
    def rate_e9(self) -> int:
        return parse_decimal(self.rate, RATE_DIGITS)


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What one minor unit of a currency is worth: numerator / denominator nano-USD. Where that follows from, and when.

    `day`: of the quote. `source`: as the quote names it.
    """

    currency: str
    day: str
    source: str
    numerator: int
    denominator: int

    def nano_usd(self, amount: Amount) -> int:
        """An amount of this currency in nano-USD, rounded once, half to even. Raises ValueError for another's."""
        if amount.currency != self.currency:
            raise ValueError(f"a rate of {self.currency} cannot convert {amount.currency}")
        return round_half_even(amount.minor * self.numerator, self.denominator)

    def amount_for(self, nano_usd: int) -> Amount:
        """The least amount of this currency that is worth at least so much."""
        return Amount(self.currency, -(-nano_usd * self.denominator // self.numerator))


USD_RATE: Final = Rate(currency="USD", day="", source="", numerator=NANO_PER_USD, denominator=100)


class FxTable:
    """All quotes that are known. Adding quotes makes a new table."""

    def __init__(self, quotes: Iterable[Quote]) -> None:
        self.quotes = tuple(sorted(quotes, key=lambda one: (one.day, one.is_own)))
        by_pair: dict[tuple[str, str], dict[str, Quote]] = {}
        for one in self.quotes:
            by_pair.setdefault((one.base, one.quote), {})[one.day] = one
        self._by_pair = by_pair
        self._rates: dict[str, list[Rate]] = {}
        self._own: dict[str, list[Rate]] = {}
        for currency in MINOR_DIGITS:
            found = sorted(self._rates_of(currency), key=lambda one: one[0].day)
            self._rates[currency] = [rate for rate, _ in found]
            self._own[currency] = [rate for rate, is_own in found if is_own]

    def rate(self, currency: str, day: str) -> Rate:
        """The rate in force on a day (ISO date): the newest of that day or before it, the operator's own before others.

        Raises CurrencyUnknown, and RateUnknown where no quote is that old.
        """
        minor_digits(currency)
        if currency == "USD":
            return USD_RATE
        for rates in (self._own[currency], self._rates[currency]):
            place = bisect_right(rates, day, key=lambda one: one.day)
            if place:
                return rates[place - 1]
        first = self._rates[currency][0].day if self._rates[currency] else "no day"
        raise RateUnknown(
            f"no rate of {currency} on {day} or before it (the first is of {first}); "
            f"`tidegate accounts fx set {currency} RATE --day {day}` enters one"
        )

    def _rates_of(self, currency: str) -> list[tuple[Rate, bool]]:
        """Every rate that quotes give: direct ones, and those over a third currency quoted on the same day."""
        found = []
        for (base, quote), by_day in self._by_pair.items():
            for day, one in by_day.items():
                if (base, quote) == ("USD", currency):
                    found.append(self._made(one, currency, 10**RATE_DIGITS, one.rate_e9))
                elif (base, quote) == (currency, "USD"):
                    found.append(self._made(one, currency, one.rate_e9, 10**RATE_DIGITS))
                elif quote == currency and (dollars := self._by_pair.get((base, "USD"), {}).get(day)):
                    found.append(self._made(one, currency, dollars.rate_e9, one.rate_e9))
        return found

    @staticmethod
    def _made(one: Quote, currency: str, usd: int, units: int) -> tuple[Rate, bool]:
        """`usd` US dollars are `units` whole units of the currency, in any common scale."""
        rate = Rate(
            currency=currency,
            day=one.day,
            source=one.source,
            numerator=usd * NANO_PER_USD,
            denominator=units * int(10 ** minor_digits(currency)),
        )
        return rate, one.is_own
