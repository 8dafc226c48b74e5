"""Quotas in this process: for one worker, and for tests. What it knows ends with the process."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from tidegate.accounts.quotas.account import Account, Holding, end_holding, exchange, take_word
from tidegate.accounts.quotas.store import Lessee
from tidegate.accounts.quotas.terms import terms_of
from tidegate.core.quota import LeaseAnswer, LeaseAsk, Quota, WindowKey

ENDED_KEPT_US = 3_600_000_000
"""A calendar window is forgotten this long after its end."""


def wall_clock_us() -> int:
    """Microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


class MemoryStore:
    """A quota store in this process. quotas: by id; read at every exchange, so a changed limit holds at once."""

    def __init__(
        self,
        quotas: Mapping[str, Quota],
        *,
        lease_s: float = 10.0,
        clock_us: Callable[[], int] = wall_clock_us,
    ) -> None:
        self.lease_s = lease_s
        self._quotas = quotas
        self._clock_us = clock_us
        self._lock = threading.Lock()
        self._seen_us: dict[str, int] = {}
        self._accounts: dict[WindowKey, Account] = {}
        self._holdings: dict[str, dict[WindowKey, Holding]] = {}
        self._swept_us = 0

    def enter(self, lessee: Lessee) -> None:
        with self._lock:
            self._seen_us.setdefault(lessee.worker_id, self._clock_us())

    def exchange(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer]:
        """As QuotaStore.exchange."""
        with self._lock:
            now_us = self._clock_us()
            self._seen_us[lessee.worker_id] = now_us
            self._sweep(now_us)
            return [self._answer(lessee.worker_id, ask, now_us) for ask in asks]

    def leave(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> None:
        """As QuotaStore.leave."""
        with self._lock:
            now_us = self._clock_us()
            held = self._holdings.pop(lessee.worker_id, {})
            for ask in asks:
                holding, quota = held.get(ask.window), self._quotas.get(ask.window.quota_id)
                if holding and quota:
                    terms = terms_of(quota, ask.window.start_us, workers=1, now_us=now_us)
                    take_word(self._account(ask.window), holding, ask, terms)
            for key, holding in held.items():
                if quota := self._quotas.get(key.quota_id):
                    terms = terms_of(quota, key.start_us, workers=1, now_us=now_us)
                    end_holding(self._account(key), holding, terms)
            self._seen_us.pop(lessee.worker_id, None)

    def held(self, window: WindowKey) -> int:
        """What all workers hold of a window."""
        with self._lock:
            return self._account(window).held

    def _answer(self, worker_id: str, ask: LeaseAsk, now_us: int) -> LeaseAnswer:
        quota = self._quotas.get(ask.window.quota_id)
        if quota is None:
            return LeaseAnswer(window=ask.window, granted=ask.granted, remaining=0, unspent=0, limit=0)
        terms = terms_of(quota, ask.window.start_us, workers=len(self._seen_us), now_us=now_us)
        holding = self._holdings.setdefault(worker_id, {}).setdefault(ask.window, Holding())
        return exchange(self._account(ask.window), holding, ask, terms)

    def _account(self, window: WindowKey) -> Account:
        return self._accounts.setdefault(window, Account())

    def _sweep(self, now_us: int) -> None:
        """End the leases of workers that were silent too long (what they held of money stays), forget old windows."""
        lease_us = int(self.lease_s * 1_000_000)
        if abs(now_us - self._swept_us) < lease_us // 8:
            return
        self._swept_us = now_us
        for worker_id in [worker for worker, seen_us in self._seen_us.items() if abs(now_us - seen_us) > lease_us]:
            del self._seen_us[worker_id]
            for key, holding in self._holdings.get(worker_id, {}).items():
                quota = self._quotas.get(key.quota_id)
                if quota and quota.unit != "nano_usd":
                    terms = terms_of(quota, key.start_us, workers=1, now_us=now_us)
                    end_holding(self._account(key), holding, terms)
        for key in [key for key in self._accounts if self._is_over(key, now_us)]:
            del self._accounts[key]
            for held in self._holdings.values():
                held.pop(key, None)

    def _is_over(self, key: WindowKey, now_us: int) -> bool:
        quota = self._quotas.get(key.quota_id)
        if quota is None:
            return True
        end_us = terms_of(quota, key.start_us, workers=1, now_us=now_us).end_us
        return end_us is not None and now_us - end_us > ENDED_KEPT_US
