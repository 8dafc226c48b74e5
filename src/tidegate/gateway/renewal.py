"""A value that expires: fetched in a thread, by one fetch at a time, and again before it expires.

The event loop never waits: `current` is a plain call, and whoever finds nothing waits on `ready`. A fetch that fails
while the old value still holds is only logged; one that fails when nothing holds is what every waiter gets, and for
RETRY_S also those who come later, so that a broken sign-in is not asked for at the rate of the calls.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from msgspec import Struct

from tidegate.core.errors import GatewayError, UpstreamError, UpstreamTimeout

log = logging.getLogger(__name__)
FETCH_S: Final = 30.0  # after it the waiters get an error; the thread ends by the time-outs of its own sockets
RETRY_S: Final = 2.0  # between a fetch that failed and the next
MARGIN_S: Final = 10.0  # a value this close to its end is not handed out: the call must still reach the provider

T = TypeVar("T")


class Lease(Struct, Generic[T], frozen=True):
    """A value, and the Unix times from which on it should be renewed and until which it holds."""

    value: T
    renew_at_s: float
    expires_at_s: float


class Renewal(Generic[T]):
    """One value that expires. `what` names it in errors: "the Google token of provider vertex"."""

    def __init__(self, what: str, fetch: Callable[[], Lease[T]], *, clock: Callable[[], float] = time.time) -> None:
        """fetch: runs in a thread; raises GatewayError where it can say the mend."""
        self._what, self._fetch, self._clock = what, fetch, clock
        self._lease: Lease[T] | None = None
        self._task: asyncio.Task[None] | None = None
        self._error: GatewayError | None = None
        self._retry_at = 0.0

    def current(self) -> T | None:
        """The value, if it holds; starts its renewal when that is due. None: wait on `ready`, then ask again."""
        lease = self._lease
        if lease is None:
            return None
        now = self._clock()
        if now >= lease.renew_at_s and self._task is None and now >= self._retry_at:
            self._start()
        return lease.value if now < lease.expires_at_s - MARGIN_S else None

    def ready(self) -> "asyncio.Future[None]":
        """Done when `current` has a value. Fails with a GatewayError. A waiter that is cancelled stops no fetch."""
        if self._task is None and self._error is not None and self._clock() < self._retry_at:
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(self._error)
            return failed
        return asyncio.shield(self._task or self._start())

    def _start(self) -> "asyncio.Task[None]":
        self._task = asyncio.get_running_loop().create_task(self._renew())
        self._task.add_done_callback(self._on_done)
        return self._task

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(FETCH_S):
                lease = await loop.run_in_executor(None, self._fetch)
        except TimeoutError:
            raise UpstreamTimeout(f"{self._what} did not come within {FETCH_S:g} s") from None
        except GatewayError:
            raise
        except Exception as error:  # a library's own failure: the log has it whole, the caller its kind
            log.exception("%s could not be fetched", self._what)
            raise UpstreamError(f"{self._what} could not be fetched ({type(error).__name__}); see the log") from error
        if lease.expires_at_s - MARGIN_S <= self._clock():
            raise UpstreamError(f"{self._what} has ended when it comes; is this machine's clock right?")
        self._lease, self._error = lease, None

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, GatewayError):
            self._error, self._retry_at = error, self._clock() + RETRY_S
            log.warning("%s", error.message)
