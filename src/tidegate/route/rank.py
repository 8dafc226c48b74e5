"""Ranking: the permitted endpoints of a call, best first. Deterministic for a draw and a state.

By default the first is drawn with a weight of 1 / cost², where cost is what this call is expected to come to; the
others follow by cost. Endpoints that had an outage lately come after those that had none. With a sort, or an order of
the caller's, nothing is drawn. Calls of one shape are ranked alike, so that a ranking can be remembered.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import floor, log2
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec

from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.route.filter import names_it
from tidegate.route.health import EndpointHealth, Health
from tidegate.route.wishes import Cutoffs, Sort, Wishes

DRAW_BITS: Final = 32
OUTPUT_TOKENS_ASSUMED: Final = 500  # of an answer, where the request sets no limit
PPM_OF: Final = {"p50": 500_000, "p75": 750_000, "p90": 900_000, "p99": 990_000}
LATENCY_UNSEEN_US: Final = 1 << 62  # endpoints nobody has called yet come last in a sort by latency
COARSE: Final = 2  # steps to an octave of the proportion of input to output, where the first is drawn
FINE: Final = 8  # where the cheapest is asked for
SHAPE_TOKENS: Final = 1 << 16  # of output, in a shape whose proportion alone matters
SAVING_LEAST: Final = 1 / 32  # of the cost of a call: for less it is not kept where its prompt is cached
BEGUN_MAX: Final = 16  # endpoints of an order that is remembered with each of them in front
_DRAW_MASK: Final = (1 << DRAW_BITS) - 1
FREE: Final = 1  # a cost of nothing, in the same unit: the weight of a free endpoint is as large as any can be


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An endpoint in a ranking: its facts, its place as configured, and its rates by tier of input length."""

    facts: EndpointFacts
    place: int
    rates: tuple[tuple[int, int, int, int], ...]  # by tier: input, output, cached input, request
    bounds: tuple[int, ...]  # input tokens above which the next tier holds

    @property
    def endpoint_id(self) -> str:
        return self.facts.endpoint.endpoint_id


def candidate(facts: EndpointFacts, place: int) -> Candidate:
    """An endpoint as it is ranked. Its price must be known."""
    price = facts.endpoint.price
    assert price is not None
    every = (price.rates, *(tier.rates for tier in price.tiers))
    rates = tuple(
        (rates.input, rates.output, rates.input if rates.cache_read is None else rates.cache_read, rates.request or 0)
        for rates in every
    )
    return Candidate(facts, place, rates, tuple(tier.input_tokens_above for tier in price.tiers))


def cost_of(
    one: Candidate, input_tokens: int, output_tokens: int, cached_tokens: int = 0, at: int | None = None
) -> int:
    """The expected cost of a call there, in nano-USD times a million; never 0, so that it can be divided by.

    at: the input length whose tier of prices holds, where it is not that of the tokens.
    """
    tier = bisect_left(one.bounds, input_tokens if at is None else at) if one.bounds else 0
    read, write, cached, request = one.rates[tier]
    return (input_tokens - cached_tokens) * read + output_tokens * write + cached_tokens * cached + request or FREE


class Shape(NamedTuple):
    """How calls look that are ranked alike. `input_tokens`, `output_tokens`: of one of them. `at`: an input length in
    the tier of prices that holds for all of them."""

    input_tokens: int
    output_tokens: int
    at: int


def shape_of(input_tokens: int, output_tokens: int, tier_bounds: Sequence[int], fineness: int) -> Shape:
    """The shape of a call: its tier, and the proportion of input to output.

    tier_bounds: ascending; of all candidates. fineness: steps of the proportion to an octave; 0: the lengths themselves
    matter, and are kept within a sixteenth: where a request costs something by itself.
    """
    tier = bisect_left(tier_bounds, input_tokens) if tier_bounds else 0
    at = tier_bounds[tier - 1] + 1 if tier else 0
    if not fineness:
        return Shape(rounded(input_tokens), rounded(output_tokens), at)
    steps = floor(log2((input_tokens or 1) / output_tokens) * fineness)
    return Shape(round(2.0 ** (steps / fineness) * SHAPE_TOKENS), SHAPE_TOKENS, at)


def shape_number(input_tokens: int, output_tokens: int, tier_bounds: Sequence[int], fineness: int) -> int:
    """The fast twin of `shape_of`: calls with one number have one shape."""
    tier = bisect_left(tier_bounds, input_tokens) if tier_bounds else 0
    if not fineness:
        return (rounded(input_tokens) << 64 | rounded(output_tokens)) << 16 | tier
    return floor(log2((input_tokens or 1) / output_tokens) * fineness) << 16 | tier


def rounded(tokens: int) -> int:
    """To four significant bits, upwards."""
    power = max(tokens.bit_length() - 4, 0)
    return -(-tokens >> power) << power


Key = tuple[bool, bool, int, int, int, Candidate]
_BY_FIRST_FOUR: Final = itemgetter(0, 1, 2, 3)


class Ranking:
    """An order, and how its first is drawn.

    `order`: all candidates, best first. `drawn`: how many of the first are drawn among; `sums`: their running weights,
    scaled to 2^32. `expected`: what a call is expected to cost when its first endpoint is drawn so. `healths`: of all.
    `late`: places, as configured, of those that miss a wished latency or throughput. Of each that is drawn, `rates`,
    and in `bars` the part of its full cost below which a call is better off there.
    """

    def __init__(self, order: tuple[Candidate, ...], costs: tuple[int, ...], drawn: int,
                 of: Callable[[str], EndpointHealth], at: int) -> None:  # fmt: skip
        """costs: of a call of the ranking's shape, in the order. drawn: 0 where nothing is left to chance. of: health
        of an endpoint. at: an input length in the tier of the shape."""
        self.order, self.costs, self.drawn = order, costs, drawn
        self.healths = tuple([of(one.endpoint_id) for one in order])
        self.rates = tuple([one.rates[bisect_left(one.bounds, at)] for one in order[:drawn]])
        sums: tuple[int, ...] = ()
        self.expected = costs[0] if costs else 0
        if drawn:
            sums, self.expected = weights(costs[:drawn])
        self.sums = sums
        self.places = {one.endpoint_id: place for place, one in enumerate(order[:drawn])}
        self.bars = tuple([self.expected * (1 - SAVING_LEAST) / cost for cost in costs[:drawn]])
        self.late: frozenset[int] = frozenset()
        self._begun: dict[int, tuple[Candidate, ...]] = {0: order}
        self._load, self._loads = 0.0, -1 << 60

    def share(self, place: int) -> int:
        """Of 2^32 draws, how many one of the drawn wins."""
        return self.sums[place] - (self.sums[place - 1] if place else 0)

    def first(self, draw: int) -> int:
        """The place in `order` of the first to be tried. draw: any integer; its low 32 bits decide."""
        if self.drawn < 2:
            return 0
        return bisect_right(self.sums, draw & _DRAW_MASK, 0, self.drawn - 1)

    def beginning(self, place: int) -> tuple[Candidate, ...]:
        """The order with one of it in front."""
        found = self._begun.get(place)
        if found is None:
            found = begin_with(self.order, place)
            if len(found) <= BEGUN_MAX:
                self._begun[place] = found
        return found

    def load(self, loads: int) -> float:
        """The work of late of all that are drawn, as of a few calls ago. loads: how often any has had more."""
        if loads - self._loads > self.drawn >> 3:  # so that it costs the same however many they are
            self._load, self._loads = sum([health.load for health in self.healths[: self.drawn]]), loads
        return self._load


def begin_with(order: tuple[Candidate, ...], place: int) -> tuple[Candidate, ...]:
    """The order with one of it in front."""
    return (order[place], *order[:place], *order[place + 1 :]) if place else order


def rank(candidates: Sequence[Candidate], wishes: Wishes, shape: Shape, health: Health, now_s: float) -> Ranking:
    """Order the permitted endpoints of a call.

    candidates: in the order of the configuration, all permitted. health: ticked.
    """
    entered, left, at = shape
    unwell, of = health.unwell, health.of
    costs = [cost_of(one, entered, left, 0, at) for one in candidates]
    late = _missing_cutoffs(candidates, wishes, of)
    value = _sort_value(wishes.sort, of, now_s)
    keys = [
        (one.endpoint_id in unwell, one.place in late, cost if value is None else value(one), one.place, cost, one)
        for one, cost in zip(candidates, costs, strict=True)
    ]
    keys.sort(key=_BY_FIRST_FOUR)
    drawn = 0
    if wishes.order:
        shut = {one.place for one in candidates if of(one.endpoint_id).is_shut(now_s)}
        keys = _in_wished_order(keys, wishes.order, shut)
    elif wishes.sort is None:
        drawn = sum([not key[0] and not key[1] for key in keys])
    in_order = tuple([key[4] for key in keys])
    ordered = tuple([key[5] for key in keys])
    ranking = Ranking(ordered, in_order, drawn, of, at)
    ranking.late = frozenset(late)
    return ranking


def weights(costs: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Running weights of 1 / cost², scaled to 2^32, and the cost expected of a draw. costs: ascending, none 0."""
    least = costs[0]
    # (least / cost)² as an integer of 40 bits: what costs a thousand times as much is never drawn
    squares = [((least << 20) // cost) ** 2 for cost in costs]
    total = sum(squares)
    sums = tuple((running << DRAW_BITS) // total for running in accumulate(squares))
    return sums, sum(square * cost for square, cost in zip(squares, costs, strict=True)) // total


def _sort_value(
    sort: Sort | None, health: Callable[[str], EndpointHealth], now_s: float
) -> Callable[[Candidate], int] | None:
    """What a sort looks at, smaller is better; None: the cost. `exacto`: the fewest failures; OpenRouter's benchmark
    is its own."""
    if sort == "latency":
        return lambda one: _or_last(health(one.endpoint_id).latency_us.percentile(500_000))
    if sort == "throughput":
        return lambda one: -(health(one.endpoint_id).throughput.percentile(500_000) or 0)
    if sort == "exacto":
        return lambda one: health(one.endpoint_id).error_ppm(now_s) or 0
    return None


def _or_last(latency_us: int | None) -> int:
    return LATENCY_UNSEEN_US if latency_us is None else latency_us


def _missing_cutoffs(
    candidates: Sequence[Candidate], wishes: Wishes, health: Callable[[str], EndpointHealth]
) -> set[int]:
    """Which endpoints are known to miss the wished latency or throughput: they come later. Unseen ones miss nothing."""
    if not wishes.max_latency_s and not wishes.min_throughput:
        return set()
    return {
        one.place for one in candidates if misses(health(one.endpoint_id), wishes.max_latency_s, wishes.min_throughput)
    }


def misses(health: EndpointHealth, max_latency_s: Cutoffs, min_throughput: Cutoffs) -> bool:
    """Whether an endpoint is known to be slower than wished at any percentile.

    p90 of throughput is what nine in ten calls reach, as OpenRouter has it: the tenth percentile from below.
    """
    for percentile, bound in max_latency_s:
        seen = health.latency_us.percentile(PPM_OF[percentile])
        if seen is not None and seen > bound * 1_000_000:
            return True
    for percentile, bound in min_throughput:
        seen = health.throughput.percentile(1_000_000 - PPM_OF[percentile])
        if seen is not None and seen < bound:
            return True
    return False


def _in_wished_order(keys: list[Key], order: Sequence[str], shut: set[int]) -> list[Key]:
    """Those that the caller's order names, by it; the rest behind as they were; what is known to be down last."""

    def wished(key: Key) -> tuple[bool, int]:
        one = key[5]
        return one.place in shut, next((n for n, name in enumerate(order) if names_it((name,), one.facts)), len(order))

    return sorted(keys, key=wished)
