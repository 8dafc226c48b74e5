"""The quota store of the accounts database: SQLite for the workers of one host, PostgreSQL for many hosts.

An exchange is one transaction: the worker's row, its quotas, then their windows, each in the order of their keys. The
clock is the database's own: leases do not depend on what workers take for the time.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import sqlalchemy as sa

from tidegate.accounts.database import Database
from tidegate.accounts.quotas.account import end_holding, exchange, take_word
from tidegate.accounts.quotas.locked import LockedWindows
from tidegate.accounts.quotas.memory import wall_clock_us
from tidegate.accounts.quotas.statements import NOW, SEEN, SEEN_AT, WORKERS_NOW, say
from tidegate.accounts.quotas.store import Lessee
from tidegate.accounts.quotas.table import held_of_window, locked_quotas
from tidegate.accounts.quotas.terms import forgotten_us, terms_of
from tidegate.accounts.quotas.upkeep import end_leases, forget_windows
from tidegate.accounts.schema.quotas import holdings, workers
from tidegate.accounts.schema.quotas import quotas as quotas_table
from tidegate.core.errors import QuotaStoreError
from tidegate.core.quota import LeaseAnswer, LeaseAsk, Quota, WindowKey

TRIES_MAX = 4
"""Of a transaction that PostgreSQL gave up for another's sake."""

FORGET_EVERY_US = 600_000_000

T = TypeVar("T")

_RETRIED = {"40001", "40P01"}  # serialization failure, deadlock


class SqlStore:
    """Quotas in an accounts database.

    clock_us: microseconds since 1970-01-01 UTC; default: the database's own clock.
    """

    def __init__(self, database: Database, *, lease_s: float = 10.0, clock_us: Callable[[], int] | None = None) -> None:
        self.lease_s = lease_s
        self._database = database
        self._clock_us = clock_us
        self._lock = threading.Lock()
        self._alive = 1
        self._ended_us = self._forgot_us = 0
        self._is_money: dict[str, bool] = {}

    def enter(self, lessee: Lessee) -> None:
        """As QuotaStore.enter. Raises QuotaStoreError where the database cannot be reached."""
        self._in_transaction(lambda connection: self._seen(connection, lessee))

    def exchange(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer]:
        """As QuotaStore.exchange."""
        self._keep_up(lessee.worker_id)
        return self._in_transaction(lambda connection: self._exchange(connection, lessee, asks))

    def leave(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> None:
        """As QuotaStore.leave."""
        self._in_transaction(lambda connection: self._leave(connection, lessee, asks))

    def money_among(self, quota_ids: Collection[str]) -> set[str]:
        """Those of some quotas that are of money; what a quota counts never changes, so each is looked up once."""
        unknown = set(quota_ids) - self._is_money.keys()
        if unknown:
            query = sa.select(quotas_table.c.quota_id, quotas_table.c.unit).where(quotas_table.c.quota_id.in_(unknown))
            found = self._in_transaction(lambda connection: connection.execute(query).all())
            self._is_money |= {quota_id: unit == "nano_usd" for quota_id, unit in found}
        return {quota_id for quota_id in quota_ids if self._is_money.get(quota_id, True)}

    def held(self, window: WindowKey) -> int:
        """What all workers hold of a window."""
        return self._in_transaction(lambda connection: held_of_window(connection, window))

    def _exchange(self, connection: sa.Connection, lessee: Lessee, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer]:
        now_us = self._seen(connection, lessee)
        if not asks:
            return []
        windows = {ask.window for ask in asks}
        quotas = locked_quotas(connection, {key.quota_id for key in windows})
        locked = _lock_windows(connection, lessee.worker_id, windows, quotas, now_us)
        answers = []
        for ask in asks:
            quota = quotas.get(ask.window.quota_id)
            if quota is None:  # never made here: nothing is granted
                answers.append(LeaseAnswer(window=ask.window, granted=0, remaining=0, unspent=0, limit=0))
                continue
            terms = terms_of(quota, ask.window.start_us, workers=self._alive, now_us=now_us)
            holding = locked.holdings[lessee.worker_id, ask.window]
            answers.append(exchange(locked.accounts[ask.window], holding, ask, terms))
        locked.write()
        return answers

    def _leave(self, connection: sa.Connection, lessee: Lessee, asks: Sequence[LeaseAsk]) -> None:
        now_us = self._seen(connection, lessee)
        told = {ask.window: ask for ask in asks}
        query = sa.select(holdings.c.quota_id, holdings.c.subject, holdings.c.start_us)
        held = {WindowKey(*row) for row in connection.execute(query.where(holdings.c.worker_id == lessee.worker_id))}
        quotas = locked_quotas(connection, {key.quota_id for key in held})
        locked = _lock_windows(connection, lessee.worker_id, held, quotas, now_us)
        for key, account in locked.accounts.items():
            terms = terms_of(quotas[key.quota_id], key.start_us, workers=1, now_us=now_us)
            holding = locked.holdings[lessee.worker_id, key]
            if ask := told.get(key):
                take_word(account, holding, ask, terms)
            end_holding(account, holding, terms)
        locked.write()
        is_rate = (holdings.c.worker_id == lessee.worker_id) & ~holdings.c.is_money
        connection.execute(sa.delete(holdings).where(is_rate))
        here = workers.c.worker_id == lessee.worker_id
        connection.execute(sa.update(workers).where(here).values(left_us=now_us))

    def _seen(self, connection: sa.Connection, lessee: Lessee) -> int:
        """Note that a worker is alive, whether known or not; the store's time."""
        if self._clock_us:
            seen_us = say(connection, SEEN_AT, (self._clock_us(), lessee.worker_id)).scalar()
        else:
            seen_us = say(connection, SEEN, (lessee.worker_id,)).scalar()
        if seen_us is None:
            seen_us = self._now_us(connection)
            values = {"worker_id": lessee.worker_id, "gateway_id": lessee.gateway_id}
            insert = sa.insert(workers).values(**values, entered_us=seen_us, seen_us=seen_us)
            connection.execute(insert.values(settled_us=seen_us) if lessee.is_pool else insert)
        return int(seen_us)

    def _keep_up(self, worker_id: str) -> None:
        """Now and then: end the leases of the dead, count the living, forget what is long over.

        Whoever was silent and speaks again keeps its slices, where nobody else has ended them.
        """
        now_us = self._clock_us() if self._clock_us else wall_clock_us()
        with self._lock:
            is_due = abs(now_us - self._ended_us) > self.lease_s * 1_000_000 / 8
            is_long_due = abs(now_us - self._forgot_us) > FORGET_EVERY_US
            self._ended_us = now_us if is_due else self._ended_us
            self._forgot_us = now_us if is_long_due else self._forgot_us
        if is_due:
            self._alive = self._in_transaction(lambda connection: self._end_leases(connection, worker_id))
        if is_long_due:
            self._in_transaction(lambda connection: forget_windows(connection, self._now_us(connection)))

    def _end_leases(self, connection: sa.Connection, worker_id: str) -> int:
        now_us, lease_us = self._now_us(connection), int(self.lease_s * 1_000_000)
        asked = (now_us - lease_us, now_us - lease_us, now_us + lease_us, worker_id)
        alive, silent = say(connection, WORKERS_NOW, asked).one()
        if silent:
            end_leases(connection, now_us, lease_us, but=worker_id)
        return max(1, int(alive))

    def _now_us(self, connection: sa.Connection) -> int:
        if self._clock_us:
            return self._clock_us()
        return int(say(connection, NOW, ()).scalar_one())

    def _in_transaction(self, work: Callable[[sa.Connection], T]) -> T:
        """Raises QuotaStoreError where the database cannot be reached or does not answer."""
        for tried in range(1, TRIES_MAX + 1):
            try:
                with self._database.writing() as connection:
                    return work(connection)
            except sa.exc.SQLAlchemyError as error:
                origin = getattr(error, "orig", None)
                if getattr(origin, "sqlstate", None) in _RETRIED and tried < TRIES_MAX:
                    time.sleep(0.002 * tried)
                    continue
                raise QuotaStoreError(f"the accounts database does not answer: {origin or error}") from error
        raise AssertionError("the last try returns or raises")


def _lock_windows(
    connection: sa.Connection,
    worker_id: str,
    keys: Collection[WindowKey],
    quotas: dict[str, Quota],
    now_us: int,
) -> LockedWindows:
    known = [key for key in keys if key.quota_id in quotas]
    locked = LockedWindows(connection, known)
    locked.lock({key: forgotten_us(quotas[key.quota_id], key.start_us, now_us=now_us) for key in known})
    locked.read_holdings(worker_id, {key: quotas[key.quota_id].unit == "nano_usd" for key in known})
    return locked
