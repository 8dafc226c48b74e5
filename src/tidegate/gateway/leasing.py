"""The worker's line to its quota store: a thread that exchanges totals a few times a second, never a call's own path.

Between two exchanges calls spend what was granted. Without an exchange for most of a lease's time nothing is spent any
more: the worker's clock ends a lease a fifth earlier than the store does.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final

from tidegate.accounts.quotas.store import Lessee, QuotaStore
from tidegate.core.errors import TidegateError
from tidegate.core.quota import LeaseAnswer, LeaseAsk, WindowKey
from tidegate.gateway.lease import Lease

log = logging.getLogger(__name__)

TRUSTED_PART: Final = 0.8  # of a lease's time, by this worker's clock
RENEW_PART: Final = 0.25  # of a lease's time after which a word is due though there is nothing to say
HURRY_S: Final = 0.01  # between two exchanges for calls that have just come
AGAIN_S: Final = 0.05  # between two for calls that go on waiting
FORGET_S: Final = 60.0  # between two looks for windows that are over
ASKS_MAX: Final = 1000  # in one exchange; others wait for the next
CLOSE_S: Final = 5.0  # for the last word

_Work = Callable[[], None]


class Leasing:
    """All leases of one worker. `valid_until`: of all of them, in seconds of the monotonic clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop, make_store: Callable[[], QuotaStore], lessee: Lessee, *,
                 lease_s: float, before: Callable[[], None], after: Callable[[], None]) -> None:  # fmt: skip
        """make_store: called in the thread, at the first exchange. before, after: called on the loop around each
        exchange: to say what waiting calls need, and to look whether they got it."""
        self._loop, self._make_store, self._lessee = loop, make_store, lessee
        self._before, self._after = before, after
        self._lease_s = lease_s
        self._store: QuotaStore | None = None
        self.leases: dict[WindowKey, Lease] = {}
        self._active: dict[WindowKey, Lease] = {}
        self.valid_until = 0.0
        self.begun = self.ended = 0  # exchanges
        self.failure, self.failed_at = "", 0.0  # why the last exchange failed, and when; empty where it did not
        self._is_asking = self._is_hurried = self._is_closed = False
        self._asked_at = self._forgot_at = 0.0
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._talker: threading.Thread | None = None

    def keep(self, lease: Lease) -> Lease:
        """The lease of that window: the one that is known, under the quota as it is now, or this one."""
        found = self.leases.setdefault(lease.window, lease)
        found.quota = lease.quota
        return found

    def activate(self, lease: Lease) -> None:
        """A call wants something of it: it takes part in the next exchanges."""
        if not lease.is_active:
            lease.is_active = True
            lease.used_at = time.monotonic()
            self._active[lease.window] = lease

    def hurry(self, pause_s: float = HURRY_S) -> None:
        """A call waits: exchange at once, or `pause_s` after the last exchange, which may still run."""
        if self._is_asking:
            self._is_hurried = True
        elif (now := time.monotonic()) - self._asked_at >= pause_s:
            self._ask(now)
        elif not self._is_hurried:
            self._is_hurried = True
            self._loop.call_later(pause_s, self._hurried)

    def _hurried(self) -> None:
        if self._is_hurried and not self._is_asking:
            self._ask(time.monotonic())

    def tick(self, now: float) -> None:
        """Called a few times a second: exchange what has changed."""
        if self._active and not self._is_asking:
            self._ask(now)
        if now - self._forgot_at > FORGET_S:
            self._forgot_at = now
            self._forget_past(time.time_ns() // 1000)

    def _ask(self, now: float) -> None:
        if self._is_closed:
            return
        self._is_hurried = False
        asked: list[Lease] = []
        asks: list[LeaseAsk] = []
        for lease in self._active.values():
            lease.wanted = lease.wanted_min = 0
        self._before()
        leases = self._in_turn()
        is_due = any(lease.is_due(now) for lease in leases)
        for lease in leases:
            ask = lease.ask(now) if is_due else None
            if ask is not None:
                asked.append(lease)
                asks.append(ask)
                self._active[lease.window] = self._active.pop(lease.window)  # others come first the next time
                if len(asks) == ASKS_MAX:
                    self._is_hurried = True
                    break
            elif lease.is_idle:
                lease.is_active = False
                del self._active[lease.window]
        if not asks and (not self._active or now - self._asked_at < self._lease_s * RENEW_PART):
            return
        self._is_asking, self._asked_at = True, now
        self.begun += 1
        if self._talker is None:
            self._talker = threading.Thread(target=self._run, name="quotas", daemon=True)
            self._talker.start()
        self._work.put(lambda: self._exchange(asked, asks, now))

    def _in_turn(self) -> list[Lease]:
        """Active leases: where there are too many for one exchange, those that calls wait for come first."""
        leases = list(self._active.values())
        return leases if len(leases) <= ASKS_MAX else sorted(leases, key=lambda lease: not lease.waiting)

    def _answered(self, asked: Sequence[Lease], answers: Sequence[LeaseAnswer], at: float) -> None:
        for lease, answer in zip(asked, answers, strict=True):
            lease.take(answer, at)
        self.valid_until = at + self._lease_s * TRUSTED_PART
        if self.failure:
            log.warning("quotas: the store answers again")
        self.failure = ""
        self._ended()

    def _failed(self, asked: Sequence[Lease], reason: str) -> None:
        for lease in asked:
            lease.told_spent = -1  # to be told again
        if not self.failure:
            log.error("quotas: the store cannot be reached, and calls under a quota are refused soon: %s", reason)
        self.failure, self.failed_at = reason, time.monotonic()
        self._ended()

    def _ended(self) -> None:
        self._is_asking = False
        self.ended += 1
        self._after()
        if self._is_hurried and not self._is_asking:
            self._loop.call_later(HURRY_S, self._hurried)

    def _forget_past(self, now_us: int) -> None:
        """Let go of windows that are over and hold nothing."""
        for key in [key for key, lease in self.leases.items() if lease.ends_us < now_us and not lease.is_active]:
            del self.leases[key]

    async def close(self) -> None:
        """The last word: whatever is not spent goes back. Gives up after CLOSE_S: the store's clock does the rest."""
        self._is_closed = True
        if self._talker is None:
            return
        done = self._loop.create_future()
        asks = [lease.last_word() for lease in self.leases.values()]
        self._work.put(lambda: self._leave(asks, done))
        self._work.put(None)
        try:
            await asyncio.wait_for(done, CLOSE_S)
        except TimeoutError:
            log.error("quotas: the store did not take the last word in %g s; what was held comes back later", CLOSE_S)

    # -- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _exchange(self, asked: Sequence[Lease], asks: Sequence[LeaseAsk], at: float) -> None:
        try:
            if self._store is None:
                store = self._make_store()
                store.enter(self._lessee)
                self._store = store
            answers = self._store.exchange(self._lessee, asks)
        except TidegateError as error:
            self._tell(self._failed, asked, str(error))
        except Exception as error:  # a mistake in a store: the log has it whole, and calls are refused
            log.exception("quotas: the store failed")
            self._tell(self._failed, asked, str(error))
        else:
            self._tell(self._answered, asked, answers, at)

    def _leave(self, asks: Sequence[LeaseAsk], done: "asyncio.Future[None]") -> None:
        try:
            if self._store is not None:
                self._store.leave(self._lessee, asks)
        except Exception as error:  # noqa: BLE001 - the log says what; what was held comes back later
            log.error("quotas: the last word could not be said: %s", error)
        self._tell(_finish, done)

    def _tell(self, then: Callable[..., None], *values: object) -> None:
        try:
            self._loop.call_soon_threadsafe(then, *values)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            log.debug("quotas: an answer came after the end")


def _finish(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)
