"""The meter: what a finished attempt cost, and the worker's running totals.

`settle` decides what a call is charged and on what basis; `Totals` are plain integers that `/metrics` renders.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from tidegate.core.price import Price, cost, cost_parts
from tidegate.core.row import Attempt, CostBasis
from tidegate.core.usage import NO_USAGE, Usage


class Settlement:
    """Usage, cost and basis of a call. `usage` None: the provider never said, and nobody counted.

    `cost_nano_usd` is what the tenant is charged; `operator_loss_nano_usd` what it would have been charged beyond
    that, had its reservation sufficed: None for nothing.
    """

    __slots__ = ("basis", "cost_nano_usd", "operator_loss_nano_usd", "upstream_cost_nano_usd", "usage")

    def __init__(self, usage: Usage | None, cost_nano_usd: int, upstream: int | None, basis: CostBasis) -> None:
        self.usage = usage
        self.cost_nano_usd = cost_nano_usd
        self.upstream_cost_nano_usd = upstream
        self.basis: CostBasis = basis
        self.operator_loss_nano_usd: int | None = None


NOTHING_SPENT: Final = Settlement(NO_USAGE, 0, 0, "metered")
"""Nothing was dispatched, or the provider refused: an exact zero."""

UNKNOWN_SPENT: Final = Settlement(None, 0, None, "unknown")
"""The provider may have worked and never said how much: the caller is charged nothing, and the row says so."""


def unspent(attempts: Iterable[Attempt]) -> Settlement:
    """A call refused before its next attempt: nothing; or unknown, where an earlier attempt died without an answer."""
    unknown = any(attempt.upstream_cost_nano_usd is None for attempt in attempts)
    return UNKNOWN_SPENT if unknown else NOTHING_SPENT


def settle(
    usage: Usage | None, price: Price, *, reported_nano_usd: int | None = None, estimate: Usage | None = None
) -> Settlement:
    """What a call costs, by the best that is known of it.

    What the provider itself says that it charges wins; then the usage it reported, at our price; then `estimate`,
    counted here where it reported none (`gateway/estimate.py`), which the row calls `estimated_partial`. With none of
    the three the cost is unknown.
    """
    if reported_nano_usd is not None:
        return Settlement(usage, reported_nano_usd, reported_nano_usd, "provider_reported")
    if usage is not None:
        amount = cost(usage, price)
        return Settlement(usage, amount, amount, "metered")
    if estimate is not None:
        amount = cost(estimate, price)
        return Settlement(estimate, amount, amount, "estimated_partial")
    return UNKNOWN_SPENT


def cost_split(settlement: Settlement, price: Price) -> tuple[int, int] | None:
    """The nano-USD that input and output take of a call's cost, in the proportion of our prices for them.

    What requests and searches cost is in neither. None where no usage is known.
    """
    if settlement.usage is None:
        return None
    parts = cost_parts(settlement.usage, price)
    if not parts.total:
        return 0, 0
    total = settlement.cost_nano_usd
    return total * parts.input // parts.total, total * parts.output // parts.total


BUCKETS_S: Final = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
)


class Totals:
    """Counters of one worker since it started; all monotonic but what is open or kept now: `open_calls`, `connections`,
    `cache_answers` and `cache_bytes`."""

    def __init__(self) -> None:
        self.calls: dict[int, int] = {}  # by HTTP status
        self.upstream_failures: dict[str, int] = {}  # by error code
        self.unauthenticated = self.unparsable = self.unknown_cost = 0
        self.input_tokens = self.output_tokens = self.cost_nano_usd = 0
        self.open_calls = self.connections = 0
        self.label_samples = self.label_samples_dropped = 0
        self.cache_hits = self.cache_misses = self.cache_coalesced = 0
        self.cache_answers = self.cache_bytes = 0
        self.overhead = [0] * (len(BUCKETS_S) + 1)
        self.first_chunk = [0] * (len(BUCKETS_S) + 1)
        self.overhead_sum_us = self.first_chunk_sum_us = 0

    def count_call(self, status: int, settlement: Settlement, overhead_us: int, first_chunk_us: int | None) -> None:
        """Add one finished call."""
        self.calls[status] = self.calls.get(status, 0) + 1
        self.unknown_cost += settlement.basis == "unknown"
        self.cost_nano_usd += settlement.cost_nano_usd
        if settlement.usage is not None:
            self.input_tokens += settlement.usage.input_tokens
            self.output_tokens += settlement.usage.output_tokens
        self.overhead[bisect_left(BUCKETS_S, overhead_us / 1e6)] += 1
        self.overhead_sum_us += overhead_us
        if first_chunk_us is not None:
            self.first_chunk[bisect_left(BUCKETS_S, first_chunk_us / 1e6)] += 1
            self.first_chunk_sum_us += first_chunk_us

    def count_upstream_failure(self, code: str) -> None:
        self.upstream_failures[code] = self.upstream_failures.get(code, 0) + 1
