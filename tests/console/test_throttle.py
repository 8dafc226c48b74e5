"""Passwords are tried a few times, not by the thousand; and nobody locks somebody else out."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.console import throttle
from tidegate.console.throttle import Throttle

HOME, AWAY = "192.0.2.1", "198.51.100.7"


def fail(seen: Throttle, times: int, account: str, address: str, now_s: float = 0) -> int:
    """Tries until it is told to wait; how many were looked at."""
    for done in range(times):
        if seen.wait_s(account, address, now_s):
            return done
        seen.failed(account, address, now_s)
    return times


def test_after_five_slips_one_waits_a_minute_for_each_further_try() -> None:
    """The wait is what a caller is told in Retry-After, and it is true."""
    seen = Throttle()
    assert fail(seen, 100, "ada", HOME) == 5
    wait_s = seen.wait_s("ada", HOME, 0)
    assert wait_s == 61
    assert fail(seen, 100, "ada", HOME, wait_s) == 1


def test_who_signs_in_is_forgiven() -> None:
    """Four slips and the right password, five times; and a program that is right a hundred times at one moment."""
    seen = Throttle()
    for _ in range(5):
        assert fail(seen, 5, "ada", HOME) == 5
        seen.succeeded("ada", HOME)
    seen = Throttle()
    for _ in range(100):
        assert fail(seen, 1, "ada", HOME) == 1
        seen.succeeded("ada", HOME)


def test_a_stranger_elsewhere_does_not_lock_an_account() -> None:
    """His tries are his own; those of a crowd are the account's."""
    seen = Throttle()
    fail(seen, 100, "ada", AWAY)
    assert seen.wait_s("ada", HOME, 0) == 0
    crowd = sum(fail(seen, 100, "ada", f"203.0.113.{host}") for host in range(1, 30))
    assert crowd == 45, "50 in all, 5 of them by the stranger"
    assert seen.wait_s("ada", HOME, 0) > 0


def test_one_place_does_not_try_every_account() -> None:
    """25 tries in all; an IPv6 customer has a /64 and is one place, and so are all whose address is unknown."""
    for places in ([AWAY], ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"], ["", "unknown"]):
        seen = Throttle()
        assert sum(fail(seen, 1, f"person{n}", places[n % len(places)]) for n in range(100)) == 25


def test_memory_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Whatever is typed, and from wherever."""
    monkeypatch.setattr(throttle, "PLACES_MAX", 10)
    seen = Throttle()
    for number in range(100):
        seen.failed("x" * 10_000 + str(number), f"192.0.2.{number}", 0)
    assert len(seen._buckets) == 10


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["a", "b"]), st.sampled_from([HOME, AWAY])), max_size=80))
def test_a_wait_that_was_sat_out_is_over(steps: list[tuple[int, str, str]]) -> None:
    """Nobody waits for ever, whatever others do before."""
    seen, now_s = Throttle(), 0.0
    for passed_s, account, address in steps:
        now_s += passed_s
        if not seen.wait_s(account, address, now_s):
            seen.failed(account, address, now_s)
    wait_s = seen.wait_s("a", HOME, now_s)
    assert seen.wait_s("a", HOME, now_s + wait_s) == 0
