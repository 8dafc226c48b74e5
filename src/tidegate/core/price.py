"""Price: a dated fact with an id; and `cost`, exact in integers."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidegate.core.money import UNITS_PER_RATE, NanoUSD
from tidegate.core.usage import Usage

Rate = Annotated[int, Meta(ge=0, description="nano-USD per million units")]


class Rates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What each unit costs, in nano-USD per million units (tokens, images, seconds, requests).

    None means "no rate of its own": cached and reasoning tokens then cost what their total costs, media and
    requests cost nothing beside their tokens. Zero means free.
    """

    input: Rate
    output: Rate
    cache_read: Rate | None = None
    cache_creation: Rate | None = None
    reasoning: Rate | None = None
    image: Rate | None = None
    audio_input_s: Rate | None = None
    audio_output_s: Rate | None = None
    video_output_s: Rate | None = None
    request: Rate | None = None


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Rates for the whole call when its input exceeds a number of tokens (long-context prices)."""

    input_tokens_above: Annotated[int, Meta(gt=0)]
    rates: Rates


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rates of one model at one provider from a day on, and where that is published.

    `price_id`: `MODEL@PROVIDER#VALID_FROM`, stable: a row names the price it was charged at.
    `valid_from`, `valid_until`: ISO dates (UTC), `valid_until` exclusive; empty means open on that side.
    `tiers`: ascending; the last one whose bound the input exceeds applies to every unit of the call.
    Raises ValueError for tiers out of order.
    """

    price_id: str
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    valid_from: str = ""
    valid_until: str = ""
    source: str = ""
    checked: str = ""

    def __post_init__(self) -> None:
        bounds = [tier.input_tokens_above for tier in self.tiers]
        if bounds != sorted(set(bounds)):
            raise ValueError(f"tiers of {self.price_id} must ascend by input_tokens_above, seen {bounds}")

    def rates_for(self, input_tokens: int) -> Rates:
        """The rates of a call with this many input tokens."""
        chosen = self.rates
        for tier in self.tiers:
            if input_tokens > tier.input_tokens_above:
                chosen = tier.rates
        return chosen


FREE: Final = Rates(input=0, output=0)


def cost(usage: Usage, price: Price) -> NanoUSD:
    """What a call costs: the exact sum over disjoint units, rounded once, half to even, to a nano-USD.

    Input splits into fresh, cache-read and cache-created tokens, output into visible and reasoning tokens; each
    token is charged once. The sum is kept in nano-USD times a million and rounded only at the end, so the cost
    of a call never depends on the order or number of its parts.
    """
    rates = price.rates_for(usage.input_tokens)
    exact = usage.input_tokens * rates.input + usage.output_tokens * rates.output
    if rates.cache_read is not None:
        exact += usage.cache_read_input_tokens * (rates.cache_read - rates.input)
    if rates.cache_creation is not None:
        exact += usage.cache_creation_input_tokens * (rates.cache_creation - rates.input)
    if rates.reasoning is not None:
        exact += usage.reasoning_output_tokens * (rates.reasoning - rates.output)
    if rates.request is not None:
        exact += usage.requests * rates.request
    if usage.images or usage.audio_input_s or usage.audio_output_s or usage.video_output_s:
        exact += _media(usage, rates)
    return NanoUSD(round_half_even(exact, UNITS_PER_RATE))


def _media(usage: Usage, rates: Rates) -> int:
    return (
        usage.images * (rates.image or 0)
        + usage.audio_input_s * (rates.audio_input_s or 0)
        + usage.audio_output_s * (rates.audio_output_s or 0)
        + usage.video_output_s * (rates.video_output_s or 0)
    )


def round_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, ties to the even one. denominator > 0."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient
