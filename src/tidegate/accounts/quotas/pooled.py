"""Rates of one worker from Redis or Valkey, and from the database while that is lost.

The totals of a worker span all of that: for each spell with one backing store, the store is told what was added since
the spell began. So what was told before is neither lost nor counted twice.
"""

import logging
import time
from collections.abc import Sequence

import msgspec

from tidegate.accounts.quotas.pool import PoolStore, PoolUnreachable
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee, QuotaStore
from tidegate.core.quota import LeaseAnswer, LeaseAsk, WindowKey

TRY_AGAIN_S = 1.0
"""So often a lost Redis is looked for."""

REMEMBERED_MAX = 50_000
"""Windows whose totals are remembered; those that ended are forgotten beyond it."""

_log = logging.getLogger(__name__)


class Spell:
    """A time with one backing store, under a name of its own."""

    def __init__(self, store: QuotaStore, lessee: Lessee, epoch: str) -> None:
        self.store, self.lessee, self.epoch = store, lessee, epoch
        self.base: dict[WindowKey, tuple[int, int]] = {}  # returned and spent before it


class PooledRates:
    """Rates from Redis, and from the database while Redis cannot be reached; of one worker process."""

    def __init__(self, pool: PoolStore, sql: SqlStore) -> None:
        self._pool, self._sql = pool, sql
        self._spell: Spell | None = None
        self._spells = 0
        self._told: dict[WindowKey, tuple[int, int]] = {}
        self._try_again_s = float("-inf")

    def exchange(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer]:
        """As QuotaStore.exchange. Raises QuotaStoreError where neither store can be reached."""
        if time.monotonic() >= self._try_again_s:
            try:
                epoch = self._pool.epoch()
                return self._through(self._spell_with(self._pool, lessee, epoch), asks)
            except PoolUnreachable as error:
                self._try_again_s = time.monotonic() + TRY_AGAIN_S
                if self._spell is None or self._spell.store is self._pool:
                    _log.warning("%s. Until it is back, rates are counted in the accounts database.", error)
        return self._through(self._spell_with(self._sql, lessee, ""), asks)

    def leave(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> None:
        """As QuotaStore.leave."""
        if self._spell is not None:
            self.exchange(lessee, asks)
            self._end(self._spell)

    def held(self, window: WindowKey) -> int:
        """What all workers hold of a window by the word of Redis."""
        return self._pool.held(window)

    def _spell_with(self, store: PoolStore | SqlStore, lessee: Lessee, epoch: str) -> Spell:
        if self._spell and self._spell.store is store and self._spell.epoch == epoch:
            return self._spell
        if self._spell and self._spell.store is self._sql:
            self._end(self._spell)
        self._spells += 1
        own = Lessee(worker_id=f"{lessee.worker_id}-{self._spells}", gateway_id="redis", is_pool=True)
        self._spell = Spell(store, own, epoch)
        return self._spell

    def _end(self, spell: Spell) -> None:
        spell.store.leave(spell.lessee, [])

    def _through(self, spell: Spell, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer]:
        inner = []
        for ask in asks:
            returned, spent = spell.base.setdefault(ask.window, self._told.get(ask.window, (0, 0)))
            inner.append(
                msgspec.structs.replace(
                    ask,
                    granted=max(0, ask.granted - returned - spent),
                    returned=max(0, ask.returned - returned),
                    spent=max(0, ask.spent - spent),
                )
            )
        if isinstance(spell.store, PoolStore):
            answers = spell.store.exchange(spell.lessee, inner, spell.epoch)
        else:
            answers = spell.store.exchange(spell.lessee, inner)
        for ask in asks:
            self._told[ask.window] = ask.returned, ask.spent
        self._forget(spell)
        return [
            msgspec.structs.replace(answer, granted=answer.granted + sum(spell.base[answer.window]))
            for answer in answers
        ]

    def _forget(self, spell: Spell) -> None:
        if len(self._told) > REMEMBERED_MAX:
            newest = max(window.start_us for window in self._told)
            ended = [key for key in self._told if 0 < key.start_us < newest - 40 * 86_400_000_000]
            for window in ended:
                self._told.pop(window, None)
                spell.base.pop(window, None)
