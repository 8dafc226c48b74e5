"""The life of one call: decode head, plan, record the intent, forward, relay, settle, record the outcome, finish.

One object per call, driven by callbacks of the listener, the pool and the recorder; no task, no lock. Whatever
happens, exactly one outcome is recorded and the caller's last byte is written after it.
"""

import logging
import time
from typing import TYPE_CHECKING

from tidegate.core.errors import ClientGone, GatewayError, InternalError, Unavailable, UpstreamError
from tidegate.core.facts import Endpoint
from tidegate.core.price import Price
from tidegate.core.row import Attempt, Intent, Outcome, Row
from tidegate.core.usage import Usage
from tidegate.gateway.answer import extra_headers, send_answer, send_unrecorded
from tidegate.gateway.http import EVENT_STREAM, JSON, Request
from tidegate.gateway.meter import NOTHING_SPENT, Settlement, settle, unspent
from tidegate.gateway.relay import StreamRelay
from tidegate.gateway.replies import PASSED_THROUGH, failure_of, reply_too_large, request_id_of, timeout_of
from tidegate.gateway.rows import attempt_of, identity_row, outcome_row
from tidegate.gateway.short_way import short_way
from tidegate.wire.openai_chat import Reply, decode_reply, decode_request, edit_request, usage_from_wire, without_body

if TYPE_CHECKING:
    import asyncio

    from tidegate.accounts.keys import Key
    from tidegate.gateway.connect import Target
    from tidegate.gateway.listener import ClientConnection
    from tidegate.gateway.server import Server
    from tidegate.gateway.upstream import UpstreamConnection
    from tidegate.wire.openai_chat import RequestHead

log = logging.getLogger(__name__)
ATTEMPTS_MAX = 2  # the first, and one more where a warm connection turned out to be dead
STALE_S = 1.0  # a dead connection shows at once; one that dies later may have worked, and is not asked twice
SWEEP_S = 0.25  # between two looks at the deadlines
AFTER_DONE_S = 1.0  # how long a provider may keep its connection after [DONE] before we hang up
JOIN_BYTES_MAX = 16 * 1024  # below it one copy is cheaper than a gathered write
NEVER = float("inf")


class Exchange:
    """One call of one caller."""

    def __init__(self, server: "Server", client: "ClientConnection", request: Request, key: "Key") -> None:
        self.server, self.client, self.request, self.key = server, client, request, key
        self.generation_id = server.new_generation_id(request.arrived_us // 1000)
        self.request_id = request_id_of(request.headers, self.generation_id)
        self.head: RequestHead | None = None
        self.endpoint: Endpoint | None = None
        self._target: Target | None = None
        self.price: Price | None = None
        self.relay: StreamRelay | None = None
        self.usage: Usage | None = None  # of an unstreamed reply
        self.reply: Reply | None = None
        self.settlement: Settlement | None = None
        self.error: GatewayError | None = None
        self.status = 0
        self.dispatched = self.upstream_ended = self.first_chunk = 0.0
        self.deadline = self.deadline_total = NEVER
        self.heard = 0.0  # when the short way was last taken, by the sweep's clock
        self.reply_started = self.client_gone = False
        self.attempts: list[Attempt] = []
        self.attempt_started = (0, 0.0)
        self._upstream: UpstreamConnection | None = None
        self.upstream_status = 0
        self._dialling: asyncio.Task[None] | None = None
        self.body, self._body_bytes = list[bytes](), 0
        self._pieces: tuple[bytes | memoryview, ...] = ()
        self.content_type, self.retry_after = JSON, b""
        self.identity: Row | None = None  # what was known at dispatch
        self._is_finished = self._is_paused = False

    # -- from request to provider -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Decide, and record the intent; the bytes leave when it is in the kernel."""
        self.server.exchanges.add(self)
        try:
            self.head = decode_request(self.request.body)
            route = self.server.table.route(self.head.model)
            self.endpoint, self.price, self._target = route.endpoint, route.price, route.target
            if self.server.is_draining:
                raise Unavailable("The gateway is shutting down; call again in a moment.", retry_after_s=1)
            pieces = edit_request(self.request.body, self.head, route.endpoint.upstream_model)
        except GatewayError as error:
            self.refuse(error)
            return
        except Exception:  # a mistake of ours: the log has it whole, the caller a 500, the ledger its row
            log.exception("a call could not be read")
            self.refuse(InternalError("The gateway failed on this request; its log says why."))
            return
        self.request.body = b""  # the pieces hold it from here on
        length = sum(map(len, pieces))
        head = route.target.chat_head(length)
        self._pieces = (b"".join((head, *pieces)),) if length < JOIN_BYTES_MAX else (head, *pieces)
        self._attempt()

    def _attempt(self) -> None:
        assert self.endpoint is not None
        now_us = time.time_ns() // 1000
        self.attempt_started = (now_us, time.monotonic())
        self.upstream_status = 0
        self.identity = self.identity or identity_row(self)
        intent = Intent(
            generation_id=self.generation_id,
            attempt_no=len(self.attempts) + 1,
            ts=now_us,
            endpoint_id=self.endpoint.endpoint_id,
            row=self.identity,
        )
        self.server.recorder.record(intent, self._dispatch, self.refuse)

    def _dispatch(self) -> None:
        if self.client_gone:
            self._end_undispatched(ClientGone("the caller left before dispatch"))
            return
        assert self._target is not None
        now = time.monotonic()
        self.dispatched = self.dispatched or now
        self.deadline_total = now + self._target.total_s
        self._dialling = self.server.pool.acquire(self._target, self, fresh=bool(self.attempts))

    def on_connected(self, connection: "UpstreamConnection") -> None:
        if self.settlement is not None:  # the caller left while we dialled
            self.server.pool.release(connection)
            return
        self._upstream = connection
        self.deadline = min(time.monotonic() + connection.target.first_byte_s, self.deadline_total)
        connection.send(self, self._pieces)

    def on_connect_failed(self, error: GatewayError) -> None:
        if self.settlement is None:
            self.upstream_ended = time.monotonic()
            self._end_undispatched(error)

    # -- from provider to caller ------------------------------------------------------------------------------------

    def on_upstream_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        self.upstream_status = status
        self._touch()
        assert self.head is not None
        content_type = headers.get(b"content-type", b"").lower()
        if status == 200 and self.head.is_stream and content_type.startswith(EVENT_STREAM):
            self._start_stream()
            return
        self.content_type = headers.get(b"content-type", JSON)
        self.retry_after = headers.get(b"retry-after", b"")

    def _start_stream(self) -> None:
        assert self.head is not None
        limit = self.server.limits.event_bytes_max
        self.relay = StreamRelay(strip_usage=not self.head.wants_usage, event_bytes_max=limit)
        self._pieces, self.head = (), without_body(self.head)  # a stream is long, and it will not be asked for again
        if not self.client_gone:
            self.status = 200
            self.reply_started = True
            self.client.begin_stream(EVENT_STREAM, extra_headers(self) + b"cache-control: no-cache\r\n")
            if self.client.serves_http_11 and self._upstream is not None:
                take = short_way(self.relay, self.client, self, self.server)
                self._upstream.offer_chunks(take, self._may_pass)

    def _may_pass(self) -> bool:
        return self.settlement is None and self.relay is not None and self.relay.is_between_events

    def on_upstream_data(self, data: bytes) -> None:
        if self.settlement is not None:
            return  # after [DONE]
        if not self.first_chunk:
            self.first_chunk = time.monotonic()
        self._touch()
        if self.relay is None:
            self._collect(data)
            return
        try:
            out = self.relay.feed(data)
        except GatewayError as error:
            self._drop_upstream()
            self.on_upstream_lost(error, answered=True)
            return
        if out and not self.client_gone:
            self.client.write_stream(out)
        if self.relay.is_done:
            self._end_of_stream()

    def _collect(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes > self.server.limits.response_bytes_max:
            self._drop_upstream()
            self.on_upstream_lost(reply_too_large(self.server.limits.response_bytes_max), answered=True)
            return
        self.body.append(data)

    def on_upstream_end(self) -> None:
        self._upstream = None
        if self.settlement is not None:
            self._let_go()
            return
        self.upstream_ended = self.upstream_ended or time.monotonic()
        if self.relay is None:
            self._end_of_reply(b"".join(self.body))
            return
        out = self.relay.finish()
        if out and not self.client_gone:
            self.client.write_stream(out)
        self._end_of_stream()

    def on_upstream_lost(self, error: GatewayError, *, answered: bool) -> None:
        connection, self._upstream = self._upstream, None
        if self.settlement is not None:
            self._let_go()
            return
        self.upstream_ended = time.monotonic()
        at_once = self.upstream_ended - self.attempt_started[1] < STALE_S
        stale = connection is not None and connection.is_reused and not answered and at_once
        settlement = self._settled()
        self._end_attempt(error, settlement)
        if stale and len(self.attempts) < ATTEMPTS_MAX and not self.client_gone:
            self._attempt()  # the provider had closed a warm connection: once more, on a fresh one
            return
        self.fail(error, settlement)

    # -- ends -------------------------------------------------------------------------------------------------------

    def _end_of_stream(self) -> None:
        """The provider finished its stream, by [DONE] or by its end."""
        assert self.relay is not None
        self.upstream_ended = self.upstream_ended or time.monotonic()
        self.deadline = self.upstream_ended + AFTER_DONE_S
        settlement = self._settled()
        if self.relay.is_finished or self.relay.error_seen:
            error = UpstreamError("the provider reported an error inside its stream") if self.relay.error_seen else None
            self._end_attempt(error, settlement)
            self.error = error
            self._settle(settlement)
        else:
            error = UpstreamError("the provider's stream ended before the answer did")
            self._end_attempt(error, settlement)
            self.fail(error, settlement)

    def _end_of_reply(self, body: bytes) -> None:
        """The provider finished an unstreamed reply."""
        status = self.upstream_status
        if 200 <= status < 300:
            self.reply = decode_reply(body)
            if self.reply is not None and self.reply.usage is not None:
                self.usage = usage_from_wire(self.reply.usage)
            settlement = self._settled()
            if self.reply is not None and self.reply.is_error:
                self.error = UpstreamError(f"the provider sent an error with status {status}")
            self._end_attempt(self.error, settlement)
            self._pass_on(status, body, settlement)
            return
        assert self.endpoint is not None
        error = failure_of(status, self.endpoint.provider)
        self._end_attempt(error, NOTHING_SPENT)
        if status in PASSED_THROUGH and body:
            self.error = error
            self._pass_on(status, body, unspent(self.attempts))
        else:
            self.fail(error, unspent(self.attempts))

    def _pass_on(self, status: int, body: bytes, settlement: Settlement) -> None:
        self.body = [body]
        if not self.client_gone:
            self.status = status
        self._settle(settlement)

    def refuse(self, error: GatewayError) -> None:
        """End a call whose next attempt was not begun."""
        self.fail(error, unspent(self.attempts))

    def _end_undispatched(self, error: GatewayError) -> None:
        """End an attempt, and its call, before a byte of it has left."""
        self._end_attempt(error, NOTHING_SPENT)
        self.fail(error, unspent(self.attempts))

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
        if self._upstream is not None:
            self._upstream.stop_offering()
        if self.settlement is not None:
            return
        if not self.reply_started:
            self.status = 499
        if self.server.on_disconnect == "drain" and (self._upstream is not None or self._dialling is None):
            self.deadline_total = min(self.deadline_total, time.monotonic() + self.server.drain_s)
            self.resume()
            return
        if self._dialling is not None and self._upstream is None:
            self._dialling.cancel()
            self._end_undispatched(ClientGone("the caller left before dispatch"))
        elif self._upstream is not None:
            self._cancel(ClientGone("the caller left"))

    def _cancel(self, error: GatewayError) -> None:
        self._drop_upstream()
        settlement = self._settled()
        self._end_attempt(error, settlement)
        self.fail(error, settlement)

    def on_deadline(self) -> None:
        """A time-out of the ladder has passed; called by the worker's sweep."""
        if self.settlement is not None:
            self._drop_upstream()  # the provider kept its connection after [DONE]
            self._let_go()
            return
        if self._upstream is None:
            return  # dialling has a time-out of its own
        self.deadline = min(self.heard + self._upstream.target.idle_s + SWEEP_S, self.deadline_total)
        if self.deadline > time.monotonic():
            return  # heard from since, by the short way
        if self.client_gone:
            self._cancel(ClientGone("the caller left, and the provider did not finish in time"))
            return
        answered, in_total = self._upstream.answered, time.monotonic() >= self.deadline_total
        error = timeout_of(self._upstream.target, in_total=in_total, answered=answered)
        self._drop_upstream()
        self.on_upstream_lost(error, answered=answered)

    # -- settling ---------------------------------------------------------------------------------------------------

    def _settled(self) -> Settlement:
        """What the provider has reported so far, and what that costs."""
        assert self.price is not None
        return settle(self.relay.usage if self.relay is not None else self.usage, self.price)

    def _end_attempt(self, error: GatewayError | None, settlement: Settlement) -> None:
        if error is not None and not isinstance(error, ClientGone):
            self.server.totals.count_upstream_failure(error.code)
        self.attempts.append(attempt_of(self, len(self.attempts) + 1, error, settlement))

    def _settle(self, settlement: Settlement) -> None:
        """Record the outcome; the caller's last bytes follow when it is in the kernel."""
        self.settlement = settlement
        row = outcome_row(self, self.attempts)
        self.server.recorder.record(Outcome(row=row, attempts=tuple(self.attempts)), self._finish, self._unrecorded)
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

    def _touch(self) -> None:
        if self._upstream is not None and not self._is_paused:
            self.deadline = min(time.monotonic() + self._upstream.target.idle_s, self.deadline_total)

    def _drop_upstream(self) -> None:
        connection, self._upstream = self._upstream, None
        if connection is not None:
            connection.abort()

    def pause(self) -> None:
        """The caller is slower than the provider."""
        if self._upstream is not None and not self.client_gone:
            self._upstream.pause_reading()
            self._is_paused = True
            self.deadline = self.deadline_total  # the silence is ours

    def resume(self) -> None:
        self._is_paused = False
        if self._upstream is not None:
            self._upstream.resume_reading()
            self._touch()
