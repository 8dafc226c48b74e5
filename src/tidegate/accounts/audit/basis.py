"""What a call is held against: a price with a margin, and whether the logged charge is that."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final, NamedTuple

from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.wrong import exact
from tidegate.core.money import UNITS_PER_RATE
from tidegate.core.price import Price, Rates, round_half_even
from tidegate.core.usage import Usage

SEARCHES_MAX: Final = 10
SEARCH_STEPS_MIN: Final = 1000
"""A log that holds a search's price in fewer steps could not tell it from chance."""


class Basis(NamedTuple):
    """What a call is held against. factor: the log's margin, times what the log's own rates stand above the list."""

    price: Price
    factor: Fraction
    note: str = ""

    def nano_usd(self, usage: Usage) -> int:
        """The right charge."""
        return whole(exact(usage, self.price.rates_for(usage.input_tokens)), self.factor)


def whole(amount: int, factor: Fraction) -> int:
    """An exact amount (nano-USD times UNITS_PER_RATE) and a factor, as nano-USD."""
    if factor == 1:
        return round_half_even(amount, UNITS_PER_RATE)
    return round_half_even(amount * factor.numerator, UNITS_PER_RATE * factor.denominator)


def meets(call: LoggedCall, amount: int, factor: Fraction) -> bool:
    """Whether the log's charge is this amount, as finely as the log can tell."""
    return abs(call.charged_nano_usd - whole(amount, factor)) <= call.tolerance_nano_usd


def usages(call: LoggedCall) -> Iterator[Usage]:
    """The ways to read its counts, the usual one first."""
    if call.usage is not None:
        yield call.usage
    if call.other_usage is not None:
        yield call.other_usage


def basis_of(call: LoggedCall, price: Price) -> Basis:
    """The list price; scaled where the log's own rates for input and output stand above it by one factor."""
    own = call.own_rates
    rates = price.rates_for(call.usage.input_tokens) if call.usage else price.rates
    if own is None or not (own.input and own.output and rates.input and rates.output):
        return Basis(price, call.factor)
    above = Fraction(own.input, rates.input)
    if above == 1 or abs(Fraction(own.output, rates.output) / above - 1) > Fraction(1, 200):
        return Basis(price, call.factor)
    return Basis(price, call.factor * above, f"the log's own rates are {float(above):.4g} times the list price")


def right_charge(call: LoggedCall, basis: Basis) -> int | None:
    """The right amount where the log's charge is it, or would be with cached tokens that the log leaves unsaid."""
    for usage in usages(call):
        rates = basis.price.rates_for(usage.input_tokens)
        amount = exact(usage, rates)
        if meets(call, amount, basis.factor):
            return whole(amount, basis.factor)
        if not call.has_cache_counts and agrees_if_cached(call, usage, rates, basis.factor):
            return call.charged_nano_usd
    return None


def agrees_if_cached(call: LoggedCall, usage: Usage, rates: Rates, factor: Fraction) -> bool:
    """Whether some number of cached tokens, which the log does not record, makes the charge right."""
    if rates.cache_read is None or rates.cache_read >= rates.input or call.calls > 1:
        return False
    saved = whole(exact(usage, rates), factor) - call.charged_nano_usd
    each = Fraction(rates.input - rates.cache_read, UNITS_PER_RATE) * factor
    cached = round(saved / each) if each else 0
    if not 0 < cached <= usage.input_tokens:
        return False
    return bool(abs(saved - cached * each) <= min(Fraction(call.tolerance_nano_usd), each / 100 + 1))


def agrees_if_searched(call: LoggedCall, basis: Basis) -> bool:
    """Whether a few web searches, which the log does not record, make the charge right."""
    rate, usage = basis.price.rates.web_search, call.usage
    if not rate or usage is None or call.extra_nano_usd or usage.web_searches:
        return False
    each, more = whole(rate, basis.factor), call.charged_nano_usd - basis.nano_usd(usage)
    if each < SEARCH_STEPS_MIN * call.quantum_nano_usd or not 0 < more <= SEARCHES_MAX * each:
        return False
    return abs(more - round(more / each) * each) <= call.tolerance_nano_usd


def follows_own_rates(call: LoggedCall) -> bool:
    """Whether the charge is what the logged counts come to at the rates that the log itself records."""
    own = call.own_rates
    return own is not None and any(meets(call, exact(usage, own), call.factor) for usage in usages(call))
