"""Calls that need no planning: they ask nothing of routing, and but one endpoint may serve them and all their like.

The fast twin of `Router.asking` and `Planner.plan`. A lane is what those two gave for the first of such calls: it holds
while everybody is well, for one key, model, operation and dialect, and for calls that fit the endpoint's limits.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from tidegate.route.planner import BYTES_PER_TOKEN, certain_tokens
from tidegate.wire.openai_chat import OpenAIHead
from tidegate.wire.routing_ask import ABSENT, STEERING

if TYPE_CHECKING:
    from msgspec import Raw

    from tidegate.accounts.keys import Key
    from tidegate.gateway.call import Call
    from tidegate.gateway.operation import Operation
    from tidegate.gateway.routing import Router
    from tidegate.route.planner import Call as Asking
    from tidegate.route.planner import RoutePlan

LANES_MAX: Final = 10_000  # remembered; then they are found anew
NO_LIMIT: Final = 1 << 62
DIGITS_MAX: Final = 9  # of a limit that is glanced at

Name = tuple[int, str, int, bool]
"""Of key and operation their `id`, which is theirs while a lane keeps them."""


class Lane(NamedTuple):
    """`asking`, `plan`: of the first call, and of all others like it. `key`, `operation`: whose they are.

    tokens_max, output_tokens_max: above them a call might not fit; NO_LIMIT where the endpoint states none.
    takes_pictures: whether a request with pictures may go this way, too.
    """

    key: "Key"
    operation: "Operation"
    asking: "Asking"
    plan: "RoutePlan"
    tokens_max: int
    output_tokens_max: int
    takes_pictures: bool

    @property
    def is_limited(self) -> bool:
        return self.tokens_max != NO_LIMIT or self.output_tokens_max != NO_LIMIT


class Lanes:
    """Of one router: a new table of endpoints, prices or policies begins with none."""

    def __init__(self, router: "Router") -> None:
        self._router = router
        self._unwell = router.planner.health.unwell
        self._known: dict[Name, tuple[Lane, bool]] = {}

    def find(self, call: "Call") -> Lane | None:
        """The lane of a call whose head is read; None where it must be planned."""
        head, request = call.head, call.request
        assert head is not None
        if head.routing is not None or self._unwell or not STEERING.isdisjoint(request.headers):
            return None
        name = (id(call.key), head.model, id(call.operation), head.tools_offered > 0)
        lane, is_plain = self._known.get(name, NONE)
        return lane if lane is None or is_plain or self._fits(lane, call) else None

    def _fits(self, lane: Lane, call: "Call") -> bool:
        head, body, router = call.head, call.request.body, self._router
        assert head is not None
        if not lane.takes_pictures and router.has_pictures(body):
            return False
        room = min(lane.tokens_max - certain_tokens(len(body) // BYTES_PER_TOKEN, 0), lane.output_tokens_max)
        if room < 0:
            return False
        request = head.request if type(head) is OpenAIHead else None
        if request is not None and request.messages is not ABSENT:
            limit, older = request.max_completion_tokens, request.max_tokens
            if limit is ABSENT is older or (_is_below(limit, room) and _is_below(older, room)):
                return True
        output = router.output_tokens(call.operation.dialect.name, head, body)
        return (
            output <= lane.output_tokens_max and certain_tokens(len(body) // BYTES_PER_TOKEN, output) <= lane.tokens_max
        )

    def remember(self, call: "Call", asking: "Asking", plan: "RoutePlan") -> None:
        """A call was planned: all its like need not be, where its plan is all that can come of them."""
        shelf, head = plan.shelf, call.head
        if head is None or head.routing is not None or self._unwell:
            return
        # by this call's own length, or its pictures
        is_narrowed = shelf.terms.needs is not asking.needs or bool(asking.needs.modalities)
        if is_narrowed or shelf.permitted != 1 or asking.keys or not STEERING.isdisjoint(call.request.headers):
            return
        only = plan.order[0].facts
        takes_pictures = only.modalities is None or "image" in only.modalities
        lane = Lane(
            call.key,
            call.operation,
            asking,
            plan,
            shelf.context_bounds[0] if shelf.context_bounds else NO_LIMIT,
            shelf.output_bounds[0] if shelf.output_bounds else NO_LIMIT,
            takes_pictures or not self._router.knows_modalities,
        )
        if len(self._known) >= LANES_MAX:
            self._known.clear()
        name = (id(call.key), head.model, id(call.operation), head.tools_offered > 0)
        self._known[name] = (lane, lane.takes_pictures and not lane.is_limited)


def _is_below(limit: "Raw", room: int) -> bool:
    """A glance at the limit of an answer: so many digits are less than ten to that power. False: it takes a look."""
    text = bytes(limit)
    return not text or (len(text) <= DIGITS_MAX and text.isdigit() and 10 ** len(text) <= room)


NONE: Final[tuple[Lane | None, bool]] = (None, False)
