"""A call: what is known of it, how it ends, and its row. How it gets to a provider and back is `gateway/exchange.py`'s.

However a call ends, exactly one outcome is recorded, and the caller's last byte is written after it.
"""

from typing import TYPE_CHECKING, Any, Final

from tidegate.core.errors import ClientGone, GatewayError, Unavailable
from tidegate.core.facts import Endpoint
from tidegate.core.price import Price
from tidegate.core.row import Attempt, Outcome
from tidegate.gateway.answer import send_answer, send_unrecorded
from tidegate.gateway.http import JSON, Request
from tidegate.gateway.meter import NOTHING_SPENT, Settlement, unspent
from tidegate.gateway.patience import Patience
from tidegate.gateway.relay import Relay
from tidegate.gateway.replies import request_id_of
from tidegate.gateway.rows import attempt_of, outcome_row
from tidegate.gateway.settling import settled
from tidegate.gateway.way import Way

if TYPE_CHECKING:
    import asyncio

    from tidegate.accounts.keys import Key
    from tidegate.gateway.claim import Claim
    from tidegate.gateway.climb import Climb
    from tidegate.gateway.listener import ClientConnection
    from tidegate.gateway.operation import Operation
    from tidegate.gateway.server import Server
    from tidegate.gateway.table import Serving
    from tidegate.gateway.upstream import UpstreamConnection
    from tidegate.route.course import Course
    from tidegate.wire.dialect import Head, Pieces, Seen


NONE: Final = None  # the default of what may be of several kinds; there the compiler leaves a literal None out


class Call:
    """One call of one caller."""

    # What a call begins with stands on the class: one object per call, and most of this never changes in it. What does
    # not change is not set either: beyond thirty attributes of its own, CPython keeps an object in a slower form.
    head: "Head | None" = None
    endpoint: Endpoint | None = None
    serving: "Serving | None" = None
    price: Price | None = None
    way: Way | None = None
    relay: Relay | None = NONE
    seen: "Seen | None" = None  # what the reply told; None where there was none to read
    settlement: Settlement | None = None
    error: GatewayError | None = None
    claim: "Claim | None" = None  # on quotas; None where no quota and no price of its own concerns the caller
    course: "Course | None" = None  # its way through the plan; None before there is one
    share: Any = None  # a `share.Share`: what it has to do with others like it; None where its tenant keeps no answers
    identity: Any = None  # what was known at dispatch: a `rows.Draft`
    prompt: bytes | int | None = NONE  # what is kept of a stream's request
    status = 0
    upstream_status = 0
    dispatched = 0.0
    upstream_ended = 0.0
    first_chunk = 0.0
    reply_started = False
    client_gone = False
    attempt_started = (0, 0.0)
    is_begun = False  # the caller has events of an answer: no other endpoint may answer now
    climb: "Climb | None" = None  # of a call that asked for a ladder
    ladder_name = ""  # the ladder on which an attempt is made
    ladder_told = b""  # the header line that says how far it went
    attempts_before = 0  # of the same call, by other rungs
    is_cut_off = False  # ended by the gateway though caller and provider went on
    content_type = JSON
    retry_after = b""
    _upstream: "UpstreamConnection | None" = None
    _dialling: "asyncio.Task[None] | None" = None
    _pieces: "Pieces" = ()
    _body_bytes = 0
    _is_finished = False
    _held = b""  # the begin of a stream that has said nothing yet

    def __init__(self, server: "Server", client: "ClientConnection", request: Request, key: "Key",
                 operation: "Operation") -> None:  # fmt: skip
        self.server, self.client, self.request, self.key = server, client, request, key
        self.operation = operation
        self.generation_id = server.new_generation_id(request.arrived_us // 1000)
        self.request_id = request_id_of(request.headers, self.generation_id)
        self.patience = Patience()
        self.attempts: list[Attempt] = []
        self.body: list[bytes] = []

    @property
    def deadline(self) -> float:
        return self.patience.deadline

    def note_head(self, content_type: bytes, retry_after: bytes) -> None:
        """What the head of a provider's reply says of it."""
        if content_type != self.content_type:
            self.content_type = content_type
        if retry_after != self.retry_after:
            self.retry_after = retry_after

    # -- ends -------------------------------------------------------------------------------------------------------

    def refuse(self, error: GatewayError) -> None:
        """End a call whose next attempt was not begun."""
        self.fail(error, unspent(self.attempts))

    def _end_undispatched(self, error: GatewayError) -> None:
        """End an attempt, and its call, before a byte of it has left."""
        self._end_attempt(error, NOTHING_SPENT)
        self.refuse(error)

    def fail(self, error: GatewayError, settlement: Settlement) -> None:
        """End a call with an error of ours."""
        if self.settlement is not None:
            return
        self.error = error
        if not self.reply_started:
            self.body = []
            if not self.client_gone:
                self.status = error.status
        self._settle(settlement)

    def on_client_gone(self) -> None:
        """The caller hung up. What was dispatched goes on or is cancelled, as policy says, and is settled."""
        self.client_gone = True
        if self.climb is not None and self.climb.child is not None:
            if not self.reply_started:
                self.status = 499
            self.climb.child.on_client_gone()
            return
        if self._upstream is not None:
            self._upstream.stop_offering()
        if self.settlement is not None:
            return
        if not self.reply_started:
            self.status = 499
        if self.claim is not None and self.server.gate.is_waiting(self):
            self.refuse(ClientGone("the caller left while it waited for its quota"))
        elif self.server.pauses.end(self):
            self.refuse(ClientGone("the caller left in the pause before another attempt"))
        elif self.server.on_disconnect == "drain" and (self._upstream is not None or self._dialling is None):
            self.patience.limit(self.server.drain_s)
            self.resume()
        elif self._dialling is not None and self._upstream is None:
            self._dialling.cancel()
            self._end_undispatched(ClientGone("the caller left before dispatch"))
        elif self._upstream is not None:
            self._cancel(ClientGone("the caller left"))

    def _cancel(self, error: GatewayError) -> None:
        self._drop_upstream()
        self._end_attempt(error, settlement := settled(self))
        self.fail(error, settlement)

    # -- settling ---------------------------------------------------------------------------------------------------

    def _end_attempt(self, error: GatewayError | None, settlement: Settlement) -> None:
        if error is not None and not isinstance(error, ClientGone):
            self.server.totals.count_upstream_failure(error.code)
        self.attempts.append(attempt_of(self, self.attempts_before + len(self.attempts) + 1, error, settlement))

    def _settle(self, settlement: Settlement) -> None:
        """Record the outcome; the caller's last bytes follow when it is in the kernel.

        Quotas count what the row says; a call whose row will never be written is charged nothing.
        """
        self.settlement = settlement
        is_kept = False
        try:
            row = outcome_row(self, self.attempts)
            outcome = Outcome(row=row, attempts=tuple(self.attempts))
            is_kept = self.server.recorder.record(outcome, self._finish, self._unrecorded)
        finally:
            if self.claim is not None:
                is_request = bool(self.dispatched) or self.status == 200
                self.server.gate.settle(self, settlement if is_kept else NOTHING_SPENT, is_request=is_request)
        self.server.totals.count_call(self.status, settlement, row.overhead_us or 0, row.time_to_first_chunk_us)

    def _unrecorded(self, error: Unavailable) -> None:
        """The outcome could not be written: the caller must not take the call as acknowledged."""
        self._drop_upstream()
        self._is_finished = True
        self._let_go()
        if not self.client_gone:
            send_unrecorded(self, error)

    def _finish(self) -> None:
        self._is_finished = True
        self._let_go()
        if not self.client_gone:
            send_answer(self)

    def _let_go(self) -> None:
        """Forget the call once it is finished and the provider's connection is back or gone."""
        if self._is_finished and self._upstream is None:
            self.server.exchanges.discard(self)

    # -- flow -------------------------------------------------------------------------------------------------------

    def _drop_upstream(self) -> None:
        connection, self._upstream = self._upstream, None
        if connection is not None:
            connection.abort()

    def pause(self) -> None:
        """The caller is slower than the provider."""
        if self._upstream is not None and not self.client_gone:
            self._upstream.pause_reading()
            self.patience.pause()
        elif self.climb is not None and self.climb.child is not None:
            self.climb.child.pause()

    def resume(self) -> None:
        self.patience.resume()
        if self._upstream is not None:
            self._upstream.resume_reading()
        elif self.climb is not None and self.climb.child is not None:
            self.climb.child.resume()
