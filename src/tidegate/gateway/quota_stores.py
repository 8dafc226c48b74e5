"""Which quota store a worker leases from, as `[accounts] quota_store` says."""

from collections.abc import Callable

from tidegate.accounts.database import open_database, url_in
from tidegate.accounts.quotas.book import QuotaBook
from tidegate.accounts.quotas.opening import open_store
from tidegate.accounts.quotas.store import QuotaStore
from tidegate.config import Config


def store_maker(config: Config, book: QuotaBook) -> Callable[[], QuotaStore]:
    """What opens the store, in the thread that will use it. book: the worker's own, for the store in its memory."""
    accounts = config.accounts

    def make() -> QuotaStore:
        database = open_database(accounts.database_url or url_in(config.home_path))
        return open_store(
            accounts.quota_store, database, lease_s=accounts.lease_s, redis_url=accounts.redis_url, quotas=book.by_id
        )

    return make
