"""What a worker's life spent of each money quota, from its rows; and letting it hold exactly that.

A row counts in a window where its tenant and the quota's subject are its own and it arrived inside the window. Of a
wallet every such row counts. Of other quotas no more counts than the worker held: calls beyond that were made before
the quota was. Rows do not say the caller's network: of a quota on networks the life's rows of its tenant are an upper
bound, and that much stays spent.
"""

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.entries import chunks
from tidegate.accounts.books.lives import Life
from tidegate.accounts.books.sums import query
from tidegate.accounts.books.wallets import list_wallets
from tidegate.accounts.database import Database
from tidegate.accounts.quotas.account import Holding
from tidegate.accounts.quotas.upkeep import money_of, settle_worker
from tidegate.accounts.quotas.windows import window_end_us
from tidegate.accounts.schema.books import wallets
from tidegate.accounts.schema.quotas import holdings, quotas, workers
from tidegate.core.quota import Quota, Scope, WindowKey
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.schema import files_select
from tidegate.ledger.store import Ledger

if TYPE_CHECKING:
    import duckdb

COLUMN_OF: Final[dict[Scope, str | None]] = {
    "tenant": None,
    "project": "rows.project_id",
    "key": "rows.key_id",
    "user": "rows.user_hash",
    "model": "rows.response_model || COALESCE(':' || NULLIF(rows.model_variant, ''), '')",
    "endpoint": "rows.endpoint_id",
    "network": None,
}
"""SQL of where a row names the subject of a quota; None: by its tenant alone."""

FILES_A_QUERY: Final = 500
END_US: Final = 2**63 - 1


class Reclaimed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one life's holdings of money, in nano-USD: what it held, and what its rows say it spent."""

    worker_id: str
    rows: int
    held_nano_usd: int
    spent_nano_usd: int


class _Window(msgspec.Struct, frozen=True, kw_only=True):
    """One window, and the rows that count in it."""

    key: WindowKey
    tenant_id: str
    scope: Scope
    from_us: int
    until_us: int
    is_wallet: bool = False


def reclaim(database: Database, ledger: Ledger, lives: Sequence[Life]) -> list[Reclaimed]:
    """Settle what lives that are over hold. A crash in between: the next run goes on with the rest."""
    if not lives:
        return []
    with contextlib.closing(open_engine()) as engine:
        done = (_reclaim_one(database, ledger, engine, life) for life in lives)
        return [one for one in done if one is not None]


def _reclaim_one(
    database: Database, ledger: Ledger, engine: "duckdb.DuckDBPyConnection", life: Life
) -> Reclaimed | None:
    """None where another run was faster."""
    with database.reading() as connection:
        held = money_of(connection, life.worker_id)
        limits = quotas_of(connection, {key.quota_id for key in held})
    sources = list(_sources(ledger, life))
    tenants = _tenants(engine, sources, life.worker_id)
    with database.reading() as connection:
        found = [_window(limits[key.quota_id], key) for key in held if key.quota_id in limits]
        found += _wallet_windows(connection, sorted(tenants))
    windows = list({window.key: window for window in found}.values())
    seen = _spent(engine, sources, windows, life.worker_id)
    spent = {window.key: _counted(window, held.get(window.key), seen.get(window.key, 0)) for window in windows}
    with database.writing() as connection:
        here = workers.c.worker_id == life.worker_id
        if connection.execute(sa.select(workers.c.settled_us).where(here).with_for_update()).scalar() is not None:
            return None
        settle_worker(connection, life.worker_id, spent, time.time_ns() // 1000)
        mine = holdings.c.worker_id == life.worker_id
        connection.execute(sa.delete(holdings).where(mine, holdings.c.is_money))
    return Reclaimed(
        worker_id=life.worker_id,
        rows=sum(tenants.values()),
        held_nano_usd=sum(holding.granted - holding.returned for holding in held.values()),
        spent_nano_usd=sum(spent.values()),
    )


def _window(quota: Quota, key: WindowKey) -> _Window:
    """Rolling windows and lifetimes begin at 0: all rows of the life count, and what is old is forgotten by itself."""
    until = None if quota.is_rolling else window_end_us(quota.window, key.start_us, quota.timezone)
    return _Window(
        key=key,
        tenant_id=quota.tenant_id,
        scope=quota.scope,
        from_us=key.start_us,
        until_us=END_US if until is None else until,
        is_wallet=quota.is_wallet,
    )


def _wallet_windows(connection: sa.Connection, tenants: Sequence[str]) -> list[_Window]:
    """Wallets as windows that begin when they became prepaid; also those of which the life held nothing."""
    return [
        _Window(
            key=WindowKey(wallet.quota_id, wallet.tenant_id, 0),
            tenant_id=wallet.tenant_id,
            scope="tenant",
            from_us=wallet.prepaid_since_us,
            until_us=END_US,
            is_wallet=True,
        )
        for chunk in chunks(tenants)
        for wallet in list_wallets(connection, wallets.c.tenant_id.in_(chunk))
        if wallet.quota_id is not None and wallet.prepaid_since_us is not None
    ]


def _counted(window: _Window, holding: Holding | None, seen: int) -> int:
    if window.is_wallet:
        return seen
    held = holding.granted - holding.returned if holding else 0
    return min(seen, held)


def _sources(ledger: Ledger, life: Life) -> Iterator[str]:
    """SQL of the life's rows, so many files at a time."""
    paths = [str(ledger.path / file.path) for entry in life.segments for file in entry.files if file.table == "rows"]
    for start in range(0, len(paths), FILES_A_QUERY):
        yield files_select("rows", paths[start : start + FILES_A_QUERY])


def _tenants(engine: "duckdb.DuckDBPyConnection", sources: Sequence[str], unit: str) -> dict[str, int]:
    """Rows of the life by tenant."""
    found: dict[str, int] = {}
    for source in sources:
        text = f"SELECT COALESCE(tenant_id, ''), count(*) FROM ({source}) GROUP BY ALL"
        for tenant_id, count in query(engine, text, unit):
            found[tenant_id] = found.get(tenant_id, 0) + count
    return found


def _spent(
    engine: "duckdb.DuckDBPyConnection", sources: Sequence[str], windows: Sequence[_Window], unit: str
) -> Mapping[WindowKey, int]:
    """What the life's rows were charged, by window."""
    found: dict[WindowKey, int] = {}
    for scope, column in COLUMN_OF.items():
        own = [window for window in windows if window.scope == scope]
        if not own:
            continue
        lists = (
            list(range(len(own))),
            [window.tenant_id for window in own],
            [window.key.subject for window in own],
            [window.from_us for window in own],
            [window.until_us for window in own],
        )
        engine.execute(
            "CREATE OR REPLACE TEMP TABLE wanted AS SELECT unnest(?::BIGINT[]) AS no, unnest(?::VARCHAR[]) AS tenant, "
            "unnest(?::VARCHAR[]) AS subject, unnest(?::BIGINT[]) AS from_us, unnest(?::BIGINT[]) AS until_us",
            lists,
        )
        same = f" AND {column} = wanted.subject" if column else ""
        for source in sources:
            text = (
                "SELECT no, CAST(COALESCE(sum(cost_nano_usd), 0) AS HUGEINT) FROM wanted "
                f"JOIN ({source}) AS rows ON COALESCE(rows.tenant_id, '') = wanted.tenant{same} "
                "AND rows.ts >= wanted.from_us AND rows.ts < wanted.until_us GROUP BY no"
            )
            for number, amount in query(engine, text, unit):
                key = own[number].key
                found[key] = found.get(key, 0) + int(amount)
    return found


def quotas_of(connection: sa.Connection, quota_ids: Collection[str]) -> dict[str, Quota]:
    """Quotas by id, removed ones too."""
    columns = [quotas.c[name] for name in Quota.__struct_fields__]
    return {
        row["quota_id"]: Quota(**row)
        for chunk in chunks(sorted(quota_ids))
        for row in connection.execute(sa.select(*columns).where(quotas.c.quota_id.in_(chunk))).mappings()
    }
