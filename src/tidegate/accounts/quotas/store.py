"""What every quota store can do. Stores: in this process, SQL (SQLite, PostgreSQL), Redis or Valkey in front of SQL."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tidegate.core.quota import LeaseAnswer, LeaseAsk


class Lessee(msgspec.Struct, frozen=True, kw_only=True):
    """One life of one worker process.

    `worker_id`: the id of its first journal segment, so that its rows can be told by their segments. `is_pool`: it
    holds rates alone and writes no rows: the ledger is not asked about it.
    """

    worker_id: str
    gateway_id: str
    is_pool: bool = False


class QuotaStore(Protocol):
    """Grants slices. Blocking: called from a thread, never on the path of a call."""

    lease_s: float
    """How long a grant may be spent after the last exchange, by the store's clock; a worker stops earlier."""

    def enter(self, lessee: Lessee) -> None:
        """Make a worker known. Again: no change."""
        ...

    def exchange(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer]:
        """Take in a worker's totals, grant what it wants where there is enough; one answer an ask, in order.

        One transaction. Idempotent: totals only ever grow, and a total that was taken in before changes nothing.
        Raises QuotaStoreError where the store cannot be reached: nothing is granted then, and nothing was lost.
        """
        ...

    def leave(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> None:
        """The worker's last word: whatever is neither spent nor returned in it goes back."""
        ...
