"""Proves that rows = entries = balance movements, per tenant and day, and names what is not as it was booked.

    rows against entries      every sealed segment of this ledger: its files are the sealed ones, it is settled, and
                              its rows of each tenant and day come to what its transaction says; each row's upstream
                              cost is that of its attempts
    entries                   every tenant's chain, from whatever ledger: no number is missing, each transaction has
                              the digest of its content and of the one before, its legs add up to nothing
    balances                  movements a day, wallets and usage sums are what the entries add up to
    quotas                    a wallet's limit is its credits and overdraft; held is what its rows say, once all
                              workers have left

All is read as it stood at one moment, between two settlements, so a running installation gives no false alarm.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.difference import Difference, Findings
from tidegate.accounts.books.run import LOCK_NAME
from tidegate.accounts.books.settle import unsettled
from tidegate.accounts.books.verify_entries import EntryChecker, Head, check_heads, check_held
from tidegate.accounts.books.verify_rows import RowChecker
from tidegate.accounts.database import Database
from tidegate.accounts.schema.books import wallets
from tidegate.ledger.durable import exclusive
from tidegate.ledger.manifest import Entry
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.store import Ledger

POLL_S: Final = 0.25


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The result. `differences`: ordered, the first is where it began; `count` may be more than are listed.

    `others`: usage transactions from other ledgers, whose rows were not compared here. `workers_waiting`: workers
    whose holdings are not settled, so that held was not compared.
    """

    differences: list[Difference]
    count: int
    segments: int
    rows: int
    transactions: int
    tenants: int
    others: int
    workers_waiting: int


def verify(
    database: Database,
    ledger: Ledger,
    *,
    since_day: str = "",
    heads: Iterable[Head] = (),
    wait_s: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Check everything, change nothing.

    since_day: ISO; compare rows of segments with calls since then only; entries and balances are checked whole.
    heads: what statements told of tenants' chains.
    wait_s: how long to wait for the settlement of what is sealed, on an installation that runs.
    progress: called with segments done and to do. Raises LedgerError where the ledger itself cannot be read.
    """
    deadline = time.monotonic() + wait_s
    while unsettled(database, ledger) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    findings = Findings()
    with _one_moment(database, ledger) as (connection, sealed), contextlib.closing(open_engine()) as engine:
        rows = RowChecker(ledger, connection, engine, findings)
        rows.check(sealed, since_day, progress)
        booked = EntryChecker(connection, ledger.ledger_id, findings)
        booked.check()
        check_heads(connection, heads, findings)
        waiting = check_held(connection, findings) if not rows.waiting else 1
        tenants = connection.execute(sa.select(sa.func.count()).select_from(wallets)).scalar_one()
    return Verification(
        differences=findings.ordered(),
        count=findings.count,
        segments=rows.segments,
        rows=rows.rows,
        transactions=booked.transactions,
        tenants=tenants,
        others=booked.others,
        workers_waiting=waiting,
    )


@contextlib.contextmanager
def _one_moment(database: Database, ledger: Ledger) -> Iterator[tuple[sa.Connection, list[Entry]]]:
    """The books and the manifest as they stood together: no settlement is under way when the first is read."""
    writable = os.access(ledger.path, os.W_OK)
    with database.reading() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        with exclusive(ledger.path / LOCK_NAME) if writable else contextlib.nullcontext():
            sealed = ledger.entries()
            connection.execute(sa.select(sa.func.count()).select_from(wallets)).scalar_one()
        yield connection, sealed
