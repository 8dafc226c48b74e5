"""Lives of workers that are over: which they are, and that their holdings of money become what their rows say.

A worker's life begins with the journal segment that names it (`ledger/lives.py`) and ends before the next life of the
same worker of the same gateway. It is over when the journal has no file of it any more (a living worker always has
one open) and all its sealed segments are settled. Only then is it known what it spent, and only then is the rest
released: no matter how it ended, and never by time alone.
"""

from typing import Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.settle import unsettled
from tidegate.accounts.database import Database
from tidegate.accounts.schema.books import settled_segments
from tidegate.accounts.schema.quotas import workers
from tidegate.ledger.journal import journal_files, segment_of
from tidegate.ledger.lives import read_lives
from tidegate.ledger.manifest import Entry
from tidegate.ledger.store import Ledger

_LAST: Final = "~"
"""Sorts after every segment of a writer: their last part is hexadecimal."""


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """A life that is over: its worker id, and its sealed segments."""

    worker_id: str
    segments: tuple[Entry, ...]


def ended_lives(database: Database, ledger: Ledger) -> list[Life]:
    """Lives of this ledger's workers that are over and whose holdings are not settled yet, oldest first.

    Read in this order, so that nobody alive is taken for dead: the workers, the journal (twice, for a segment that
    changes its name between two looks), where lives begin, what is sealed, what is settled.
    """
    with database.reading() as connection:
        waiting = sorted(
            connection.execute(sa.select(workers.c.worker_id).where(workers.c.settled_us.is_(None))).scalars()
        )
        here = settled_segments.c.ledger_id == ledger.ledger_id
        known_here = sa.select(workers.c.worker_id).join(
            settled_segments, settled_segments.c.segment_id == workers.c.worker_id
        )
        begun = set(connection.execute(known_here.where(here)).scalars()) if waiting else set()
    if not waiting:
        return []
    journal = {segment_of(path) for _ in range(2) for path in journal_files(ledger.journal_path)}
    begun |= set(read_lives(ledger.journal_path))
    known = {entry.unit: entry for entry in ledger.entries() if entry.kind == "segment"}
    blocked = journal | {entry.unit for entry in unsettled(database, ledger)}
    found = []
    for worker_id in waiting:
        if worker_id not in begun:
            continue  # of another host
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
