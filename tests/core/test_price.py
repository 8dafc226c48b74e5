"""What a call costs: exact, each token once, rounded once."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.price import FREE, Price, Rates, Tier, cost, round_half_even
from tidegate.core.usage import NO_USAGE, Usage

COUNTS = st.integers(0, 10**7)
RATE = st.integers(0, 10**12)
OPTIONAL = st.none() | RATE


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    total, out = draw(COUNTS), draw(COUNTS)
    read = draw(st.integers(0, total))
    return Usage(
        input_tokens=total,
        output_tokens=out,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=draw(st.integers(0, total - read)),
        reasoning_output_tokens=draw(st.integers(0, out)),
        images=draw(st.integers(0, 9)),
        audio_input_s=draw(st.integers(0, 99)),
        video_output_s=draw(st.integers(0, 99)),
    )


RATES = st.builds(
    Rates, input=RATE, output=RATE, cache_read=OPTIONAL, cache_creation=OPTIONAL, reasoning=OPTIONAL, image=OPTIONAL,
    audio_input_s=OPTIONAL, video_output_s=OPTIONAL, request=OPTIONAL,
)  # fmt: skip


def cost_obviously(usage: Usage, rates: Rates) -> int:
    """The slow twin: disjoint buckets, fractions, Python's own rounding (half to even)."""

    def rate(value: int | None, fallback: int) -> int:
        return fallback if value is None else value

    fresh = usage.input_tokens - usage.cache_read_input_tokens - usage.cache_creation_input_tokens
    exact = Fraction(
        fresh * rates.input
        + usage.cache_read_input_tokens * rate(rates.cache_read, rates.input)
        + usage.cache_creation_input_tokens * rate(rates.cache_creation, rates.input)
        + (usage.output_tokens - usage.reasoning_output_tokens) * rates.output
        + usage.reasoning_output_tokens * rate(rates.reasoning, rates.output)
        + usage.images * rate(rates.image, 0)
        + usage.audio_input_s * rate(rates.audio_input_s, 0)
        + usage.video_output_s * rate(rates.video_output_s, 0)
        + usage.requests * rate(rates.request, 0),
        1_000_000,
    )
    return round(exact)


@given(usages(), RATES)
def test_cost_equals_the_sum_over_disjoint_buckets(usage: Usage, rates: Rates) -> None:
    """Each token is charged once, at its own rate."""
    assert cost(usage, Price(price_id="p", rates=rates)) == cost_obviously(usage, rates)


@given(usages(), RATES)
def test_caching_and_reasoning_change_nothing_without_rates_of_their_own(usage: Usage, rates: Rates) -> None:
    """Parts are never added to their totals."""
    plain = Rates(input=rates.input, output=rates.output)
    whole = Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
    assert cost(usage, Price(price_id="p", rates=plain)) == cost(whole, Price(price_id="p", rates=plain))


def test_the_tier_is_the_calls_own() -> None:
    """Above the bound every unit of the call costs the tier's rate; at the bound none does."""
    high = Rates(input=4_000_000_000, output=20_000_000_000)
    price = Price(price_id="p", rates=Rates(input=2_000_000_000, output=10_000_000_000),
                  tiers=(Tier(input_tokens_above=200_000, rates=high),))  # fmt: skip
    assert cost(Usage(input_tokens=200_000, output_tokens=10), price) == 200_000 * 2000 + 10 * 10_000
    assert cost(Usage(input_tokens=200_001, output_tokens=10), price) == 200_001 * 4000 + 10 * 20_000


def test_tiers_must_ascend() -> None:
    """Two readings of one price are none."""
    tier = Tier(input_tokens_above=5, rates=FREE)
    with pytest.raises(ValueError, match="must ascend"):
        Price(price_id="p", rates=FREE, tiers=(tier, tier))


@given(st.integers(-(10**18), 10**18), st.integers(1, 10**9))
def test_rounding_is_half_to_even(numerator: int, denominator: int) -> None:
    """As Python rounds a fraction."""
    assert round_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


def test_half_a_nano_dollar_goes_to_the_even_side() -> None:
    """The stated rule, by hand: 0.5 -> 0, 1.5 -> 2, 2.5 -> 2."""
    price = Price(price_id="p", rates=Rates(input=500_000, output=0))
    assert [cost(Usage(input_tokens=n), price) for n in (1, 3, 5)] == [0, 2, 2]


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": 5, "cache_read_input_tokens": 6},
        {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 3},
        {"output_tokens": 1, "reasoning_output_tokens": 2},
        {"input_tokens": -1},
        {"images": -1},
    ],
)
def test_usage_that_contradicts_itself_does_not_exist(counts: dict[str, int]) -> None:
    """A value that exists is valid."""
    with pytest.raises(ValueError, match=r"cannot"):
        Usage(**counts)


def test_nothing_used_is_nothing_paid_even_per_request() -> None:
    """A refused call is no request of the provider's."""
    price = Price(price_id="p", rates=Rates(input=1, output=1, request=10**12))
    assert cost(NO_USAGE, price) == 0
