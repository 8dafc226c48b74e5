"""Price: a dated fact with an id; and `cost`, exact in integers."""

from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from tidegate.core.hours import PricedAt, Window
from tidegate.core.money import UNITS_PER_RATE, NanoUSD
from tidegate.core.usage import TokenKinds, Usage

Rate = Annotated[int, Meta(ge=0, description="nano-USD per million units")]


class KindRates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What tokens of the kinds of `TokenKinds` cost, in nano-USD per million tokens.

    None means "no rate of its own": such tokens cost what text costs, cached ones what cached text does or, where
    that has no rate either, what their kind does.
    """

    audio_input: Rate | None = None
    image_input: Rate | None = None
    video_input: Rate | None = None
    audio_cache_read: Rate | None = None
    image_cache_read: Rate | None = None
    video_cache_read: Rate | None = None
    audio_output: Rate | None = None
    image_output: Rate | None = None
    video_output: Rate | None = None
    citation_output: Rate | None = None


class Rates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What each unit costs, in nano-USD per million units (tokens, images, seconds, requests).

    None means "no rate of its own": cached and reasoning tokens then cost what their total costs, one-hour cache
    writes what other cache writes do; media, requests and searches cost nothing beside their tokens. Zero means free.
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
    cache_creation_1h: Rate | None = None
    web_search: Rate | None = None
    kinds: KindRates | None = None


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Rates for the whole call when its input exceeds a number of tokens (long-context prices)."""

    input_tokens_above: Annotated[int, Meta(gt=0)]
    rates: Rates


class Face(msgspec.Struct, frozen=True, kw_only=True):
    """One of the prices that a price by the hour has. `window`: when; None: at all other hours."""

    price: "Price"
    window: Window | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rates of one model at one provider from a day on, and where that is published.

    `price_id`: `MODEL@PROVIDER#VALID_FROM`, stable: a row names the price it was charged at.
    `valid_from`, `valid_until`: ISO dates (UTC) or minutes (`2026-08-16T16:00Z`), `valid_until` exclusive; empty means
    open on that side.
    `tiers`: ascending; the last one whose bound the input exceeds applies to every unit of the call.
    `faces`: of a price by the hour, what it is inside each window and, first, outside of all; of windows that overlap
    the earlier one counts. `rates` and `tiers` are then those of one of them. `priced_at`: whose hour that is.
    `currency`: in which it is published, where not in USD; `fx_day`: of the exchange rate that made its rates USD.
    Raises ValueError for tiers out of order.
    """

    price_id: str
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    valid_from: str = ""
    valid_until: str = ""
    source: str = ""
    checked: str = ""
    faces: tuple[Face, ...] = ()
    priced_at: PricedAt = "sent"
    currency: str = ""
    fx_day: str = ""

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

    def at(self, at_us: int) -> "Price":
        """The one price that holds at an instant (UTC microseconds): always the same object for the same hours."""
        if not self.faces:
            return self
        for face in self.faces[1:]:
            if face.window is not None and face.window.holds(at_us):
                return face.price
        return self.faces[0].price

    def each(self) -> "tuple[Price, ...]":
        """All prices that one by the hour has, the one outside its windows first; itself where it has no hours."""
        return tuple([face.price for face in self.faces]) or (self,)

    def shown_at(self, at_us: int) -> "Price":
        """This price with the id and the rates that hold at an instant, and all of its hours."""
        now = self.at(at_us)
        if now.price_id == self.price_id:
            return self
        return msgspec.structs.replace(self, price_id=now.price_id, rates=now.rates, tiers=now.tiers)

    def changes(self, from_us: int, until_us: int) -> list[int]:
        """The instants after `from_us`, until `until_us`, at which `at` gives another price than just before."""
        if not self.faces:
            return []
        edges = {us for face in self.faces if face.window for us in face.window.edges(from_us, until_us)}
        found, before = [], self.at(from_us)
        for us in sorted(us for us in edges if from_us < us <= until_us):
            now = self.at(us)
            if now is not before:
                found.append(us)
                before = now
        return found

    def within(self, from_us: int, until_us: int) -> "tuple[Price, ...]":
        """Every price that holds at some instant of a span; one alone where none begins or ends in it."""
        if not self.faces:
            return (self,)
        found = [self.at(us) for us in (from_us, *self.changes(from_us, until_us))]
        return tuple({price.price_id: price for price in found}.values())


def with_hours(price: Price, windows: Sequence[tuple[Window, Rates, tuple[Tier, ...]]], priced_at: PricedAt) -> Price:
    """A price that has other rates within windows. Its own hold outside, and are shown.

    The id of each other one is its own, `~` and the window's name. Raises ValueError for two windows of one name.
    """
    faces = [Face(price=price)]
    for window, rates, tiers in windows:
        own = msgspec.structs.replace(price, price_id=f"{price.price_id}~{window.name}", rates=rates, tiers=tiers)
        faces.append(Face(price=own, window=window))
    ids = [face.price.price_id for face in faces]
    if len(set(ids)) < len(ids):
        raise ValueError(f"two windows of {price.price_id} have the same hours and days: {', '.join(ids[1:])}")
    return msgspec.structs.replace(price, faces=tuple(faces), priced_at=priced_at)


FREE: Final = Rates(input=0, output=0)


class CostParts(NamedTuple):
    """An exact cost by what it is for, in nano-USD times UNITS_PER_RATE: not yet rounded."""

    input: int
    output: int
    other: int  # requests, searches, media by the piece or second

    @property
    def total(self) -> int:
        return self.input + self.output + self.other


def cost(usage: Usage, price: Price) -> NanoUSD:
    """What a call costs: the exact sum over disjoint units, rounded once, half to even, to a nano-USD.

    Input splits into fresh, cache-read and cache-created tokens, output into visible and reasoning tokens; each
    token is charged once. The sum is kept in nano-USD times a million and rounded only at the end, so the cost
    of a call never depends on the order or number of its parts.
    """
    entered, left, other = _exact(usage, price.rates_for(usage.input_tokens) if price.tiers else price.rates)
    return NanoUSD(round_half_even(entered + left + other, UNITS_PER_RATE))


def cost_parts(usage: Usage, price: Price) -> CostParts:
    """The sum that `cost` rounds, by direction."""
    return CostParts(*_exact(usage, price.rates_for(usage.input_tokens)))


def _exact(usage: Usage, rates: Rates) -> tuple[int, int, int]:
    entered, left, other = usage.input_tokens * rates.input, usage.output_tokens * rates.output, 0
    if rates.cache_read is not None:
        entered += usage.cache_read_input_tokens * (rates.cache_read - rates.input)
    if rates.cache_creation is not None:
        entered += usage.cache_creation_input_tokens * (rates.cache_creation - rates.input)
    if rates.cache_creation_1h is not None and usage.cache_creation_1h_input_tokens:
        short = rates.input if rates.cache_creation is None else rates.cache_creation
        entered += usage.cache_creation_1h_input_tokens * (rates.cache_creation_1h - short)
    if rates.reasoning is not None:
        left += usage.reasoning_output_tokens * (rates.reasoning - rates.output)
    if rates.kinds is not None and usage.kinds is not None:
        entered += _kinds_input(usage, usage.kinds, rates, rates.kinds)
        left += _kinds_output(usage.kinds, rates.output, rates.kinds)
    if rates.request is not None:
        other += usage.requests * rates.request
    if rates.web_search is not None:
        other += usage.web_searches * rates.web_search
    if usage.images or usage.audio_input_s or usage.audio_output_s or usage.video_output_s:
        other += _media(usage, rates)
    return entered, left, other


def _kinds_input(usage: Usage, kinds: TokenKinds, rates: Rates, own: KindRates) -> int:
    """What tokens that are not text cost more, or less, than they were charged as text.

    Tokens just written to the cache cost what writing costs, whatever their kind.
    """
    fresh = usage.input_tokens - usage.cache_read_input_tokens - usage.cache_creation_input_tokens
    text_read = rates.input if rates.cache_read is None else rates.cache_read
    more = 0
    for count, read, rate, read_rate in (
        (kinds.audio_input, kinds.audio_cache_read, own.audio_input, own.audio_cache_read),
        (kinds.image_input, kinds.image_cache_read, own.image_input, own.image_cache_read),
        (kinds.video_input, kinds.video_cache_read, own.video_input, own.video_cache_read),
    ):
        uncached = min(count - read, fresh)
        fresh -= uncached
        if rate is not None:
            more += uncached * (rate - rates.input)
        if read_rate is None and rates.cache_read is None:
            read_rate = rate
        if read_rate is not None:
            more += read * (read_rate - text_read)
    return more


def _kinds_output(kinds: TokenKinds, text: int, own: KindRates) -> int:
    more = 0
    for count, rate in (
        (kinds.audio_output, own.audio_output),
        (kinds.image_output, own.image_output),
        (kinds.video_output, own.video_output),
        (kinds.citation_output, own.citation_output),
    ):
        if rate is not None:
            more += count * (rate - text)
    return more


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
