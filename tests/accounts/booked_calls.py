"""Ledgers with calls of several tenants, for the tests of the books: real segments, sealed by the real sealer."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import sqlalchemy as sa

from tidegate.accounts.database import Database
from tidegate.accounts.schema.books import balances, entries, settled_segments, transactions, usage_days, wallets
from tidegate.accounts.schema.quotas import windows, workers
from tidegate.core.ids import gateway_tag, generation_id
from tidegate.core.row import Attempt, Intent, Outcome, Row
from tidegate.ledger.journal import JournalWriter
from tidegate.ledger.lives import note_life
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

NOON_US = 1_774_267_200_000_000  # 2026-03-23T12:00:00Z
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call. Amounts in nano-USD; charged None: of unknown cost, charged 0. attempts: what
    each cost upstream. is_lost: its gateway died in it.
    """

    tenant: str | None = "acme"
    charged: int | None = 100
    upstream: int | None = 80
    attempts: tuple[int | None, ...] = ()
    lost: int | None = None
    ts: int = NOON_US
    key: str = "key_1"
    model: str | None = "openai/gpt-4o-mini"
    variant: str = ""
    is_lost: bool = False


class Host:
    """One gateway and its ledger."""

    def __init__(self, folder: Path, gateway_id: str = "gw", *, number: int = 0) -> None:
        """number: of calls that are in the ledger already."""
        self.gateway_id = gateway_id
        self.ledger = Ledger.create(folder)
        self._number = number

    def open(self, start_us: int = NOON_US, worker: int = 0) -> JournalWriter:
        """A worker's life begins."""
        writer = JournalWriter(self.ledger.journal_path, self.gateway_id, worker, now_us=start_us)
        note_life(self.ledger.journal_path, writer.segment_id)
        return writer

    def write(self, writer: JournalWriter, calls: Iterable[Call]) -> None:
        for call in calls:
            row = self._row(call, writer)
            intent = msgspec.structs.replace(row, segment_id=None, segment_seq=None, cost_nano_usd=None)
            writer.append(Intent(generation_id=row.generation_id, attempt_no=1, ts=row.ts, endpoint_id="e", row=intent))
            if not call.is_lost:
                writer.append(Outcome(row=row, attempts=_attempts(call, row)))
        writer.flush()

    def seal(self, calls: Iterable[Call], *, start_us: int = NOON_US, worker: int = 0) -> str:
        """A segment with these calls, sealed; its id."""
        writer = self.open(start_us, worker)
        self.write(writer, calls)
        segment_id = writer.segment_id
        writer.close()
        seal(self.ledger)
        return segment_id

    def _row(self, call: Call, writer: JournalWriter) -> Row:
        self._number += 1
        tag = gateway_tag(self.gateway_id)
        return Row(
            generation_id=generation_id(call.ts // 1000, self._number, tag, writer.worker, self._number),
            ts=call.ts,
            source_id="own",
            gateway_id=self.gateway_id,
            segment_id=writer.segment_id,
            segment_seq=writer.next_seq,
            tenant_id=call.tenant,
            project_id="web",
            key_id=call.key,
            request_model=call.model,
            response_model=call.model,
            model_variant=call.variant,
            endpoint_id="e",
            status_code=200,
            usage_input_tokens=1000,
            usage_output_tokens=300,
            usage_cache_read_input_tokens=200,
            cost_nano_usd=0 if call.charged is None else call.charged,
            upstream_cost_nano_usd=call.upstream,
            operator_loss_nano_usd=call.lost,
            cost_basis="unknown" if call.charged is None else "metered",
        )


def _attempts(call: Call, row: Row) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            generation_id=row.generation_id, attempt_no=number, ts=row.ts, endpoint_id="e", upstream_cost_nano_usd=cost
        )
        for number, cost in enumerate(call.attempts, start=1)
    )


def die(writer: JournalWriter) -> None:
    """What the kernel does for a process that was killed: its descriptor, and so its lock, goes."""
    import os

    os.close(writer._fd)


def state(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All that the books hold but the times at which it was booked."""
    held = {}
    with database.reading() as connection:
        for table in (wallets, transactions, entries, balances, usage_days, settled_segments, windows):
            columns = [
                column
                for column in table.columns
                if column.name not in ("booked_us", "opened_us", "settled_us", "digest", "last_digest")
            ]
            held[table.name] = sorted(tuple(map(str, row)) for row in connection.execute(sa.select(*columns)))
        done = sa.select(workers.c.worker_id).where(workers.c.settled_us.is_not(None))
        held["settled workers"] = sorted(tuple(row) for row in connection.execute(done))
    return held


def amounts(database: Database, tenant: str) -> dict[str, int]:
    """What a tenant's entries add up to, by account."""
    query = sa.select(entries.c.account, sa.func.sum(entries.c.amount_nano_usd)).group_by(entries.c.account)
    with database.reading() as connection:
        found = connection.execute(query.where(entries.c.tenant_id == tenant))
        return {account: int(amount) for account, amount in found}
