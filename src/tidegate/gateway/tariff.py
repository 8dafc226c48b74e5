"""What a call costs its tenant while its reply is still on the way: the same that its row will say."""

from typing import TYPE_CHECKING

from tidegate.core.price import Price
from tidegate.gateway.meter import Settlement, settle

if TYPE_CHECKING:
    from tidegate.core.usage import Usage
    from tidegate.gateway.claim import Claim


class Tariff:
    """The provider's price, and the terms and limits of the tenant where there are any."""

    __slots__ = ("_claim", "price")

    def __init__(self, price: Price, claim: "Claim | None" = None) -> None:
        self.price, self._claim = price, claim

    def settle(self, usage: "Usage | None", reported_nano_usd: int | None) -> Settlement:
        """What so much use is charged."""
        return self.charged(settle(usage, self.price, reported_nano_usd=reported_nano_usd))

    def charged(self, settlement: Settlement) -> Settlement:
        """A settlement at the provider's price, as it is charged."""
        if self._claim is not None:
            self._claim.charged(settlement)
        return settlement
