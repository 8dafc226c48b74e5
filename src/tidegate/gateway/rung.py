"""One rung of a ladder, or its judge: an attempt, with fallbacks inside its plan, on behalf of a call.

It is an exchange like any other, but for its ends: it writes no row and answers nobody. What came of it goes to its
`Climb`. While another rung may follow, its answer goes into memory; the last one's goes to the caller as it comes.
"""

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from tidegate.core.errors import GatewayError, PaymentRequired
from tidegate.core.terms import AT_COST
from tidegate.gateway.bounds import OUTPUT_TOKENS_ASSUMED
from tidegate.gateway.claiming import ceiling_of
from tidegate.gateway.exchange import Exchange
from tidegate.gateway.http import EVENT_STREAM, Request
from tidegate.gateway.ladders import asking_of_rung
from tidegate.gateway.listener import ClientConnection
from tidegate.gateway.meter import NOTHING_SPENT
from tidegate.gateway.patience import NEVER
from tidegate.gateway.relay import is_finished
from tidegate.gateway.replies import reply_too_large
from tidegate.gateway.routing import Said
from tidegate.gateway.rows import identity_row
from tidegate.gateway.tariff import Tariff
from tidegate.route.explain import refusal
from tidegate.wire.openai_chat_logprobs import asks_for_logprobs, with_logprobs

if TYPE_CHECKING:
    from tidegate.core.price import Price
    from tidegate.core.row import Attempt
    from tidegate.gateway.claim import Claim
    from tidegate.gateway.climb import Climb
    from tidegate.gateway.meter import Settlement
    from tidegate.gateway.operation import Operation
    from tidegate.gateway.relay import Relay
    from tidegate.gateway.table import Serving
    from tidegate.wire.dialect import Head

LOGPROBS: Final = "logprobs"


class OverBudget(PaymentRequired):
    """The ladder's budget does not pay for one more attempt; no caller sees this one."""


class Memory(ClientConnection):
    """Where a rung's answer goes while nobody knows whether it will be delivered. No socket is behind it."""

    def __init__(self, client: ClientConnection) -> None:
        super().__init__(client.server)
        self.caller, self.keeps_alive = client.caller, client.keeps_alive
        self.events: list[bytes] = []

    def begin_stream(self, content_type: bytes, extra: bytes) -> None:
        """Nobody waits for it."""

    def write_stream(self, data: bytes) -> None:
        self.events.append(data)


class LadderTariff(Tariff):
    """What a call costs whose earlier attempts cost something, too."""

    __slots__ = ("_before",)

    def __init__(
        self, price: "Price", claim: "Claim | None", before_nano_usd: int, call: "RungExchange | None" = None
    ) -> None:
        """call: whose hour counts, where the price has hours."""
        super().__init__(price, claim, call)
        self._before = before_nano_usd

    def charged(self, settlement: "Settlement") -> "Settlement":
        settlement = super().charged(settlement)
        if settlement.usage is not None:
            settlement.cost_nano_usd += self._before
        return settlement


class RungExchange(Exchange):
    """`raw`: the provider's bytes, as they came. `has_logprobs`: asked for by us, and not by the caller."""

    came_as_events = False  # to a caller who had not asked for a stream
    has_logprobs = False

    def __init__(self, climb: "Climb", operation: "Operation", request: Request, model: str, *, rung: int,
                 is_held: bool) -> None:  # fmt: skip
        """rung: from 1; below 0 the judge of that rung. is_held: its answer goes into memory."""
        call = climb.call
        client = Memory(call.client) if is_held else call.client
        super().__init__(call.server, client, request, call.key, operation)
        self.generation_id, self.request_id = call.generation_id, call.request_id
        self.part_of, self.model, self.rung, self.is_held = climb, model, rung, is_held
        self.ladder_name = climb.ladder.name
        self.attempts_before = len(call.attempts)
        self.raw: list[bytes] = []
        self._raw_bytes = 0
        if not is_held:
            self.reply_started, self.status = call.reply_started, call.status
            self.ladder_told = climb.told_header()

    # -- on its way -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.server.exchanges.add(self)
        self._dare(self._begin)

    def _begin(self) -> None:
        self._read()
        assert self.head is not None
        said = Said(self.part_of.head_for(self), self.request.body, self.request.headers, self.operation.dialect.name)
        asking = asking_of_rung(self.server.router, said, self.key, self.model)
        plan = self.part_of.plan_for(self, asking)
        if not plan.order:
            raise refusal(plan, asking)
        self.course = self._begun(plan, asking)
        if self.is_held:
            self.course.never_pause()
        self._decide()
        if self.claim is None or self.server.gate.admit(self, self.claim):
            self._go()

    def _decide(self) -> None:
        super()._decide()
        assert self.price is not None
        charge = self.claim.charge if self.claim is not None else AT_COST
        bound = self.bound(ceiling_of(self.server.gate, self, charge.price or self.price), charge)
        limit = bound.output_tokens
        self.part_of.check_budget(bound.nano_usd(OUTPUT_TOKENS_ASSUMED if limit is None else limit))

    def _find_way(self, head: "Head", serving: "Serving") -> None:
        super()._find_way(head, serving)
        self.has_logprobs = False
        if self.way is None or not self._wants_logprobs(serving):
            return
        body = b"".join(self.way.pieces)
        if not asks_for_logprobs(body):
            self.way.pieces, self.has_logprobs = (with_logprobs(body),), True

    def _wants_logprobs(self, serving: "Serving") -> bool:
        if self.course is None or not self.part_of.wants_logprobs(self):
            return False
        facts = self.course.current.facts
        return serving.dialect.name == "openai-chat" and (facts.parameters is None or LOGPROBS in facts.parameters)

    def tariff(self) -> Tariff | None:
        """Of an answer in memory the cost is written when it is delivered."""
        if not self.operation.is_openrouter or self.price is None or self.is_held:
            return None
        return LadderTariff(self.price, self.claim, self.part_of.spent, self if self.price.faces else None)

    def _attempt(self) -> None:
        self.raw, self._raw_bytes, self.came_as_events = [], 0, False
        if isinstance(self.client, Memory):
            self.client.events = []
        if self.identity is None:
            self.identity = identity_row(self)
            self.part_of.sign(self.identity)
        super()._attempt()

    def on_connected(self, connection: Any) -> None:
        super().on_connected(connection)
        if self.is_held:
            self.patience.quiet_at = NEVER  # the caller has its signs of life from the call itself

    # -- its answer -------------------------------------------------------------------------------------------------

    def on_upstream_data(self, data: bytes) -> None:
        if self.is_held and self.settlement is None:
            self._raw_bytes += len(data)
            if self._raw_bytes > (limit := self.server.limits.response_bytes_max):
                self._drop_upstream()
                self.on_upstream_lost(reply_too_large(limit), answered=True)
                return
            self.raw.append(data)
        super().on_upstream_data(data)

    def _end_of_reply(self, body: bytes) -> None:
        self.raw = [body]
        self.came_as_events = self.content_type.lower().startswith(EVENT_STREAM)
        super()._end_of_reply(body)

    def _settle_into_stream(self, relay: "Relay") -> None:
        if not self.is_held:
            super()._settle_into_stream(relay)

    def _pass(self, out: bytes) -> None:
        """Into memory: nobody has seen it, so another endpoint of the plan may still answer."""
        if self.is_held:
            self._held = b""
            self.client.write_stream(out)
        else:
            super()._pass(out)

    @property
    def _is_spared(self) -> bool:
        """Nothing of a last rung was seen yet, and there is a better answer than a failure."""
        return not self.is_begun and self.part_of.has_best

    def _let_out(self) -> None:
        seen = self.relay.seen if self.relay is not None else None
        is_whole = seen is not None and is_finished(seen) and not seen.has_error
        if is_whole or not self._is_spared:
            super()._let_out()

    # -- its end ----------------------------------------------------------------------------------------------------

    def _settle(self, settlement: "Settlement") -> None:
        """Count what was charged of it, and let the ladder go on."""
        self.settlement = settlement
        is_unseen = (self.is_held or self._is_spared) and not self.client_gone and not self.is_cut_off
        if self.error is not None and is_unseen:
            settlement = self.settlement = NOTHING_SPENT  # nobody pays for what nobody could see
        if self.claim is not None:
            is_request = bool(self.dispatched) and self.part_of.counts_request()
            self.server.gate.settle(self, settlement, is_request=is_request)
        self._is_finished = True
        self._let_go()
        self.part_of.on_ended(self)

    def on_deadline(self) -> None:
        super().on_deadline()
        if self.settlement is not None:
            self._let_go()

    def cut_off(self, error: GatewayError) -> None:
        self.part_of.stopped = error
        super().cut_off(error)

    def numbered(self) -> "list[Attempt]":
        """Its attempts as the call's own."""
        return [replace(attempt, rung=self.rung) for attempt in self.attempts]
