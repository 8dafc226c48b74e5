"""How a call comes to an endpoint: its head is read, its plan made, its quotas asked; and how it comes to the next one.

What happens between an endpoint and the caller is `gateway/exchange.py`'s.
"""

import logging
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tidegate.core.errors import GatewayError, InternalError, InvalidRequest
from tidegate.gateway.call import Call
from tidegate.gateway.claiming import text_bound
from tidegate.gateway.clamping import with_output_limit
from tidegate.gateway.dispatch import Dispatch, passed_on, prepare
from tidegate.gateway.http import JSON
from tidegate.gateway.ladders import explained, first_asking
from tidegate.gateway.meter import NOTHING_SPENT
from tidegate.gateway.planning import (
    asking_of,
    explanation,
    is_asked_to_explain,
    read_head,
    unrouted,
)
from tidegate.gateway.routing import retry_after_of
from tidegate.gateway.shelf import ShelfLines
from tidegate.gateway.tariff import Tariff
from tidegate.gateway.way import Stamp, refuse_dropped, way_of
from tidegate.route.course import Course

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.core.terms import Charge
    from tidegate.gateway.bounds import Bound, Ceiling
    from tidegate.gateway.table import Route, Serving
    from tidegate.route.health import Fault
    from tidegate.route.ladder import Ladder
    from tidegate.route.planner import Call as Asking
    from tidegate.route.planner import RoutePlan
    from tidegate.wire.dialect import Head, Pieces

log = logging.getLogger(__name__)
KEYS_MAX = 4  # of a provider that one call tries


class Choosing(Call):
    """A call on its way to an endpoint, and to the next one where that fails."""

    def start(self) -> None:
        """Decide, reserve, and record the intent; the bytes leave when it is in the kernel."""
        self.server.exchanges.add(self)
        self._dare(self._enter)

    def on_admitted(self) -> None:
        """The call waited, and now has what it asked of its quotas, or a part of it that limits its answer."""
        self._dare(self._go)

    def _dare(self, step: "Callable[[], None]") -> None:
        try:
            step()
        except GatewayError as error:
            self.refuse(error)
        except Exception:  # a mistake of ours: the log has it whole, the caller a 500, the ledger its row
            log.exception("a call could not be read")
            self.refuse(InternalError("The gateway failed on this request; its log says why."))

    def _enter(self) -> None:
        self._read()
        server, router = self.server, self.server.router
        lane = None if self.operation.explains else router.lanes.find(self)
        if lane is not None:
            self.course = router.course(lane.plan, lane.asking, time.monotonic())
        elif not self._plan():
            return
        if server.is_draining:
            server.check_open()
        self._decide()
        if self.claim is None or self.server.gate.admit(self, self.claim):
            self._go()

    def _plan(self) -> bool:
        """Make the plan of a call like no other before it. False: that was all of it, or its ladder goes on."""
        if self.server.table.ladders and (found := self.server.table.ladders.of(self)) is not None:
            return self._climb(found)
        asking = asking_of(self)
        if is_asked_to_explain(self):
            self._explain(explanation(self, asking))
            return False
        router = self.server.router
        self.course = self._begun(router.planner.plan(asking, time.monotonic()), asking)
        router.lanes.remember(self, asking, self.course.plan)
        self.request.body = unrouted(self, self.request.body)
        return True

    def _climb(self, found: "tuple[Ladder, str]") -> bool:
        """The caller asked for a ladder. True: the call goes on as one for its first rung, since it only counts."""
        if is_asked_to_explain(self):
            self._explain(explained(self, found))
        elif self.operation.counts_only:
            self.ladder_name, asking = found[0].name, first_asking(self, found)
            self.course = self._begun(self.server.router.planner.plan(asking, time.monotonic()), asking)
            return True
        else:
            self.climb = self.server.climb(self, found)
            self.climb.start()
        return False

    def _go(self) -> None:
        if self.course is not None:
            self.course.kept = self.request.body  # for the next attempt, should this one fail
        if self.claim is not None and self.claim.clamp:
            self._clamp(self.claim.clamp)
        self.request.body = b""  # the way's pieces hold it from here on
        self._forward()

    def _read(self) -> None:
        """The head of the request. Raises GatewayError."""
        self.head, self.request.body = read_head(self.operation, self.request.body)

    def _begun(self, plan: "RoutePlan", asking: "Asking") -> Course:
        """The course through those endpoints of a plan that serve calls of this kind. Raises GatewayError."""
        router, routes = self.server.router, self.server.table.routes
        if not plan.order and self.key.models + self.key.providers:
            self.server.gate.check(self, plan.shelf.groups_asked[0][0].endpoint)
        if plan.order and (self.operation.is_alone or not routes[plan.order[0].endpoint_id].speaks(self.operation)):
            order = tuple([one for one in plan.order if self._is_served(routes[one.endpoint_id])])
            if not order:
                self.serving_at(routes[plan.order[0].endpoint_id])  # raises, and says why
            plan = replace(plan, order=order)
        return router.course(plan, asking, time.monotonic())

    def _is_served(self, route: "Route") -> bool:
        try:
            self.serving_at(route)
        except InvalidRequest:
            return False
        return True

    def _decide(self) -> None:
        """The endpoint of this attempt, its price, and the bytes for it. Raises GatewayError.

        An endpoint that cannot be told what the request says is passed over while the plan has another.
        """
        assert self.course is not None
        refused: InvalidRequest | None = None
        while True:
            try:
                self._take(self.server.table.routes[self.course.current.endpoint_id])
                return
            except InvalidRequest as error:
                refused = refused or error
                if self.course.pass_over() is None:
                    raise refused from None

    def _take(self, route: "Route") -> None:
        if self.attempts:
            self._read()  # the way of the attempt before let go of what its head saw of the body
        assert self.head is not None
        self.endpoint, self.price = route.endpoint, route.price
        self.serving = self.serving_at(route)
        claim = self.server.gate.claim(self)
        if claim is not self.claim:
            self.claim = claim
        self._find_way(self.head, self.serving)
        if self.way is not None and self.way.dropped and self.course is not None:
            asking = self.course.asking
            if asking is not None and asking.wishes.require_parameters:
                refuse_dropped(self.way.dropped)

    def serving_at(self, route: "Route") -> "Serving":
        """How an endpoint serves this call. Raises InvalidRequest where it cannot."""
        return route.serving(self.operation.dialect.name)

    def _explain(self, told: bytes) -> None:
        """Answer with the plan of the call, in place of making it."""
        self.content_type, self.status = JSON, 200
        self.body = [told]
        self._settle(NOTHING_SPENT)

    def bound(self, ceiling: "Ceiling", charge: "Charge") -> "Bound":
        """The most that the call may cost."""
        return text_bound(self, ceiling, charge)

    def tariff(self) -> Tariff | None:
        """What the reply tells of its cost is charged by; None where it tells none."""
        if not self.operation.is_openrouter or self.price is None:
            return None
        return Tariff(self.price, self.claim, self if self.price.faces else None)

    def _clamp(self, output_tokens: int) -> None:
        """Write a limit of the answer into the request."""
        assert self.serving is not None
        body = with_output_limit(self.operation.dialect.name, self.request.body, output_tokens, self.serving.quirks)
        self.request.body, self.head = body, self.operation.head(body)
        self._find_way(self.head, self.serving)

    def _find_way(self, head: "Head", serving: "Serving") -> None:
        stamp = Stamp(self.generation_id, self.request.arrived_us // 1_000_000)
        tariff = self.tariff() if self.operation.is_openrouter else None
        self.way = way_of(self.operation, head, self.request.body, serving, tariff, stamp)
        self.head = self.way.head

    def _forward(self) -> None:
        assert self.serving is not None and self.way is not None
        lines = passed_on(self.serving, self.operation, self.request.headers)
        prepare(Dispatch(self.serving, self.operation, self.way, lines), self._on_prepared, self._unprepared)

    def _unprepared(self, error: GatewayError) -> None:
        """The provider's credentials could not be had."""
        if self.settlement is None and not self._goes_on("rejected"):
            self.refuse(error)

    def _on_prepared(self, pieces: "Pieces") -> None:
        """The bytes of an attempt are ready to leave."""
        raise NotImplementedError

    def _tries(self) -> int:
        """How often this endpoint was tried before."""
        endpoint_id = self.endpoint.endpoint_id if self.endpoint is not None else ""
        return sum([attempt.endpoint_id == endpoint_id for attempt in self.attempts]) if self.attempts else 0

    def _takes_another_key(self) -> bool:
        """The provider refused the key, not the call: it rests, and the call goes out again with the next one."""
        keys = self.serving.credentials if self.serving is not None else None
        if not isinstance(keys, ShelfLines) or not keys.refused(self._pieces, self.upstream_status, self.retry_after):
            return False
        if len(self.attempts) >= KEYS_MAX or self.client_gone or self.reply_started:
            return False
        self.error, self.body, self._body_bytes, self.retry_after = None, [], 0, b""
        self.upstream_ended = self.first_chunk = 0.0
        self._forward()
        return True

    # -- from one endpoint to the next ------------------------------------------------------------------------------

    @property
    def _may_go_on(self) -> bool:
        """Another attempt could still answer this caller."""
        course = self.course
        return course is not None and course.kept is not None and not self.is_begun and not self.client_gone

    @property
    def _is_held_back(self) -> bool:
        """The caller of a stream hears nothing before its first word: it may yet have to come from another attempt.

        Where one endpoint alone may serve, and has not failed for minutes, that is not worth a moment's delay.
        """
        course = self.course
        if course is None or not self._may_go_on:
            return False
        health = self.server.router.planner.health
        return course.has_choice or health.is_shaky(course.current.endpoint_id, self.server.now)

    def _goes_on(self, fault: "Fault | None") -> bool:
        """The attempt has failed, and that is written down: another one is made, now or after a pause, if one may be.

        Nothing of the failed attempt stays: no header, no byte of a body, no reservation.
        """
        course, server = self.course, self.server
        if course is None:
            return False
        now, body = time.monotonic(), course.kept
        began, retry_after = self.attempt_started[1] or now, retry_after_of(self.retry_after)
        setback = server.router.failed(course, fault, now, began_s=began, retry_after_s=retry_after)
        if not server.pauses.has_room:
            setback = setback._replace(may_pause=False)
        is_begun = self.is_begun or body is None
        if self.client_gone or course.fail(fault, now, is_begun=is_begun, setback=setback) is None or body is None:
            return False
        self._drop_upstream()
        self.error = self.relay = self.seen = self.way = self.identity = None
        self.body, self._held, self._body_bytes, self._pieces = [], b"", 0, ()
        self.content_type, self.retry_after, self.upstream_ended, self.first_chunk = JSON, b"", 0.0, 0.0
        if self.claim is not None:
            server.gate.settle(self, NOTHING_SPENT, is_request=False)
        self.request.body, course.kept = body, None
        if course.pause_s > 0.0:
            server.pauses.begin(self, course.pause_s)
        else:
            self._dare(self._enter_next)
        return True

    def on_pause_over(self) -> None:
        """The call waited, and makes its next attempt."""
        if self.settlement is None:
            self._dare(self._enter_next)

    def _enter_next(self) -> None:
        self._decide()
        if self.claim is None or self.server.gate.admit(self, self.claim):
            self._go()
