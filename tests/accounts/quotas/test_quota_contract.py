"""What every quota store owes, whatever workers do: the same tests for each store.

A model keeps the truth beside the store: what each worker may spend by the grants it heard of, what it did spend, and
what it told. Workers repeat messages, miss answers, sleep, die and leave.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Protocol, cast

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from rig.stores import Postgres, Valkey
from tidegate.accounts.database import open_database
from tidegate.accounts.quotas.front import FrontStore
from tidegate.accounts.quotas.memory import MemoryStore
from tidegate.accounts.quotas.pool import PoolStore
from tidegate.accounts.quotas.pooled import PooledRates
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee, QuotaStore
from tidegate.accounts.quotas.table import set_quota
from tidegate.core.quota import LeaseAnswer, LeaseAsk, Quota, Unit, Window, WindowKey

LEASE_S = 10.0
START_US = 1_795_348_800_000_000  # 2026-11-22T12:00:00Z
DAY_US = 86_400_000_000
STEPS = itertools.count(1)


class Held(QuotaStore, Protocol):
    """A store whose windows can be looked into."""

    def held(self, window: WindowKey) -> int: ...


class Bench:
    """A store under test, its clock, and how quotas come into it."""

    def __init__(self, make: Callable[["Bench"], Callable[[], Held]], put: Callable[[Quota], None]) -> None:
        self.now_us = self.start_us = START_US + next(STEPS) * DAY_US  # workers of other tests are long dead
        self.put = put
        self.new_store = make(self)
        self.store = self.new_store()
        self.is_real_time = False

    def sleep(self, us: int) -> None:
        self.now_us += us
        if self.is_real_time:
            time.sleep(us / 1_000_000)

    def clock_us(self) -> int:
        return self.now_us

    def quota(self, unit: Unit, window: Window, limit: int, *, is_rolling: bool = False) -> Quota:
        made = Quota(quota_id=f"q{next(STEPS)}", tenant_id="t", scope="tenant", subject="t", unit=unit,
                     window=window, limit=limit, is_rolling=is_rolling)  # fmt: skip
        self.put(made)
        return made

    def worker(self) -> "Worker":
        return Worker(self, f"w{next(STEPS)}")


class Worker:
    """A worker with one window: spends what it was granted, and tells or does not."""

    def __init__(self, bench: Bench, worker_id: str) -> None:
        self.bench, self.lessee = bench, Lessee(worker_id=worker_id, gateway_id="g")
        self.store = bench.new_store()
        self.granted = self.returned = self.spent = self.told = 0
        self.last: LeaseAsk | None = None
        self.store.enter(self.lessee)

    @property
    def free(self) -> int:
        return self.granted - self.returned - self.spent

    def ask(self, window: WindowKey, want: int = 0, want_min: int = 0, *, is_heard: bool = True) -> LeaseAnswer:
        self.last = LeaseAsk(window=window, granted=self.granted, returned=self.returned, spent=self.spent,
                             want=want, want_min=want_min)  # fmt: skip
        self.told = self.spent
        (answer,) = self.store.exchange(self.lessee, [self.last])
        if is_heard:
            self.granted = answer.granted
        return answer


def memory_bench() -> Iterator[Bench]:
    quotas: dict[str, Quota] = {}

    def make(bench: Bench) -> Callable[[], Held]:
        store = MemoryStore(quotas, lease_s=LEASE_S, clock_us=bench.clock_us)
        return lambda: store

    yield Bench(make, lambda quota: quotas.update({quota.quota_id: quota}))


def sql_bench(url: str, redis_url: str = "") -> Iterator[Bench]:
    database = open_database(url)

    def put(quota: Quota) -> None:
        with database.writing() as connection:
            set_quota(connection, quota)

    def make(bench: Bench) -> Callable[[], Held]:
        sql = SqlStore(database, lease_s=LEASE_S, clock_us=bench.clock_us)
        if not redis_url:
            return lambda: sql
        pool = PoolStore(sql, redis_url)
        closing.callback(pool.close)
        return lambda: FrontStore(sql, PooledRates(pool, sql))

    with contextlib.ExitStack() as closing:
        closing.callback(database.close)
        bench = Bench(make, put)
        bench.is_real_time = bool(redis_url)
        yield bench


STORES = ["memory", "sqlite", "postgres", "valkey"]


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('contract') / 'accounts.sqlite'}"


@pytest.fixture(scope="module")
def postgres_url(postgres: Postgres) -> str:
    return postgres.copy()


@pytest.fixture(params=STORES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "memory":
        yield from memory_bench()
    elif request.param == "sqlite":
        yield from sql_bench(request.getfixturevalue("sqlite_url"))
    elif request.param == "postgres":
        yield from sql_bench(request.getfixturevalue("postgres_url"))
    else:
        valkey: Valkey = request.getfixturevalue("valkey")
        yield from sql_bench(request.getfixturevalue("sqlite_url"), valkey.fresh_url())


@pytest.fixture
def clock_bench(bench: Bench) -> Bench:
    if bench.is_real_time:
        pytest.skip("leases of rates run by Valkey's clock there: test_quota_pool.py")
    return bench


@pytest.fixture(params=["nano_usd", "tokens"])
def unit(request: pytest.FixtureRequest) -> Unit:
    return cast(Unit, request.param)


def window(quota: Quota, start_us: int = 0) -> WindowKey:
    return WindowKey(quota.quota_id, "t", start_us)


def test_a_slice_is_a_part_of_what_remains_and_at_least_one_call(bench: Bench) -> None:
    """One worker alone gets a quarter; near the end it gets what its call needs, and not a unit more than remains."""
    key, worker = window(bench.quota("nano_usd", "lifetime", 1000)), bench.worker()
    assert worker.ask(key, want=1000, want_min=10).granted == 250
    assert worker.ask(key, want=10, want_min=10).granted == 260
    assert worker.ask(key, want=739, want_min=739).granted == 999
    answer = worker.ask(key, want=2, want_min=2)
    assert (answer.granted, answer.remaining, answer.limit) == (999, 1, 1000)
    assert worker.ask(key, want=1, want_min=1).remaining == 0


def test_repeating_a_message_changes_nothing(bench: Bench, unit: Unit) -> None:
    """The answer was lost: the worker asks again with the same totals, and hears of the grant it already has."""
    key, worker = window(bench.quota(unit, "lifetime", 1000)), bench.worker()
    first = worker.ask(key, want=100, want_min=100, is_heard=False)
    again = worker.ask(key, want=100, want_min=100)
    assert first.granted == again.granted == bench.store.held(key) == 100
    worker.returned, worker.spent = 30, 50
    worker.ask(key)
    assert worker.last
    worker.store.exchange(worker.lessee, [worker.last, worker.last])
    assert bench.store.held(key) == 70
    worker.store.exchange(worker.lessee, [msgspec.structs.replace(worker.last, returned=10, spent=20)])  # came late
    (seen,) = bench.store.exchange(bench.worker().lessee, [LeaseAsk(window=key, granted=0, returned=0, spent=0)])
    assert (seen.remaining, seen.unspent) == (930, 20)


def test_what_one_gives_back_another_is_granted(bench: Bench, unit: Unit) -> None:
    """A wish that cannot be granted is told to whoever holds slices; afterwards it can be."""
    key, rich, poor = window(bench.quota(unit, "lifetime", 100)), bench.worker(), bench.worker()
    rich.ask(key, want=90, want_min=90)
    refused = poor.ask(key, want=50, want_min=50)
    assert (refused.granted, refused.remaining, refused.unspent) == (0, 10, 90)
    assert rich.ask(key).is_contended
    rich.spent, rich.returned = 40, 50
    rich.ask(key)
    assert poor.ask(key, want=50, want_min=50).granted == 50
    bench.sleep(1_000_001)
    assert not rich.ask(key).is_contended


def test_a_wish_to_have_some_in_hand_disturbs_nobody(bench: Bench, unit: Unit) -> None:
    """Only a call that waits makes others give back."""
    key, rich, other = window(bench.quota(unit, "lifetime", 100)), bench.worker(), bench.worker()
    rich.ask(key, want=100, want_min=100)
    assert other.ask(key, want=50).granted == 0
    assert not rich.ask(key).is_contended


def test_a_dead_workers_rate_ends_with_its_lease_and_its_money_does_not(clock_bench: Bench) -> None:
    """Time says nothing about what was spent."""
    bench = clock_bench
    money, rate = window(bench.quota("nano_usd", "lifetime", 100)), window(bench.quota("tokens", "lifetime", 100))
    dead, alive = bench.worker(), bench.worker()
    for key in (money, rate):
        dead.granted = dead.spent = 0
        dead.ask(key, want=80, want_min=80)
        dead.spent = 30
        dead.ask(key)
    for _ in range(12):
        bench.now_us += 1_000_000
        alive.store.exchange(alive.lessee, [])
    assert bench.store.held(rate) == 30
    assert bench.store.held(money) == 80


def test_a_worker_that_only_slept_is_told_that_its_slice_is_gone(clock_bench: Bench) -> None:
    """And what it spent of it in the meantime still counts."""
    bench = clock_bench
    key, slept, alive = window(bench.quota("tokens", "lifetime", 100)), bench.worker(), bench.worker()
    slept.ask(key, want=80, want_min=80)
    slept.spent = 30
    slept.ask(key)
    bench.now_us += 11_000_000
    alive.store.exchange(alive.lessee, [])
    slept.spent = 35
    assert slept.ask(key).granted == 35
    assert bench.store.held(key) == 35
    assert slept.ask(key, want=10, want_min=10).granted == 45


def test_who_leaves_gives_back_whatever_it_did_not_spend(bench: Bench) -> None:
    """Also of windows that its last word does not name; leaving twice changes nothing."""
    key, other = window(bench.quota("nano_usd", "lifetime", 100)), window(bench.quota("requests", "lifetime", 100))
    worker = bench.worker()
    worker.ask(other, want=9, want_min=9)
    worker.granted = 0
    worker.ask(key, want=80, want_min=80)
    worker.spent = 33
    last = LeaseAsk(window=key, granted=80, returned=0, spent=33)
    for _ in range(2):
        worker.store.leave(worker.lessee, [last])
        assert (bench.store.held(key), bench.store.held(other)) == (33, 0)


def test_a_rolling_window_gives_back_what_is_older_than_itself(clock_bench: Bench) -> None:
    """A minute in steps of a second: never early, late by one step; and it says when."""
    bench = clock_bench
    key, worker = window(bench.quota("requests", "minute", 10, is_rolling=True)), bench.worker()
    worker.ask(key, want=6, want_min=6)
    worker.spent = 6
    bench.now_us += 30_000_000
    worker.ask(key, want=4, want_min=4)
    worker.spent = 10
    refused = worker.ask(key, want=1, want_min=1)
    assert refused.remaining == 0 and refused.retry_us == bench.start_us + 61_000_000
    bench.now_us = bench.start_us + 60_999_999
    assert worker.ask(key, want=1, want_min=1).remaining == 0
    bench.now_us += 1
    assert worker.ask(key, want=6, want_min=6).granted == 16
    assert bench.store.held(key) == 10


def test_a_calendar_window_says_when_it_comes_again(bench: Bench) -> None:
    """Its end, by the calendar of the quota's zone."""
    key, worker = window(bench.quota("requests", "hour", 1), bench.start_us), bench.worker()
    worker.ask(key, want=1, want_min=1)
    worker.spent = 1
    assert worker.ask(key, want=1, want_min=1).retry_us == bench.start_us + 3_600_000_000


def test_a_changed_limit_holds_at_the_next_exchange(bench: Bench, unit: Unit) -> None:
    """Lower than what is held: nothing more is granted, and the answer says by how much."""
    quota, worker = bench.quota(unit, "lifetime", 100), bench.worker()
    worker.ask(window(quota), want=60, want_min=60)
    bench.put(msgspec.structs.replace(quota, limit=50))
    answer = worker.ask(window(quota), want=1, want_min=1)
    assert (answer.granted, answer.limit, answer.remaining) == (60, 50, -10)
    bench.put(msgspec.structs.replace(quota, limit=500))
    assert worker.ask(window(quota), want=400, want_min=400).granted == 460


class Schedules(RuleBasedStateMachine):
    """Workers on one money quota and one of concurrent calls, in any order of events."""

    bench: Bench
    limit = 1000

    @initialize()
    def begin(self) -> None:
        self.keys = [window(self.bench.quota(unit, "lifetime", self.limit)) for unit in ("nano_usd", "calls_open")]
        self.workers = [[self.bench.worker() for _ in self.keys] for _ in range(3)]
        self.dead: list[list[Worker]] = []

    def one(self, who: int, what: int) -> tuple[Worker, WindowKey]:
        return self.workers[who][what], self.keys[what]

    @rule(who=st.integers(0, 2), what=st.integers(0, 1), want=st.integers(0, 700), part=st.integers(0, 100),
          is_heard=st.booleans())  # fmt: skip
    def ask(self, who: int, what: int, want: int, part: int, is_heard: bool) -> None:
        worker, key = self.one(who, what)
        worker.ask(key, want, want * part // 100, is_heard=is_heard)

    @rule(who=st.integers(0, 2), what=st.integers(0, 1), part=st.integers(1, 100))
    def spend(self, who: int, what: int, part: int) -> None:
        worker, _ = self.one(who, what)
        worker.spent += worker.free * part // 100

    @rule(who=st.integers(0, 2), what=st.integers(0, 1), part=st.integers(1, 100))
    def give_back(self, who: int, what: int, part: int) -> None:
        worker, _ = self.one(who, what)
        worker.returned += worker.free * part // 100

    @rule(who=st.integers(0, 2), what=st.integers(0, 1))
    def repeat(self, who: int, what: int) -> None:
        worker, key = self.one(who, what)
        if worker.last and worker.last.granted != worker.granted:  # the store has granted since: only a repeat
            before = self.bench.store.held(key)
            worker.store.exchange(worker.lessee, [worker.last])
            assert self.bench.store.held(key) == before

    @rule(who=st.integers(0, 2))
    def die(self, who: int) -> None:
        self.dead.append(self.workers[who])
        self.workers[who] = [self.bench.worker() for _ in self.keys]

    @rule(who=st.integers(0, 2))
    def leave(self, who: int) -> None:
        for worker, key in zip(self.workers[who], self.keys, strict=True):
            last = LeaseAsk(window=key, granted=worker.granted, returned=worker.returned, spent=worker.spent)
            worker.store.leave(worker.lessee, [last])
            worker.granted = worker.returned + worker.spent
        self.dead.append(self.workers[who])
        self.workers[who] = [self.bench.worker() for _ in self.keys]

    @rule()
    def sleep(self) -> None:
        for who in range(3):  # the living go on telling that they live
            for worker in self.workers[who]:
                worker.store.exchange(worker.lessee, [])
        self.bench.now_us += 4_000_000

    @invariant()
    def money_is_never_overspent_and_never_given_twice(self) -> None:
        if not hasattr(self, "keys"):
            return
        lives = [workers[0] for workers in (*self.workers, *self.dead)]
        assert sum(worker.spent + worker.free for worker in lives) <= self.bench.store.held(self.keys[0]) <= self.limit

    def teardown(self) -> None:
        """Everything comes back but what was spent."""
        if not hasattr(self, "keys"):
            return
        for who in range(3):
            self.leave(who)
        bench, key = self.bench, self.keys[1]
        bench.now_us += 11_000_000
        last = bench.worker()
        told = sum(workers[1].told if workers[1].free else workers[1].spent for workers in self.dead)
        last.store.exchange(last.lessee, [])
        assert bench.store.held(key) <= sum(workers[1].spent for workers in self.dead)
        assert told <= bench.store.held(key) + sum(workers[1].spent - workers[1].told for workers in self.dead)
        left = self.limit - bench.store.held(key)
        if left:
            assert last.ask(key, left, left).granted == left
        assert last.ask(key, 1, 1).remaining == 0


def test_whatever_workers_do_money_is_never_overspent(clock_bench: Bench) -> None:
    """Random schedules; hypothesis writes down the shortest one that fails."""
    bench = clock_bench
    examples = 80 if isinstance(bench.store, MemoryStore) else 4
    rules = settings(max_examples=examples, stateful_step_count=25, deadline=None, derandomize=True)
    machine = type("Run", (Schedules,), {"bench": bench})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine, settings=settings(rules, suppress_health_check=list(HealthCheck))
    )
