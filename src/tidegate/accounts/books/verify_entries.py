"""Every tenant's chain of transactions against itself, and balances, wallets and quotas against the chain."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.difference import Difference, Findings, What
from tidegate.accounts.books.entries import CHUNK, posting_of
from tidegate.accounts.books.posting import Leg, digest_of
from tidegate.accounts.books.wallets import Wallet, list_wallets
from tidegate.accounts.schema.books import balances, entries, transactions, usage_days, wallets
from tidegate.accounts.schema.quotas import holdings, quotas, windows, workers
from tidegate.core.errors import AccountsError

_SAME: Final = sa.and_(entries.c.tenant_id == transactions.c.tenant_id, entries.c.number == transactions.c.number)
BATCH: Final = 2000
ORPHANS_MAX: Final = 20


Sums = dict[tuple[str, ...], tuple[int, int]]
"""(amount, count) by account and day, or by day."""


class _Chain(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant's transactions come to. `moved`: by account and day; `used`: charge and calls by day."""

    tenant_id: str
    number: int
    digest: str
    moved: Sums
    used: Sums
    credited: int

    @property
    def balance(self) -> int:
        return sum(amount for (account, _), (amount, _) in self.moved.items() if account == "wallet")


class EntryChecker:
    """Checks all tenants. `transactions`: how many were read; `others`: usage of other ledgers among them."""

    def __init__(self, connection: sa.Connection, ledger_id: str, findings: Findings) -> None:
        self._connection, self._ledger_id, self._findings = connection, ledger_id, findings
        self.transactions = 0
        self.others = 0

    def check(self) -> None:
        batch: list[_Chain] = []
        for tenant_id, rows in groupby(self._joined(), key=lambda row: row["tenant_id"]):
            batch.append(self._read_chain(tenant_id, rows))
            if len(batch) == CHUNK:
                self._compare(batch)
                batch.clear()
        self._compare(batch)
        self._check_headless()
        self._check_orphans()

    def _joined(self) -> Iterator[dict[str, Any]]:
        """Transactions with their legs, one a row, in the order of the chains."""
        query = (
            sa.select(transactions, entries.c.account, entries.c.amount_nano_usd)
            .select_from(transactions.outerjoin(entries, _SAME))
            .order_by(transactions.c.tenant_id, transactions.c.number, entries.c.account)
        )
        for row in self._connection.execute(query.execution_options(yield_per=BATCH)).mappings():
            yield dict(row)

    def _read_chain(self, tenant_id: str, rows: Iterator[dict[str, Any]]) -> _Chain:
        moved: Sums = {}
        used: Sums = {}
        number, digest, credited = 0, "", 0
        for _, sides in groupby(rows, key=lambda row: row["number"]):
            parts = list(sides)
            first = parts[0]
            legs = tuple(Leg(part["account"], part["amount_nano_usd"]) for part in parts if part["account"] is not None)
            self._check_one(first, legs, number, digest)
            number, digest = first["number"], first["digest"]
            for leg in legs:
                _add(moved, (leg.account, first["day"]), leg.amount_nano_usd, 1)
            wallet = sum(leg.amount_nano_usd for leg in legs if leg.account == "wallet")
            if first["kind"] == "usage":
                _add(used, (first["day"],), -wallet, first["row_count"] or 0)
            else:
                credited += wallet
        return _Chain(tenant_id=tenant_id, number=number, digest=digest, moved=moved, used=used, credited=credited)

    def _check_one(self, row: dict[str, Any], legs: tuple[Leg, ...], before: int, digest: str) -> None:
        """A transaction's number, legs and digest."""
        self.transactions += 1
        self.others += row["kind"] == "usage" and row["ledger_id"] != self._ledger_id
        if row["number"] != before + 1:
            seen = f"no. {before} is followed by no. {row['number']}"
            self._add("entry missing", row["tenant_id"], before + 1, f"no. {before + 1}", seen, day=row["day"])
            return  # its digest names the one that is missing
        about = {"day": row["day"], "segment_id": row["segment_id"] or ""}
        try:
            content = {name: value for name, value in row.items() if name not in ("account", "amount_nano_usd")}
            found = digest_of(digest, row["number"], posting_of(content, legs))
        except (AccountsError, msgspec.MsgspecError) as error:
            expected = "a transaction that balances"
            self._add("entry changed", row["tenant_id"], row["number"], expected, str(error), **about)
            return
        if found != row["digest"]:
            told = ", ".join(f"{leg.account} {leg.amount_nano_usd}" for leg in legs) or "no amount"
            seen = f"{row['kind']} {row['reference']!r} with {told} nano-USD, digest {found[:16]}"
            self._add("entry changed", row["tenant_id"], row["number"], f"digest {row['digest'][:16]}", seen, **about)

    def _compare(self, chains: Sequence[_Chain]) -> None:
        """Chains with what follows from them, so many tenants a query."""
        tenants = [chain.tenant_id for chain in chains]
        stored = {
            wallet.tenant_id: wallet for wallet in list_wallets(self._connection, wallets.c.tenant_id.in_(tenants))
        }
        limits = self._limits([wallet.quota_id for wallet in stored.values() if wallet.quota_id])
        digests = self._digests(tenants)
        told = balances.c
        moved = self._sums(tenants, balances, (told.account, told.day), (told.amount_nano_usd, told.entry_count))
        days = usage_days.c
        used = self._sums(tenants, usage_days, (days.day,), (days.charged_nano_usd, days.calls))
        for chain in chains:
            wallet = stored.get(chain.tenant_id, Wallet(tenant_id=chain.tenant_id))
            self._check_head(chain, wallet.last_number, digests.get(chain.tenant_id, ""))
            self._check_sums("balance changed", chain.tenant_id, chain.moved, moved.get(chain.tenant_id, {}))
            self._check_sums("usage sum changed", chain.tenant_id, chain.used, used.get(chain.tenant_id, {}))
            self._check_wallet(chain, wallet)
            if wallet.quota_id and limits.get(wallet.quota_id) != wallet.limit_nano_usd:
                seen = str(limits.get(wallet.quota_id, "no quota"))
                expected = f"quota {wallet.quota_id} limits {wallet.limit_nano_usd} nano-USD"
                self._add("limit changed", chain.tenant_id, 0, expected, seen)

    def _sums(
        self,
        tenants: Sequence[str],
        table: sa.Table,
        keys: tuple[sa.Column[Any], ...],
        values: tuple[sa.Column[Any], sa.Column[Any]],
    ) -> dict[str, Sums]:
        """A table's two values, added up by tenant and keys."""
        query = (
            sa.select(table.c.tenant_id, *keys, *(sa.func.sum(value) for value in values))
            .where(table.c.tenant_id.in_(tenants))
            .group_by(table.c.tenant_id, *keys)
        )
        found: dict[str, Sums] = {}
        for tenant_id, *cells in self._connection.execute(query):
            found.setdefault(tenant_id, {})[tuple(cells[:-2])] = int(cells[-2]), int(cells[-1])
        return found

    def _limits(self, quota_ids: Sequence[str]) -> dict[str, int]:
        query = sa.select(quotas.c.quota_id, quotas.c.limit)
        found = self._connection.execute(query.where(quotas.c.quota_id.in_(quota_ids), quotas.c.removed_us.is_(None)))
        return {quota_id: int(limit) for quota_id, limit in found}

    def _digests(self, tenants: Sequence[str]) -> dict[str, str]:
        query = sa.select(wallets.c.tenant_id, wallets.c.last_digest).where(wallets.c.tenant_id.in_(tenants))
        return {tenant_id: str(digest) for tenant_id, digest in self._connection.execute(query)}

    def _check_head(self, chain: _Chain, last: int, newest: str) -> None:
        if last > chain.number:
            expected, seen = f"no. {last} is the newest", f"no. {chain.number} is"
            self._add("entry missing", chain.tenant_id, chain.number + 1, expected, seen)
        elif (last, newest) != (chain.number, chain.digest):
            expected = f"no. {chain.number} with digest {chain.digest[:16]} is the newest"
            self._add("wallet changed", chain.tenant_id, chain.number, expected, f"no. {last} with {newest[:16]}")

    def _check_sums(self, what: What, tenant_id: str, expected: Sums, stored: Sums) -> None:
        for key in sorted(set(stored) | set(expected), key=lambda key: key[::-1]):
            wanted, seen = expected.get(key, (0, 0)), stored.get(key, (0, 0))
            if wanted != seen:
                name = f"{key[0]}: " if len(key) > 1 else "charged: "
                counted = "entries" if len(key) > 1 else "calls"
                told = [f"{name}{amount} nano-USD in {count} {counted}" for amount, count in (wanted, seen)]
                self._add(what, tenant_id, 0, told[0], told[1], day=key[-1])

    def _check_wallet(self, chain: _Chain, wallet: Wallet) -> None:
        expected = f"balance {chain.balance}, credits {chain.credited} nano-USD"
        seen = f"balance {wallet.balance_nano_usd}, credits {wallet.credits_nano_usd} nano-USD"
        if expected != seen:
            self._add("wallet changed", chain.tenant_id, 0, expected, seen)

    def _check_headless(self) -> None:
        """Wallets, balances and usage sums of tenants that have no transaction at all."""
        for table in (wallets, balances, usage_days):
            none = ~sa.exists().where(transactions.c.tenant_id == table.c.tenant_id)
            query = sa.select(table.c.tenant_id).where(none).distinct().limit(ORPHANS_MAX)
            if table is wallets:
                query = query.where(wallets.c.last_number > 0)
            for tenant_id in self._connection.execute(query).scalars():
                self._add("entry missing", tenant_id, 1, f"transactions, as {table.name} has it", "none")

    def _check_orphans(self) -> None:
        """Entries that belong to no transaction."""
        lost = sa.select(entries).select_from(entries.outerjoin(transactions, _SAME))
        for row in self._connection.execute(lost.where(transactions.c.number.is_(None)).limit(ORPHANS_MAX)).mappings():
            seen = f"{row['account']} {row['amount_nano_usd']} nano-USD"
            self._add("entry missing", row["tenant_id"], row["number"], f"transaction no. {row['number']}", seen)

    def _add(self, what: What, tenant_id: str, number: int, expected: str, seen: str, **about: str) -> None:
        found = Difference(what=what, tenant_id=tenant_id, number=number, expected=expected, seen=seen, **about)
        self._findings.add(found)


def _add(sums: Sums, key: tuple[str, ...], amount: int, count: int) -> None:
    before = sums.get(key, (0, 0))
    sums[key] = before[0] + amount, before[1] + count


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
