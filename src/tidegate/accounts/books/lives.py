"""Lives of workers that are over: which they are, and that their holdings of money become what their rows say.

A worker's life begins with the journal segment that names it and ends before the next life of the same worker of the
same gateway. It is over when the journal has no file of it any more (a living worker always has one open) and all its
sealed segments are settled. Only then is it known what it spent, and only then is the rest released: no matter how
it ended, and never by time alone.
"""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.settle import unsettled
from tidegate.accounts.books.upsert import insert_missing
from tidegate.accounts.database import Database
from tidegate.accounts.schema.books import gateways, settled_segments
from tidegate.accounts.schema.quotas import workers
from tidegate.ledger.journal import journal_files, segment_of
from tidegate.ledger.manifest import Entry
from tidegate.ledger.store import Ledger

_LAST: Final = "~"
"""Sorts after every segment of a writer: their last part is hexadecimal."""


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """A life that is over: its worker id, and its sealed segments."""

    worker_id: str
    segments: tuple[Entry, ...]


def own_gateway(database: Database, gateway_id: str, ledger_id: str) -> str:
    """Note that a gateway writes into a ledger. A line of warning where another ledger has the name too, else ""."""
    with database.reading() as connection:
        known = _gateway(connection, gateway_id)
    if known is None or (known[0] != ledger_id and not known[1]):
        with database.writing() as connection:
            values = {"gateway_id": gateway_id, "ledger_id": ledger_id, "is_shared": False}
            insert_missing(connection, gateways, [values])
            here = gateways.c.gateway_id == gateway_id
            other = sa.and_(here, gateways.c.ledger_id != ledger_id)
            connection.execute(sa.update(gateways).where(other).values(is_shared=True))
            known = _gateway(connection, gateway_id)
    if known is None or not known[1]:
        return ""
    return (
        f"gateway.gateway_id {gateway_id!r} names gateways of several ledgers on this accounts database; give each "
        "host its own. Until then what a worker holds stays reserved where it dies before its first call"
    )


def _gateway(connection: sa.Connection, gateway_id: str) -> tuple[str, bool] | None:
    query = sa.select(gateways.c.ledger_id, gateways.c.is_shared).where(gateways.c.gateway_id == gateway_id)
    row = connection.execute(query).first()
    return (str(row[0]), bool(row[1])) if row else None


def ended_lives(database: Database, ledger: Ledger) -> list[Life]:
    """Lives of this ledger's workers that are over and whose holdings are not settled yet, oldest first.

    Read in this order, so that nobody alive is taken for dead: the workers, the journal (twice, for a segment that
    changes its name between two looks), what is sealed, what is settled.
    """
    with database.reading() as connection:
        lives = connection.execute(_own_workers(ledger.ledger_id)).mappings().all()
    begun = [life["worker_id"] for life in lives]
    waiting = [life["worker_id"] for life in lives if life["settled_us"] is None]
    if not waiting:
        return []
    journal = {segment_of(path) for _ in range(2) for path in journal_files(ledger.journal_path)}
    known = {entry.unit: entry for entry in ledger.entries() if entry.kind == "segment"}
    blocked = journal | {entry.unit for entry in unsettled(database, ledger)}
    found = []
    for worker_id in waiting:
        until = min((other for other in begun if other > worker_id and _same(other, worker_id)), default=None)
        if not any(_within(worker_id, until, unit) for unit in blocked):
            segments = tuple(known[unit] for unit in sorted(known) if _within(worker_id, until, unit))
            found.append(Life(worker_id=worker_id, segments=segments))
    return found


def _writer(segment_id: str) -> str:
    return segment_id.rpartition("-")[0]


def _same(one: str, other: str) -> bool:
    return _writer(one) == _writer(other)


def _within(worker_id: str, until: str | None, segment_id: str) -> bool:
    """Whether a segment is of the life that begins with `worker_id` and ends before `until`."""
    return _same(worker_id, segment_id) and worker_id <= segment_id < (until or segment_id + _LAST)


def _own_workers(ledger_id: str) -> sa.Select[Any]:
    """Lives of one ledger: their first segment was settled from it, or their gateway writes nowhere else."""
    settled_here = sa.select(settled_segments.c.segment_id).where(settled_segments.c.ledger_id == ledger_id)
    gateways_here = sa.select(gateways.c.gateway_id).where(gateways.c.ledger_id == ledger_id, ~gateways.c.is_shared)
    return (
        sa.select(workers.c.worker_id, workers.c.settled_us)
        .where(workers.c.worker_id.in_(settled_here) | workers.c.gateway_id.in_(gateways_here))
        .order_by(workers.c.worker_id)
    )
