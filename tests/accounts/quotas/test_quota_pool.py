"""Rates from Redis or Valkey: one worker to the database, however many it serves; lost without overspending."""

import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa

from rig.stores import Valkey, start_valkey
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.quotas.front import FrontStore
from tidegate.accounts.quotas.pool import PoolStore
from tidegate.accounts.quotas.pooled import PooledRates
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.accounts.quotas.table import set_quota
from tidegate.accounts.schema.quotas import holdings
from tidegate.core.errors import QuotaStoreError
from tidegate.core.quota import LeaseAnswer, LeaseAsk, Quota, WindowKey

KEY = WindowKey("tokens", "t", 0)
LIMIT = 10_000


class Worker:
    """A worker that spends tokens as soon as it is granted some."""

    def __init__(self, database: Database, url: str, number: int, lease_s: float = 10.0) -> None:
        self.sql = SqlStore(database, lease_s=lease_s)
        self.pool = PoolStore(self.sql, url)
        self.store = FrontStore(self.sql, PooledRates(self.pool, self.sql))
        self.lessee = Lessee(worker_id=f"w{number}", gateway_id="g")
        self.granted = self.spent = 0

    def ask(self, want: int = 0) -> LeaseAnswer:
        ask = LeaseAsk(window=KEY, granted=self.granted, returned=0, spent=self.spent, want=want, want_min=want)
        (answer,) = self.store.exchange(self.lessee, [ask])
        self.granted = answer.granted
        return answer


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    database = open_database(f"sqlite:///{tmp_path / 'accounts.sqlite'}")
    quota = Quota(quota_id="tokens", tenant_id="t", scope="tenant", subject="t", unit="tokens", window="lifetime",
                  limit=LIMIT)  # fmt: skip
    with database.writing() as connection:
        set_quota(connection, quota)
    with contextlib.ExitStack() as closing:
        closing.callback(database.close)

        def make(url: str, number: int, lease_s: float = 10.0) -> Worker:
            worker = Worker(database, url, number, lease_s)
            closing.callback(worker.pool.close)
            return worker

        yield make


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A server to be killed."""
    try:
        server = start_valkey()
    except (ImportError, OSError, StopIteration) as error:
        pytest.skip(f"Valkey cannot be started here: {error}")
    yield server
    server.stop(signal.SIGKILL)
    shutil.rmtree(server.folder, ignore_errors=True)


def test_many_workers_get_the_limit_and_cost_the_database_one(workers: Callable[..., Worker], valkey: Valkey) -> None:
    """Ten workers drain it to the last token; the database knows one holder, the pool."""
    url = valkey.fresh_url()
    team = [workers(url, number) for number in range(10)]
    for worker in team * 20:
        worker.ask(50)
        worker.spent = worker.granted
    assert sum(worker.spent for worker in team) == LIMIT
    with team[0].sql._database.reading() as connection:
        found = connection.execute(sa.select(holdings.c.worker_id).distinct()).scalars().all()
    assert len(found) == 1 and found[0].startswith("pool-")


def test_the_pool_gives_back_what_another_worker_of_the_database_waits_for(
    workers: Callable[..., Worker], valkey: Valkey
) -> None:
    """A host without Redis, on the same database: what the pool has in hand and nobody before it holds comes back."""
    pooled, direct = workers(valkey.fresh_url(), 1, 2.0), Lessee(worker_id="direct", gateway_id="h")
    pooled.ask(1200)
    pooled.spent = 100
    wish = LeaseAsk(window=KEY, granted=0, returned=0, spent=0, want=8000, want_min=8000)
    deadline, granted = time.monotonic() + 20, 0
    while not granted and time.monotonic() < deadline:
        pooled.ask()
        (answer,) = pooled.sql.exchange(direct, [wish])
        granted = answer.granted
        time.sleep(0.1)
    assert granted == 8000
    assert pooled.ask(100).granted == 1300


def test_a_dead_worker_that_had_spent_all_it_held_is_ended(workers: Callable[..., Worker], valkey: Valkey) -> None:
    """Nothing of it goes back: a zero, which Lua can write as -0 and Redis does not take. The others go on."""
    url = valkey.fresh_url()
    dead, alive = workers(url, 1, 1.0), workers(url, 2, 1.0)
    dead.ask(100)
    dead.spent = dead.granted
    dead.ask()
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        alive.ask()
        time.sleep(0.2)
    assert alive.pool.exchange(Lessee(worker_id="w2", gateway_id="g"), []) == []
    assert alive.pool._redis.zscore("{tidegate}:alive", "w1-1") is None
    assert alive.store._rates._spell.store is alive.pool  # type: ignore[attr-defined]


def test_a_dead_worker_gives_its_slice_back_to_the_pool(workers: Callable[..., Worker], valkey: Valkey) -> None:
    """After a lease by Valkey's clock; what it had spent by its last word stays spent."""
    url = valkey.fresh_url()
    dead, alive = workers(url, 1, 2.0), workers(url, 2, 2.0)
    dead.ask(LIMIT)
    dead.spent = 4000
    dead.ask()
    assert alive.ask(6000).granted == 0
    deadline = time.monotonic() + 20
    while not alive.ask(6000).granted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive.granted == 6000


def test_rates_go_on_when_valkey_is_lost_and_nobody_overspends(
    workers: Callable[..., Worker], own_valkey: Valkey
) -> None:
    """Killed, away for a while, back with nothing in it: what was told before is neither lost nor counted twice."""
    team = [workers(own_valkey.url, number, 1.0) for number in range(3)]
    for worker in team:
        worker.ask(1000)
        worker.spent = 600
        worker.ask()
    for worker in team:
        time.sleep(0.15)  # a tenth of a lease: as often as the database hears what was spent
        worker.ask()
    own_valkey.stop(signal.SIGKILL)
    for worker in team:
        worker.ask()
        assert worker.ask(500).granted == 1100, "600 of Valkey's day, and 500 from the database"
        worker.spent = 1100
        worker.ask()
    own_valkey.start()
    time.sleep(1.2)  # as long as a lost Valkey is not looked for; and the lost pool's lease ends
    for worker in team * 2:
        worker.ask()
    held = team[0].sql.held(KEY)
    assert 3 * 1100 <= held <= LIMIT
    for _ in range(100):
        for worker in team:
            worker.ask(100)
            worker.spent = worker.granted
    total = sum(worker.spent for worker in team)
    assert LIMIT - 3 * 1000 <= total <= LIMIT + 3 * 1000


def test_a_valkey_that_may_forget_is_refused(workers: Callable[..., Worker], own_valkey: Valkey) -> None:
    """What it granted must not be evicted: the error says which setting does that."""
    with redis.Redis.from_url(own_valkey.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(QuotaStoreError, match=r"maxmemory-policy 'allkeys-lru'.*noeviction"):
        workers(own_valkey.url, 1).ask(1)
