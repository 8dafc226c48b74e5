"""What a call costs: exact, each token once, rounded once."""

import itertools
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.price import FREE, KindRates, Price, Rates, Tier, cost, cost_parts, round_half_even
from tidegate.core.usage import NO_USAGE, TokenKinds, Usage

COUNTS = st.integers(0, 10**7)
RATE = st.integers(0, 10**12)
OPTIONAL = st.none() | RATE


@st.composite
def kinds(draw: st.DrawFn, fresh: int, read: int, out: int) -> TokenKinds:
    """Parts of so many fresh, cached and put-out tokens."""

    def shares(whole: int, number: int) -> list[int]:
        cuts = sorted(draw(st.lists(st.integers(0, whole), min_size=number, max_size=number)))
        return [b - a for a, b in itertools.pairwise([0, *cuts])]

    uncached, cached, left = shares(fresh, 3), shares(read, 3), shares(out, 4)
    counts = [a + b for a, b in zip(uncached, cached, strict=True)] + cached + left
    return TokenKinds(**dict(zip(TokenKinds.__struct_fields__, counts, strict=True)))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    total, out = draw(COUNTS), draw(COUNTS)
    read = draw(st.integers(0, total))
    written = draw(st.integers(0, total - read))
    return Usage(
        input_tokens=total,
        output_tokens=out,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=draw(st.integers(0, written)),
        web_searches=draw(st.integers(0, 9)),
        kinds=draw(st.none() | kinds(total - read - written, read, out)),
        reasoning_output_tokens=draw(st.integers(0, out)),
        images=draw(st.integers(0, 9)),
        audio_input_s=draw(st.integers(0, 99)),
        video_output_s=draw(st.integers(0, 99)),
    )


RATES = st.builds(
    Rates, input=RATE, output=RATE, cache_read=OPTIONAL, cache_creation=OPTIONAL, reasoning=OPTIONAL, image=OPTIONAL,
    audio_input_s=OPTIONAL, video_output_s=OPTIONAL, request=OPTIONAL, cache_creation_1h=OPTIONAL, web_search=OPTIONAL,
    kinds=st.none() | st.builds(KindRates, **dict.fromkeys(KindRates.__struct_fields__, OPTIONAL)),
)  # fmt: skip


def cost_obviously(usage: Usage, rates: Rates) -> int:
    """The slow twin: disjoint buckets, fractions, Python's own rounding (half to even)."""

    def rate(value: int | None, fallback: int) -> int:
        return fallback if value is None else value

    parts, own = usage.kinds or TokenKinds(), rates.kinds or KindRates()
    text_read = rate(rates.cache_read, rates.input)
    written = rate(rates.cache_creation, rates.input)
    long = usage.cache_creation_1h_input_tokens
    bill = [
        (usage.input_tokens - usage.cache_creation_input_tokens - usage.cache_read_input_tokens, rates.input),
        (usage.cache_read_input_tokens - parts.cache_read, text_read),
        (usage.cache_creation_input_tokens - long, written),
        (long, rate(rates.cache_creation_1h, written)),
        (usage.output_tokens - usage.reasoning_output_tokens, rates.output),
        (usage.reasoning_output_tokens, rate(rates.reasoning, rates.output)),
        (usage.images, rate(rates.image, 0)),
        (usage.audio_input_s, rate(rates.audio_input_s, 0)),
        (usage.video_output_s, rate(rates.video_output_s, 0)),
        (usage.requests, rate(rates.request, 0)),
        (usage.web_searches, rate(rates.web_search, 0)),
    ]
    for kind in ("audio", "image", "video"):
        fresh = getattr(parts, f"{kind}_input") - getattr(parts, f"{kind}_cache_read")
        own_rate, own_read = getattr(own, f"{kind}_input"), getattr(own, f"{kind}_cache_read")
        unsaid = text_read if rates.cache_read is not None else rate(own_rate, rates.input)
        bill += [
            (fresh, rate(own_rate, rates.input) - rates.input),  # counted as fresh text above
            (getattr(parts, f"{kind}_cache_read"), rate(own_read, unsaid)),
        ]
    for name in ("audio_output", "image_output", "video_output", "citation_output"):
        bill.append((getattr(parts, name), rate(getattr(own, name), rates.output) - rates.output))
    return round(Fraction(sum(count * price for count, price in bill), 1_000_000))


@given(usages(), RATES)
def test_cost_equals_the_sum_over_disjoint_buckets(usage: Usage, rates: Rates) -> None:
    """Each token is charged once, at its own rate."""
    assert cost(usage, Price(price_id="p", rates=rates)) == cost_obviously(usage, rates)


@given(usages(), RATES)
def test_the_parts_of_a_cost_add_up_to_it(usage: Usage, rates: Rates) -> None:
    """What is shown beside a cost is the sum that was rounded."""
    price = Price(price_id="p", rates=rates)
    assert round_half_even(cost_parts(usage, price).total, 1_000_000) == cost(usage, price)


def test_a_cache_write_for_an_hour_costs_its_own_rate() -> None:
    """Anthropic: 1.25 times the input for five minutes, twice for an hour; by hand."""
    price = Price(price_id="p", rates=Rates(input=3 * 10**9, output=0, cache_creation=3_750_000_000,
                                            cache_creation_1h=6 * 10**9))  # fmt: skip
    usage = Usage(input_tokens=1_010, cache_creation_input_tokens=1_000, cache_creation_1h_input_tokens=400)
    assert cost(usage, price) == 10 * 3_000 + 600 * 3_750 + 400 * 6_000


def test_audio_costs_its_own_rate_and_cached_audio_is_charged_once() -> None:
    """Gemini 2.5 Flash: text 0.3, audio 1, cached text 0.03, cached audio 0.1 USD per million; by hand."""
    price = Price(price_id="p", rates=Rates(input=300_000_000, output=0, cache_read=30_000_000,
                  kinds=KindRates(audio_input=10**9, audio_cache_read=100_000_000)))  # fmt: skip
    usage = Usage(input_tokens=1_000, cache_read_input_tokens=500,
                  kinds=TokenKinds(audio_input=600, audio_cache_read=200))  # fmt: skip
    assert cost(usage, price) == 100 * 300 + 400 * 1_000 + 300 * 30 + 200 * 100


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
        {"web_searches": -1},
        {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_creation_1h_input_tokens": 3},
        {"input_tokens": 5, "kinds": TokenKinds(audio_input=3, image_input=3)},
        {"output_tokens": 5, "kinds": TokenKinds(audio_output=6)},
        {"input_tokens": 5, "kinds": TokenKinds(audio_input=3, audio_cache_read=1)},
    ],
)
def test_usage_that_contradicts_itself_does_not_exist(counts: dict[str, Any]) -> None:
    """A value that exists is valid."""
    with pytest.raises(ValueError, match=r"cannot"):
        Usage(**counts)


def test_nothing_used_is_nothing_paid_even_per_request() -> None:
    """A refused call is no request of the provider's."""
    price = Price(price_id="p", rates=Rates(input=1, output=1, request=10**12))
    assert cost(NO_USAGE, price) == 0
