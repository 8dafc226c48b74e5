"""Windows and what workers hold of them: read with their rows locked, changed as values, written back together.

Rows are locked in the order of their keys, so that two workers never wait for each other in a circle.
"""

from collections.abc import Collection
from typing import Any

import msgspec
import sqlalchemy as sa

from tidegate.accounts.quotas.account import Account, Holding, Lot
from tidegate.accounts.quotas.statements import (
    INSERT_WINDOWS,
    SELECT_HOLDINGS,
    SELECT_WINDOWS,
    WRITE_HOLDINGS,
    WRITE_WINDOWS,
    parts,
    say,
)
from tidegate.core.quota import WindowKey

_LOTS = msgspec.json.Decoder(list[Lot])


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
            self._write(INSERT_WINDOWS, [(*_order(key), ends_us.get(key), 0, 0, 0, "") for key in missing])
            self._select()
        self._ends_us |= ends_us

    def read_holdings(self, worker_id: str, money: dict[WindowKey, bool]) -> None:
        """Read what a worker holds of the windows; a new holding where there is none. money: which are of money."""
        self._money |= money
        for some in parts(self._keys):
            values = [worker_id, *(value for key in some for value in _order(key))]
            for row in say(self._connection, SELECT_HOLDINGS, values, len(some)):
                quota_id, subject, start_us, granted, returned, spent, lots = row
                key = WindowKey(quota_id, subject, start_us)
                holding = Holding(granted=granted, returned=returned, spent=spent, lots=_lots(lots))
                self.holdings[worker_id, key] = holding
                self._read[worker_id, key] = msgspec.msgpack.encode(holding)
        for key in self._keys:
            self.holdings.setdefault((worker_id, key), Holding())

    def write(self) -> None:
        """Write back what changed."""
        self._write(
            WRITE_WINDOWS,
            [
                (*_order(key), self._ends_us.get(key), one.held, one.unspent, one.wanted_us, _lots_text(one.lots))
                for key, one in self.accounts.items()
                if self._is_changed(key, one)
            ],
        )
        self._write(
            WRITE_HOLDINGS,
            [
                (worker_id, *_order(key), self._money[key], one.granted, one.returned, one.spent, _lots_text(one.lots))
                for (worker_id, key), one in self.holdings.items()
                if self._is_changed((worker_id, key), one)
            ],
        )

    def _select(self) -> None:
        for some in parts(self._keys):
            values = [value for key in some for value in _order(key)]
            for row in say(self._connection, SELECT_WINDOWS, values, len(some)):
                quota_id, subject, start_us, end_us, held, unspent, wanted_us, lots = row
                account = Account(held=held, unspent=unspent, wanted_us=wanted_us, lots=_lots(lots))
                key = WindowKey(quota_id, subject, start_us)
                self.accounts[key] = account
                self._ends_us[key] = end_us
                self._read[key] = msgspec.msgpack.encode(account)

    def _write(self, text: str, rows: list[tuple[Any, ...]]) -> None:
        for some in parts(rows):
            say(self._connection, text, [value for row in some for value in row], len(some))

    def _is_changed(self, at: Any, value: Account | Holding) -> bool:
        now = msgspec.msgpack.encode(value)
        return self._read.get(at) != now and (at in self._read or value != Holding())


def _order(key: WindowKey) -> tuple[str, str, int]:
    return key.quota_id, key.subject, key.start_us


def _lots(text: str) -> list[Lot]:
    return _LOTS.decode(text) if text else []


def _lots_text(lots: list[Lot]) -> str:
    return msgspec.json.encode(lots).decode() if lots else ""
