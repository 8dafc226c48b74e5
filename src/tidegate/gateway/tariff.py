"""What a call costs its tenant while its reply is still on the way: the same that its row will say."""

from typing import TYPE_CHECKING

from tidegate.core.price import Price
from tidegate.gateway.hourly import price_of_hour
from tidegate.gateway.meter import Settlement, settle

if TYPE_CHECKING:
    from tidegate.core.usage import Usage
    from tidegate.gateway.call import Call
    from tidegate.gateway.claim import Claim


class Tariff:
    """The provider's price, and the terms and limits of the tenant where there are any."""

    __slots__ = ("_call", "_claim", "_price")

    def __init__(self, price: Price, claim: "Claim | None" = None, call: "Call | None" = None) -> None:
        """call: whose hour counts, where the price has hours."""
        self._price, self._claim, self._call = price, claim, call

    @property
    def price(self) -> Price:
        """The provider's, of this moment."""
        return self._price if self._call is None else price_of_hour(self._call, self._price)

    def settle(self, usage: "Usage | None", reported_nano_usd: int | None) -> Settlement:
        """What so much use is charged."""
        return self.charged(settle(usage, self.price, reported_nano_usd=reported_nano_usd))

    def charged(self, settlement: Settlement) -> Settlement:
        """A settlement at the provider's price, as it is charged."""
        if self._claim is not None:
            self._claim.charged(settlement)
        return settlement


class Gratis(Tariff):
    """Of an answer that another call has paid for."""

    __slots__ = ()

    def charged(self, settlement: Settlement) -> Settlement:
        settlement.cost_nano_usd = 0
        return settlement
