"""The course of one call through its plan: which endpoint next when one fails, and when to stop.

An attempt never leaves the plan, no endpoint is asked twice, and nothing is repeated that was the caller's own mistake
or of which the caller has seen the first event.
"""

from typing import Final

import msgspec

from tidegate.route.health import Fault
from tidegate.route.planner import Call, RoutePlan
from tidegate.route.rank import Candidate

BURST: Final = 100.0  # retries that are always allowed at once
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


class Bounds(msgspec.Struct, frozen=True):
    """Of one call: how many attempts, and until when one may begin."""

    attempts_max: int = 4
    attempts_s: float = 120.0


class Course:
    """One call on its way. `tried`: what was attempted, in order; the last one is under way or has served."""

    __slots__ = ("_bounds", "_budget", "_started_s", "asking", "faults", "plan", "stopped", "tried")

    def __init__(self, plan: RoutePlan, bounds: Bounds, budget: RetryBudget, now_s: float,
                 asking: Call | None = None) -> None:  # fmt: skip
        """plan: not empty; its first endpoint is the first attempt. asking: what it was made of."""
        budget.call()
        self.asking = asking
        self.plan, self._bounds, self._budget, self._started_s = plan, bounds, budget, now_s
        self.tried: list[Candidate] = [plan.order[0]]
        self.faults: list[Fault] = []
        self.stopped = ""  # why there was no further attempt

    @property
    def current(self) -> Candidate:
        return self.tried[-1]

    @property
    def has_next(self) -> bool:
        """Whether another endpoint of the plan could still be asked."""
        return len(self.tried) < len(self.plan.order) and len(self.tried) < self._bounds.attempts_max

    def fail(self, fault: Fault | None, now_s: float, *, is_begun: bool) -> Candidate | None:
        """The attempt failed. The endpoint to ask next, or None: the call has failed, and `stopped` says why not on.

        fault: None where the caller's own request was refused. is_begun: the caller has seen the first event.
        """
        if fault is not None:
            self.faults.append(fault)
        self.stopped = self._why_not(fault, now_s, is_begun=is_begun)
        if self.stopped:
            return None
        self.tried.append(self.plan.order[len(self.tried)])
        return self.tried[-1]

    def _why_not(self, fault: Fault | None, now_s: float, *, is_begun: bool) -> str:
        if fault is None:
            return "the request itself was refused"
        if is_begun:
            return "the answer had begun"
        if len(self.tried) >= len(self.plan.order):
            return "the plan has no further endpoint"
        if len(self.tried) >= self._bounds.attempts_max:
            return f"{self._bounds.attempts_max} endpoints were asked (routing.attempts_max)"
        if now_s - self._started_s >= self._bounds.attempts_s:
            return f"{self._bounds.attempts_s:g} s are over (routing.attempts_s)"
        if not self._budget.take():
            return "too many calls are being retried at present (routing.retries_per_call)"
        return ""

    @property
    def reason(self) -> str:
        """What the row keeps: how the first was chosen, how many could serve, which policies bound, what failed.

        `price 3/5 eu-only` or, with a fallback, `price 3/5 eu-only; timeout > rate_limited`.
        """
        head = f"{self.plan.reason} {self.plan.shelf.told}"
        return f"{head}; {' > '.join(self.faults)}" if self.faults else head
