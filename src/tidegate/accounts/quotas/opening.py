"""Which store hands out the quotas of an installation, as `[accounts] quota_store` says."""

from collections.abc import Mapping

from tidegate.accounts.database import Database
from tidegate.accounts.quotas.front import FrontStore
from tidegate.accounts.quotas.memory import MemoryStore
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import QuotaStore
from tidegate.core.errors import ConfigError
from tidegate.core.quota import Quota


def open_store(
    kind: str, database: Database, *, lease_s: float, redis_url: str = "", quotas: Mapping[str, Quota] | None = None
) -> QuotaStore:
    """The store of one worker process. Money comes from the database whatever `kind` says: it must outlive all else.

    kind: `database`, `memory` (rates of this process alone) or `redis`. quotas: by id, for `memory`.
    Raises ConfigError where the client of Redis is not installed.
    """
    sql = SqlStore(database, lease_s=lease_s)
    if kind == "memory":
        return FrontStore(sql, MemoryStore(quotas or {}, lease_s=lease_s))
    if kind != "redis":
        return sql
    try:
        from tidegate.accounts.quotas.pool import PoolStore
        from tidegate.accounts.quotas.pooled import PooledRates
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"accounts.quota_store is `redis`, and {error.name} is not installed: pip install 'tidegate[redis]'"
        ) from error
    return FrontStore(sql, PooledRates(PoolStore(sql, redis_url), sql))
