"""Values that expire: renewed off the loop and ahead of time, by one fetch at a time; an error is told once."""

import asyncio
import threading
import time

import pytest

from tidegate.core.errors import UpstreamError, UpstreamRejected, UpstreamTimeout
from tidegate.gateway import renewal
from tidegate.gateway.renewal import MARGIN_S, RETRY_S, Lease, Renewal


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Gives "token 1", "token 2", ..., each good for 100 s, to be renewed after 60."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.count = clock, 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.threads: set[int] = set()

    def __call__(self) -> Lease[str]:
        self.threads.add(threading.get_ident())
        self.gate.wait(10)
        self.count += 1
        if self.error is not None:
            raise self.error
        return Lease(f"token {self.count}", self.clock.now + 60, self.clock.now + 100)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock: Clock) -> Source:
    return Source(clock)


@pytest.fixture
def value(source: Source, clock: Clock) -> Renewal[str]:
    return Renewal("the token of provider p", source, clock=clock)


async def until(condition: object) -> None:
    """Wait until a renewal that runs in the background has shown."""
    for _ in range(500):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nothing happened within 5 s")


async def test_the_first_value_is_fetched_in_a_thread(value: Renewal[str], source: Source) -> None:
    """A token server may take seconds; the loop carries thousands of streams meanwhile."""
    assert value.current() is None
    await value.ready()
    assert value.current() == "token 1"
    assert threading.get_ident() not in source.threads


async def test_many_waiters_cause_one_fetch(value: Renewal[str], source: Source) -> None:
    source.gate.clear()
    waiters = [value.ready() for _ in range(50)]
    source.gate.set()
    await asyncio.gather(*waiters)
    assert source.count == 1


async def test_a_waiter_that_leaves_does_not_take_the_fetch_with_it(value: Renewal[str], source: Source) -> None:
    source.gate.clear()
    leaves, stays = value.ready(), value.ready()
    leaves.cancel()
    source.gate.set()
    await stays
    assert value.current() == "token 1"


async def test_the_value_is_renewed_before_it_expires_and_nobody_waits(
    value: Renewal[str], source: Source, clock: Clock
) -> None:
    await value.ready()
    clock.now += 59
    assert value.current() == "token 1"
    clock.now += 1
    source.gate.clear()
    assert [value.current() for _ in range(3)] == ["token 1"] * 3
    source.gate.set()
    await until(lambda: value.current() == "token 2")
    assert source.count == 2


async def test_a_value_about_to_end_is_not_handed_out(value: Renewal[str], clock: Clock) -> None:
    """The call must still reach the provider with it."""
    await value.ready()
    clock.now += 100 - MARGIN_S
    assert value.current() is None
    await value.ready()
    assert value.current() == "token 2"


async def test_a_value_that_has_ended_when_it_comes_is_an_error_not_a_loop(clock: Clock) -> None:
    """A clock that is wrong by an hour: asking again would never help."""
    late = Renewal("the token of provider p", lambda: Lease("old", 0.0, clock.now - 1), clock=clock)
    with pytest.raises(UpstreamError, match="is this machine's clock right"):
        await late.ready()
    assert late.current() is None


async def test_a_failed_renewal_is_survived_while_the_old_value_holds(
    value: Renewal[str], source: Source, clock: Clock
) -> None:
    await value.ready()
    clock.now += 70
    source.error = UpstreamError("no token now")
    assert value.current() == "token 1"
    await until(lambda: source.count == 2)
    await asyncio.sleep(0.01)
    assert value.current() == "token 1"
    assert source.count == 2, "it is not asked for again at once"
    source.error = None
    clock.now += RETRY_S
    assert value.current() == "token 1"
    await until(lambda: value.current() == "token 3")


async def test_every_waiter_gets_the_error_and_latecomers_get_it_at_once(
    value: Renewal[str], source: Source, clock: Clock
) -> None:
    """Else each call would knock at a door that is shut."""
    source.error = UpstreamRejected("Google refuses the credentials")
    for _ in range(3):
        with pytest.raises(UpstreamRejected, match="refuses"):
            await value.ready()
    assert source.count == 1
    clock.now += RETRY_S
    source.error = None
    await value.ready()
    assert value.current() == "token 2"


async def test_a_failure_that_nobody_foresaw_names_what_was_fetched_and_not_its_words(
    value: Renewal[str], source: Source
) -> None:
    """Its words might hold a secret; the log has them."""
    source.error = RuntimeError("secret")
    with pytest.raises(UpstreamError, match=r"the token of provider p could not be fetched \(RuntimeError\)") as seen:
        await value.ready()
    assert "secret" not in seen.value.message


async def test_a_fetch_that_hangs_is_given_up(
    value: Renewal[str], source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "FETCH_S", 0.05)
    source.gate.clear()
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout, match="the token of provider p did not come"):
        await value.ready()
    assert time.monotonic() - started < 5
    source.gate.set()
