"""Sums of a day: the right amount is only known between two bounds, all cached and nothing cached."""

from fractions import Fraction

from tidegate.accounts.audit.basis import whole
from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.finding import Finding
from tidegate.accounts.audit.judge import Right, State, judge
from tidegate.accounts.audit.prices import Held
from tidegate.accounts.audit.wrong import exact
from tidegate.core.price import Price
from tidegate.core.usage import Usage

ROUNDING_PPM = 1000
"""A sum of many rounded amounts may stand this far outside its bounds."""


def judge_sum(call: LoggedCall, held: Held) -> Finding | Right | State:
    """A day's sum of one model against what it could have cost."""
    usage = call.usage
    if call.is_own_key or not held.right or usage is None:
        return State.UNCHECKED
    charged = call.charged_nano_usd
    if call.has_cache_counts and not any(price.tiers for price in held.right) and len(held.right) == 1:
        return judge(call, held)  # nothing is left open: the sum is as good as one call
    bounds = [_bounds(usage, price, call.factor) for price in (*held.right, *held.also)]
    low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
    slack = max(call.tolerance_nano_usd, high * ROUNDING_PPM // 1_000_000)
    if low - slack <= charged <= high + slack:
        return Right(charged)
    if charged == 0:
        return State.UNCHECKED if call.variant == "free" else State.ZERO
    above = charged > high
    bound, words = (high, "nothing cached") if above else (low, "all input cached")
    return Finding(
        call=call,
        causes=("sum_above" if above else "sum_below",),
        certainty="possible",
        why=f"{held.right[0].price_id} gives {'at most' if above else 'at least'} this for the day's tokens ({words})",
        should_nano_usd=bound,
        is_at_least=not above,
        price_id=held.right[0].price_id,
    )


def _bounds(usage: Usage, price: Price, factor: Fraction) -> tuple[int, int]:
    """The least and the most that these tokens cost, whatever was cached and however long the inputs were."""
    every = (price.rates, *(tier.rates for tier in price.tiers))
    most = max(exact(usage, rates) for rates in every)
    least = min(
        exact(usage, rates) - usage.input_tokens * max(rates.input - (rates.cache_read or 0), 0)
        if rates.cache_read is not None
        else exact(usage, rates)
        for rates in every
    )
    return whole(least, factor), whole(most, factor)
