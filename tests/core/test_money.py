"""Money is exact on its way in, through and out."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.money import (
    InvalidMoney,
    format_rate,
    format_usd,
    parse_decimal,
    parse_rate,
    parse_unit_price,
    parse_usd,
)


@given(st.integers(-(10**20), 10**20))
def test_printing_and_parsing_are_inverse(amount: int) -> None:
    """Not a nano-dollar is lost between a report and its reader."""
    if abs(amount) < 10**24:
        assert parse_usd(format_usd(amount)) == amount
        assert parse_rate(format_rate(amount)) == amount


@given(st.integers(0, 10**12), st.integers(0, 12), st.integers(-6, 6))
def test_a_decimal_is_what_fractions_say(digits: int, places: int, exponent: int) -> None:
    """An independent calculation: `fractions.Fraction` on the same text."""
    text = f"{digits // 10**places}.{digits % 10**places:0{places}d}e{exponent}" if places else f"{digits}e{exponent}"
    exact = Fraction(text) * 10**15
    if exact.denominator == 1:
        assert parse_decimal(text, 15) == exact
    else:
        with pytest.raises(InvalidMoney, match="more than 15 decimal places"):
            parse_decimal(text, 15)


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("1", 10**9),
        ("0.000000001", 1),
        ("-2.5", -2_500_000_000),
        (".25", 250_000_000),
        ("1.5e-7", 150),
        ("+3.", 3 * 10**9),
    ],
)
def test_dollars_become_nano_dollars(text: str, nano: int) -> None:
    """Spellings found on price pages and in APIs."""
    assert parse_usd(text) == nano


@pytest.mark.parametrize("text", ["", ".", "1,5", "$1", "1e999", "0x10", "nan", "inf", "1 2", "١", "0.0000000001"])
def test_what_is_not_an_exact_amount_is_refused(text: str) -> None:
    """Money is refused, never rounded or guessed."""
    with pytest.raises(InvalidMoney):
        parse_usd(text)


def test_a_price_per_token_and_per_million_are_the_same_rate() -> None:
    """OpenRouter prints per token, price pages per million."""
    assert parse_unit_price("0.00000015") == parse_rate("0.15") == 150_000_000
    assert parse_unit_price("0.0000000028") == parse_rate("0.0028")


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "0.00"), (1, "0.000000001"), (-1_500_000_000, "-1.50"), (68_000, "0.000068")]
)
def test_amounts_print_with_all_their_digits(nano: int, text: str) -> None:
    """At least two decimals, and as many as there are."""
    assert format_usd(nano) == text
