"""A call's way up a ladder: rung after rung until an answer is good enough, the rungs end, or the budget does.

The call itself talks to no provider: each rung is a `RungExchange`. What is delivered is taken over from the rung that
answered, and the row is the call's: its usage the delivered answer's, its cost that of all rungs and judges together.
"""

import re
import time
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from tidegate.core.errors import (
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    NotAvailable,
    NotCached,
    PriceUnknown,
    UpstreamError,
    UpstreamRefusal,
    UpstreamRejected,
    UpstreamTimeout,
)
from tidegate.core.row import CostBasis
from tidegate.gateway.http import Request
from tidegate.gateway.ladders import check_alone, check_key
from tidegate.gateway.meter import NOTHING_SPENT, Settlement, unspent
from tidegate.gateway.operation import OPERATIONS
from tidegate.gateway.patience import NEVER
from tidegate.gateway.planning import unrouted
from tidegate.gateway.replies import header_list
from tidegate.gateway.rung import OverBudget, RungExchange
from tidegate.gateway.rung_answer import answer_in, judged_by, told_answer, told_request
from tidegate.gateway.rung_delivery import deliver, nothing_permitted, take_over
from tidegate.route.course import fault_of_status
from tidegate.route.ladder import Ladder, Purse, Rung, is_better, told, verdict
from tidegate.route.ladder_judge import judge_request, score_of
from tidegate.wire.events import fold
from tidegate.wire.openai_chat import CHAT

if TYPE_CHECKING:
    from tidegate.gateway.choosing import Choosing
    from tidegate.route.planner import Call as Asking
    from tidegate.route.planner import RoutePlan
    from tidegate.wire.conversation import Ask
    from tidegate.wire.dialect import Head

MENDED: Final = (NotAvailable, ModelNotFound, PriceUnknown, UpstreamError, UpstreamRejected, UpstreamTimeout)
"""Errors of a rung that another model may not have."""

TOO_LONG: Final = re.compile(
    rb"context[_ ](?:length|window|size)|prompt is too long|input (?:is too long|token count)|too many tokens",
    re.IGNORECASE,
)
"""How the errors of OpenAI, Anthropic, Google and open servers say that a conversation is too long for its model."""

JUDGE: Final = OPERATIONS["/v1/chat/completions"]
BASES: Final[tuple[CostBasis, ...]] = ("provider_reported", "metered", "estimated_partial")  # the strongest first
"""What an amount rests on; that of a sum is its weakest part's."""


class Climb:
    """One call's. `child`: the rung, or the judge, that is under way. `stopped`: what ended the call from outside."""

    def __init__(self, call: "Choosing", found: tuple[Ladder, str]) -> None:
        self.call = call
        self.ladder, self._suffix = found
        self.child: RungExchange | None = None
        self.stopped: GatewayError | None = None
        self._purse = Purse(self.ladder.budget_nano_usd)
        self._place = -1  # of the rung that is asked, from 0
        self._steps: list[str] = []  # why it was not left at the rungs before
        self._best: tuple[RungExchange, str] | None = None  # the best answer so far, and its fault
        self._failed: RungExchange | None = None
        self._refusals: list[NotAvailable] = []
        self._body = b""
        self._ask: Ask | None = None
        self._candidate: RungExchange | None = None  # which the judge is asked about
        self._is_request_counted = False
        self._loss = 0
        self._basis = 0  # of BASES

    # -- up ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Ask the first rung. Raises GatewayError."""
        call = self.call
        assert call.head is not None
        check_key(call.key, self.ladder.name)
        check_alone(call.head.routing, call.head.model)
        if call.operation.is_alone:
            raise InvalidRequest(
                f"{self.ladder.name!r} is a ladder, and holds conversations only; name a model for this.", param="model"
            )
        share = getattr(call, "share", None)  # of a tenant that opted in to the response cache
        if share is not None and share.ask.is_only:
            raise NotCached("Answers of a ladder are not kept, and the call asked for nothing else (only-if-cached).")
        self._body, call.request.body = unrouted(call, call.request.body), b""
        if call.head.is_stream and call.operation.takes_comments:
            call.patience.quiet_at = time.monotonic() + call.server.comment_s
        self._next()

    def _next(self) -> None:
        self._place += 1
        if self.stopped is not None or self._place >= len(self.ladder.rungs):
            self._give_up()
            return
        is_held = self._place + 1 < len(self.ladder.rungs)
        model = f"{self.ladder.rungs[self._place].model}{self._suffix}"
        request = self._request(self._body)
        if not is_held:
            self.call.patience.quiet_at = NEVER  # the last rung shows its own signs of life
        self._begin(RungExchange(self, self.call.operation, request, model, rung=self._place + 1, is_held=is_held))

    def _begin(self, child: RungExchange) -> None:
        self.child = child
        child.start()

    def _request(self, body: bytes) -> Request:
        own = self.call.request
        made = Request(own.method, own.path, own.query, dict(own.headers))
        made.keep_alive, made.is_http_11, made.body = own.keep_alive, own.is_http_11, body
        made.arrived, made.arrived_us, made.complete = own.arrived, own.arrived_us, time.monotonic()
        return made

    @property
    def _rung(self) -> Rung:
        return self.ladder.rungs[self._place]

    # -- asked by a rung --------------------------------------------------------------------------------------------

    def head_for(self, child: RungExchange) -> "Head":
        """What its plan depends on: the judge is bound by all that the caller says of routing."""
        own = self.call.head
        assert own is not None and child.head is not None
        if child.rung > 0:
            return child.head
        return replace(child.head, routing=own.routing, session_id="")

    def plan_for(self, child: RungExchange, asking: "Asking") -> "RoutePlan":
        plan = child.server.router.planner.plan(asking, time.monotonic())
        return replace(plan, reason=f"{self._told()}; {plan.reason}")

    def _told(self, place: int | None = None) -> str:
        return told(self.ladder, 1 + (self._place if place is None else place), self._steps)

    def check_budget(self, bound_nano_usd: int) -> None:
        """Raises OverBudget where an attempt may cost more than is left; the call's first may always be made."""
        if self.call.attempts and not self._purse.allows(bound_nano_usd):
            raise OverBudget(f"the budget of the ladder {self.ladder.name!r} pays for no further attempt")

    def wants_logprobs(self, child: RungExchange) -> bool:
        endpoint = child.endpoint
        if child.rung < 0 or not child.is_held or "logprob" not in self._rung.escalate_on:
            return False
        return endpoint is None or endpoint.endpoint_id not in self.call.server.table.ladders.without_logprobs

    @property
    def has_best(self) -> bool:
        """There is an answer to deliver, should the rung that runs give none."""
        return self._best is not None

    @property
    def spent(self) -> int:
        """What was charged so far, in nano-USD."""
        return self._purse.spent

    def told_header(self, place: int | None = None) -> bytes:
        """What a reply says of the ladder."""
        text = self._told(place).removeprefix("ladder ")
        return b"x-tidegate-ladder: %b\r\n" % header_list((text,))

    def sign(self, identity: Any) -> None:
        """An attempt of the judge's is one of this call, should nothing more than its intent be written."""
        head = self.call.head
        assert head is not None
        identity.request_model, identity.is_stream = head.model[:200], head.is_stream
        identity.operation_name, identity.dialect = self.call.operation.name, self.call.operation.dialect.name

    def counts_request(self) -> bool:
        """A call is one request to its quotas, however many rungs it takes: True once."""
        is_first, self._is_request_counted = not self._is_request_counted, True
        return is_first

    # -- told by a rung ---------------------------------------------------------------------------------------------

    def on_ended(self, child: RungExchange) -> None:
        """A rung or a judge has come to its end, whichever way."""
        self.call._dare(lambda: self._take(child))

    def _take(self, child: RungExchange) -> None:
        call, settlement = self.call, child.settlement
        self.child = None
        assert settlement is not None
        call.attempts += child.numbered()
        call.dispatched = call.dispatched or child.dispatched
        call.upstream_ended = child.upstream_ended or call.upstream_ended
        if not child.is_held:
            call.reply_started, call.status = child.reply_started, child.status
        self._purse.spend(settlement.cost_nano_usd)
        self._loss += settlement.operator_loss_nano_usd or 0
        if settlement.basis in BASES and child.error is None:
            self._basis = max(self._basis, BASES.index(settlement.basis))
        if call.settlement is not None:
            return  # ended from outside
        if child.rung < 0:
            self._judged(child)
        elif child.error is not None:
            self._on_failure(child)
        elif call.client_gone or not child.is_held or self.stopped is not None:
            self._deliver(child)
        else:
            self._weigh(child)

    def _weigh(self, child: RungExchange) -> None:
        answer, ask = answer_in(child), self._asked()
        reason = verdict(self._rung, judged_by(child, answer, ask), self.call.server.table.ladders.refusals)
        if reason is None and "judge" in self._rung.escalate_on and ask is not None:
            self._candidate = child
            self._ask_judge(told_request(ask), told_answer(answer))
        else:
            self._decided(child, reason)

    def _decided(self, child: RungExchange, reason: str | None) -> None:
        if reason is None:
            self._deliver(child)
            return
        self._steps.append(reason)
        if self._best is None or is_better(reason, self._best[1]):
            self._best = (child, reason)
        self._next()

    def _asked(self) -> "Ask | None":
        """The caller's request in the words of no dialect; None where it cannot be read so."""
        if self._ask is None:
            try:
                self._ask = self.call.operation.dialect.decode_request(self._body)
            except GatewayError:
                return None
        return self._ask

    def _on_failure(self, child: RungExchange) -> None:
        """No answer: the next rung is asked, unless the fault is the caller's own, or no rung could mend it."""
        error = child.error
        assert error is not None
        if isinstance(error, NotAvailable):
            self._refusals.append(error)
        elif not isinstance(error, OverBudget):
            self._failed = child
        if not child.is_held and child.is_begun:
            self._best = None  # the caller has the begin of another
        is_over = self.call.client_gone or self.stopped is not None
        is_mended = not isinstance(error, OverBudget) and self._is_mended(child, error)
        if not is_over:
            self._steps.append("length" if self._is_too_long(child) else _step_of(child, error))
        if is_mended and not is_over:
            self._next()
        else:
            self._give_up()

    def _is_mended(self, child: RungExchange, error: GatewayError) -> bool:
        """Whether another model may serve what this one could not."""
        if isinstance(error, UpstreamRefusal):
            if child.has_logprobs and child.endpoint is not None and b"logprob" in b"".join(child.raw).lower():
                self.call.server.table.ladders.without_logprobs.add(child.endpoint.endpoint_id)
                return True
            return fault_of_status(error.status) is not None or self._is_too_long(child)
        if isinstance(error, InvalidRequest):
            return not child.attempts
        return isinstance(error, MENDED)

    def _is_too_long(self, child: RungExchange) -> bool:
        """The provider says that the conversation does not fit its model, and the next one may hold more."""
        refused = isinstance(child.error, UpstreamRefusal) and "length" in self._rung.escalate_on
        return refused and TOO_LONG.search(b"".join(child.raw)) is not None

    # -- the judge --------------------------------------------------------------------------------------------------

    def _ask_judge(self, request: str, answer: str) -> None:
        judge = self.ladder.judge
        assert judge is not None
        body = judge_request(judge.model, judge.prompt, request, answer)
        self._begin(RungExchange(self, JUDGE, self._request(body), judge.model, rung=-self._place - 1, is_held=True))

    def _judged(self, judge: RungExchange) -> None:
        """A judge that fails, or says what is no score, sends nothing up."""
        child, self._candidate = self._candidate, None
        assert child is not None and self.ladder.judge is not None
        is_over = self.call.client_gone or self.stopped is not None
        score = None if judge.error is not None else _score(judge)
        if score is None and not is_over:
            self._steps.append("judge_over_budget" if isinstance(judge.error, OverBudget) else "judge_failed")
        is_low = score is not None and score < self.ladder.judge.min_score
        self._decided(child, "judge" if is_low and not is_over else None)

    # -- the end ----------------------------------------------------------------------------------------------------

    def _give_up(self) -> None:
        """No rung is left: the best answer that there was, else the error that says most."""
        call, failed = self.call, self._failed
        if self._best is not None and self.stopped is None and (failed is None or not call.client_gone):
            self._deliver(self._best[0])
        elif failed is not None:
            self._explain(failed)
            take_over(call, failed)
            call._settle(self._total(failed))
        else:
            call.fail(self.stopped or nothing_permitted(self._refusals), self._total(None))

    def _deliver(self, child: RungExchange) -> None:
        assert child.settlement is not None
        self._explain(child)
        if child.is_held:
            deliver(self.call, child, self.spent - child.settlement.cost_nano_usd)
        else:
            take_over(self.call, child)
        self.call._settle(self._total(child))

    def _explain(self, child: RungExchange) -> None:
        """The row, and the reply if it has not begun, say of the whole climb how it ended."""
        self.call.ladder_told = self.told_header(abs(child.rung) - 1)
        course = child.course
        if course is not None:
            _, _, own = course.plan.reason.partition("; ")
            course.plan = replace(course.plan, reason=f"{self._told(abs(child.rung) - 1)}; {own}")

    def _total(self, child: RungExchange | None) -> Settlement:
        """What the row says: the delivered answer's usage, and the cost of all attempts that were charged."""
        own = child.settlement if child is not None else None
        if own is None or own is NOTHING_SPENT:
            own = unspent(self.call.attempts)
        basis = own.basis
        if basis in BASES:
            basis = BASES[max(self._basis, BASES.index(basis))]
        elif self.spent:
            basis = "estimated_partial"
        total = Settlement(own.usage, self.spent, own.upstream_cost_nano_usd, basis)
        total.operator_loss_nano_usd = self._loss or None
        return total


def _step_of(child: RungExchange, error: GatewayError) -> str:
    """A word for why a rung gave no answer."""
    if isinstance(error, OverBudget):
        return "budget"
    if isinstance(error, NotAvailable):
        return "excluded"
    faults = child.course.faults if child.course is not None else ()
    return faults[-1] if faults else error.code


def _score(judge: RungExchange) -> float | None:
    events = CHAT.decode_reply(judge.body[0]) if judge.body else None
    return score_of("".join([block.text for block in fold(events or ()).blocks if block.start.kind == "text"]))
