"""What somebody has to do now and then: end the leases of workers that died, forget windows that are long over.

Rates alone end with a lease. What a dead worker held of money stays held until the ledger says what it spent
(`settle_worker`): money is neither reserved for ever nor given out twice.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from tidegate.accounts.quotas.account import Holding, end_holding, settle_holding
from tidegate.accounts.quotas.locked import LockedWindows
from tidegate.accounts.quotas.table import locked_quotas
from tidegate.accounts.quotas.terms import MONEY_KEPT_US, terms_of
from tidegate.accounts.schema.quotas import holdings, windows, workers
from tidegate.core.errors import AccountsError
from tidegate.core.quota import WindowKey

ENDED_KEPT_US = 86_400_000_000
"""What a worker that died held of rates is remembered for so long, in case that it only slept."""


def end_leases(connection: sa.Connection, now_us: int, lease_us: int, *, but: str = "") -> list[str]:
    """Release what workers that were silent for a lease held of rates; their ids. but: a worker that is left alone."""
    is_silent = sa.or_(workers.c.seen_us < now_us - lease_us, workers.c.seen_us > now_us + lease_us)
    query = sa.select(workers.c.worker_id).where(is_silent, workers.c.left_us.is_(None), workers.c.ended_us.is_(None))
    query = query.where(workers.c.worker_id != but)
    query = query.order_by(workers.c.worker_id).with_for_update(skip_locked=True)
    ended = [str(row[0]) for row in connection.execute(query)]
    for worker_id in ended:
        _release_rates(connection, worker_id, now_us)
        here = workers.c.worker_id == worker_id
        connection.execute(sa.update(workers).where(here).values(ended_us=now_us))
    return ended


def money_of(connection: sa.Connection, worker_id: str) -> dict[WindowKey, Holding]:
    """What a worker holds of money quotas."""
    query = sa.select(
        holdings.c.quota_id,
        holdings.c.subject,
        holdings.c.start_us,
        holdings.c.granted,
        holdings.c.returned,
        holdings.c.spent,
    ).where(holdings.c.worker_id == worker_id, holdings.c.is_money)
    return {
        WindowKey(quota_id, subject, start_us): Holding(granted=granted, returned=returned, spent=spent)
        for quota_id, subject, start_us, granted, returned, spent in connection.execute(query)
    }


def settle_worker(connection: sa.Connection, worker_id: str, spent: Mapping[WindowKey, int], now_us: int) -> None:
    """Let a dead worker hold of money exactly what its rows say it spent, by window; 0 for windows not named.

    Only once no row of that worker's life can come any more. Raises AccountsError for a worker that is not known.
    """
    query = sa.select(workers.c.worker_id).where(workers.c.worker_id == worker_id).with_for_update()
    if connection.execute(query).scalar() is None:
        raise AccountsError(f"no worker {worker_id!r} ever held a slice of a quota")
    keys = set(money_of(connection, worker_id)) | {key for key, amount in spent.items() if amount}
    quotas = locked_quotas(connection, {key.quota_id for key in keys})
    locked = LockedWindows(connection, [key for key in keys if key.quota_id in quotas])
    locked.lock({})
    locked.read_holdings(worker_id, dict.fromkeys(locked.accounts, True))
    for key, account in locked.accounts.items():
        terms = terms_of(quotas[key.quota_id], key.start_us, workers=1, now_us=now_us)
        settle_holding(account, locked.holdings[worker_id, key], spent.get(key, 0), terms)
    locked.write()
    here = workers.c.worker_id == worker_id
    connection.execute(sa.update(workers).where(here).values(settled_us=now_us))


def forget_windows(connection: sa.Connection, now_us: int) -> None:
    """Delete windows that ended long ago, and what dead workers held of rates."""
    over = sa.select(windows.c.quota_id, windows.c.subject, windows.c.start_us).where(windows.c.end_us < now_us)
    columns = (holdings.c.quota_id, holdings.c.subject, holdings.c.start_us)
    connection.execute(sa.delete(holdings).where(sa.tuple_(*columns).in_(over)))
    connection.execute(sa.delete(windows).where(windows.c.end_us < now_us))
    long_dead = sa.select(workers.c.worker_id).where(workers.c.seen_us < now_us - ENDED_KEPT_US)
    connection.execute(sa.delete(holdings).where(holdings.c.worker_id.in_(long_dead), ~holdings.c.is_money))
    has_money = sa.select(holdings.c.worker_id).distinct()
    is_over = sa.and_(workers.c.settled_us < now_us - MONEY_KEPT_US, workers.c.worker_id.not_in(has_money))
    connection.execute(sa.delete(workers).where(is_over))  # until then it says where the next life of a worker begins


def _release_rates(connection: sa.Connection, worker_id: str, now_us: int) -> None:
    query = sa.select(holdings.c.quota_id, holdings.c.subject, holdings.c.start_us)
    is_unspent = holdings.c.granted > holdings.c.returned + holdings.c.spent
    query = query.where(holdings.c.worker_id == worker_id, ~holdings.c.is_money, is_unspent)
    keys = [WindowKey(*row) for row in connection.execute(query)]
    quotas = locked_quotas(connection, {key.quota_id for key in keys})
    locked = LockedWindows(connection, keys)
    locked.lock({})
    locked.read_holdings(worker_id, dict.fromkeys(keys, False))
    for key, account in locked.accounts.items():
        terms = terms_of(quotas[key.quota_id], key.start_us, workers=1, now_us=now_us)
        end_holding(account, locked.holdings[worker_id, key], terms)
    locked.write()
