"""One run of the books: settle what is sealed, then let workers that are over hold what their rows say they spent."""

from collections.abc import Callable
from typing import Final

import msgspec

from tidegate.accounts.books.lives import ended_lives
from tidegate.accounts.books.reclaim import Reclaimed, reclaim
from tidegate.accounts.books.settle import Settled, settle_segments
from tidegate.accounts.database import Database
from tidegate.ledger.durable import exclusive
from tidegate.ledger.store import Ledger

LOCK_NAME: Final = "settle.lock"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did."""

    segments: tuple[Settled, ...]
    lives: tuple[Reclaimed, ...]


def settle(
    database: Database,
    ledger: Ledger,
    *,
    is_copy: bool = False,
    wait_s: float = 60.0,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Book what is sealed and not settled, and reclaim what ended workers hold. Again: nothing.

    is_copy: the ledger is not where workers write: then nobody can be told to have ended by its journal.
    progress: called with segments done and segments to do.
    Raises LedgerError, after all that can be done, for segments that cannot be settled.
    """
    lives: list[Reclaimed] = []
    with exclusive(ledger.path / LOCK_NAME, wait_s=wait_s):
        try:
            segments = settle_segments(database, ledger, progress=progress)
        finally:
            if not is_copy:
                lives = reclaim(database, ledger, ended_lives(database, ledger))
    return Report(segments=tuple(segments), lives=tuple(lives))
