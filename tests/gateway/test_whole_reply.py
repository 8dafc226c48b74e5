"""A whole plain reply in one read means what the parser says it means."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.config import ProviderConfig, Upstream
from tidegate.core.errors import GatewayError
from tidegate.gateway import upstream
from tidegate.gateway.connect import Target
from tidegate.gateway.upstream import UpstreamConnection
from tidegate.gateway.whole_reply import WholeReply, read_whole

STATUS = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 204 No Content", b"HTTP/1.1 500 ",
                          b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/1.1 100 Continue", b"HTTP/1.1 304 x",
                          b"HTTP/1.1 2x0 OK", b"HTTP/2 200 OK", b"HTTP/1.1 999 odd", b"http/1.1 200 OK"])  # fmt: skip
HEADER = st.sampled_from(
    [
        b"content-type: application/json", b"Content-Type:text/plain", b"Date: now", b"x-request-id: abc",
        b"Connection: keep-alive", b"connection: close", b"Connection: Keep-Alive", b"content-encoding: identity",
        b"transfer-encoding: chunked", b"x-a: 1", b"x-a: 2", b"x b: 1", b"x-c : 1", b" folded", b"nocolon", b": v",
        b"x-d: a\nb", b"x-e: a\rb", b"x-f: \x00", b"x-g: \xff", b"retry-after: 3", b"trailer: x", b"X-H:",
        b"content-length: 1",
    ]
)  # fmt: skip
LENGTH = st.sampled_from(
    [b"content-length: %d", b"Content-Length:%d", b"content-length: 0%d", b"content-length: %d,%d"]
)


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class User:
    """takes_whole: hears of a whole reply in one word, as a call does that is no stream."""

    def __init__(self, *, takes_whole: bool) -> None:
        self.told: list[object] = []
        self.takes_whole = takes_whole

    def on_upstream_whole(self, reply: WholeReply) -> bool:
        if self.takes_whole:
            self.told += [(reply.status, reply.headers), *([reply.body] if reply.body else []), "end"]
        return self.takes_whole

    def on_upstream_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        self.told.append((status, headers))

    def on_upstream_data(self, data: bytes) -> None:
        self.told.append(data)

    def on_upstream_end(self) -> None:
        self.told.append("end")

    def on_upstream_lost(self, error: GatewayError, *, answered: bool) -> None:
        self.told.append(("lost", answered))

    def on_connected(self, connection: UpstreamConnection) -> None: ...
    def on_connect_failed(self, error: GatewayError) -> None: ...


class Wire:
    def __init__(self) -> None:
        self.is_open = True

    def writelines(self, pieces: object) -> None: ...
    def abort(self) -> None:
        self.is_open = False

    close = abort

    def is_closing(self) -> bool:
        return not self.is_open


class Pool:
    def __init__(self) -> None:
        self.kept = 0

    def release(self, connection: object) -> None:
        self.kept += 1

    def forget(self, connection: object) -> None: ...


def told(replies: list[bytes], *, by_parser: bool, takes_whole: bool = False) -> list[tuple[list[object], int, bool]]:
    """What the users of one connection hear of their replies, one after the other, and whether it was kept."""
    pool, wire, heard = Pool(), Wire(), []
    connection = UpstreamConnection(Target("p", "http://x", ProviderConfig(), Upstream()), pool)  # type: ignore[arg-type]
    connection.connection_made(wire)  # type: ignore[arg-type]
    original = upstream.read_whole
    if by_parser:
        upstream.read_whole = lambda data: None
    try:
        for number, data in enumerate(replies, 1):
            user = User(takes_whole=takes_whole)
            connection.send(user, ())
            connection.data_received(data)
            heard.append((user.told, pool.kept, wire.is_open))
            if pool.kept < number:
                break
    finally:
        upstream.read_whole = original
    return heard


@given(STATUS, st.lists(HEADER, max_size=4), LENGTH, st.binary(max_size=20), st.integers(-1, 1), st.booleans())
def test_a_whole_reply_means_what_the_parser_says(
    status: bytes, headers: list[bytes], length: bytes, body: bytes, off: int, says_length: bool
) -> None:
    """Or goes to the parser: either way the user hears the same, and the connection is kept or not alike."""
    size = max(len(body) + (off if off == 0 or len(body) % 3 == 0 else 0), 0)
    line = length % ((size,) * length.count(b"%d"))
    data = b"\r\n".join([status, *headers, *([line] if says_length else [])]) + b"\r\n\r\n" + body
    for replies in ([data], [PLAIN, data], [data, PLAIN]):  # nothing of one reply is left to the next
        by_parser = told(replies, by_parser=True)
        assert told(replies, by_parser=False) == by_parser
        assert told(replies, by_parser=False, takes_whole=True) == by_parser


def test_an_ordinary_reply_is_read_whole() -> None:
    """Otherwise the short way would be short for nobody."""
    headers = {b"content-type": b"application/json", b"content-length": b"2"}
    assert read_whole(PLAIN) == WholeReply(200, headers, b"{}")
