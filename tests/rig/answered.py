"""A provider's connection without a socket: what the pool's protocol makes of the bytes of a reply; h11 beside it."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import h11

from tidegate.config import ProviderConfig, Upstream
from tidegate.core.errors import GatewayError
from tidegate.gateway.connect import Target
from tidegate.gateway.upstream import UpstreamConnection
from tidegate.gateway.whole_reply import WholeReply

TARGET = Target("p", "http://x", ProviderConfig(), Upstream())


class Reply(NamedTuple):
    """What an exchange was told. ended: `end`, or the error. is_kept: the connection may serve another call."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    ended: str
    is_kept: bool


class Wire:
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        self.closed = False

    def writelines(self, pieces: object) -> None: ...
    def get_extra_info(self, name: str) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Pool:
    def __init__(self) -> None:
        self.kept = 0

    def release(self, connection: object) -> None:
        self.kept += 1

    def forget(self, connection: object) -> None: ...


class User:
    """An exchange that notes what it is told, and that it is told one end. slow: its caller reads nothing."""

    def __init__(self, *, slow: bool = False) -> None:
        self.slow = slow
        self.connection: UpstreamConnection | None = None
        self.status, self.headers, self.body, self.ends = 0, dict[bytes, bytes](), bytearray(), list[str]()

    def on_upstream_whole(self, reply: WholeReply) -> bool:
        return False

    def on_upstream_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        assert not self.status, "one head a reply"
        self.status, self.headers = status, headers

    def on_upstream_data(self, data: bytes) -> None:
        assert self.status and not self.ends
        self.body += data
        if self.slow and self.connection is not None:
            self.connection.pause_reading()

    def on_upstream_end(self) -> None:
        self.ends.append("end")

    def on_upstream_lost(self, error: GatewayError, *, answered: bool) -> None:
        self.ends.append(str(error))

    def on_connected(self, connection: UpstreamConnection) -> None: ...
    def on_connect_failed(self, error: GatewayError) -> None: ...


def receive(pieces: Iterable[bytes], *, closes: bool = True, slow: bool = False) -> Reply:
    """Give the bytes of a provider to a connection that has just sent a request; then the provider hangs up."""
    pool, wire, user = Pool(), Wire(), User(slow=slow)
    connection = user.connection = UpstreamConnection(TARGET, pool)  # type: ignore[arg-type]
    connection.connection_made(wire)  # type: ignore[arg-type]
    connection.send(user, ())
    for piece in pieces:
        if wire.closed:
            break
        connection.data_received(piece)
    is_kept = pool.kept == 1 and not wire.closed
    if closes:
        connection.connection_lost(None)
    assert len(user.ends) <= 1 and (user.ends or not closes), "one end, and not none"
    assert pool.kept <= 1
    ended = user.ends[0] if user.ends else ""
    return Reply(user.status, tuple(sorted(user.headers.items())), bytes(user.body), ended, is_kept)


def read_by_h11(data: bytes) -> tuple[Any, ...] | None:
    """Status, body and what follows the reply, as h11 reads them; None where it refuses."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 18)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "x"), ("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        connection.receive_data(data)
        if data:
            connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return status, body, connection.trailing_data[0]
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None
