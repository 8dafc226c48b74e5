"""The gate alone, on a store that fails when told to: who waits, who is refused, and that nothing stays reserved."""

import asyncio
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from tidegate.accounts.keys import Key
from tidegate.accounts.quotas.book import QuotaBook
from tidegate.accounts.quotas.memory import MemoryStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.core.errors import GatewayError, QuotaStoreError, Unavailable
from tidegate.core.facts import Endpoint
from tidegate.core.price import Price, Rates
from tidegate.core.quota import LeaseAnswer, LeaseAsk, Quota
from tidegate.core.usage import Usage
from tidegate.gateway import admission
from tidegate.gateway.admission import Gate
from tidegate.gateway.claiming import text_bound
from tidegate.gateway.lease import IDLE_S
from tidegate.gateway.meter import NOTHING_SPENT, settle
from tidegate.gateway.operation import OPERATIONS

PRICE = Price(price_id="p", rates=Rates(input=0, output=10**9))  # 1000 nano-USD a token of output
ENDPOINT = Endpoint(endpoint_id="e", provider="p", model="m", upstream_model="m", price=PRICE)
BODY = b'{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}'
KEY = Key(key_id="k", tenant_id="t", project_id="p", name="n")
FREE_KEY = Key(key_id="f", tenant_id="nobody", project_id="p", name="n")
COST = 100_000  # of a call at its limit


class Store(MemoryStore):
    """`is_down`: every exchange fails; `is_busy`: nothing is granted, whatever is left; `exchanges`: how many came."""

    is_down = is_busy = False
    exchanges = 0

    def exchange(self, lessee: Lessee, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer]:
        self.exchanges += 1
        if self.is_down:
            raise QuotaStoreError("the database is gone")
        return super().exchange(lessee, [replace(ask, want=0, want_min=0) for ask in asks] if self.is_busy else asks)


class Call:
    """As much of a call as the gate sees."""

    def __init__(self, gate: Gate, key: Key = KEY) -> None:
        self.operation, self.key, self.endpoint, self.price = OPERATIONS["/v1/chat/completions"], key, ENDPOINT, PRICE
        self.head, self.client, self.gate = self.operation.head(BODY), None, gate
        self.server = SimpleNamespace(table=SimpleNamespace(context_tokens={}))
        now = time.monotonic()
        self.request = SimpleNamespace(body=BODY, arrived_us=time.time_ns() // 1000, complete=now, headers={})
        self.came = asyncio.Event()
        self.error: GatewayError | None = None
        self.claim = gate.claim(self)  # type: ignore[arg-type]
        try:
            if self.claim is None or gate.admit(self, self.claim):  # type: ignore[arg-type]
                self.on_admitted()
        except GatewayError as error:
            self.refuse(error)

    def bound(self, *of: Any) -> Any:
        return text_bound(self, *of)  # type: ignore[arg-type]

    def on_admitted(self) -> None:
        self.came.set()

    def refuse(self, error: GatewayError) -> None:
        self.error = error
        self.end(NOTHING_SPENT)
        self.came.set()

    def end(self, settlement: Any) -> None:
        self.gate.settle(self, settlement, is_request=settlement is not NOTHING_SPENT)  # type: ignore[arg-type]

    async def settled(self, tokens: int = 100) -> "Call":
        """Wait to be admitted or refused, then end with so many tokens."""
        await asyncio.wait_for(self.came.wait(), 10)
        if self.error is None and self.claim is not None:
            settlement = settle(Usage(input_tokens=1, output_tokens=tokens), PRICE)
            self.claim.charged(settlement)
            self.end(settlement)
        return self


def wallet(limit: int) -> Quota:
    return Quota(quota_id="w", tenant_id="t", scope="tenant", subject="t", unit="nano_usd", window="lifetime",
                 limit=limit, is_wallet=True)  # fmt: skip


def run(test: Any, *quotas: Quota, wait_s: float = 1.0, lease_s: float = 1.0) -> None:
    """Run `test(gate, store)` on a loop that ticks as a worker does."""

    async def go() -> None:
        book = QuotaBook(quotas)
        store = Store(book.by_id, lease_s=lease_s)
        gate = Gate(asyncio.get_running_loop(), Lessee(worker_id="w", gateway_id="g"), book, lambda: store,
                    lease_s=lease_s, wait_s=wait_s)  # fmt: skip

        async def ticks() -> None:
            while True:
                gate.tick(time.monotonic())
                await asyncio.sleep(0.05)

        ticking = asyncio.ensure_future(ticks())
        await test(gate, store)
        ticking.cancel()
        await gate.close()
        for lease in gate.leasing.leases.values():
            assert (lease.reserved, lease.waiting) == (0, 0)
            assert store.held(lease.window) == lease.spent
        assert not gate._waiting

    asyncio.run(go())


def test_without_its_store_calls_under_a_quota_are_refused_and_others_go_on() -> None:
    """503 naming the store once the lease has ended; keys without a quota notice nothing; then all is well again."""

    async def test(gate: Gate, store: Store) -> None:
        assert (await Call(gate).settled()).error is None
        store.is_down = True
        assert (await Call(gate).settled()).error is None, "what was granted may be spent"
        await asyncio.sleep(1.0)
        refused = await Call(gate).settled()
        assert isinstance(refused.error, Unavailable)
        assert "quota store" in refused.error.message and "the database is gone" in refused.error.message
        began = time.monotonic()
        assert isinstance((await Call(gate).settled()).error, Unavailable)
        assert time.monotonic() - began < 0.5, "nobody waits for a store that has just failed"
        assert (await Call(gate, FREE_KEY).settled()).error is None
        store.is_down = False
        await asyncio.sleep(0.3)
        assert (await Call(gate).settled()).error is None

    run(test, wallet(10**9))


def test_an_exhausted_quota_is_refused_without_asking_the_store_each_time() -> None:
    """A caller that goes on calling costs a few exchanges a second, not one a call."""

    async def test(gate: Gate, store: Store) -> None:
        assert (await Call(gate).settled()).error is None
        refused = [await Call(gate).settled() for _ in range(200)]
        assert {type(call.error).__name__ for call in refused} == {"PaymentRequired"}
        assert store.exchanges < 20

    run(test, wallet(COST))


def test_waiting_calls_are_served_as_others_settle() -> None:
    """A hundred calls at once, money for four at a time: all are made, since each costs a tenth of its reservation."""

    async def test(gate: Gate, store: Store) -> None:
        async def one() -> Call:
            call = Call(gate)
            await call.came.wait()
            await asyncio.sleep(0.01)
            return await call.settled(10)

        done = await asyncio.gather(*(one() for _ in range(30)))
        assert [call.error for call in done] == [None] * 30

    run(test, wallet(4 * COST), wait_s=5.0, lease_s=10.0)


@pytest.mark.parametrize("how", ["leave", "late"])
def test_a_call_that_waits_holds_nothing_when_it_ends(how: str) -> None:
    """Its caller hangs up, or it has waited long enough: 402, and what others reserved is theirs."""

    async def test(gate: Gate, store: Store) -> None:
        first = Call(gate)
        await first.came.wait()
        second = Call(gate)
        await asyncio.sleep(0.2)
        assert gate.is_waiting(second) and not second.came.is_set()  # type: ignore[arg-type]
        if how == "leave":
            second.end(NOTHING_SPENT)
        else:
            await second.came.wait()
            assert second.error is not None and second.error.status == 402
        assert not gate.is_waiting(second)  # type: ignore[arg-type]
        await first.settled()

    run(test, wallet(COST + COST // 2), wait_s=0.6)


def test_settling_twice_changes_nothing() -> None:
    """Whatever path a call ends on, and if it were two."""

    async def test(gate: Gate, store: Store) -> None:
        call = await Call(gate).settled(50)
        call.end(settle(Usage(input_tokens=1, output_tokens=50), PRICE))
        (lease,) = gate.leasing.leases.values()
        assert lease.spent == 50_000

    run(test, wallet(10**9))


def test_what_the_last_call_took_and_did_not_use_goes_back() -> None:
    """A call that comes to nothing spends nothing: its lease is not taken for one in use ever after. Torture's."""

    async def test(gate: Gate, store: Store) -> None:
        for _ in range(2):
            call = Call(gate)
            await asyncio.wait_for(call.came.wait(), 10)
            call.end(NOTHING_SPENT)
            await asyncio.sleep(0.6)
        (lease,) = gate.leasing.leases.values()
        await asyncio.sleep(IDLE_S)
        assert (lease.free, store.held(lease.window)) == (0, 0)

    run(test, wallet(10**9))


def test_a_caller_with_money_left_is_not_told_that_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not come to handing out what is left is the gateway's trouble: 503, no 402."""
    monkeypatch.setattr(admission, "GRANT_S", 0.3)

    async def test(gate: Gate, store: Store) -> None:
        store.is_busy = True
        call = await Call(gate).settled()
        assert isinstance(call.error, Unavailable)
        assert "has not handed out" in str(call.error)
        store.is_busy = False
        assert (await Call(gate).settled()).error is None

    run(test, wallet(10**9), wait_s=0.2)
