"""What one side says of one model on one UTC day."""

from typing import Final

import msgspec

from tidegate.core.price import Price, Rates, cost, round_half_even
from tidegate.core.usage import Usage

COUNTS: Final = (
    *("requests", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("reasoning_tokens", "cost_nano_usd"),
)


class DayUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Sums of a day. None: this side does not say; zero is zero. Input includes what was cached.

    unmetered: calls of ours whose usage nobody knows. estimated: calls whose usage is an estimate or in part.
    batch_requests: calls at the provider's batch price, where its export says so.
    """

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_nano_usd: int | None = None
    unmetered: int = 0
    estimated: int = 0
    batch_requests: int = 0

    def plus(self, other: "DayUse") -> "DayUse":
        """Both together; a count that one side lacks is the other's."""
        sums: dict[str, int | None] = {}
        for name in COUNTS:
            one, two = getattr(self, name), getattr(other, name)
            sums[name] = None if one is None and two is None else (one or 0) + (two or 0)
        return DayUse(
            requests=sums["requests"],
            input_tokens=sums["input_tokens"],
            output_tokens=sums["output_tokens"],
            cache_read_tokens=sums["cache_read_tokens"],
            cache_write_tokens=sums["cache_write_tokens"],
            cache_write_1h_tokens=sums["cache_write_1h_tokens"],
            reasoning_tokens=sums["reasoning_tokens"],
            cost_nano_usd=sums["cost_nano_usd"],
            unmetered=self.unmetered + other.unmetered,
            estimated=self.estimated + other.estimated,
            batch_requests=self.batch_requests + other.batch_requests,
        )

    @property
    def has_tokens(self) -> bool:
        return self.input_tokens is not None or self.output_tokens is not None

    def usage(self, lacking: "DayUse | None" = None) -> Usage:
        """As one usage; parts that this side does not say are taken from `lacking`, as far as they fit."""
        entered = self.input_tokens or 0

        def part(name: str, whole: int) -> int:
            own = getattr(self, name)
            if own is None and lacking is not None:
                own = getattr(lacking, name)
            return min(own or 0, whole)

        read = part("cache_read_tokens", entered)
        written = part("cache_write_tokens", entered - read)
        return Usage(
            input_tokens=entered,
            output_tokens=self.output_tokens or 0,
            cache_read_input_tokens=read,
            cache_creation_input_tokens=written,
            cache_creation_1h_input_tokens=part("cache_write_1h_tokens", written),
            reasoning_output_tokens=part("reasoning_tokens", self.output_tokens or 0),
            requests=self.requests or 0,
        )

    def list_cost(self, price: Price, lacking: "DayUse | None" = None) -> int:
        """What these tokens cost at a price, its rates for short inputs: a sum does not tell how long each was."""
        return cost(self.usage(lacking), msgspec.structs.replace(price, tiers=()))


def at_hours_of(price: Price, ours: DayUse) -> Price:
    """A price by the hour at the mix of hours at which our calls of that day were made, one without as it is.

    A day's sums do not tell their hours, our rows were charged at them: so the rates outside windows are scaled to what
    our rows cost, and a difference is left for what the two sides counted. As it is, too, where our rows do not tell.
    """
    if not price.faces or not ours.cost_nano_usd or not ours.has_tokens or ours.unmetered:
        return price
    listed = ours.list_cost(price)
    every = [ours.list_cost(one) for one in price.each()]
    if not listed or not min(every) <= ours.cost_nano_usd <= max(every):
        return price

    stated = [name for name in Rates.__struct_fields__ if isinstance(getattr(price.rates, name), int)]
    scaled = {name: round_half_even(getattr(price.rates, name) * ours.cost_nano_usd, listed) for name in stated}
    return msgspec.structs.replace(price, rates=msgspec.structs.replace(price.rates, **scaled), tiers=(), faces=())


DayModel = tuple[str, str]
"""(ISO day in UTC, canonical model)."""
