"""A caller's connection without a socket: what the listener accepts is noted, what it writes is kept.

Beside it h11, the oracle: a request that two parsers read differently is how requests are smuggled.
"""

import asyncio
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import h11

from tidegate.config import Limits
from tidegate.gateway.head import UPGRADE_HEADERS
from tidegate.gateway.http import Request
from tidegate.gateway.listener import ClientConnection


class Read(NamedTuple):
    """A request as a parser read it. headers: sorted, names in lower case, repeated ones joined."""

    method: bytes
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Transport(asyncio.Transport):
    """Keeps what is written; closes when told."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close
    write_eof = close

    def can_write_eof(self) -> bool:
        return True


class Noted(ClientConnection):
    """A connection that notes requests instead of serving them."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.requests: list[Request] = []

    def _serve(self, request: Request, key: Any) -> None:
        self.requests.append(request)

    @property
    def is_over(self) -> bool:
        """The last request said that it is the last: its reply closes the connection, and nothing more is read."""
        return bool(self.requests) and not self.requests[-1].keep_alive


class AnyKey:
    """Valid, and for ever."""

    expires_us = None


class Nothing:
    """As much of a server as parsing needs. Below /v1 a key is asked for, and any will do."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.connections, self.date = limits, set[Any](), b""
        self.totals, self.forwarders, self.keys = self, self, self
        self.unparsable = self.unauthenticated = self.version = 0

    def trusts(self, _: str) -> bool:
        return False

    def needs_key(self, path: str, _: object) -> bool:
        return path.startswith("/v1")

    def find(self, _: bytes) -> AnyKey:
        return AnyKey()

    def call_of(self, *_: object) -> None:
        return None

    def upload_for(self, *_: object) -> None:
        return None


class Verdict(NamedTuple):
    """What the listener made of bytes: requests it would serve, then the status of its refusal; None: no refusal."""

    requests: list[Read]
    status: int | None


def listen(pieces: Iterable[bytes], limits: Limits | None = None, *, waits: bool = False) -> Verdict:
    """Give bytes to a listener as they would come from a socket. waits: of a client that waits for each reply."""
    connection, transport = Noted(Nothing(limits or Limits())), Transport()
    connection.connection_made(transport)
    for piece in pieces:
        if not (waits and connection.is_over):
            connection.data_received(piece)
    said = re.findall(rb"HTTP/1.1 (\d+) \w", transport.written.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))
    assert len(said) <= 1, "a refusal is one reply, and the last"
    requests = [
        Read(r.method, r.path.encode("latin-1"), tuple(sorted(r.headers.items())), r.body) for r in connection.requests
    ]
    return Verdict(requests, int(said[0]) if said else None)


def read_by_h11(data: bytes) -> list[Read]:
    """The requests that h11 reads until it refuses or runs out of bytes.

    Empty lines before a request are left out for it, as RFC 9112, section 2.2, asks of a server; h11 refuses them.
    """
    found: list[Read] = []
    while data := data.lstrip(b"\r\n"):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 18)
        connection.receive_data(data)
        try:
            read = _one_by_h11(connection)
        except h11.RemoteProtocolError:
            break
        if read is None:
            break
        found.append(read)
        if connection.their_state is h11.MIGHT_SWITCH_PROTOCOL:
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))  # we do not switch
        if connection.their_state is not h11.DONE:
            break  # it said that it was the last
        data = connection.trailing_data[0]
    return found


def _one_by_h11(connection: h11.Connection) -> Read | None:
    body, joined = b"", dict[bytes, bytes]()
    head: h11.Request | None = None
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            head = event
            for name, value in head.headers:
                joined[name] = joined[name] + b", " + value if name in joined else value
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return Read(head.method, head.target.partition(b"?")[0], tuple(sorted(joined.items())), body)
        else:
            return None


def comparable(request: Read) -> Read:
    """h11 lowers `chunked`; to reduce an absolute target to its path and to ignore an offer of HTTP/2 is ours."""
    path = request.path
    if path[:7].lower() == b"http://":
        path = b"/" + path[7:].partition(b"/")[2]
    offered = UPGRADE_HEADERS if dict(request.headers).get(b"upgrade", b"").lower() == b"h2c" else ()
    headers = tuple((n, v.lower() if n == b"transfer-encoding" else v) for n, v in request.headers if n not in offered)
    return Read(request.method, path, headers, request.body)


def assert_read_alike(data: bytes, ours: list[Read]) -> None:
    """Whatever the listener accepted, h11 reads as the same method, path, headers and body."""
    theirs = read_by_h11(data)
    assert [comparable(r) for r in ours] == [comparable(r) for r in theirs[: len(ours)]]
