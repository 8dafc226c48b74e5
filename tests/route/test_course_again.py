"""Endpoints that failed a call may be asked again: within bounds, after pauses, never for the caller's own mistake."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rig.endpoints import endpoint, planner
from tidegate.route.course import (
    FAILURES_TO_GIVE_UP,
    PAUSE_LEAST_S,
    PAUSE_MOST_S,
    SILENCES_TO_GIVE_UP,
    Bounds,
    Course,
    RetryBudget,
    Setback,
)
from tidegate.route.health import Fault, Health
from tidegate.route.planner import Call

FAULTS: tuple[Fault | None, ...] = ("timeout", "connect", "server_error", "rate_limited", "broken", "rejected", None)
A, B, C = endpoint("a", 1), endpoint("b", 1), endpoint("c", 1)

Turn = tuple[Fault | None, float | None, int, float, bool, int]
turns = st.lists(
    st.tuples(st.sampled_from(FAULTS), st.one_of(st.none(), st.floats(0, 100)), st.integers(0, 2**32 - 1),
              st.floats(0, 30), st.booleans(), st.integers(0, 9)),
    max_size=25,
)  # fmt: skip


def course_of(count: int, bounds: Bounds | None = None, budget: RetryBudget | None = None) -> tuple[Course, Health]:
    made = planner(*(A, B, C)[:count])
    return Course(made.plan(Call(("m",)), 0.0), bounds or Bounds(), budget or RetryBudget(1), 0.0), made.health


@given(st.integers(1, 3), st.integers(1, 8), st.floats(0, 20), st.floats(0.1, 60), turns)
def test_whatever_fails_attempts_stay_in_the_plan_and_in_their_bounds(
    count: int, attempts_max: int, pauses_s: float, attempts_s: float, turns: list[Turn]
) -> None:
    """No attempt outside the plan, none after the first event or the caller's own mistake; numbers have bounds."""
    course, health = course_of(count, Bounds(attempts_max, attempts_s, pauses_s))
    now_s, paused_s, refused = 0.0, 0.0, set[str]()
    for fault, retry_after_s, draw, took_s, may_pause, begun in turns:
        now_s += took_s
        failed, is_begun = course.current, begun == 0
        if fault == "rejected":
            refused.add(failed.endpoint_id)
        if fault is not None:
            health.fail(failed.endpoint_id, now_s, fault, retry_after_s=retry_after_s)
        chosen = course.fail(fault, now_s, is_begun=is_begun, setback=Setback(retry_after_s, draw, health, may_pause))
        if chosen is None:
            assert course.stopped
            return
        assert fault is not None and not is_begun
        assert chosen in course.plan.order and chosen.endpoint_id not in refused
        assert len(course.tried) <= attempts_max and now_s < attempts_s
        is_again = course.tried.count(chosen) > 1
        assert (course.pause_s > 0) == is_again and (may_pause or not is_again)
        if chosen is failed and retry_after_s:
            assert course.pause_s >= min(retry_after_s, pauses_s - paused_s) - 1e-9
        paused_s += course.pause_s
        now_s += course.pause_s
        assert paused_s <= pauses_s + 1e-9 and now_s <= attempts_s + 1e-9


@given(st.lists(st.integers(0, 2**32 - 1), min_size=5, max_size=5))
def test_pauses_grow_to_three_times_the_one_before_and_no_further(draws: list[int]) -> None:
    course, _ = course_of(1, Bounds(attempts_max=6, pauses_s=1000.0))
    before = PAUSE_LEAST_S
    for draw in draws:
        assert course.fail("server_error", 0.0, is_begun=False, setback=Setback(draw=draw))
        assert PAUSE_LEAST_S <= course.pause_s <= min(3 * before, PAUSE_MOST_S) + 1e-9
        before = course.pause_s


def test_calls_that_failed_together_do_not_come_back_together() -> None:
    rng, pauses = random.Random(5), []
    for _ in range(1000):
        course, _ = course_of(1)
        course.fail("server_error", 0.0, is_begun=False, setback=Setback(draw=rng.getrandbits(32)))
        pauses.append(round(course.pause_s, 3))
    assert max(Counter(pauses).values()) < 30 and max(pauses) - min(pauses) > 0.09


def test_each_endpoint_is_asked_once_before_any_is_asked_again() -> None:
    course, _ = course_of(3)
    for _ in range(5):
        assert course.fail("server_error", 0.0, is_begun=False)
    first, again = course.tried[:3], course.tried[3:]
    assert len({one.endpoint_id for one in first}) == 3 and {one.endpoint_id for one in again} == {
        one.endpoint_id for one in first
    }
    assert course.fail("server_error", 0.0, is_begun=False) is None and "attempts_max" in course.stopped


def test_who_is_well_is_asked_again_before_who_is_down() -> None:
    """One lives and stumbles, the others' breakers are open: a second word of the first is worth more than theirs."""
    made = planner(A, B, C)
    for name in ("m@b", "m@c"):
        for _ in range(5):
            made.health.fail(name, 0.0, "connect")
    course = Course(made.plan(Call(("m",), draw=1), 0.0), Bounds(), RetryBudget(1), 0.0)
    asked = []
    for _ in range(5):
        asked.append(course.current.facts.tag)
        made.health.fail("m@" + asked[-1], 0.0, "server_error")
        assert course.fail("server_error", 0.0, is_begun=False, setback=Setback(health=made.health))
    assert asked == ["a", "a", "a", "b", "c"]


def test_who_said_when_to_come_back_is_not_asked_before() -> None:
    """A says in 3 s, B says nothing: B again, and A when its time has come; an hour is not waited for."""
    course, _ = course_of(2)
    course.fail("rate_limited", 0.0, is_begun=False, setback=Setback(3.0))
    asked = course.fail("server_error", 0.0, is_begun=False, setback=Setback())
    assert asked is course.tried[1] and asked is not course.tried[0]
    alone, _ = course_of(1)
    assert alone.fail("rate_limited", 0.0, is_begun=False, setback=Setback(3.0)) and 3.0 <= alone.pause_s < 3.1
    assert alone.fail("rate_limited", 3.2, is_begun=False, setback=Setback(3600.0)) is None
    assert alone.stopped == "the plan has no further endpoint"


def test_nobody_asks_twice_who_has_been_down_for_long_or_was_silent_to_many() -> None:
    course, health = course_of(1)
    for _ in range(FAILURES_TO_GIVE_UP):
        health.fail("m@a", 0.0, "connect")
    assert course.fail("connect", 0.0, is_begun=False, setback=Setback(health=health)) is None
    course, health = course_of(1)
    for _ in range(SILENCES_TO_GIVE_UP):
        health.fail("m@a", 0.0, "timeout")
    assert course.fail("timeout", 0.0, is_begun=False, setback=Setback(health=health)) is None
    course, health = course_of(1)
    health.fail("m@a", 0.0, "timeout")
    assert course.fail("timeout", 0.0, is_begun=False, setback=Setback(health=health)) is not None


def test_what_led_to_an_answer_costs_the_budget_nothing_and_what_did_not_is_spent() -> None:
    """An endpoint that stumbles at every second attempt is asked as often as it takes; one that is dead is not."""
    budget, answered = RetryBudget(0.5), 0
    rng = random.Random(9)
    for _ in range(1000):
        course, _ = course_of(1, Bounds(attempts_max=12, pauses_s=60.0), budget)
        while rng.random() < 0.5:
            if course.fail("server_error", 0.0, is_begun=False, setback=Setback(draw=rng.getrandbits(32))) is None:
                break
        else:
            answered += 1
            course.serve()
    assert answered >= 998
    attempts = 0
    for _ in range(1000):
        course, _ = course_of(1, Bounds(attempts_max=12), budget)
        while course.fail("connect", 0.0, is_begun=False):
            pass
        attempts += len(course.tried)
    assert attempts <= 1000 + 500 + 100, "half as many more than there are calls, and the burst"


def test_what_cannot_be_said_there_is_passed_over_at_no_cost() -> None:
    budget = RetryBudget(1, burst=1)
    course, _ = course_of(3, budget=budget)
    assert course.pass_over() is course.plan.order[1] and budget.left == 1
    assert course.fail("server_error", 0.0, is_begun=False) is course.plan.order[2]
    assert course.pass_over() is None
    assert course.reason.endswith("; rejected > server_error > rejected")


def test_a_pause_without_room_for_it_is_not_made() -> None:
    course, _ = course_of(1)
    assert course.fail("server_error", 0.0, is_begun=False, setback=Setback(may_pause=False)) is None
    course, _ = course_of(1, Bounds(pauses_s=0.0))
    assert course.fail("server_error", 0.0, is_begun=False) is None
