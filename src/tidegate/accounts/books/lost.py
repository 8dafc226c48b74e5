"""Workers whose ledger is gone: nothing will ever say what they spent, so their last word has to do."""

import time
from typing import Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.database import Database
from tidegate.accounts.quotas.upkeep import money_of, settle_worker
from tidegate.accounts.schema.quotas import holdings, workers
from tidegate.core.errors import AccountsError

SILENT_US: Final = 24 * 3_600_000_000
"""A worker that was not heard of for so long, and is in no ledger that settles here, is told of."""


class Silent(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that waits for its ledger: what it holds of money beyond what it told that it spent, in nano-USD."""

    worker_id: str
    seen_us: int
    unspent_nano_usd: int


def silent_workers(database: Database) -> list[Silent]:
    """Those that were not heard of for a day and still hold money, oldest first."""
    unspent = sa.func.sum(holdings.c.granted - holdings.c.returned - holdings.c.spent)
    query = (
        sa.select(workers.c.worker_id, workers.c.seen_us, unspent)
        .join(holdings, holdings.c.worker_id == workers.c.worker_id)
        .where(holdings.c.is_money, workers.c.settled_us.is_(None), workers.c.seen_us < _now_us() - SILENT_US)
        .group_by(workers.c.worker_id, workers.c.seen_us)
        .having(unspent > 0)
        .order_by(workers.c.seen_us, workers.c.worker_id)
    )
    with database.reading() as connection:
        found = connection.execute(query).all()
    return [Silent(worker_id=row[0], seen_us=row[1], unspent_nano_usd=int(row[2])) for row in found]


def give_up(database: Database, worker_id: str) -> int:
    """Release what a worker held beyond its last word; how much that was, nano-USD.

    What it spent since that word (a quarter of a second, while it was at work) is then in nobody's rows.
    Raises AccountsError for a worker that is not known, is settled already, or may be alive.
    """
    with database.writing() as connection:
        here = workers.c.worker_id == worker_id
        query = sa.select(workers.c.seen_us, workers.c.settled_us, workers.c.left_us).where(here).with_for_update()
        row = connection.execute(query).first()
        if row is None:
            raise AccountsError(f"no worker {worker_id!r} ever held a slice of a quota")
        seen_us, settled_us, left_us = row
        if settled_us is not None:
            raise AccountsError(f"worker {worker_id!r} is settled: it holds what its rows say")
        if left_us is None and seen_us > _now_us() - SILENT_US:
            raise AccountsError(f"worker {worker_id!r} was heard of within a day: it may be alive, or its host away")
        held = money_of(connection, worker_id)
        settle_worker(connection, worker_id, {key: holding.spent for key, holding in held.items()}, _now_us())
        connection.execute(sa.delete(holdings).where(holdings.c.worker_id == worker_id, holdings.c.is_money))
    return sum(holding.unspent for holding in held.values())


def _now_us() -> int:
    return time.time_ns() // 1000
