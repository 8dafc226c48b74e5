"""What is not a model call goes to the console's ASGI application over a Unix socket: one origin for users.

The console believes three headers that are set here and stripped from what callers send: `x-tidegate-tenant` and
`x-tidegate-key` of an API key that was checked, `x-tidegate-client`, the caller's address. What was not checked here
(a service key, any key on a path that needs none) goes along as `x-tidegate-token`, for the console to look at.
"""

import time
from typing import TYPE_CHECKING

from tidegate.accounts.service_keys import PREFIX
from tidegate.core.errors import GatewayError, Unavailable, UpstreamTimeout
from tidegate.gateway.error_shapes import error_at, in_language_of
from tidegate.gateway.http import HOP_BY_HOP, Headers, Request, bearer_token, error_reply, reply_head

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.gateway.listener import ClientConnection
    from tidegate.gateway.server import Server
    from tidegate.gateway.upstream import UpstreamConnection
    from tidegate.gateway.whole_reply import WholeReply

NEVER = float("inf")
OURS = b"x-tidegate-"  # headers that only we may set
SERVICE_KEY = PREFIX.encode()
MANAGING = tuple(
    root + page
    for root in ("/v1", "/api/v1")
    for page in ("/key", "/credits", "/activity", "/generation", "/dashboard")
)  # how the console's paths that take service keys begin, beside those that need no key here


def is_managing(path: str, headers: Headers) -> bool:
    """Whether a request brings a service key to a path of the console: it is the console's to look at, not ours."""
    return path.startswith(MANAGING) and (bearer_token(headers) or b"").startswith(SERVICE_KEY)


class Passage:
    """One relayed request. The console learns the caller's tenant and address from headers that nobody else can set."""

    def __init__(self, server: "Server", client: "ClientConnection", request: Request, key: "Key | None") -> None:
        self._server, self._client, self._request, self._key = server, client, request, key
        self._upstream: UpstreamConnection | None = None
        self._body: list[bytes] = []
        self._is_stream = self._is_gone = False
        self.deadline = NEVER

    def start(self) -> None:
        self._server.exchanges.add(self)
        self._server.pool.acquire(self._server.console, self)

    def _head(self) -> bytes:
        request = self._request
        lines = [
            b"%b %b%b HTTP/1.1"
            % (
                METHODS.get(request.method, request.method),
                request.path.encode("latin-1"),
                b"?" + request.query if request.query else b"",
            )
        ]
        for name, value in request.headers.items():
            if name not in HOP_BY_HOP and name not in STRIPPED and not name.startswith(OURS):
                lines.append(b"%b: %b" % (name, value))
        lines.append(b"x-tidegate-client: " + self._client.caller.address(request.headers).encode())
        if self._key is not None:
            lines.append(b"x-tidegate-tenant: " + self._key.tenant_id.encode())
            lines.append(b"x-tidegate-key: " + self._key.key_id.encode())
        elif token := bearer_token(request.headers):
            lines.append(b"x-tidegate-token: " + token)  # the console alone knows whose it is
        lines.append(b"content-length: %d" % len(request.body))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_connected(self, connection: "UpstreamConnection") -> None:
        if self._is_gone:
            self._server.pool.release(connection)
            return
        self._upstream = connection
        self.deadline = time.monotonic() + connection.target.idle_s
        connection.send(self, (self._head(), self._request.body) if self._request.body else (self._head(),))

    def on_connect_failed(self, error: GatewayError) -> None:
        self._fail(Unavailable("The console is not running on this gateway; model calls are served all the same."))

    def on_upstream_whole(self, reply: "WholeReply") -> bool:
        return False

    def on_upstream_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        extra = b"".join(
            b"%b: %b\r\n" % (name, value)
            for name, value in headers.items()
            if name not in HOP_BY_HOP and name not in (b"content-length", b"content-type", b"date", b"server")
        )
        self._is_stream = headers.get(b"content-type", b"").startswith(b"text/event-stream")
        self._content_type = headers.get(b"content-type", b"application/octet-stream")
        self._status, self._extra = status, extra
        if self._is_stream and not self._is_gone:
            self._client.begin_stream(self._content_type, extra)

    def on_upstream_data(self, data: bytes) -> None:
        self.deadline = time.monotonic() + self._server.console.idle_s
        if self._is_stream:
            if not self._is_gone:
                self._client.write_stream(data)
        else:
            self._body.append(data)

    def on_upstream_end(self) -> None:
        self._server.exchanges.discard(self)
        if self._is_gone:
            return
        if self._is_stream:
            self._client.end_stream(b"")
            return
        body = b"".join(self._body)
        keep_alive, date = self._client.keeps_alive, self._server.date
        head = reply_head(
            self._status, self._content_type, len(body), extra=self._extra, keep_alive=keep_alive, date=date
        )
        self._client.finish(head + body)

    def on_upstream_lost(self, error: GatewayError, *, answered: bool) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None and upstream.is_reused and not answered and not self._is_gone:
            self._server.pool.acquire(self._server.console, self, fresh=True)
        else:
            self._fail(Unavailable("The console closed the connection; its log says why."))

    def on_deadline(self) -> None:
        self.deadline = NEVER
        if self._upstream is not None:
            self._upstream.abort()
            self._fail(UpstreamTimeout("The console did not answer in time."))

    def _fail(self, error: GatewayError) -> None:
        self._server.exchanges.discard(self)
        if self._is_gone:
            return
        if self._is_stream:
            self._client.abort()
        else:
            body = error_at(self._request.path, in_language_of(error, self._request.headers))
            self._client.finish(error_reply(error, body, keep_alive=self._client.keeps_alive, date=self._server.date))

    def on_client_gone(self) -> None:
        self._is_gone = True
        self._server.exchanges.discard(self)
        if self._upstream is not None:
            self._upstream.abort()

    def pause(self) -> None:
        if self._upstream is not None:
            self._upstream.pause_reading()

    def resume(self) -> None:
        if self._upstream is not None:
            self._upstream.resume_reading()


METHODS = {b"HEAD": b"GET"}  # the listener leaves the body out; a reply without one would need a reader of its own
STRIPPED = frozenset(
    (b"authorization", b"x-api-key", b"x-goog-api-key", b"content-length", b"content-encoding", b"expect")
)
