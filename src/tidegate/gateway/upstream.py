"""Connections to providers: one protocol over llhttp, and a pool that keeps them warm.

A connection serves one exchange at a time and tells it five things: connected, head, data, end, lost. It goes back to
the pool only after a whole reply; a caller that is no longer wanted aborts it, which the provider sees at once.
"""

import asyncio
import ssl
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import httptools

from tidegate.core.errors import GatewayError, UpstreamError, UpstreamTimeout
from tidegate.gateway.connect import ProxyRefused, Target, acknowledge_seldom, dial
from tidegate.gateway.whole_reply import WholeReply, read_whole

HEADER_COUNT_MAX = 200
WRITE_BYTES = 256 * 1024  # read at a time of a body that is not in memory
HEADER_BYTES_MAX = 64 * 1024  # also of trailers, and of anything else that is not body


class User(Protocol):
    """What an exchange must be to use a connection. Exactly one of end and lost follows a send."""

    def on_connected(self, connection: "UpstreamConnection") -> None: ...
    def on_connect_failed(self, error: GatewayError) -> None: ...
    def on_upstream_whole(self, reply: WholeReply) -> bool: ...  # head, data and end in one; False: tell them apart
    def on_upstream_head(self, status: int, headers: dict[bytes, bytes]) -> None: ...
    def on_upstream_data(self, data: bytes) -> None: ...
    def on_upstream_end(self) -> None: ...
    def on_upstream_lost(self, error: GatewayError, *, answered: bool) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """One connection to a provider."""

    def __init__(self, target: Target, pool: "Pool") -> None:
        self.target = target
        self._pool = pool
        self.transport: asyncio.Transport | None = None
        self._user: User | None = None
        self._parser: Any
        self.is_reused = self._is_paused = self._is_full = False
        self.idle_since = 0.0
        self._is_reset = True  # nothing is left of a reply: the one before, if any, was taken whole
        self._reset()

    def _reset(self) -> None:
        self._parser = None
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._quiet_bytes = 0  # received since the last byte of body
        self._complete = self._poisoned = self._until_close = False
        self._keep_alive = True
        self._inflate: Any = None
        self.answered = False
        self._take: Callable[[bytes], bool] | None = None
        self._may_take: Callable[[], bool] | None = None
        self._is_chunk_over = self._is_short = self._acknowledges_seldom = False
        self._read: Callable[[int], bytes] | None = None  # the rest of a request's body

    # -- towards the exchange -------------------------------------------------------------------------------------

    def send(self, user: User, pieces: Iterable[bytes | memoryview]) -> None:
        """Write a whole request; the reply goes to `user`."""
        assert self.transport is not None
        if not self._is_reset:
            self._reset()
        self._is_reset = False
        self._user = user
        self.transport.writelines(pieces)

    def write_from(self, read: Callable[[int], bytes]) -> None:
        """After `send`: write what `read` gives until it gives nothing, no faster than the provider takes it."""
        self._read = read
        self._write_on()

    def _write_on(self) -> None:
        while self._read is not None and not self._is_full and self.transport is not None:
            piece = b"" if self.transport.is_closing() else self._read(WRITE_BYTES)
            if piece:
                self.transport.write(piece)
            else:
                self._read = None

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._write_on()

    def offer_chunks(self, take: Callable[[bytes], bool], may_take: Callable[[], bool]) -> None:
        """Offer each read that begins between two chunks of the body to `take` first, while `may_take`; True: taken.

        It must take only a read that is one whole chunk: the parser never sees it. `may_take` is asked after each read
        that went to the parser; `stop_offering` says at any time that it no longer holds.
        """
        if self._inflate is None and self.transport is not None:
            self._take, self._may_take = take, may_take
            self._acknowledges_seldom = False

    def stop_offering(self) -> None:
        self._take = self._may_take = None
        self._is_short = False

    def abort(self) -> None:
        """Hang up, tell nobody: the provider sees the connection close."""
        self._user = self._read = None
        if self.transport is not None:
            self.transport.abort()

    def pause_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            self._is_paused = True

    def resume_reading(self) -> None:
        if self._is_paused and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            self._is_paused = False

    # -- asyncio --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._is_short and self._take(data):  # type: ignore[misc]
            return  # a whole chunk: the parser stands where it stood
        user = self._user
        if user is None:
            if data.strip(b"\r\n"):  # bytes that nobody asked for: whatever follows cannot be trusted
                self.abort()
            return
        if not self.answered:
            if (reply := read_whole(data)) is not None:
                self._pass_whole(user, reply)
                return
            self.answered = True
            self._parser = httptools.HttpResponseParser(self)
        self._quiet_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._complete:  # the reply stands; what follows it is nobody's
                self._poisoned = True
                self._finish()
                return
            self._lose(UpstreamError(f"provider {self.target.provider} sent what is not HTTP/1.1: {_cause(error)}"))
            return
        between_chunks = self._is_chunk_over and data[-2:] == b"\r\n"
        self._is_short = between_chunks and self._may_take is not None and self._may_take()
        if self._is_short and not self._acknowledges_seldom and self.transport is not None:
            self._acknowledges_seldom = True  # only now: the first event has gone on, and that was urgent
            acknowledge_seldom(self.transport)
        if self._complete:
            self._finish()
        elif self._quiet_bytes > HEADER_BYTES_MAX and self._user is not None:
            self._lose(UpstreamError(f"provider {self.target.provider} sent headers or trailers that are too large"))

    def _pass_whole(self, user: User, reply: WholeReply) -> None:
        """Tell the user of a whole reply: at once if it takes it so, else as the parser would have."""
        if self._read is None and user.on_upstream_whole(reply):
            self._user, self._is_reset = None, True
            self.resume_reading()
            self._pool.release(self)
            return
        self._status, self._complete, self.answered = reply.status, True, True
        user.on_upstream_head(reply.status, reply.headers)
        if reply.body and self._user is not None:
            user.on_upstream_data(reply.body)
        if self._user is not None:
            self._finish()

    def _finish(self) -> None:
        if self._inflate is not None and not self._inflate.eof:
            self._lose(UpstreamError(f"the compressed reply of provider {self.target.provider} is cut off"))
            return
        user, self._user = self._user, None
        is_sent, self._read = self._read is None, None
        if self._keep_alive and is_sent and not self._poisoned and not self._until_close:
            self.resume_reading()  # its last user may have been slow; the next one waits for nobody
            self._reset()  # now, while nobody waits
            self._is_reset = True
            self._pool.release(self)
        elif self.transport is not None:
            self.transport.close()
        if user is not None:
            user.on_upstream_end()

    def _lose(self, error: GatewayError) -> None:
        user, self._user = self._user, None
        if self.transport is not None:
            self.transport.abort()
        if user is not None:
            user.on_upstream_lost(error, answered=self.answered)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._pool.forget(self)
        if self._user is None:
            return
        if self._until_close and exc is None:
            self._finish()
        else:
            when = "in the middle of its reply" if self.answered else "before it answered"
            cause = f" ({exc})" if exc else ""
            self._lose(UpstreamError(f"provider {self.target.provider} closed the connection {when}{cause}"))

    # -- llhttp ---------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            self._poisoned = True  # a second reply to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status:
            return  # a trailer: nothing in it may change what the head said
        headers = self._headers
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX or len(headers) >= HEADER_COUNT_MAX:
            raise UpstreamError("its reply's headers are too many or too large")
        name, value = name.lower(), value.rstrip(b" \t")  # llhttp leaves it
        old = headers.get(name)
        headers[name] = value if old is None else old + b", " + value

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        status = self._parser.get_status_code()
        if status == 101 or status < 100 or self._parser.get_http_version() not in ("1.1", "1.0"):
            raise UpstreamError(
                f"its reply begins with status {status:03}, or in a version, that answers nothing of ours"
            )
        if 100 <= status < 200:
            if not self._headers.keys().isdisjoint((b"transfer-encoding", b"content-length")):
                raise UpstreamError("it announces a body where none can be (RFC 9110, section 15.2)")
            return
        self._status = status
        self._keep_alive = self._parser.should_keep_alive()
        headers = self._headers
        coding = headers.get(b"transfer-encoding", b"").lower()
        if coding not in (b"", b"chunked"):
            raise UpstreamError("its reply is in a transfer-encoding that is not read")
        self._until_close = not coding and b"content-length" not in headers and status not in (204, 304)
        encoding = headers.pop(b"content-encoding", b"identity").strip().lower()
        if encoding in (b"gzip", b"deflate", b"x-gzip"):
            self._inflate = zlib.decompressobj(wbits=47)
        elif encoding not in (b"identity", b""):
            raise UpstreamError("its reply is compressed in a way nobody asked for")
        if self._user is not None:
            self._user.on_upstream_head(status, headers)

    def on_body(self, body: bytes) -> None:
        if self._complete or self._user is None:
            return
        self._quiet_bytes = 0
        if self._inflate is None:
            self._user.on_upstream_data(body)
            return
        piece, unpacked = b"", 0
        while (body or len(piece) == INFLATE_BYTES) and self._user is not None:
            piece = self._inflate.decompress(body, INFLATE_BYTES)
            unpacked += len(piece)
            if piece:
                self._user.on_upstream_data(piece)
            if self._is_paused and unpacked > UNPACKED_BYTES_MAX:  # its reader is slow already, and would get more
                raise UpstreamError("one read of its compressed stream unpacks to more than anybody takes at once")
            body = self._inflate.unconsumed_tail

    def on_chunk_header(self) -> None:
        self._is_chunk_over = False

    def on_chunk_complete(self) -> None:
        self._is_chunk_over = True

    def on_message_complete(self) -> None:
        if self._status == 0:  # 100 Continue, 103 Early Hints: the reply follows
            self._headers = {}
            self._header_bytes = 0
        else:
            self._complete = True


UNPACKED_BYTES_MAX = 16 * 1024 * 1024  # of one read, for a caller who does not keep up
INFLATE_BYTES = 256 * 1024  # decompressed at a time, so that a bomb meets the exchange's own limit first


class Pool:
    """Warm connections by target. `acquire` is a plain call when one is warm, a task when one must be dialled."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, connections_idle_max: int, keep_alive_s: float) -> None:
        self._loop = loop
        self._idle_max, self._keep_alive_s = connections_idle_max, keep_alive_s
        self._idle: dict[Target, list[UpstreamConnection]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def acquire(self, target: Target, user: User, *, fresh: bool = False) -> asyncio.Task[None] | None:
        """A connection for `user`, told by `on_connected` or `on_connect_failed`; the dialling task, if one runs.

        fresh: do not take a warm one (the last one turned out to be stale).
        """
        stack = self._idle.get(target)
        while stack and not fresh:
            connection = stack.pop()
            if connection.transport is not None and not connection.transport.is_closing():
                connection.is_reused = True
                user.on_connected(connection)
                return None
        task = self._loop.create_task(self._dial(target, user))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _dial(self, target: Target, user: User) -> None:
        connection = UpstreamConnection(target, self)
        try:
            async with asyncio.timeout(target.connect_s):
                await dial(self._loop, target, connection)
        except TimeoutError:
            failure: GatewayError = UpstreamTimeout(
                f"provider {target.provider} did not accept a connection within {target.connect_s:g} s (connect_s)"
            )
        except ssl.SSLError as error:
            failure = UpstreamError(
                f"TLS with provider {target.provider} failed: {error.reason or error}. "
                f"A private authority is trusted by providers.{target.provider}.ca_file."
            )
        except ProxyRefused as error:
            failure = UpstreamError(f"the proxy towards provider {target.provider} refused: {error}")
        except OSError as error:
            failure = UpstreamError(f"provider {target.provider} cannot be reached: {error.strerror or error}")
        except UnicodeError:
            failure = UpstreamError(f"provider {target.provider} cannot be reached: {target.host!r} is no host name")
        except asyncio.CancelledError:
            connection.abort()  # it may have been made in the very moment nobody wanted it any more
            raise
        else:
            if connection.transport is not None and not connection.transport.is_closing():
                user.on_connected(connection)
                return
            failure = UpstreamError(f"provider {target.provider} closed the connection before it was used")
        connection.abort()
        user.on_connect_failed(failure)

    def release(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose reply is whole, for the next call."""
        stack = self._idle.setdefault(connection.target, [])
        if len(stack) < self._idle_max:
            connection.idle_since = self._loop.time()
            stack.append(connection)
        elif connection.transport is not None:
            connection.transport.close()

    def forget(self, connection: UpstreamConnection) -> None:
        stack = self._idle.get(connection.target)
        if stack and connection in stack:
            stack.remove(connection)

    def sweep(self) -> None:
        """Close what nobody has used for `keep_alive_s`. Called about once a second."""
        oldest = self._loop.time() - self._keep_alive_s
        for target, stack in list(self._idle.items()):
            if not stack:
                del self._idle[target]  # targets are made anew each day
            while stack and stack[0].idle_since < oldest:
                connection = stack.pop(0)
                if connection.transport is not None:
                    connection.transport.close()

    def close(self) -> None:
        for stack in self._idle.values():
            for connection in list(stack):
                connection.abort()
        for task in self._tasks:
            task.cancel()


def _cause(error: Exception) -> str:
    """What was wrong, in the words of the parser, or of ours where a callback raised."""
    return str(error.__context__ or error)[:200]
