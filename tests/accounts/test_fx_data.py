"""The exchange rates that come with the program."""

from fractions import Fraction

import pytest

from tidegate.accounts.money.fx import fx_table, read_quotes, shipped_quotes
from tidegate.core.errors import AccountsError
from tidegate.core.fx import MINOR_DIGITS, parse_amount

HEAD = "day,base,quote,rate,source,checked\n"


@pytest.mark.parametrize("currency", sorted(MINOR_DIGITS))
def test_every_currency_has_a_rate_today(currency: str) -> None:
    """Nine currencies, each with a day and a source a reader can look up."""
    rate = fx_table().rate(currency, "2026-11-22")
    assert rate.numerator > 0
    assert currency == "USD" or (rate.day <= "2026-11-22" and rate.source)


def test_every_quote_has_a_source_and_the_day_it_was_checked() -> None:
    for quote in shipped_quotes():
        assert quote.source and len(quote.day) == len(quote.checked) == 10, quote


def test_no_quote_is_far_from_the_one_before_it() -> None:
    """A slip of a digit would show as a jump: no month of these currencies moved by a tenth."""
    before: dict[tuple[str, str], Fraction] = {}
    for quote in shipped_quotes():
        pair, rate = (quote.base, quote.quote), Fraction(quote.rate)
        if pair in before:
            assert Fraction(9, 10) < rate / before[pair] < Fraction(11, 10), quote
        before[pair] = rate


@pytest.mark.parametrize(
    ("text", "currency", "cents"),
    [("100", "CNY", 1503), ("100", "EUR", 11172), ("100000", "IDR", 551), ("100000", "VND", 385), ("100", "BRL", 1841)],
)
def test_rates_give_what_a_pocket_calculator_gives(text: str, currency: str, cents: int) -> None:
    """From the European Central Bank's page of 2026-10-30, by hand: 100 x 1.1172 / 7.4326, and so on."""
    nano = fx_table().rate(currency, "2026-11-22").nano_usd(parse_amount(text, currency))
    assert round(nano / 10_000_000) == cents


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("day,rate\n", "expected day, base"),
        (HEAD + "2026-01-01,USD,CNY,seven,me,2026-01-01\n", "line 2.*not a decimal"),
        (HEAD + "2026-01-01,USD,XAU,7,me,2026-01-01\n", "line 2.*XAU"),
        (HEAD + "2026-01-01,USD,CNY,7\n", "line 2"),
    ],
)
def test_a_damaged_table_is_named_by_its_line(text: str, words: str) -> None:
    with pytest.raises(AccountsError, match=words):
        read_quotes(text, "rates.csv")
