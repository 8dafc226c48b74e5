"""What one call asks of its quotas, and holds of them until it is settled; and what the tenant is charged for it."""

from typing import TYPE_CHECKING, Final

from tidegate.core.terms import AT_COST, Charge
from tidegate.gateway.bounds import OUTPUT_TOKENS_LEAST, OUTPUT_TOKENS_MOST, Bound
from tidegate.gateway.lease import MONEY, Amounts, Lease
from tidegate.gateway.media_meter import billed_part

if TYPE_CHECKING:
    from tidegate.core.usage import Usage
    from tidegate.gateway.meter import Settlement
    from tidegate.gateway.plan import Plan

NOTHING: Final[Amounts] = (0, 0, 0, 0)


class Claim:
    """One call's. `amounts`: what it reserves, by kind; `least`: what it can do with. `leases`: of what it is taken.

    `bound`: how its money was worked out; None where it is not a matter of tokens. `clamp`: the limit that must be
    written into the request; 0: none. `is_held`: `amounts` are taken from `leases` and not settled yet.
    """

    amounts = NOTHING
    least = NOTHING
    bound: Bound | None = None
    clamp = 0
    is_held = False
    is_capped = False
    is_media = False  # what is charged of its use depends on what the price is for

    def __init__(self, plan: "Plan", leases: tuple[Lease, ...], charge: Charge, *, is_limited: bool = False) -> None:
        """is_limited: some quota of the call's is of money, so its cost may not exceed what is reserved."""
        self.plan, self.leases, self.charge, self.is_limited = plan, leases, charge, is_limited

    def take_if_free(self) -> bool:
        """Reserve, where all of it is free; else nothing is touched."""
        amounts = self.amounts
        for lease in self.leases:
            if lease.free < amounts[lease.kind]:
                return False
        self.take()
        return True

    def take(self) -> None:
        """Reserve: the amounts are there, whoever calls this has looked."""
        amounts = self.amounts
        for lease in self.leases:
            lease.free = free = lease.free - amounts[lease.kind]
            if free < lease.low:
                lease.low = free
        self.is_held = True

    def fit(self) -> None:
        """Reserve what is there, which is no less than the least."""
        amounts = list(self.amounts)
        for lease in self.leases:
            amounts[lease.kind] = max(self.least[lease.kind], min(amounts[lease.kind], lease.free))
        self.amounts = (amounts[0], amounts[1], amounts[2], amounts[3])
        self.take()

    def clamp_to_budget(self) -> None:
        """Near the end of a budget, an answer without a limit gets the one that its reservation pays for.

        Near the end: what is left of a budget does not pay for the longest answer.
        """
        bound, held = self.bound, self.amounts[MONEY]
        if bound is None or bound.output_tokens is not None:
            return
        most = bound.nano_usd(OUTPUT_TOKENS_MOST) - held
        if most > 0:
            for lease in self.leases:
                if lease.kind == MONEY and lease.left < most:
                    self.clamp = max(OUTPUT_TOKENS_LEAST, bound.affordable(held))
                    return

    def charged(self, settlement: "Settlement") -> None:
        """Write into a settlement what the tenant is charged, and what the operator bears.

        What exceeds the reservation is taken from what is free of the slices; where that is not enough the tenant is
        not charged, now or later: so the cost that a reply tells is the one that its row has.
        """
        amount = settlement.upstream_cost_nano_usd
        if amount is None:
            return
        if self.charge is not AT_COST:
            amount = self._marked_up(settlement.usage, amount)
        if not self.is_limited:
            settlement.cost_nano_usd = amount
            return
        if amount <= self.amounts[MONEY]:
            settlement.cost_nano_usd, settlement.operator_loss_nano_usd = amount, None
            return
        if self.is_held and not self.is_capped:
            self._extend(amount - self.amounts[MONEY])
            self.is_capped = amount > self.amounts[MONEY]
        settlement.cost_nano_usd = charged = min(amount, self.amounts[MONEY])
        settlement.operator_loss_nano_usd = amount - charged or None

    def _marked_up(self, usage: "Usage | None", upstream: int) -> int:
        own = self.charge.price
        if self.is_media and own is not None and usage is not None:
            usage = billed_part(usage, own.rates) or usage
        return self.charge.amount(usage, upstream)

    def _extend(self, missing: int) -> None:
        leases = [lease for lease in self.leases if lease.kind == MONEY]
        more = min((lease.free for lease in leases), default=0)
        if more > 0:
            more = min(more, missing)
            requests, is_open, tokens, money = self.amounts
            self.amounts = (requests, is_open, tokens, money + more)
            for lease in leases:
                lease.free -= more
                lease.low = min(lease.low, lease.free)

    def settle(self, used: Amounts) -> bool:
        """Once: count what was used, release the rest. True where another call waits for what was released."""
        if not self.is_held:
            return False
        self.is_held = False
        amounts, is_awaited = self.amounts, False
        for lease in self.leases:
            kind = lease.kind
            lease.spent += used[kind]
            lease.free += amounts[kind] - used[kind]
            if lease.waiting:
                is_awaited = True
        return is_awaited
