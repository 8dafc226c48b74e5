"""The ways in which gateways get a cost wrong, each as arithmetic: what a call would have been charged.

Amounts are exact, in nano-USD times UNITS_PER_RATE. Where a way makes no difference for a call (nothing was cached, no
rate of its own) it gives none. Two ways of different groups may be wrong at once.
Cases: docs/how-to/audit-a-log.md.
"""

from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from tidegate.core.price import Price, Rates, cost_parts
from tidegate.core.usage import Usage

Group = Literal["input", "output", "tier"]
Amount = int


class Way(NamedTuple):
    """One way to get it wrong. amount: (usage, its right rates, right amount) -> the wrong amount."""

    cause: str
    group: Group
    amount: Callable[[Usage, Rates, Amount], Amount]


def exact(usage: Usage, rates: Rates) -> Amount:
    """The right amount at these rates, unrounded."""
    return cost_parts(usage, Price(price_id="", rates=rates)).total


def _read_rate(rates: Rates) -> int:
    return rates.input if rates.cache_read is None else rates.cache_read


def _write_rate(rates: Rates) -> int:
    return rates.input if rates.cache_creation is None else rates.cache_creation


def _written(usage: Usage, rates: Rates) -> Amount:
    """What writing to the cache rightly costs."""
    long = usage.cache_creation_1h_input_tokens
    long_rate = _write_rate(rates) if rates.cache_creation_1h is None else rates.cache_creation_1h
    return (usage.cache_creation_input_tokens - long) * _write_rate(rates) + long * long_rate


def _read(usage: Usage, rates: Rates) -> Amount:
    return usage.cache_read_input_tokens * _read_rate(rates)


def _reasoning(usage: Usage, rates: Rates) -> Amount:
    return usage.reasoning_output_tokens * (rates.output if rates.reasoning is None else rates.reasoning)


def _writes_at(usage: Usage, rates: Rates, right: Amount, rate: int) -> Amount:
    return right - _written(usage, rates) + usage.cache_creation_input_tokens * rate


def _cached_at_full_rate(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return right + usage.cache_read_input_tokens * (rates.input - _read_rate(rates))


def _all_at_full_rate(usage: Usage, rates: Rates, right: Amount) -> Amount:
    if not (usage.cache_read_input_tokens and usage.cache_creation_input_tokens):
        return right
    return _writes_at(usage, rates, _cached_at_full_rate(usage, rates, right), rates.input)


def _cached_twice(usage: Usage, rates: Rates, right: Amount) -> Amount:
    """Once in the input at the full rate, and once more at the rate of cached ones."""
    return right + usage.cache_read_input_tokens * rates.input


def _writes_twice(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return right + usage.cache_creation_input_tokens * rates.input


def _both_twice(usage: Usage, rates: Rates, right: Amount) -> Amount:
    if not (usage.cache_read_input_tokens and usage.cache_creation_input_tokens):
        return right
    return _writes_twice(usage, rates, _cached_twice(usage, rates, right))


def _cached_free(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return right - _read(usage, rates)


def _writes_free(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return right - _written(usage, rates)


def _all_cache_free(usage: Usage, rates: Rates, right: Amount) -> Amount:
    if not (usage.cache_read_input_tokens and usage.cache_creation_input_tokens):
        return right
    return right - _read(usage, rates) - _written(usage, rates)


def _hour_as_minutes(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return _writes_at(usage, rates, right, _write_rate(rates)) if usage.cache_creation_1h_input_tokens else right


def _minutes_as_hour(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return right if rates.cache_creation_1h is None else _writes_at(usage, rates, right, rates.cache_creation_1h)


def _writes_at_input_rate(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return _writes_at(usage, rates, right, rates.input)


def _writes_as_reads(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return _writes_at(usage, rates, right, _read_rate(rates))


def _kinds_as_text(usage: Usage, rates: Rates, right: Amount) -> Amount:
    if usage.kinds is None or rates.kinds is None:
        return right
    return exact(msgspec.structs.replace(usage, kinds=None), rates)


def _searches_free(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return right - usage.web_searches * (rates.web_search or 0)


def _reasoning_dropped(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return right - _reasoning(usage, rates)


def _reasoning_twice(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return right + usage.reasoning_output_tokens * rates.output


def _only_reasoning(usage: Usage, rates: Rates, right: Amount) -> Amount:
    if not usage.reasoning_output_tokens:
        return right
    return right - (usage.output_tokens - usage.reasoning_output_tokens) * rates.output


def _reasoning_as_output(usage: Usage, rates: Rates, right: Amount) -> Amount:
    return right - _reasoning(usage, rates) + usage.reasoning_output_tokens * rates.output


def _output_free(usage: Usage, rates: Rates, right: Amount) -> Amount:
    visible = usage.output_tokens - usage.reasoning_output_tokens
    return right - visible * rates.output - _reasoning(usage, rates)


def _input_free(usage: Usage, rates: Rates, right: Amount) -> Amount:
    fresh = usage.input_tokens - usage.cache_read_input_tokens - usage.cache_creation_input_tokens
    return right - fresh * rates.input - _read(usage, rates) - _written(usage, rates)


WAYS: Final = (
    Way("cached_full_rate", "input", _cached_at_full_rate),
    Way("cached_twice", "input", _cached_twice),
    Way("cache_write_full_rate", "input", _writes_at_input_rate),
    Way("cache_full_rate", "input", _all_at_full_rate),
    Way("cache_write_1h_as_5m", "input", _hour_as_minutes),
    Way("cache_write_5m_as_1h", "input", _minutes_as_hour),
    Way("cache_write_as_read", "input", _writes_as_reads),
    Way("cache_write_twice", "input", _writes_twice),
    Way("cache_twice", "input", _both_twice),
    Way("cached_free", "input", _cached_free),
    Way("cache_write_free", "input", _writes_free),
    Way("cache_free", "input", _all_cache_free),
    Way("media_as_text", "input", _kinds_as_text),
    Way("searches_free", "input", _searches_free),
    Way("input_free", "input", _input_free),
    Way("reasoning_dropped", "output", _reasoning_dropped),
    Way("reasoning_twice", "output", _reasoning_twice),
    Way("only_reasoning", "output", _only_reasoning),
    Way("reasoning_full_rate", "output", _reasoning_as_output),
    Way("output_free", "output", _output_free),
)
"""By how often they are seen: of two that come to one amount, the first is named first."""


class Wrong(NamedTuple):
    """What a call would have come to. causes: one, or two of different groups."""

    causes: tuple[str, ...]
    amount: Amount


def ways_wrong(usage: Usage, price: Price) -> Iterator[Wrong]:
    """Every amount that one way gives, then those of two at once."""
    rates = price.rates_for(usage.input_tokens)
    right = exact(usage, rates)
    single = [(way, amount) for way in WAYS if (amount := way.amount(usage, rates, right)) != right and amount >= 0]
    for way, amount in single:
        yield Wrong((way.cause,), amount)
    tiers = list(_other_tiers(usage, price, rates))
    yield from tiers
    for tier, wrong_rates in zip(tiers, _other_rates(price, rates), strict=True):
        for way in WAYS:
            amount = way.amount(usage, wrong_rates, tier.amount)
            if amount != tier.amount and amount >= 0:
                yield Wrong((*tier.causes, way.cause), amount)
    for place, (way, amount) in enumerate(single):
        for other, more in single[place + 1 :]:
            if other.group != way.group and (both := amount + more - right) >= 0:  # groups share no token
                yield Wrong((way.cause, other.cause), both)


def _other_rates(price: Price, rates: Rates) -> Iterator[Rates]:
    for other in (price.rates, *(tier.rates for tier in price.tiers)):
        if other != rates:
            yield other


def _other_tiers(usage: Usage, price: Price, rates: Rates) -> Iterator[Wrong]:
    for other in _other_rates(price, rates):
        cause = "long_rate_missed" if other.input < rates.input else "long_rate_early"
        yield Wrong((cause,), exact(usage, other))
