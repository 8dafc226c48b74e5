"""Leases of several workers on one store: whatever they do and whatever is lost, money never goes beyond its limit."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.accounts.quotas.memory import MemoryStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.core.quota import Quota, WindowKey
from tidegate.gateway.lease import IDLE_S, Lease
from tidegate.gateway.plan import NEVER_US

LIMIT = 1000
WALLET = Quota(
    quota_id="w", tenant_id="t", scope="tenant", subject="t", unit="nano_usd", window="lifetime", limit=LIMIT
)
WINDOW = WindowKey("w", "t", 0)


class Worker:
    """One lease, and the calls that hold a part of it."""

    def __init__(self, store: MemoryStore, number: int) -> None:
        self.store, self.lessee = store, Lessee(worker_id=f"w{number}", gateway_id="g")
        self.lease = Lease(WALLET, WINDOW, NEVER_US)
        self.calls: list[int] = []
        store.enter(self.lessee)

    def begin(self, amount: int) -> None:
        if self.lease.free >= amount:
            self.lease.free -= amount
            self.lease.low = min(self.lease.low, self.lease.free)
            self.calls.append(amount)
        else:
            self.lease.need(amount, amount)

    def end(self, share: float) -> None:
        if self.calls:
            held = self.calls.pop(0)
            used = int(held * share)
            self.lease.spent += used
            self.lease.free += held - used

    def exchange(self, now: float, *, is_lost: bool = False) -> None:
        ask = self.lease.ask(now)
        self.lease.wanted = self.lease.wanted_min = 0
        if ask is None:
            return
        answer = self.store.exchange(self.lessee, [ask])[0]
        if is_lost:
            self.lease.told_spent = -1
        else:
            self.lease.take(answer, now)

    def leave(self) -> None:
        while self.calls:
            self.end(0.5)
        self.store.leave(self.lessee, [self.lease.last_word()])


STEPS = st.tuples(
    st.integers(0, 2),
    st.one_of(
        st.tuples(st.just("begin"), st.integers(1, 400)),
        st.tuples(st.just("end"), st.sampled_from([0.0, 0.3, 1.0])),
        st.tuples(st.just("exchange"), st.booleans()),
        st.tuples(st.just("sleep"), st.sampled_from([0.1, IDLE_S + 0.1])),
    ),
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_workers_never_spend_more_than_there_is_and_all_of_the_rest_comes_back(steps: list[Any]) -> None:
    """With answers that get lost, with idle workers, with crumbs: spent and reserved together stay below the limit."""
    now = 1000.0
    store = MemoryStore({"w": WALLET}, lease_s=1e9)
    workers = [Worker(store, number) for number in range(3)]
    for number, (what, how) in steps:
        worker = workers[number]
        if what == "begin":
            worker.begin(how)
        elif what == "end":
            worker.end(how)
        elif what == "exchange":
            worker.exchange(now, is_lost=how)
        else:
            now += how
        now += 0.01
        taken = sum(each.lease.spent + sum(each.calls) for each in workers)
        assert taken <= LIMIT
        assert all(each.lease.free >= 0 and each.lease.reserved == sum(each.calls) for each in workers)
        assert store.held(WINDOW) <= LIMIT
    for worker in workers:
        worker.leave()
    assert store.held(WINDOW) == sum(worker.lease.spent for worker in workers)


def test_crumbs_of_idle_workers_add_up_to_a_call() -> None:
    """What two workers have left over and neither can use goes back, and is a third one's call."""
    store = MemoryStore({"w": WALLET}, lease_s=1e9)
    one, two, three = (Worker(store, number) for number in range(3))
    now = 1000.0
    for worker in (one, two):
        worker.begin(400)
        worker.exchange(now)
        worker.begin(400)
        assert worker.calls == [400]
        worker.end(0.5)  # 200 of the 400 were needed
    for _ in range(4):  # the third asks, the others learn that somebody wants more than remains
        three.begin(550)
        three.exchange(now)
        now += 0.25
        one.exchange(now)
        two.exchange(now)
    three.begin(550)
    assert three.calls == [550]


def test_an_idle_worker_gives_back_what_is_free() -> None:
    """After two seconds without a call nothing is held, and nothing more is said."""
    store = MemoryStore({"w": WALLET}, lease_s=1e9)
    worker = Worker(store, 0)
    worker.begin(10)
    worker.exchange(1000.0)
    worker.begin(10)
    worker.end(1.0)
    assert worker.lease.free > 0
    worker.exchange(1000.3)
    worker.exchange(1000.3 + IDLE_S + 0.3)
    assert worker.lease.free == 0 and store.held(WINDOW) == 10
    assert worker.lease.is_idle and worker.lease.ask(1010.0) is None


@pytest.mark.parametrize("pace", [10, 1000, 20_000])
def test_a_slice_lasts_until_the_next_exchange_whatever_the_pace(pace: int) -> None:
    """Calls a second that grow no further find enough free: nobody waits at steady state."""
    quota = Quota(quota_id="w", tenant_id="t", scope="tenant", subject="t", unit="requests", window="lifetime",
                  limit=10**9)  # fmt: skip
    store = MemoryStore({"w": quota}, lease_s=1e9)
    worker, now, short = Worker(store, 0), 1000.0, 0
    for period in range(24):
        for _ in range(pace // 4):
            now += 1 / pace
            if worker.lease.free < 1:
                short += period > 8
                worker.begin(1)
                worker.exchange(now)
            worker.begin(1)
            worker.end(1.0)
        worker.exchange(now)
    assert short == 0
