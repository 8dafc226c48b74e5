"""The store that workers of an installation talk to: money to the database, rates to whoever hands them out.

Money goes to the database always, whatever hands out rates: its grants must outlive every cache.
"""

from collections.abc import Sequence
from typing import Protocol

from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.core.quota import LeaseAnswer, LeaseAsk, WindowKey


class Rates(Protocol):
    """Who hands out rates."""

    def exchange(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer]: ...

    def leave(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> None: ...

    def held(self, window: WindowKey) -> int: ...


class FrontStore:
    """Divides asks between a store of money and one of rates."""

    def __init__(self, money: SqlStore, rates: Rates) -> None:
        self.lease_s = money.lease_s
        self._money, self._rates = money, rates

    def enter(self, lessee: Lessee) -> None:
        """As QuotaStore.enter."""
        self._money.enter(lessee)

    def exchange(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer]:
        """As QuotaStore.exchange."""
        is_money = self._money.money_among({ask.window.quota_id for ask in asks})
        money = [ask for ask in asks if ask.window.quota_id in is_money]
        rates = [ask for ask in asks if ask.window.quota_id not in is_money]
        paid = iter(self._money.exchange(lessee, money))
        rated = iter(self._rates.exchange(lessee, rates))
        return [next(paid if ask.window.quota_id in is_money else rated) for ask in asks]

    def leave(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> None:
        """As QuotaStore.leave."""
        is_money = self._money.money_among({ask.window.quota_id for ask in asks})
        self._rates.leave(lessee, [ask for ask in asks if ask.window.quota_id not in is_money])
        self._money.leave(lessee, [ask for ask in asks if ask.window.quota_id in is_money])

    def held(self, window: WindowKey) -> int:
        """What all workers hold of a window."""
        is_money = window.quota_id in self._money.money_among([window.quota_id])
        return (self._money if is_money else self._rates).held(window)
