"""What an exchange says to its database, as text that is made once: workers say it some times a second, for ever.

SQLAlchemy would make each statement anew, which took ten times what the database needs for it; and sqlite3 lets go of
the interpreter once a row, so rows are few and many values go with one statement. `?` stands for a value, in the words
of both engines.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import sqlalchemy as sa

KEYS_MAX: Final = 100  # in one statement: with nine values each, fewer than any SQLite takes

SQLITE_CLOCK: Final = "CAST((julianday('now') - 2440587.5) * 86400000000 AS BIGINT)"
SERVER_CLOCK: Final = "CAST(EXTRACT(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"

QUOTA_COLUMNS: Final = (
    'quota_id, tenant_id, scope, subject, unit, "window", "limit", is_rolling, timezone, is_wallet, name'
)
SELECT_QUOTAS: Final = f"SELECT {QUOTA_COLUMNS} FROM quotas WHERE quota_id IN (KEYS) ORDER BY quota_id"
SELECT_WINDOWS: Final = (
    "SELECT quota_id, subject, start_us, end_us, held, unspent, wanted_us, lots FROM quota_windows "
    "WHERE (quota_id, subject, start_us) IN (KEYS) ORDER BY quota_id, subject, start_us"
)
SELECT_HOLDINGS: Final = (
    "SELECT quota_id, subject, start_us, granted, returned, spent, lots FROM quota_holdings "
    "WHERE worker_id = ? AND (quota_id, subject, start_us) IN (KEYS)"
)
INSERT_WINDOWS: Final = (
    "INSERT INTO quota_windows (quota_id, subject, start_us, end_us, held, unspent, wanted_us, lots) VALUES KEYS "
    "ON CONFLICT (quota_id, subject, start_us) DO NOTHING"
)
WRITE_WINDOWS: Final = (
    "INSERT INTO quota_windows (quota_id, subject, start_us, end_us, held, unspent, wanted_us, lots) VALUES KEYS "
    "ON CONFLICT (quota_id, subject, start_us) DO UPDATE SET end_us = excluded.end_us, held = excluded.held, "
    "unspent = excluded.unspent, wanted_us = excluded.wanted_us, lots = excluded.lots"
)
WRITE_HOLDINGS: Final = (
    "INSERT INTO quota_holdings (worker_id, quota_id, subject, start_us, is_money, granted, returned, spent, lots) "
    "VALUES KEYS ON CONFLICT (worker_id, quota_id, subject, start_us) DO UPDATE SET granted = excluded.granted, "
    "returned = excluded.returned, spent = excluded.spent, lots = excluded.lots"
)
SEEN: Final = (
    "UPDATE quota_workers SET seen_us = CLOCK, ended_us = NULL, left_us = NULL WHERE worker_id = ? RETURNING seen_us"
)
SEEN_AT: Final = SEEN.replace("CLOCK", "?")
NOW: Final = "SELECT CLOCK"
WORKERS_NOW: Final = (
    "SELECT COALESCE(SUM(CASE WHEN seen_us >= ? AND left_us IS NULL THEN 1 ELSE 0 END), 0), "
    "COALESCE(SUM(CASE WHEN (seen_us < ? OR seen_us > ?) AND left_us IS NULL AND ended_us IS NULL AND worker_id <> ? "
    "THEN 1 ELSE 0 END), 0) FROM quota_workers"
)

T = TypeVar("T")


def say(connection: sa.Connection, text: str, values: Sequence[Any], keys: int = 0) -> Any:
    """Execute one of these; its cursor. keys: how many KEYS are in it, each of as many values, which come last."""
    is_sqlite = connection.dialect.name == "sqlite"
    width = (len(values) - text.count("?")) // keys if keys else 0
    return connection.exec_driver_sql(_worded(text, is_sqlite, keys, width), tuple(values))


def parts(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    """So many keys at one time as a statement may have."""
    for first in range(0, len(keys), KEYS_MAX):
        yield keys[first : first + KEYS_MAX]


@lru_cache(maxsize=1024)
def _worded(text: str, is_sqlite: bool, keys: int, width: int) -> str:
    """The statement as its engine wants it. On PostgreSQL what is selected to be changed is locked as well."""
    one = "?" if width == 1 else f"({', '.join('?' * width)})"
    listed = ", ".join([one] * keys)
    if is_sqlite and width > 1 and "IN (KEYS)" in text:
        listed = f"VALUES {listed}"
    text = text.replace("KEYS", listed).replace("CLOCK", SQLITE_CLOCK if is_sqlite else SERVER_CLOCK)
    if is_sqlite:
        return text
    if "FROM quotas " in text:
        text += " FOR SHARE"
    elif "FROM quota_windows " in text:
        text += " FOR UPDATE"
    return text.replace("?", "%s")
