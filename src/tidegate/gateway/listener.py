"""Callers' connections: bytes to requests, requests in order, replies back.

One protocol over llhttp. What llhttp accepts and this project does not (or the other way round) is decided here and
in `tests/gateway/test_hardness.py`. Requests of one connection are served one after the other; what a caller sends
ahead waits, within limits. A caller that closes its side of the connection, even after a whole request, has left:
nothing tells a half-closed connection from an abandoned one, and nginx decides the same.
"""

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import httptools

from tidegate.core.errors import GatewayError, InternalError, InvalidRequest, Unavailable
from tidegate.gateway.callers import Caller, peer_of
from tidegate.gateway.error_shapes import error_at, in_language_of
from tidegate.gateway.exchange import Exchange
from tidegate.gateway.head import (
    SINGLE,
    body_too_large,
    check_headers,
    check_line,
    check_protocol,
    headers_too_large,
    is_ignored_upgrade,
    split_target,
    take_body,
    too_slow,
    without_upgrade,
)
from tidegate.gateway.http import LAST_CHUNK, Request, chunk, error_reply, reply_head
from tidegate.gateway.keyring import LastKey
from tidegate.gateway.known_head import KnownHead
from tidegate.gateway.patience import LINGER_BYTES_MAX, LINGER_S, NEVER
from tidegate.gateway.short_way import descriptor_of

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.gateway.server import Server
    from tidegate.gateway.upload import Upload

log = logging.getLogger(__name__)

PIPELINE_REQUESTS_MAX: Final = 32  # whole requests waiting behind the one being served
OVERHEAD_MAX: Final = 16  # bytes received for each byte of a body, beside what headers may have
PIPELINE_BYTES_MAX: Final = 64 * 1024  # unread bytes kept before the connection is no longer read


class ClientConnection(asyncio.Protocol):
    """One connection of a caller."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.transport: Any = None
        self.descriptor = -1
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._backlog: list[bytes] = []
        self._backlog_bytes = 0
        self._exchange: Any = None  # an Exchange, or a Relay to the console
        self.is_clogged = self._ignores_upgrade = False
        self._lingering = self._in_headers = self._is_http_11 = self.serves_http_11 = self._serves_head = False
        self.keeps_alive = self._wants_keep_alive = False
        self.held_head = b""  # of a stream's reply, not written yet
        self._linger_bytes = 0
        self.caller = Caller("", server.forwarders)
        self._last_key = LastKey()
        self.deadline = NEVER
        self._known = KnownHead(server.limits.body_bytes_max)
        self._new_request()

    def _new_request(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._quiet_bytes = self._header_count = self._header_bytes = 0
        self._target, self._path, self._query = b"", "", b""
        self._key: Key | None = None
        self._refused: GatewayError | None = None
        self._body: list[bytes] | Upload = []
        self._started, self._arrived, self._arrived_us, self._body_bytes = False, 0.0, 0, 0

    # -- asyncio ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        server = self.server
        self.transport.set_write_buffer_limits(high=server.limits.write_buffer_bytes_max)
        self.descriptor = descriptor_of(transport)
        self.caller = Caller(peer_of(transport), server.forwarders)
        self.deadline = time.monotonic() + server.limits.idle_s
        server.connections.add(self)
        if len(server.connections) > (limit := server.limits.connections_max):
            self._refuse_early(Unavailable(f"This worker serves {limit} connections already.", retry_after_s=1))

    def connection_lost(self, exc: Exception | None) -> None:
        self.descriptor = -1
        self.server.connections.discard(self)
        exchange, self._exchange = self._exchange, None
        self._queue, self._body = deque(), []
        if exchange is not None:
            exchange.on_client_gone()

    def pause_writing(self) -> None:
        self.is_clogged = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        self.is_clogged = False
        if self._exchange is not None:
            self._exchange.resume()
        else:
            self.server.loop.call_soon(self._next)

    @property
    def _is_busy(self) -> bool:  # what comes now waits: for a reply, for what came before, for a caller to read
        return self._exchange is not None or bool(self._queue or self._backlog) or self.is_clogged

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._linger_bytes += len(data)
            if self._linger_bytes > LINGER_BYTES_MAX:
                self.abort()
        elif self._is_busy:
            self._backlog.append(data)
            self._backlog_bytes += len(data)
            if self._backlog_bytes > PIPELINE_BYTES_MAX:
                self.transport.pause_reading()
        elif not self._started and (known := self._known.read(data, self.server.keys.version)):
            self._serve(known, self._known.key)
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._known.take(data, begins=not self._started, in_head=self._in_headers)
        if not self._started:
            self._begin()
        self._quiet_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._ignores_upgrade:
                self._feed(self._downgraded() + data[upgrade.args[0] :])
                return  # any other was refused in on_headers_complete
        except httptools.HttpParserCallbackError as error:
            log.error("listener: a callback failed", exc_info=error.__context__ or error)
            self._refused = InternalError("The gateway failed on this request; its log says why.")
        except httptools.HttpParserError as error:
            self.server.totals.unparsable += 1
            self._refuse_early(self._refused or InvalidRequest(f"The request is not valid HTTP/1.1: {error}."))
            return
        if not self._in_headers:
            self._known.piece = b""
        if self._started and self._quiet_bytes > self.server.limits.header_bytes_max:  # headers, trailers, chunk heads
            self._refused = self._refused or headers_too_large(self.server.limits)
        if self._refused is not None:
            self._refuse_early(self._refused)

    def _downgraded(self) -> bytes:
        """The head of a request that offers HTTP/2, as it would be without the offer, which we may ignore."""
        head = without_upgrade(self._parser.get_method(), self._target, self._headers, self._is_http_11)
        self._ignores_upgrade = False
        self._new_request()
        self._parser = httptools.HttpRequestParser(self)
        return head

    def _begin(self) -> None:
        """The first byte of a request."""
        self._started = self._in_headers = True
        self._arrived = time.monotonic()
        self._arrived_us = time.time_ns() // 1000
        self.deadline = self._arrived + self.server.limits.header_s

    # -- llhttp -----------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if not self._started:  # a second request in the same bytes
            self._begin()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        self._header_bytes += len(name) + len(value)
        limits = self.server.limits
        if self._header_count > limits.header_count_max or self._header_bytes > limits.header_bytes_max:
            self._refused = self._refused or headers_too_large(limits, self._header_count)
        if self._refused is not None or not self._in_headers:  # a trailer may not change what the head said
            return
        name = name.lower()
        if (old := self._headers.get(name)) is not None and name in SINGLE:
            self._refused = InvalidRequest(f"The header {name.decode('latin-1')} stands twice in the request.")
            return
        value = value.rstrip(b" \t")  # llhttp leaves it
        self._headers[name] = value if old is None else old + b", " + value

    def on_headers_complete(self) -> None:
        self._in_headers = False
        if self._refused is not None:
            return
        parser, headers, limits = self._parser, self._headers, self.server.limits
        if len(self._target) + self._header_bytes > limits.header_bytes_max:
            self._refused = headers_too_large(limits)
            return
        self.deadline = time.monotonic() + limits.body_s
        self._wants_keep_alive = parser.should_keep_alive()
        version = parser.get_http_version()
        self._is_http_11 = version == "1.1"
        self._ignores_upgrade = parser.should_upgrade() and is_ignored_upgrade(headers)
        try:
            check_protocol(version, upgrade=parser.should_upgrade() and not self._ignores_upgrade)
            check_line(self._known.piece, parser.get_method(), self._target, version)
            if self._ignores_upgrade:
                return
            self._path, self._query = split_target(self._target, headers)
            if self.server.needs_key(self._path, headers):
                self._key = self._last_key.authenticate(headers, self.server)
            check_headers(headers, limits, is_http_11=self._is_http_11)
            self._body = self.server.upload_for(self._path, headers) or self._body
        except GatewayError as error:
            self._refused, self._ignores_upgrade = error, False
            return
        if headers.get(b"expect", b"").lower() == b"100-continue" and self._is_http_11 and not self._is_busy:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._refused is not None:
            return
        self._quiet_bytes = max(self._quiet_bytes - OVERHEAD_MAX * len(body), 0)
        self._body_bytes += len(body)
        if self._body_bytes > self.server.limits.body_bytes_max:
            self._body = []
            self._refused = body_too_large(self.server.limits)
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._refused is not None or self._ignores_upgrade:
            return
        request = Request(self._parser.get_method(), self._path, self._query, self._headers)
        request.keep_alive, request.is_http_11 = self._wants_keep_alive, self._is_http_11
        request.arrived, request.arrived_us, request.complete = self._arrived, self._arrived_us, time.monotonic()
        try:
            take_body(request, self._body, self.server.limits)
        except GatewayError as error:
            self._refused = error
            return
        key = self._key
        self._new_request()
        if not self._is_busy:
            self._known.learn(request, key, self.server.keys.version)
            self._serve(request, key)
        elif len(self._queue) < PIPELINE_REQUESTS_MAX:
            request.key = key
            self._queue.append(request)
        else:
            self._refused = InvalidRequest(f"More than {PIPELINE_REQUESTS_MAX} requests sent ahead on one connection.")

    # -- serving ----------------------------------------------------------------------------------------------------

    def _serve(self, request: Request, key: "Key | None") -> None:
        self.deadline = NEVER  # from here on the exchange keeps the time
        self.keeps_alive = request.keep_alive and not self.server.is_draining
        self.serves_http_11, self._serves_head = request.is_http_11, request.method == b"HEAD"
        try:
            self._exchange = self.server.exchange_for(self, request, key)
            self._exchange.start()
        except GatewayError as error:
            self._refuse(request, error)
        except Exception:  # a mistake of ours: the log has it whole, the caller a 500
            log.exception("a request could not be served")
            failure = InternalError("The gateway failed on this request; its log says why.")
            self._refuse(request, failure)

    def _refuse(self, request: Request, error: GatewayError) -> None:
        body = error_at(request.path, in_language_of(error, request.headers))
        self.finish(error_reply(error, body, keep_alive=self.keeps_alive, date=self.server.date))

    def _refuse_early(self, error: GatewayError) -> None:
        """Answer before the request is whole, then read on for a while unheard: an unread body would reset the
        connection before the caller has seen the answer."""
        if self._lingering:
            return
        self._lingering = True
        self.keeps_alive = False
        self.deadline = time.monotonic() + LINGER_S
        if self._exchange is not None or self._queue:  # an earlier request is being served: its reply comes first
            self._queue.clear()
            return
        method = self._parser.get_method() if self._key is not None else b""
        operation = self.server.call_of(method, self._path, self._query)
        request = Request(method, self._path, self._query, self._headers)
        if self._key is None or operation is None:
            self._refuse(request, error)
            return
        request.arrived, request.arrived_us, request.complete = self._arrived, self._arrived_us, time.monotonic()
        self._exchange = Exchange(self.server, self, request, self._key, operation)
        self.server.exchanges.add(self._exchange)
        self._exchange.refuse(error)

    def on_deadline(self) -> None:
        """Too slow, too idle, or lingering too long; called by the worker's sweep."""
        if self._exchange is not None:
            self.deadline = NEVER  # a reply is under way; the clock starts again after it
        elif self.transport.is_closing():
            self.abort()  # the caller does not even take what was sent
        elif self._lingering or not self._started:
            self._close()
        else:
            self._refuse_early(too_slow(self.server.limits, in_headers=self._in_headers))

    # -- replies ----------------------------------------------------------------------------------------------------

    def begin_stream(self, content_type: bytes, extra: bytes) -> None:
        """Send the head of a streamed 200."""
        keep_alive = self.keeps_alive = self.keeps_alive and self.serves_http_11
        head = reply_head(200, content_type, None, extra=extra, keep_alive=keep_alive, date=self.server.date)
        if not self.serves_http_11:  # no chunks before 1.1: the end of the connection is the end of the body
            head = head.replace(b"transfer-encoding: chunked\r\n", b"")
        self.held_head = head  # until the end of this tick: most often the first event follows in the same read
        self.server.loop.call_soon(self._send_head)

    def _send_head(self) -> None:
        if self.held_head and not self.transport.is_closing():
            self.transport.write(self.held_head)
        self.held_head = b""

    def write_stream(self, data: bytes) -> None:
        data = chunk(data) if self.serves_http_11 else data
        if self.held_head:
            data, self.held_head = self.held_head + data, b""
        self.transport.write(data)

    def end_stream(self, last: bytes) -> None:
        """Send the last event and the end of the body, in one write."""
        if self.serves_http_11:
            self.finish((chunk(last) if last else b"") + LAST_CHUNK)
        else:
            self.finish(last)

    def reply(self, status: int, content_type: bytes, body: bytes, extra: bytes) -> None:
        """Send a whole reply."""
        keep_alive, date = self.keeps_alive, self.server.date
        self.finish(reply_head(status, content_type, len(body), extra=extra, keep_alive=keep_alive, date=date) + body)

    def finish(self, data: bytes) -> None:
        """Send the last bytes of a reply; then the next request, or the end of the connection."""
        transport = self.transport
        self._exchange = None
        if transport.is_closing():
            return
        if self.held_head:
            data, self.held_head = self.held_head + data, b""
        transport.write(data[: data.index(b"\r\n\r\n") + 4] if self._serves_head else data)
        if self._lingering:
            self.deadline = time.monotonic() + LINGER_S
            if transport.can_write_eof():
                transport.write_eof()
        elif not self.keeps_alive:
            self._close()
        else:
            self._restart_clock()
            if self._queue or self._backlog:
                self.server.loop.call_soon(self._next)

    def _restart_clock(self) -> None:
        """The caller's turn: to begin a request, or to go on with one that arrived in part behind the last."""
        limits = self.server.limits
        allowed = limits.idle_s if not self._started else limits.header_s if self._in_headers else limits.body_s
        self.deadline = time.monotonic() + allowed

    def _close(self) -> None:
        """Close when what was written is sent, for which the caller has as long as for a next request."""
        self.deadline = time.monotonic() + self.server.limits.idle_s
        self.transport.close()

    def _next(self) -> None:
        if self._exchange is not None or self.is_clogged or self._lingering or self.transport.is_closing():
            return
        if self._queue:
            request = self._queue.popleft()
            request.complete = time.monotonic()  # it waited for the caller's own earlier ones
            self._serve(request, request.key)
        elif self._backlog:
            data, self._backlog, self._backlog_bytes = b"".join(self._backlog), [], 0
            self.transport.resume_reading()
            self._feed(data)

    def abort(self) -> None:
        """End the connection so that the caller cannot take the reply for whole."""
        self.transport.abort()

    def drain(self) -> None:
        """The worker stops: close when idle, or after the reply being written."""
        self.keeps_alive = False
        if not self._is_busy and not self._started:
            self._close()
