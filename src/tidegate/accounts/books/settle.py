"""Settles sealed segments: what their rows say is booked, exactly once.

For each segment one SQL transaction holds its entries, the balances and usage sums that follow, and the mark that it
is settled. A crash before its commit leaves nothing, after it all; and a segment that is marked is never booked
again. So a crash between sealing and settling is repaired by the next run, and so is one that follows a long absence
of the database: the manifest says what is sealed, the marks say what is settled.

Several hosts, each with a ledger of its own, settle into one database at once. Two runs on one ledger wait for each
other (`run.py`); were they to meet all the same, the mark's key lets one of them through.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.entries import chunks, post_many
from tidegate.accounts.books.posting import usage_posting
from tidegate.accounts.books.sums import Sum, by_day, charged_before, segment_sums
from tidegate.accounts.books.upsert import add_up, insert_missing, take
from tidegate.accounts.books.wallets import add_before
from tidegate.accounts.database import Database
from tidegate.accounts.schema.books import ledgers, settled_segments, usage_days, wallets
from tidegate.accounts.schema.quotas import workers
from tidegate.core.errors import AccountsError, LedgerError
from tidegate.ledger.lives import read_lives
from tidegate.ledger.manifest import Entry
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.store import Ledger

if TYPE_CHECKING:
    import duckdb

TRIES_MAX: Final = 4
GIVEN_UP: Final = ("40001", "40P01")
"""What PostgreSQL says of a serialization failure and of a deadlock."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What one segment came to, in nano-USD. `transactions`: one a tenant and day."""

    segment_id: str
    rows: int
    transactions: int
    charged_nano_usd: int
    upstream_nano_usd: int
    lost_nano_usd: int


def settle_segments(
    database: Database, ledger: Ledger, *, progress: Callable[[int, int], None] | None = None
) -> list[Settled]:
    """Book every segment that is sealed and not settled; the first time and after any crash alike.

    progress: called with segments done and segments to do.
    Raises LedgerError, after settling what can be settled, for segments that cannot be: their files are damaged, or
    they were settled from another ledger. They are tried again at the next run.
    """
    done: list[Settled] = []
    failures: list[str] = []
    sealed = ledger.entries()
    waiting = _unsettled(database, ledger.ledger_id, sealed)
    if waiting:
        with contextlib.closing(open_engine()) as connection:
            for number, entry in enumerate(waiting):
                if progress:
                    progress(number, len(waiting))
                try:
                    done += _settle_again(database, ledger, connection, entry)
                except (LedgerError, AccountsError) as error:  # of this segment: the others are not to wait
                    failures.append(str(error))
    _advance(database, ledger.ledger_id, sealed)
    if failures:
        raise LedgerError(f"{len(failures)} of {len(waiting)} segments are not settled: {'; '.join(failures)}")
    return done


def unsettled(database: Database, ledger: Ledger) -> list[Entry]:
    """Sealed segments of a ledger whose rows are not booked yet, in their order."""
    return _unsettled(database, ledger.ledger_id, ledger.entries())


def _unsettled(database: Database, ledger_id: str, sealed: Sequence[Entry]) -> list[Entry]:
    with database.reading() as connection:
        through = _settled_through(connection, ledger_id)
        marks = sa.select(settled_segments.c.segment_id).where(
            settled_segments.c.ledger_id == ledger_id, settled_segments.c.manifest_number > through
        )
        marked = set(connection.execute(marks).scalars())
    return [entry for entry in sealed[through:] if entry.kind == "segment" and entry.unit not in marked]


def _settle_again(
    database: Database, ledger: Ledger, engine: "duckdb.DuckDBPyConnection", entry: Entry
) -> list[Settled]:
    """As `_settle_one`, once more where PostgreSQL gave the transaction up for another's sake."""
    for _ in range(TRIES_MAX - 1):
        try:
            return _settle_one(database, ledger, engine, entry)
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in GIVEN_UP:
                raise
    return _settle_one(database, ledger, engine, entry)


def _settle_one(database: Database, ledger: Ledger, engine: "duckdb.DuckDBPyConnection", entry: Entry) -> list[Settled]:
    """Empty where another run was faster."""
    sums = segment_sums(engine, ledger.path, entry)
    days = by_day(sums, ledger.ledger_id, entry.unit)
    now_us = time.time_ns() // 1000
    with database.writing() as connection:
        if not _mark(connection, ledger.ledger_id, entry, sum(part.calls for part in sums), now_us):
            return []
        booked = post_many(
            connection,
            [usage_posting(day.tenant_id, day.day, day.rows, day.amounts, booked_us=now_us) for day in days],
        )
        new = {(one.posting.tenant_id, one.posting.day) for one in booked if one.is_new}
        add_up(connection, usage_days, _usage_rows([part for part in sums if (part.tenant_id, part.day) in new]))
        since = _prepaid_since(connection, sorted({day.tenant_id for day in days if day.charged}))
        if since:
            _note_spender(connection, ledger.journal_path, entry.unit, now_us)
        late = {day.tenant_id: since[day.tenant_id] for day in days if day.ts_min < since.get(day.tenant_id, 0)}
        add_before(connection, charged_before(engine, ledger.path, entry, late))
    return [
        Settled(
            segment_id=entry.unit,
            rows=sum(part.calls for part in sums),
            transactions=len(days),
            charged_nano_usd=sum(day.charged for day in days),
            upstream_nano_usd=sum(day.upstream for day in days),
            lost_nano_usd=sum(day.lost for day in days),
        )
    ]


def _mark(connection: sa.Connection, ledger_id: str, entry: Entry, rows: int, now_us: int) -> bool:
    """Take the segment: False where it is settled already. A second run at this moment waits here for the first."""
    mark = {
        "segment_id": entry.unit,
        "ledger_id": ledger_id,
        "manifest_number": entry.number,
        "row_count": rows,
        "settled_us": now_us,
    }
    if take(connection, settled_segments, mark):
        return True
    here = settled_segments.c.segment_id == entry.unit
    before = connection.execute(sa.select(settled_segments.c.ledger_id).where(here)).scalar_one()
    if before != ledger_id:
        raise AccountsError(
            f"segment {entry.unit} was settled from ledger {before}, and is in ledger {ledger_id} too: two gateways "
            "have one gateway.gateway_id, or a ledger was copied. Nothing of it was booked again"
        )
    return False


def _usage_rows(sums: list[Sum]) -> list[dict[str, object]]:
    return [
        {
            "tenant_id": part.tenant_id,
            "day": part.day,
            "model": part.model,
            "calls": part.calls,
            "unmetered_calls": part.unmetered,
            "input_tokens": part.input_tokens,
            "cached_tokens": part.cached_tokens,
            "output_tokens": part.output_tokens,
            "charged_nano_usd": part.charged,
        }
        for part in sums
    ]


def _prepaid_since(connection: sa.Connection, tenants: Sequence[str]) -> dict[str, int]:
    """Those of the tenants whose wallets are prepaid, and since when they are."""
    found: dict[str, int] = {}
    for chunk in chunks(tenants):
        query = sa.select(wallets.c.tenant_id, wallets.c.prepaid_since_us).where(
            wallets.c.tenant_id.in_(chunk), wallets.c.prepaid_since_us.is_not(None)
        )
        found |= {row[0]: row[1] for row in connection.execute(query)}
    return found


def _note_spender(connection: sa.Connection, journal: Path, segment_id: str, now_us: int) -> None:
    """Note the life of a worker that spent of wallets and leased nothing: it did not know yet that they are prepaid.

    It counts as one that has left: when it is over, the wallets' quotas hold what its rows say (`reclaim.py`).
    """
    writer = segment_id.rpartition("-")[0]
    query = sa.select(workers.c.worker_id).where(workers.c.worker_id.startswith(f"{writer}-", autoescape=True))
    lives = {*read_lives(journal), *connection.execute(query).scalars()}
    own = (life for life in lives if life.rpartition("-")[0] == writer and life <= segment_id)
    life = {"worker_id": max(own, default=segment_id), "gateway_id": writer.rpartition("-")[0]}
    insert_missing(connection, workers, [life | {"entered_us": now_us, "seen_us": now_us, "left_us": now_us}])


def _settled_through(connection: sa.Connection, ledger_id: str) -> int:
    return int(
        connection.execute(sa.select(ledgers.c.settled_through).where(ledgers.c.ledger_id == ledger_id)).scalar() or 0
    )


def _advance(database: Database, ledger_id: str, sealed: Sequence[Entry]) -> None:
    """Note up to where everything is settled, so that the next run need not look at it again."""
    waiting = _unsettled(database, ledger_id, sealed)
    through = waiting[0].number - 1 if waiting else len(sealed)
    with database.reading() as connection:
        if _settled_through(connection, ledger_id) >= through:
            return
    with database.writing() as connection:
        insert_missing(connection, ledgers, [{"ledger_id": ledger_id, "settled_through": 0}])
        connection.execute(
            sa.update(ledgers)
            .where(ledgers.c.ledger_id == ledger_id, ledgers.c.settled_through < through)
            .values(settled_through=through)
        )
