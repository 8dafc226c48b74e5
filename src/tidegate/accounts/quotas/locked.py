"""Windows and what workers hold of them: read with their rows locked, changed as values, written back together.

Rows are locked in the order of their keys, so that two workers never wait for each other in a circle.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tidegate.accounts.quotas.account import Account, Holding, Lot
from tidegate.accounts.schema.quotas import holdings, windows
from tidegate.core.quota import WindowKey

KEYS_A_STATEMENT = 200

_LOTS = msgspec.json.Decoder(list[Lot])
_KEY = ("quota_id", "subject", "start_us")

Insert = postgresql.Insert | sqlite.Insert


class LockedWindows:
    """Some windows, locked until the transaction of `connection` ends, and the holdings that were asked for."""

    def __init__(self, connection: sa.Connection, keys: Collection[WindowKey]) -> None:
        self._connection = connection
        self._keys = sorted(set(keys), key=_order)
        self.accounts: dict[WindowKey, Account] = {}
        self.holdings: dict[tuple[str, WindowKey], Holding] = {}
        self._money: dict[WindowKey, bool] = {}
        self._ends_us: dict[WindowKey, int | None] = {}
        self._read: dict[Any, bytes] = {}  # as they were, to write only what changed

    def lock(self, ends_us: dict[WindowKey, int | None]) -> None:
        """Read the windows, and make those that nobody had before. ends_us: when each may be forgotten from now on."""
        self._select()
        if missing := [key for key in self._keys if key not in self.accounts]:
            rows = [_key_values(key) | {"end_us": ends_us.get(key)} | _account_values(Account()) for key in missing]
            statement = _insert(self._connection, windows).on_conflict_do_nothing(index_elements=list(_KEY))
            self._connection.execute(statement, rows)
            self._select()
        self._ends_us |= ends_us

    def read_holdings(self, worker_id: str, money: dict[WindowKey, bool]) -> None:
        """Read what a worker holds of the windows; a new holding where there is none. money: which are of money."""
        self._money |= money
        columns = (*_key_columns(holdings), holdings.c.granted, holdings.c.returned, holdings.c.spent, holdings.c.lots)
        for chunk in _chunks(self._keys):
            query = sa.select(*columns).where(holdings.c.worker_id == worker_id, _is_one_of(holdings, chunk))
            for quota_id, subject, start_us, granted, returned, spent, lots in self._connection.execute(query):
                key = WindowKey(quota_id, subject, start_us)
                holding = Holding(granted=granted, returned=returned, spent=spent, lots=_lots(lots))
                self.holdings[worker_id, key] = holding
                self._read[worker_id, key] = msgspec.msgpack.encode(holding)
        for key in self._keys:
            self.holdings.setdefault((worker_id, key), Holding())

    def write(self) -> None:
        """Write back what changed."""
        changed = {key: account for key, account in self.accounts.items() if self._is_changed(key, account)}
        if changed:
            update = sa.update(windows).where(_is_bound(windows, _KEY))
            update = update.values({name: sa.bindparam(name) for name in _account_values(Account())})
            update = update.values(end_us=sa.bindparam("end_us"))
            rows = [
                _bound(key) | _account_values(account) | {"end_us": self._ends_us.get(key)}
                for key, account in changed.items()
            ]
            self._connection.execute(update, rows)
        held = [(pair, holding) for pair, holding in self.holdings.items() if self._is_changed(pair, holding)]
        if held:
            insert = _insert(self._connection, holdings)
            upsert = insert.on_conflict_do_update(
                index_elements=["worker_id", *_KEY],
                set_={name: insert.excluded[name] for name in ("granted", "returned", "spent", "lots")},
            )
            self._connection.execute(upsert, [self._holding_values(*pair, holding) for pair, holding in held])

    def _select(self) -> None:
        table = windows.c
        columns = (*_key_columns(windows), table.end_us, table.held, table.unspent, table.wanted_us, table.lots)
        for chunk in _chunks(self._keys):
            query = sa.select(*columns).where(_is_one_of(windows, chunk)).order_by(*_key_columns(windows))
            found = self._connection.execute(query.with_for_update())
            for quota_id, subject, start_us, end_us, held, unspent, wanted_us, lots in found:
                account = Account(held=held, unspent=unspent, wanted_us=wanted_us, lots=_lots(lots))
                key = WindowKey(quota_id, subject, start_us)
                self.accounts[key] = account
                self._ends_us[key] = end_us
                self._read[key] = msgspec.msgpack.encode(account)

    def _is_changed(self, at: Any, value: Account | Holding) -> bool:
        now = msgspec.msgpack.encode(value)
        return self._read.get(at) != now and (at in self._read or value != Holding())

    def _holding_values(self, worker_id: str, key: WindowKey, holding: Holding) -> dict[str, Any]:
        return _key_values(key) | {
            "worker_id": worker_id,
            "is_money": self._money[key],
            "granted": holding.granted,
            "returned": holding.returned,
            "spent": holding.spent,
            "lots": _lots_text(holding.lots),
        }


def _order(key: WindowKey) -> tuple[str, str, int]:
    return key.quota_id, key.subject, key.start_us


def _chunks(keys: Sequence[WindowKey]) -> Iterator[Sequence[WindowKey]]:
    for first in range(0, len(keys), KEYS_A_STATEMENT):
        yield keys[first : first + KEYS_A_STATEMENT]


def _key_columns(table: sa.Table) -> list[sa.Column[Any]]:
    return [table.c[name] for name in _KEY]


def _key_values(key: WindowKey) -> dict[str, Any]:
    return {"quota_id": key.quota_id, "subject": key.subject, "start_us": key.start_us}


def _account_values(account: Account) -> dict[str, Any]:
    return {
        "held": account.held,
        "unspent": account.unspent,
        "wanted_us": account.wanted_us,
        "lots": _lots_text(account.lots),
    }


def _is_one_of(table: sa.Table, keys: Sequence[WindowKey]) -> sa.ColumnElement[bool]:
    return sa.tuple_(*_key_columns(table)).in_([_order(key) for key in keys])


def _is_bound(table: sa.Table, names: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == sa.bindparam(f"at_{name}") for name in names))


def _bound(key: WindowKey) -> dict[str, Any]:
    return {f"at_{name}": value for name, value in _key_values(key).items()}


def _insert(connection: sa.Connection, table: sa.Table) -> Insert:
    """With ON CONFLICT, which both engines have and the portable statement has not."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _lots(text: str) -> list[Lot]:
    return _LOTS.decode(text) if text else []


def _lots_text(lots: list[Lot]) -> str:
    return msgspec.json.encode(lots).decode() if lots else ""
