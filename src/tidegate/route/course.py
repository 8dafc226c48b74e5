"""The course of one call through its plan: which endpoint next when one fails, after which pause, and when to stop.

An attempt never leaves the plan, and nothing is repeated that was the caller's own mistake or of which the caller has
seen the first event. Each endpoint is asked once, at once; when those that are well have all failed, they are asked
again, after pauses that grow and differ from call to call, or when they themselves said to come back.
"""

from typing import Final, NamedTuple

import msgspec

from tidegate.route.health import Fault, Health
from tidegate.route.planner import Call, RoutePlan
from tidegate.route.rank import Candidate

BURST: Final = 100.0  # retries that are always allowed at once
PAUSE_LEAST_S: Final = 0.05
PAUSE_MOST_S: Final = 2.0
FAILURES_TO_GIVE_UP: Final = 20  # in a row, of all calls: such an endpoint is down, and no call asks it twice
SILENCES_TO_GIVE_UP: Final = 10  # failures in a row, after which who is silent is not waited for twice
TIMES_BEFORE_SHUT: Final = 3  # that one call asks an endpoint that is well before it asks one that is shut
NEVER_S: Final = float("inf")
_DRAWS: Final = 1 << 32
_BY_STATUS: Final[dict[int, Fault]] = {
    401: "rejected",
    402: "rejected",
    403: "rejected",
    404: "rejected",
    405: "rejected",
    408: "timeout",
    425: "server_error",
    429: "rate_limited",
    504: "timeout",
}


def fault_of_status(status: int) -> Fault | None:
    """What a provider's status says of the provider; None where it is about the caller's own request.

    401 to 405 are about our key, our bill or our address for its model: another endpoint may well serve the call.
    """
    if status >= 500:
        return _BY_STATUS.get(status, "server_error")
    return _BY_STATUS.get(status) if status >= 400 else None


class RetryBudget:
    """Further attempts that all calls together may make: when everything fails, retries must not multiply the load."""

    def __init__(self, per_call: float, burst: float = BURST) -> None:
        self._per_call, self._burst = per_call, burst
        self.left = burst

    def call(self) -> None:
        """A call begins: it brings its part."""
        if self.left < self._burst:
            self.left = min(self.left + self._per_call, self._burst)

    def take(self) -> bool:
        """One more attempt, if there is one left."""
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True

    def give_back(self, attempts: int) -> None:
        """They led to an answer, so they were no vain load."""
        self.left = min(self.left + attempts, self._burst)


class Bounds(msgspec.Struct, frozen=True):
    """Of one call: how many attempts; until when one may begin; how long all pauses before them may take together."""

    attempts_max: int = 6
    attempts_s: float = 120.0
    pauses_s: float = 6.0


class Setback(NamedTuple):
    """What is known when an attempt has failed, beside its fault.

    retry_after_s: what the provider said; None: nothing. draw: any integer, the chance of the pause. health: of all
    endpoints, this failure included; None: nothing is known of them. may_pause: there is room for calls that wait.
    """

    retry_after_s: float | None = None
    draw: int = 0
    health: Health | None = None
    may_pause: bool = True


NO_SETBACK: Final = Setback()


class Course:
    """One call on its way. `tried`: what was attempted, in order; the last one is under way or has served.

    `pause_s`: to wait before the attempt that `fail` named; 0: none. `stopped`: why there was no further attempt.
    `kept`: whatever the next attempt is made of, None where there can be none any more; the course only holds it.
    """

    # What most calls never change stands on the class: a call that is answered at once sets nothing of it.
    faults: tuple[Fault, ...] = ()
    stopped: str = ""
    pause_s: float = 0.0
    kept: bytes | None = None
    _again_s: dict[str, float] | None = None  # of those that failed: when each may be asked again, NEVER_S: not
    _paused_s: float = 0.0  # in all, so far
    _last_s: float = PAUSE_LEAST_S
    _taken: int = 0  # of the budget

    def __init__(self, plan: RoutePlan, bounds: Bounds, budget: RetryBudget, now_s: float,
                 asking: Call | None = None) -> None:  # fmt: skip
        """plan: not empty; its first endpoint is the first attempt. asking: what it was made of."""
        budget.call()
        self.asking = asking
        self.plan, self._bounds, self._budget, self._started_s = plan, bounds, budget, now_s
        self.tried: tuple[Candidate, ...] = plan.order[:1]

    @property
    def current(self) -> Candidate:
        return self.tried[-1]

    @property
    def has_choice(self) -> bool:
        """Whether the plan has more than one endpoint."""
        return len(self.plan.order) > 1

    @property
    def has_next(self) -> bool:
        """Whether another endpoint of the plan, that was not asked yet, could still be."""
        order, tried = self.plan.order, self.tried
        if len(order) < 2 or len(tried) >= self._bounds.attempts_max:
            return False
        return len(tried) < 2 or any(one not in tried for one in order)

    def never_pause(self) -> None:
        """Who failed is not asked again: somebody outside of the plan stands ready."""
        self._bounds = msgspec.structs.replace(self._bounds, pauses_s=0.0)

    def fail(self, fault: Fault | None, now_s: float, *, is_begun: bool,
             setback: Setback = NO_SETBACK) -> Candidate | None:  # fmt: skip
        """The attempt failed. The endpoint to ask next, or None: the call has failed, and `stopped` says why not on.

        fault: None where the caller's own request was refused. is_begun: the caller has seen the first event.
        """
        self.pause_s = 0.0
        if fault is not None:
            self.faults = (*self.faults, fault)
        self.stopped = self._why_not(fault, now_s, is_begun=is_begun)
        if self.stopped:
            return None
        self._note(fault, now_s, setback)
        chosen = self._chosen(now_s, setback)
        if chosen is None:
            self.stopped = "the plan has no further endpoint"
        elif not self._budget.take():
            self.stopped, chosen = "too many calls are being retried at present (routing.retries_per_call)", None
        else:
            self._taken += 1
            self._paused_s += self.pause_s
            self.tried = (*self.tried, chosen)
        return chosen

    def pass_over(self) -> Candidate | None:
        """The current endpoint cannot be told what the request says: the next one that was not asked, if there is one.

        Nothing was sent, so it costs no retry; and it never will be.
        """
        self.faults = (*self.faults, "rejected")
        self._note("rejected", 0.0, NO_SETBACK)
        for one in self.plan.order:
            if one not in self.tried:
                self.tried = (*self.tried, one)
                return one
        return None

    def serve(self) -> None:
        """The last attempt is answered: what it took to get there was worth its while."""
        if self._taken:
            self._budget.give_back(self._taken)
            self._taken = 0

    def _why_not(self, fault: Fault | None, now_s: float, *, is_begun: bool) -> str:
        if fault is None:
            return "the request itself was refused"
        if is_begun:
            return "the answer had begun"
        if len(self.tried) >= self._bounds.attempts_max:
            return f"{self._bounds.attempts_max} attempts were made (routing.attempts_max)"
        if now_s - self._started_s >= self._bounds.attempts_s:
            return f"{self._bounds.attempts_s:g} s are over (routing.attempts_s)"
        return ""

    def _note(self, fault: Fault | None, now_s: float, setback: Setback) -> None:
        """When the current endpoint may be asked again. Who refused our key, or does not know the model: never; nor who
        is silent, where many calls have failed: each time costs the caller the whole time-out."""
        endpoint_id, health = self.current.endpoint_id, setback.health
        failures = 0 if health is None else health.of(endpoint_id).failures
        is_over = fault == "rejected" or (fault == "timeout" and failures >= SILENCES_TO_GIVE_UP)
        if self._again_s is None:
            self._again_s = {}
        self._again_s[endpoint_id] = NEVER_S if is_over else now_s + (setback.retry_after_s or 0.0)

    def _chosen(self, now_s: float, setback: Setback) -> Candidate | None:
        """The endpoint to ask next, and the pause before it.

        At once the next that is well and was not asked; then those that are well again, a few times; then those that
        are shut, at once where they were not asked. Of equals the one that may be asked first, of these the best.
        """
        health, best, chosen = setback.health, (2, False, 0.0, 0), None
        pause_s = self._jitter_s(setback.draw)
        for one in self.plan.order:
            wait_s = self._wait_s(one, now_s, pause_s, setback)
            if wait_s < 0.0:
                continue
            asked = self.tried.count(one)
            is_late = asked >= TIMES_BEFORE_SHUT or (health is not None and health.of(one.endpoint_id).is_shut(now_s))
            found = (1 if is_late else 0, asked > 0, wait_s, asked)
            if found < best:
                best, chosen = found, one
        self.pause_s = best[2]
        if self.pause_s > 0.0:
            self._last_s = pause_s
        return chosen

    def _wait_s(self, one: Candidate, now_s: float, pause_s: float, setback: Setback) -> float:
        """Before an endpoint is asked: 0 for one that was not yet; below 0: it is not to be."""
        again_s = (self._again_s or {}).get(one.endpoint_id)
        if again_s is None:
            return 0.0
        if not setback.may_pause:
            return -1.0
        health = setback.health
        if health is not None and health.of(one.endpoint_id).failures >= FAILURES_TO_GIVE_UP:
            return -1.0
        bounds = self._bounds
        room_s = min(bounds.pauses_s - self._paused_s, self._started_s + bounds.attempts_s - now_s)
        least_s = max(again_s - now_s, 0.0)
        if least_s > room_s or room_s <= 0.0:
            return -1.0
        if least_s > pause_s:
            pause_s = least_s + PAUSE_LEAST_S * (setback.draw % _DRAWS) / _DRAWS  # all were told the same moment
        return min(pause_s, room_s)

    def _jitter_s(self, draw: int) -> float:
        """A pause of decorrelated jitter: between the least and three times the one before, so that calls which failed
        together do not come back together (M. Brooker, "Exponential Backoff And Jitter", 2015)."""
        span_s = 3.0 * self._last_s - PAUSE_LEAST_S
        return min(PAUSE_LEAST_S + span_s * (draw % _DRAWS) / _DRAWS, PAUSE_MOST_S)

    @property
    def reason(self) -> str:
        """What the row keeps: how the first was chosen, how many could serve, which policies bound, what failed.

        `price 3/5 eu-only` or, with a fallback, `price 3/5 eu-only; timeout > rate_limited`.
        """
        head = f"{self.plan.reason} {self.plan.shelf.told}"
        return f"{head}; {' > '.join(self.faults)}" if self.faults else head
