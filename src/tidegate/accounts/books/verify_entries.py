"""Every tenant's chain of transactions against itself, and balances, wallets and quotas against the chain."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.difference import Difference, Findings
from tidegate.accounts.books.entries import posting_of
from tidegate.accounts.books.posting import Leg, digest_of
from tidegate.accounts.books.wallets import Wallet, list_wallets
from tidegate.accounts.schema.books import balances, entries, transactions, usage_days, wallets
from tidegate.accounts.schema.quotas import holdings, quotas, windows, workers
from tidegate.core.errors import AccountsError

BATCH: Final = 2000
ORPHANS_MAX: Final = 20


class EntryChecker:
    """Checks all tenants. `transactions`: how many were read; `others`: usage of other ledgers among them."""

    def __init__(self, connection: sa.Connection, ledger_id: str, findings: Findings) -> None:
        self._connection, self._ledger_id, self._findings = connection, ledger_id, findings
        self.transactions = 0
        self.others = 0
        self._heads = {wallet[0]: (wallet[1], wallet[2]) for wallet in self._read_heads()}

    def _read_heads(self) -> list[Any]:
        query = sa.select(wallets.c.tenant_id, wallets.c.last_number, wallets.c.last_digest)
        return list(self._connection.execute(query).all())

    def check(self) -> None:
        for tenant_id, rows in groupby(self._joined(), key=lambda row: row["tenant_id"]):
            self._check_tenant(tenant_id, rows)
        for tenant_id, (number, _) in sorted(self._heads.items()):
            if number:
                self._add("entry missing", tenant_id, 1, f"{number} transactions", "none")
        self._check_orphans()

    def _joined(self) -> Iterator[dict[str, Any]]:
        """Transactions with their legs, one a row, in the order of the chains."""
        both = sa.and_(entries.c.tenant_id == transactions.c.tenant_id, entries.c.number == transactions.c.number)
        query = (
            sa.select(transactions, entries.c.account, entries.c.amount_nano_usd)
            .select_from(transactions.outerjoin(entries, both))
            .order_by(transactions.c.tenant_id, transactions.c.number, entries.c.account)
        )
        for row in self._connection.execute(query.execution_options(yield_per=BATCH)).mappings():
            yield dict(row)

    def _check_tenant(self, tenant_id: str, rows: Iterator[dict[str, Any]]) -> None:
        moved: Counter[tuple[str, str]] = Counter()
        used: Counter[str] = Counter()
        calls: Counter[str] = Counter()
        counted: Counter[tuple[str, str]] = Counter()
        number, digest, credited = 0, "", 0
        for _, sides in groupby(rows, key=lambda row: row["number"]):
            parts = list(sides)
            first = parts[0]
            legs = tuple(Leg(part["account"], part["amount_nano_usd"]) for part in parts if part["account"] is not None)
            self._check_one(first, legs, number, digest)
            number, digest = first["number"], first["digest"]
            for leg in legs:
                moved[leg.account, first["day"]] += leg.amount_nano_usd
                counted[leg.account, first["day"]] += 1
            wallet = sum(leg.amount_nano_usd for leg in legs if leg.account == "wallet")
            if first["kind"] == "usage":
                used[first["day"]] -= wallet
                calls[first["day"]] += first["row_count"] or 0
            else:
                credited += wallet
        self._check_head(tenant_id, number, digest)
        self._check_balances(tenant_id, moved, counted)
        self._check_usage(tenant_id, used, calls)
        balance = sum(amount for (account, _), amount in moved.items() if account == "wallet")
        self._check_wallet(tenant_id, balance, credited)

    def _check_one(self, row: dict[str, Any], legs: tuple[Leg, ...], before: int, digest: str) -> None:
        """A transaction's number, legs and digest."""
        self.transactions += 1
        self.others += row["kind"] == "usage" and row["ledger_id"] != self._ledger_id
        if row["number"] != before + 1:
            seen = f"no. {before} is followed by no. {row['number']}"
            self._add("entry missing", row["tenant_id"], before + 1, f"no. {before + 1}", seen, row["day"])
            return  # its digest names the one that is missing
        about = {"day": row["day"], "segment_id": row["segment_id"] or ""}
        try:
            content = {name: value for name, value in row.items() if name not in ("account", "amount_nano_usd")}
            found = digest_of(digest, row["number"], posting_of(content, legs))
        except (AccountsError, msgspec.MsgspecError) as error:
            self._add(
                "entry changed", row["tenant_id"], row["number"], "a transaction that balances", str(error), **about
            )
            return
        if found != row["digest"]:
            told = ", ".join(f"{leg.account} {leg.amount_nano_usd}" for leg in legs) or "no amount"
            seen = f"{row['kind']} {row['reference']!r} with {told} nano-USD, digest {found[:16]}"
            self._add("entry changed", row["tenant_id"], row["number"], f"digest {row['digest'][:16]}", seen, **about)

    def _check_head(self, tenant_id: str, number: int, digest: str) -> None:
        last, newest = self._heads.pop(tenant_id, (0, ""))
        if last > number:
            self._add("entry missing", tenant_id, number + 1, f"no. {last} is the newest", f"no. {number} is")
        elif (last, newest) != (number, digest):
            expected = f"no. {number} with digest {digest[:16]} is the newest"
            self._add("wallet changed", tenant_id, number, expected, f"no. {last} with {newest[:16]}")

    def _check_balances(
        self, tenant_id: str, moved: "Counter[tuple[str, str]]", counted: "Counter[tuple[str, str]]"
    ) -> None:
        query = sa.select(balances.c.account, balances.c.day, balances.c.amount_nano_usd, balances.c.entry_count)
        stored = {
            (account, day): (amount, count)
            for account, day, amount, count in self._connection.execute(query.where(balances.c.tenant_id == tenant_id))
        }
        for key in sorted(set(stored) | set(moved), key=lambda key: (key[1], key[0])):
            expected, seen = (moved[key], counted[key]), stored.get(key, (0, 0))
            if expected != seen:
                told = [f"{key[0]} {amount} nano-USD in {count} entries" for amount, count in (expected, seen)]
                self._add("balance changed", tenant_id, 0, told[0], told[1], key[1])

    def _check_usage(self, tenant_id: str, used: "Counter[str]", calls: "Counter[str]") -> None:
        days = usage_days.c
        query = sa.select(days.day, sa.func.sum(days.charged_nano_usd), sa.func.sum(days.calls)).group_by(days.day)
        found = self._connection.execute(query.where(days.tenant_id == tenant_id))
        stored = {day: (int(amount), int(count)) for day, amount, count in found}
        for day in sorted(set(stored) | set(calls)):
            expected, seen = (used[day], calls[day]), stored.get(day, (0, 0))
            if expected != seen:
                told = [f"{count} calls, {amount} nano-USD charged" for amount, count in (expected, seen)]
                self._add("usage sum changed", tenant_id, 0, told[0], told[1], day)

    def _check_wallet(self, tenant_id: str, balance: int, credited: int) -> None:
        for wallet in list_wallets(self._connection, wallets.c.tenant_id == tenant_id):
            expected = f"balance {balance}, credits {credited} nano-USD"
            seen = f"balance {wallet.balance_nano_usd}, credits {wallet.credits_nano_usd} nano-USD"
            if expected != seen:
                self._add("wallet changed", tenant_id, 0, expected, seen)
            if wallet.quota_id:
                self._check_limit(wallet)

    def _check_limit(self, wallet: Wallet) -> None:
        query = sa.select(quotas.c.limit).where(quotas.c.quota_id == wallet.quota_id, quotas.c.removed_us.is_(None))
        limit = self._connection.execute(query).scalar()
        if limit != wallet.limit_nano_usd:
            expected = f"quota {wallet.quota_id} limits {wallet.limit_nano_usd} nano-USD"
            self._add("limit changed", wallet.tenant_id, 0, expected, "no quota" if limit is None else str(limit))

    def _check_orphans(self) -> None:
        """Entries that belong to no transaction."""
        both = sa.and_(entries.c.tenant_id == transactions.c.tenant_id, entries.c.number == transactions.c.number)
        lost = (
            sa.select(entries).select_from(entries.outerjoin(transactions, both)).where(transactions.c.number.is_(None))
        )
        for row in self._connection.execute(lost.limit(ORPHANS_MAX)).mappings():
            seen = f"{row['account']} {row['amount_nano_usd']} nano-USD"
            self._add("entry missing", row["tenant_id"], row["number"], f"transaction no. {row['number']}", seen)

    def _add(self, what: Any, tenant_id: str, number: int, expected: str, seen: str, *day: str, **about: str) -> None:
        place = {"day": day[0]} if day else about
        self._findings.add(
            Difference(what=what, tenant_id=tenant_id, number=number, expected=expected, seen=seen, **place)
        )


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The newest transaction of a tenant as a statement once told it: its number, and its digest or the start of it."""

    tenant_id: str
    number: int
    digest: str


def check_heads(connection: sa.Connection, heads: Iterable[Head], findings: Findings) -> None:
    """What tenants were told of their chains is what the chains still are."""
    for head in heads:
        here = sa.and_(transactions.c.tenant_id == head.tenant_id, transactions.c.number == head.number)
        digest = connection.execute(sa.select(transactions.c.digest).where(here)).scalar()
        if digest is None or not digest.startswith(head.digest):
            findings.add(
                Difference(
                    what="entry missing" if digest is None else "entry changed",
                    tenant_id=head.tenant_id,
                    number=head.number,
                    expected=f"digest {head.digest}, as a statement told",
                    seen=digest or "no such transaction",
                )
            )


def check_held(connection: sa.Connection, findings: Findings) -> int:
    """Once no worker's holdings wait for settlement, each wallet's quota holds what its rows say. How many wait."""
    is_open = workers.c.settled_us.is_(None)
    held_by_some = sa.select(holdings.c.worker_id).where(holdings.c.is_money)
    waiting = int(
        connection.execute(
            sa.select(sa.func.count()).select_from(workers).where(is_open | workers.c.worker_id.in_(held_by_some))
        ).scalar_one()
    )
    if waiting:
        return waiting
    query = sa.select(windows.c.quota_id, sa.func.sum(windows.c.held)).group_by(windows.c.quota_id)
    held = {quota_id: int(amount) for quota_id, amount in connection.execute(query)}
    for wallet in list_wallets(connection, wallets.c.quota_id.is_not(None)):
        used = wallet.credits_nano_usd - wallet.balance_nano_usd - wallet.before_nano_usd
        seen = held.get(wallet.quota_id or "", 0)
        if seen != used:
            findings.add(
                Difference(
                    what="held differs",
                    tenant_id=wallet.tenant_id,
                    expected=f"rows since the wallet is prepaid: {used} nano-USD",
                    seen=f"quota {wallet.quota_id} holds {seen}",
                )
            )
    return 0
