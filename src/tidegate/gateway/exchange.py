"""The life of one call: decode head, plan, record the intent, forward, relay, settle, record the outcome, finish.

One object per call, driven by callbacks of the listener, the pool and the recorder; no task, no lock. Its state and its
ends are `gateway/call.py`'s, how it comes to an endpoint `gateway/choosing.py`'s.
"""

import logging
import time
from typing import TYPE_CHECKING

from tidegate.core.errors import ClientGone, GatewayError, InternalError, UpstreamError
from tidegate.gateway.answer import begin_stream
from tidegate.gateway.choosing import Choosing
from tidegate.gateway.http import JSON
from tidegate.gateway.meter import NOTHING_SPENT, unspent
from tidegate.gateway.planning import (
    is_worth_holding,
    served,
)
from tidegate.gateway.relay import Relay, is_finished
from tidegate.gateway.replies import reply_too_large, timeout_of
from tidegate.gateway.routing import fault_of_error
from tidegate.gateway.rows import identity_row, intent_of
from tidegate.gateway.settling import prompt_of, settled
from tidegate.gateway.short_way import short_way
from tidegate.gateway.whole_answer import as_whole, is_stream_by_look, take_whole, whole_reply
from tidegate.route.course import fault_of_status

if TYPE_CHECKING:
    from tidegate.gateway.upstream import UpstreamConnection
    from tidegate.gateway.whole_reply import WholeReply
    from tidegate.wire.dialect import Pieces

log = logging.getLogger(__name__)
ATTEMPTS_MAX = 2  # the first, and one more where a warm connection turned out to be dead
STALE_S = 1.0  # a dead connection shows at once; one that dies later may have worked, and is not asked twice


class Exchange(Choosing):
    """One call on its way to a provider and back."""

    def _on_prepared(self, pieces: "Pieces") -> None:
        self._pieces = pieces
        self._attempt()

    def _attempt(self) -> None:
        if self.settlement is not None:
            return  # ended while it waited for credentials
        now_us = time.time_ns() // 1000
        self.attempt_started = (now_us, time.monotonic())
        self.upstream_status = 0
        self.identity = self.identity or identity_row(self)
        intent = intent_of(self, self.attempts_before + len(self.attempts) + 1, now_us)
        self.server.recorder.record(intent, self._dispatch, self.refuse)

    def _dispatch(self) -> None:
        if self.settlement is not None:
            return
        if self.client_gone:
            self._end_undispatched(ClientGone("the caller left before dispatch"))
            return
        assert self.serving is not None
        now, target = time.monotonic(), self.serving.target
        self.dispatched = self.dispatched or now
        self.patience.dispatch(target, now)
        dialling = self.server.pool.acquire(target, self, fresh=bool(self.attempts) and self._tries() > 0)
        if dialling is not self._dialling:
            self._dialling = dialling

    def on_connected(self, connection: "UpstreamConnection") -> None:
        if self.settlement is not None:  # the caller left while we dialled
            self.server.pool.release(connection)
            return
        self._upstream = connection
        self.patience.connected(connection.target)
        if self.course is not None and self.course.has_next:
            self.patience.first_by(self.server.router.settings.first_byte_s)
        if self.head is not None and self.head.is_stream and self.operation.takes_comments:
            self.patience.quiet_at = self.dispatched + self.server.comment_s
        connection.send(self, self._pieces)

    def on_connect_failed(self, error: GatewayError) -> None:
        if self.settlement is None:
            self.upstream_ended = time.monotonic()
            self._end_attempt(error, NOTHING_SPENT)
            if not self._goes_on("connect"):
                self.refuse(error)

    # -- from provider to caller ------------------------------------------------------------------------------------

    def on_upstream_whole(self, reply: "WholeReply") -> bool:
        """A reply in one piece: True where that was all there is to tell of it."""
        if not take_whole(self, reply):
            return False
        self.on_upstream_end()
        return True

    def on_upstream_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        self.upstream_status = status
        self.patience.hear()
        assert self.head is not None and self.serving is not None
        content_type = headers.get(b"content-type", b"")
        if status == 200 and self.head.is_stream and self.serving.is_stream(content_type):
            self._start_stream()
            return
        self.note_head(content_type or JSON, headers.get(b"retry-after", b""))

    def _start_stream(self) -> None:
        assert self.way is not None
        self.relay = self.way.relay(self.server.limits.event_bytes_max)
        self.seen = self.relay.seen
        if not self._is_held_back:
            begin_stream(self)

    def _settle_into_stream(self, relay: Relay) -> None:
        """What a long stream needs, once its first events have gone on."""
        assert self.way is not None
        self.prompt = prompt_of(self.way.pieces)
        self._pieces = self.way.pieces = ()  # a stream is long, and its request will not be asked for again
        if self.course is not None:
            self.course.kept = None
        if not self.client_gone and self.client.serves_http_11 and self._upstream is not None and relay.short:
            take = short_way(relay.short, self.client, self.patience, self.server)
            self._upstream.offer_chunks(take, self._may_pass)

    def _may_pass(self) -> bool:
        relay, is_open = self.relay, self.settlement is None and not self.client.held_head
        return is_open and relay is not None and relay.is_between_events

    def on_upstream_data(self, data: bytes) -> None:
        if self.settlement is not None:
            return  # after [DONE]
        if not self.first_chunk:
            self.first_chunk = time.monotonic()
        self.patience.hear()
        if self.relay is None and not self.body and is_stream_by_look(self, data):
            self._start_stream()
        if self.relay is None:
            self._collect(data)
            return
        try:
            out = self.relay.feed(data)
        except GatewayError as error:
            self._drop_upstream()
            self.on_upstream_lost(error, answered=True)
            return
        if not self.is_begun:
            out = self._held = self._held + out
            if self._may_go_on and is_worth_holding(out, self.relay.seen, may_wait=self._is_held_back):
                if self.relay.seen.has_error or self.relay.seen.is_done:
                    self._end_of_stream()
                return
        if out and self.is_begun and not self.client_gone:
            self.client.write_stream(out)
        elif out:
            self._pass(out)
        if self.relay.seen.is_done:
            self._end_of_stream()
        elif self._pieces:
            self._settle_into_stream(self.relay)

    def _pass(self, out: bytes) -> None:
        """Events for the caller. From the first on, the call stays with its endpoint."""
        self.is_begun, self._held = True, b""
        if not self.client_gone:
            begin_stream(self)
            self.client.write_stream(out)

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
            return self._let_go()
        self.upstream_ended = self.upstream_ended or time.monotonic()
        try:
            if self.relay is None:
                self._end_of_reply(b"".join(self.body))
            else:
                out = self.relay.finish()
                if out and not self.is_begun:
                    self._held += out
                elif out:
                    self._pass(out)
                self._end_of_stream()
        except Exception:  # a mistake of ours: the log has it whole, the caller a 500, the ledger its row
            log.exception("an answer could not be read")
            self.on_upstream_lost(InternalError("The gateway failed on this answer; its log says why."), answered=True)

    def on_upstream_lost(self, error: GatewayError, *, answered: bool) -> None:
        connection, self._upstream = self._upstream, None
        if self.settlement is not None:
            self._let_go()
            return
        self.upstream_ended = time.monotonic()
        at_once = self.upstream_ended - self.attempt_started[1] < STALE_S
        stale = connection is not None and connection.is_reused and not answered and at_once
        self._end_attempt(error, settlement := settled(self))
        if stale and self._tries() < ATTEMPTS_MAX and not self.client_gone:
            self._attempt()  # the provider had closed a warm connection: once more, on a fresh one
        elif isinstance(error, InternalError) or not self._goes_on(fault_of_error(error)):
            self._let_out()
            self.fail(error, settlement)

    def on_deadline(self) -> None:
        """A time-out of the ladder has passed; called by the worker's sweep."""
        if self.settlement is not None:
            self._drop_upstream()  # the provider kept its connection after [DONE]
            self._let_go()
            return
        if self._upstream is None or not self.patience.is_over():
            return  # dialling has a time-out of its own
        if self.client_gone:
            self._cancel(ClientGone("the caller left, and the provider did not finish in time"))
            return
        answered = self._upstream.answered
        error = timeout_of(self._upstream.target, in_total=self.patience.is_over_in_total, answered=answered,
                           first_byte_s=self.patience.first_s)  # fmt: skip
        self._drop_upstream()
        self.on_upstream_lost(error, answered=answered)

    def cut_off(self, error: GatewayError) -> None:
        """End a stream now. What came of it is charged; one whose call is not made yet is refused."""
        if self.settlement is not None or (self.head is not None and not self.head.is_stream and self.dispatched):
            return  # an answer that comes whole is on its way, and will be charged
        self.is_cut_off = True
        if self.climb is not None and self.climb.child is not None:
            self.climb.child.cut_off(error)
            return
        if self._upstream is not None:
            self._cancel(error)
            return
        if self._dialling is not None:
            self._dialling.cancel()
        self.refuse(error)

    # -- ends -------------------------------------------------------------------------------------------------------

    def _end_of_stream(self) -> None:
        """The provider finished its stream, by [DONE] or by its end."""
        assert self.relay is not None
        self.upstream_ended = self.upstream_ended or time.monotonic()
        self.patience.end(self.upstream_ended)
        settlement, has_error = settled(self), self.relay.seen.has_error
        error: UpstreamError | None = None
        if has_error:
            error = UpstreamError("the provider reported an error inside its stream")
        elif not is_finished(self.relay.seen):
            error = UpstreamError("the provider's stream ended before the answer did")
        self._end_attempt(error, settlement)
        if error is not None and self._goes_on("broken"):
            return
        self._let_out()
        if error is None:
            served(self, settlement)
        if error is not None and not has_error:
            self.fail(error, settlement)
            return
        if error is not None:
            self.error = error
        self._settle(settlement)

    def _let_out(self) -> None:
        """What was held of a stream goes to the caller after all: no other endpoint will answer."""
        if self._held and self.relay is not None:
            self._pass(self._held)
        elif self.relay is not None and self.settlement is None:
            begin_stream(self)

    def _end_of_reply(self, body: bytes) -> None:  # of one that was no stream
        assert self.endpoint is not None and self.way is not None
        if 200 <= self.upstream_status < 300:
            told, self.seen, content_type, error = whole_reply(self, body := as_whole(self, body))
            if content_type != self.content_type:
                self.content_type = content_type
            if error is not self.error:
                self.error = error
            settlement = settled(self, body)
            self._end_attempt(self.error, settlement)
            if self.error is None:
                served(self, settlement)
            elif self._goes_on("broken"):
                return
        else:
            self.error, told = self.way.failure(self.upstream_status, body, self.endpoint.provider)
            self._end_attempt(self.error, NOTHING_SPENT)
            if self._takes_another_key() or self._goes_on(fault_of_status(self.upstream_status)):
                return
            settlement = unspent(self.attempts)
        if self.error is not None and not told:
            self.fail(self.error, settlement)
            return
        self.body = [told]
        if not self.client_gone and not self.reply_started:
            self.status = self.upstream_status
        self._settle(settlement)
