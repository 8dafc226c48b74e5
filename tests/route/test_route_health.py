"""Health is passive: what calls show of an endpoint decides when it is tried."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.endpoints import endpoint, planner
from tidegate.core.routing_settings import Routing
from tidegate.route.course import Bounds, Course, RetryBudget, fault_of_status
from tidegate.route.health import BUCKETS, Health, Histogram, Patience, bucket_of, floor_of
from tidegate.route.planner import Call
from tidegate.route.setup import planner_of

A, B = endpoint("a", 1), endpoint("b", 1)


@given(st.integers(0, 2**31))
def test_a_bucket_holds_its_values_within_an_eighth(value: int) -> None:
    floor, above = floor_of(bucket_of(value)), floor_of(bucket_of(value) + 1)
    assert floor <= value < above
    assert above - floor <= max(floor // 8, 1)
    assert bucket_of(value) < BUCKETS


def test_percentiles_are_those_of_the_samples_within_an_eighth() -> None:
    rng, histogram = random.Random(1), Histogram()
    values = sorted(rng.randint(1, 10**6) for _ in range(5000))
    for value in values:
        histogram.add(value, 1.0)
    for ppm in (500_000, 900_000, 990_000):
        assert histogram.percentile(ppm) == pytest.approx(values[5000 * ppm // 1_000_000 - 1], rel=0.13)


def test_old_samples_fade_and_new_ones_take_over() -> None:
    histogram = Histogram()
    for _ in range(100):
        histogram.add(1_000_000, 1.0)
    for _ in range(20):
        histogram.add(10, 3001.0)
    assert histogram.percentile(500_000) == 10


def test_few_samples_say_nothing() -> None:
    histogram = Histogram()
    for _ in range(4):
        histogram.add(5, 1.0)
    assert histogram.percentile(500_000) is None


def test_the_breaker_opens_closes_and_waits_longer_each_time() -> None:
    health = Health(Patience(failures_to_open=3, open_s=5))
    one = health.of("m@a")
    for _ in range(2):
        health.fail("m@a", 10.0, "server_error")
    assert one.state(10.0) == "closed"
    health.fail("m@a", 10.0, "server_error")
    assert one.state(14.9) == "open" and one.state(15.0) == "half_open"
    health.fail("m@a", 15.0, "timeout")
    assert one.state(24.9) == "open" and one.state(25.0) == "half_open", "twice as long"
    health.succeed("m@a", 25.0)
    assert one.state(25.0) == "closed" and one.is_well(25.0)


def test_settings_that_are_read_again_hold_for_endpoints_that_were_seen_before() -> None:
    """A worker begins with an empty planner, and takes its live state along whenever its table is made anew."""
    book = planner().book
    before = planner_of(Routing(), {}, book)
    before.health.fail("m@a", 1.0, "timeout")
    after = planner_of(Routing(failures_to_open=2, open_s=30, affinity=False), {}, book, before)
    assert after.health is before.health and after.affinity is None
    after.health.fail("m@a", 2.0, "timeout")
    assert after.health.of("m@a").state(31.9) == "open" and after.health.of("m@a").state(32.0) == "half_open"


def test_failures_of_calls_begun_before_it_opened_do_not_prolong_it() -> None:
    health = Health(Patience(failures_to_open=1, open_s=5))
    for _ in range(50):
        health.fail("m@a", 10.0, "timeout")
    assert health.of("m@a").state(15.0) == "half_open"


def test_who_answered_others_in_the_meantime_is_not_down() -> None:
    """Sixteen calls that hang together time out together, long after the last answer; that is no row of failures."""
    health = Health(Patience(failures_to_open=5))
    health.succeed("m@a", 10.2)
    for number in range(16):
        health.fail("m@a", 11.0 + number / 100, "timeout", began_s=10.0 + number / 100)
    assert health.of("m@a").state(11.2) == "closed" and not health.of("m@a").is_well(11.2), "but many did fail"
    for number in range(5):
        health.fail("m@a", 12.0 + number / 100, "timeout", began_s=11.0)
    assert health.of("m@a").state(12.1) == "open"


def test_a_rate_limit_rests_an_endpoint_and_is_no_outage() -> None:
    health = Health()
    for _ in range(20):
        health.fail("m@a", 10.0, "rate_limited", retry_after_s=7)
    one = health.of("m@a")
    assert one.state(10.0) == "closed" and not one.is_well(16.9) and one.is_well(17.0)


def test_a_half_open_endpoint_gets_one_probe_at_a_time() -> None:
    made = planner(A, B)
    for _ in range(5):
        made.health.fail("m@a", 1.0, "connect")
    assert all(made.plan(Call(("m",), draw=draw * 8), 3.0).order[0].facts is B for draw in range(20)), "open: last"
    plans = [made.plan(Call(("m",), draw=draw * 8), 7.0) for draw in range(20)]
    assert [plan.is_probe for plan in plans] == [True] + [False] * 19
    assert [one.facts.tag for one in plans[0].order] == ["a", "b"]
    made.health.succeed("m@a", 7.0)
    assert {made.plan(Call(("m",), draw=draw << 27), 7.0).order[0].facts.tag for draw in range(32)} == {"a", "b"}


def test_when_all_are_down_all_are_still_tried() -> None:
    """A permitted endpoint that lives again must not wait for a breaker."""
    made = planner(A, B)
    for name in ("m@a", "m@b"):
        for _ in range(5):
            made.health.fail(name, 1.0, "connect")
    plan = made.plan(Call(("m",), draw=1), 2.0)
    assert len(plan.order) == 2 and plan.reason == "all_down"


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_the_callers_own_mistake_is_not_tried_elsewhere(status: int) -> None:
    course = Course(planner(A, B).plan(Call(("m",)), 1.0), Bounds(), RetryBudget(1), 1.0)
    assert fault_of_status(status) is None
    assert course.fail(fault_of_status(status), 1.0, is_begun=False) is None
    assert course.stopped == "the request itself was refused"


@pytest.mark.parametrize(
    ("status", "fault"), [(500, "server_error"), (529, "server_error"), (429, "rate_limited"), (504, "timeout"),
                          (401, "rejected"), (404, "rejected"), (408, "timeout")]
)  # fmt: skip
def test_the_providers_own_faults_are_tried_elsewhere(status: int, fault: str) -> None:
    plan = planner(A, B).plan(Call(("m",)), 1.0)
    course = Course(plan, Bounds(), RetryBudget(1), 1.0)
    assert fault_of_status(status) == fault
    assert course.fail(fault_of_status(status), 1.0, is_begun=False) is plan.order[1]


def test_nothing_is_repeated_after_the_first_event() -> None:
    course = Course(planner(A, B).plan(Call(("m",)), 1.0), Bounds(), RetryBudget(1), 1.0)
    assert course.fail("broken", 1.0, is_begun=True) is None
    assert course.stopped == "the answer had begun"


def test_attempts_are_bounded_in_number_and_time() -> None:
    many = [endpoint(f"p{number}") for number in range(10)]
    course = Course(planner(*many).plan(Call(("m",)), 1.0), Bounds(attempts_max=3, attempts_s=60), RetryBudget(9), 1.0)
    assert course.fail("timeout", 2.0, is_begun=False) and course.fail("timeout", 3.0, is_begun=False)
    assert course.fail("timeout", 4.0, is_begun=False) is None and "attempts_max" in course.stopped
    course = Course(planner(*many).plan(Call(("m",)), 1.0), Bounds(attempts_s=60), RetryBudget(9), 1.0)
    assert course.fail("timeout", 61.0, is_begun=False) is None and "attempts_s" in course.stopped


def test_retries_of_all_calls_share_a_budget() -> None:
    """When everything fails, the load on providers grows by the budget, and not by the number of endpoints."""
    made, budget = planner(A, B), RetryBudget(0.5, burst=10)
    retried = 0
    for _ in range(1000):
        course = Course(made.plan(Call(("m",)), 1.0), Bounds(), budget, 1.0)
        retried += course.fail("server_error", 1.0, is_begun=False) is not None
    assert 500 <= retried <= 511


def test_the_reason_of_a_row_is_short_and_says_what_failed() -> None:
    course = Course(planner(A, B).plan(Call(("m",), draw=1), 1.0), Bounds(), RetryBudget(1), 1.0)
    assert course.reason == "price 2/2"
    course.fail("timeout", 2.0, is_begun=False)
    assert course.reason == "price 2/2; timeout"


def test_successes_that_are_passed_over_still_count_against_failures() -> None:
    """Of an endpoint that is much used one success in eight is looked at; its share of failures is of all calls."""
    health = Health()
    for number in range(1000):
        if not health.passes_over("e"):
            health.succeed("e", number / 1000, latency_us=1000)
    for _ in range(4):
        health.fail("e", 1.0, "timeout")
    share = health.of("e").error_ppm(1.0)
    assert share is not None and abs(share - 4_000_000_000 // 1_004_000) <= 40
    assert not health.passes_over("e"), "after a failure every success is news"
