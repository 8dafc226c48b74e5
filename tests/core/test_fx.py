"""What money of nine currencies is worth in USD: dated, exact, with its source."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.fx import MINOR_DIGITS, Amount, CurrencyUnknown, FxTable, Quote, RateUnknown, parse_amount
from tidegate.core.money import InvalidMoney


def quote(day: str, base: str, to: str, rate: str, *, is_own: bool = False) -> Quote:
    return Quote(day=day, base=base, quote=to, rate=rate, source="a bank", is_own=is_own)


TABLE = FxTable(
    [
        quote("2026-10-30", "EUR", "USD", "1.1172"),
        quote("2026-10-30", "EUR", "CNY", "7.4326"),
        quote("2026-09-30", "EUR", "USD", "1.1"),
        quote("2026-09-30", "EUR", "CNY", "7.7"),
        quote("2025-05-05", "USD", "VND", "25965"),
    ]
)


def test_yuan_become_dollars_over_the_euro() -> None:
    """100 CNY / 7.4326 x 1.1172 = 15.031079299303...: worked out with Fraction, then rounded once."""
    exact = Fraction(100) / Fraction("7.4326") * Fraction("1.1172") * 10**9
    assert TABLE.rate("CNY", "2026-11-22").nano_usd(parse_amount("100", "CNY")) == round(exact) == 15_031_079_299


def test_a_quote_counts_from_its_day_on() -> None:
    """The rate of the day the order was made, not of the day it is looked at: 77 CNY were 11 USD in September."""
    assert TABLE.rate("CNY", "2026-10-29").nano_usd(parse_amount("77", "CNY")) == 11 * 10**9
    assert TABLE.rate("CNY", "2026-10-30").day == "2026-10-30"


def test_a_direct_quote_needs_no_third_currency() -> None:
    """Dong have no minor unit: 25,965 of them are a dollar."""
    assert TABLE.rate("VND", "2026-01-01").nano_usd(Amount("VND", 25_965)) == 10**9


def test_the_operators_own_rate_wins_over_newer_shipped_ones() -> None:
    """Who fixes 8 yuan to the dollar means it until he says otherwise; days before it are not touched."""
    own = FxTable([*TABLE.quotes, quote("2026-10-01", "USD", "CNY", "8", is_own=True)])
    assert own.rate("CNY", "2026-11-22").nano_usd(parse_amount("8", "CNY")) == 10**9
    assert own.rate("CNY", "2026-09-30").nano_usd(parse_amount("77", "CNY")) == 11 * 10**9


def test_dollars_are_dollars() -> None:
    assert TABLE.rate("USD", "1999-01-01").nano_usd(parse_amount("0.01", "USD")) == 10_000_000


def test_an_unknown_rate_names_the_command_that_enters_one() -> None:
    with pytest.raises(RateUnknown, match=r"BRL on 2026-11-22.*tidegate accounts fx set BRL"):
        TABLE.rate("BRL", "2026-11-22")
    with pytest.raises(RateUnknown, match="first is of 2026-09-30"):
        TABLE.rate("CNY", "2026-09-29")
    with pytest.raises(CurrencyUnknown, match="'XAU' is not one of USD, CNY"):
        TABLE.rate("XAU", "2026-09-29")


@given(st.sampled_from(sorted(MINOR_DIGITS)), st.integers(-(10**12), 10**12))
def test_amounts_print_as_they_parse(currency: str, minor: int) -> None:
    amount = Amount(currency, minor)
    assert parse_amount(str(amount), currency) == amount


@pytest.mark.parametrize(("text", "currency"), [("1.001", "CNY"), ("0.5", "VND"), ("1,5", "EUR"), ("", "USD")])
def test_parts_of_a_minor_unit_are_refused(text: str, currency: str) -> None:
    """Nobody can pay half a dong; a callback that says so is not read as something near it."""
    with pytest.raises(InvalidMoney):
        parse_amount(text, currency)


@given(st.integers(1, 10**16))
def test_an_amount_for_dollars_is_the_least_that_covers_them(nano_usd: int) -> None:
    """Up to what rounding to a nano-dollar can add; one minor unit less would not do."""
    rate = TABLE.rate("CNY", "2026-11-22")
    amount = rate.amount_for(nano_usd)
    assert rate.nano_usd(amount) >= nano_usd
    assert Fraction((amount.minor - 1) * rate.numerator, rate.denominator) < nano_usd


@pytest.mark.parametrize(("to", "rate"), [("CNY", "0"), ("CNY", "-7"), ("USD", "1"), ("XYZ", "1")])
def test_a_nonsense_quote_cannot_exist(to: str, rate: str) -> None:
    with pytest.raises((ValueError, CurrencyUnknown)):
        quote("2026-01-01", "USD", to, rate)
    with pytest.raises(ValueError, match="isoformat"):
        quote("yesterday", "USD", "CNY", "7")
