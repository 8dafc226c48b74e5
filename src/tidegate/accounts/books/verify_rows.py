"""Sealed rows of one ledger against the transactions that stand for them, segment by segment."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from tidegate.accounts.books.difference import Difference, Findings
from tidegate.accounts.books.sums import DaySum, by_day, forgotten_costs, segment_sums
from tidegate.accounts.schema.books import entries, settled_segments, transactions
from tidegate.core.errors import LedgerError
from tidegate.ledger.manifest import Entry
from tidegate.ledger.parquet import sha256_of
from tidegate.ledger.store import Ledger

if TYPE_CHECKING:
    import duckdb

    Progress = Callable[[int, int], None] | None

Booked = tuple[int, int, int, int, tuple[tuple[str, int], ...]]
"""first_seq, last_seq, count, unmetered and the legs by account: what must be the same on both sides."""

NOTHING: Final = "nothing"


class RowChecker:
    """Checks the segments of one ledger. `segments`, `rows`: how many were compared; `waiting`: not settled."""

    def __init__(
        self, ledger: Ledger, connection: sa.Connection, engine: "duckdb.DuckDBPyConnection", findings: Findings
    ) -> None:
        self._ledger, self._connection, self._engine, self._findings = ledger, connection, engine, findings
        self.segments = self.rows = 0
        self.waiting = 0

    def check(self, sealed: Sequence[Entry], since_day: str = "", progress: "Progress" = None) -> None:
        """Segments with rows since a day, then transactions of this ledger whose segment is not in it."""
        here = settled_segments.c.ledger_id == self._ledger.ledger_id
        marked = set(self._connection.execute(sa.select(settled_segments.c.segment_id).where(here)).scalars())
        segments = [entry for entry in sealed if entry.kind == "segment"]
        wanted = [entry for entry in segments if not since_day or any(file.day >= since_day for file in entry.files)]
        self.segments = len(wanted)
        for done, entry in enumerate(wanted):
            if progress:
                progress(done, len(wanted))
            self._check_segment(entry, is_settled=entry.unit in marked)
        self._check_strangers({entry.unit for entry in segments} | marked, {entry.unit for entry in segments})

    def _check_segment(self, entry: Entry, *, is_settled: bool) -> None:
        self._check_files(entry)
        try:
            self._check_attempts(entry)
            sums = by_day(segment_sums(self._engine, self._ledger.path, entry), self._ledger.ledger_id, entry.unit)
        except LedgerError as error:
            self._findings.add(Difference(what="row changed", segment_id=entry.unit, seen=str(error)))
            return
        self.rows += sum(day.rows.count for day in sums)
        if not is_settled:
            self.waiting += 1
            self._findings.add(
                Difference(
                    what="not settled",
                    tenant_id=sums[0].tenant_id if sums else "",
                    day=sums[0].day if sums else "",
                    segment_id=entry.unit,
                    expected=f"{sum(day.rows.count for day in sums)} rows are booked",
                    seen="none is; `tidegate accounts settle` books them",
                )
            )
            return
        booked = self._booked(entry.unit)
        for day in sums:
            self._compare(day, booked.pop((day.tenant_id, day.day), None))
        for (tenant_id, day_booked), (number, found) in sorted(booked.items()):
            self._findings.add(
                Difference(
                    what="entry without rows",
                    tenant_id=tenant_id,
                    day=day_booked,
                    segment_id=entry.unit,
                    number=number,
                    expected=NOTHING,
                    seen=_told(found),
                )
            )

    def _check_files(self, entry: Entry) -> None:
        for file in entry.files:
            if file.table != "rows":
                continue
            try:
                seen = sha256_of(self._ledger.path / file.path)
            except OSError as error:
                seen = str(error.strerror)
            if seen != file.sha256:
                self._findings.add(
                    Difference(
                        what="row changed",
                        day=file.day,
                        segment_id=entry.unit,
                        expected=f"{file.path} with sha256 {file.sha256}",
                        seen=f"{seen}; `tidegate ledger verify` says more",
                    )
                )

    def _check_attempts(self, entry: Entry) -> None:
        """What providers charge for a call is what they charge for all its attempts: none is forgotten."""
        for tenant_id, day, call, of_row, of_attempts in forgotten_costs(self._engine, self._ledger.path, entry):
            self._findings.add(
                Difference(
                    what="row and attempts differ",
                    tenant_id=tenant_id,
                    day=day,
                    segment_id=entry.unit,
                    expected=f"call {call}: {of_attempts} nano-USD for its attempts",
                    seen=f"{of_row} in its row",
                )
            )

    def _booked(self, segment_id: str) -> dict[tuple[str, str], tuple[int, Booked]]:
        """Usage transactions of a segment by tenant and day: their numbers and what they say."""
        both = sa.and_(entries.c.tenant_id == transactions.c.tenant_id, entries.c.number == transactions.c.number)
        told = transactions.c
        query = (
            sa.select(
                told.tenant_id,
                told.day,
                told.number,
                told.first_seq,
                told.last_seq,
                told.row_count,
                told.unmetered_count,
                entries.c.account,
                entries.c.amount_nano_usd,
            )
            .select_from(transactions.outerjoin(entries, both))
            .where(told.segment_id == segment_id, told.kind == "usage")
            .order_by(told.tenant_id, told.number, entries.c.account)
        )
        found: dict[tuple[str, str], tuple[int, Booked]] = {}
        for tenant_id, day, number, first, last, count, unmetered, account, amount in self._connection.execute(query):
            _, before = found.get((tenant_id, day), (0, (0, 0, 0, 0, ())))
            legs = before[4] if account is None else (*before[4], (account, int(amount)))
            found[tenant_id, day] = number, (first, last, count, unmetered, legs)
        return found

    def _compare(self, day: DaySum, booked: tuple[int, Booked] | None) -> None:
        expected = booked_of(day)
        if booked is None or booked[1] != expected:
            self._findings.add(
                Difference(
                    what="rows and entries differ",
                    tenant_id=day.tenant_id,
                    day=day.day,
                    segment_id=day.rows.segment_id,
                    number=booked[0] if booked else 0,
                    expected=f"rows: {_told(expected)}",
                    seen=f"entries: {_told(booked[1]) if booked else NOTHING}",
                )
            )

    def _check_strangers(self, known: Iterable[str], sealed: set[str]) -> None:
        """Marks and transactions of segments that this ledger does not have."""
        here = sa.select(transactions.c.segment_id).where(transactions.c.ledger_id == self._ledger.ledger_id).distinct()
        booked = set(self._connection.execute(here).scalars())
        for segment_id in sorted((booked | set(known)) - sealed):
            what = sa.select(transactions).where(transactions.c.segment_id == segment_id)
            first = self._connection.execute(what.order_by(transactions.c.day)).mappings().first()
            self._findings.add(
                Difference(
                    what="entry without rows",
                    tenant_id=first["tenant_id"] if first else "",
                    day=first["day"] if first else "",
                    segment_id=segment_id,
                    number=first["number"] if first else 0,
                    expected="a segment that the ledger has",
                    seen="its manifest does not name it",
                )
            )


def booked_of(day: DaySum) -> Booked:
    """What the transaction of these rows says, worked out again from the rows."""
    sides = {
        "operator_loss": -day.lost,
        "provider_cost": -day.upstream,
        "provider_payable": day.upstream,
        "revenue": day.charged + day.lost,
        "wallet": -day.charged,
    }
    legs = tuple((account, amount) for account, amount in sides.items() if amount)
    return day.rows.first_seq, day.rows.last_seq, day.rows.count, day.rows.unmetered, legs


def _told(booked: Booked) -> str:
    first, last, count, unmetered, legs = booked
    told = ", ".join(f"{account} {amount}" for account, amount in legs) or "no amount"
    return f"{count} rows (seq {first} to {last}, {unmetered} of unknown cost): {told} nano-USD"
