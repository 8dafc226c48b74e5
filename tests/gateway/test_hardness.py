"""What callers may not do: smuggle, stall, flood. Raw bytes over real sockets, each with one clear answer.

Who was not authenticated when the fault was found leaves no row; who was, does.
"""

import json
import re
import socket
import time
from collections.abc import Iterator

import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import Call, FakeProvider, answer

EXTRA = "[limits]\nheader_s = 0.5\nbody_s = 0.6\nidle_s = 0.7\nconnections_max = 20"
BODY = b'{"model":"acme/ok","messages":[]}'


async def slow(call: Call) -> None:
    import asyncio

    await asyncio.sleep(0.2)
    await answer(call)


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider({"slow": slow}) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = start_gateway(tmp_path_factory.mktemp("home"), configuration(provider, ["ok", "slow"], EXTRA))
    yield running
    assert running.stop() == 0


def request(gateway: Gateway, *, body: bytes = BODY, headers: str = "", length: str | None = None) -> bytes:
    framing = f"content-length: {len(body)}\r\n" if length is None else length
    return f"{gateway.call_head}{framing}{headers}\r\n".encode() + body


def talk(gateway: Gateway, *pieces: bytes, until_close: bool = False, pause_s: float = 0.0) -> bytes:
    """Send, then read one reply (or all, until the other side closes)."""
    with gateway.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)
        return read_all(connection) if until_close else read_reply(connection)


def read_reply(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(rest) < length:
        rest += connection.recv(65536)
    return head + b"\r\n\r\n" + rest


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def status_of(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def error_of(reply: bytes) -> dict:
    return json.loads(reply.partition(b"\r\n\r\n")[2])["error"]


SMUGGLING = {
    "both lengths": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "duplicate length": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nabcd",
    "two lengths": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4, 5\r\n\r\nabcd",
    "negative length": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    "length with a plus": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +4\r\n\r\nabcd",
    "folded header": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nhost: x\n\n",
    "bare LF in headers": b"GET / HTTP/1.1\r\nhost: x\nx-a: b\r\n\r\n",
    "bare CR in a value": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b\rc\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b\x00c\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "bad chunk size": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "chunk longer than said": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "two authorizations": b"GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: a\r\nauthorization: b\r\n\r\n",
    "another host in the target": b"GET http://evil/healthz HTTP/1.1\r\nhost: a\r\n\r\n",
    "fragment": b"GET /healthz#x HTTP/1.1\r\nhost: a\r\n\r\n",
    "upgrade": b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_ambiguous_and_malformed_requests_are_400_and_the_connection_ends(gateway: Gateway, name: str) -> None:
    """Two readings of one request is how requests are smuggled; whoever sends one is not read any further."""
    rows = len(gateway.outcomes())
    reply = talk(gateway, SMUGGLING[name])
    assert status_of(reply) == 400, reply
    assert error_of(reply)["code"] == "invalid_request"
    assert b"connection: close" in reply
    assert len(gateway.outcomes()) == rows


def test_a_body_of_33_mb_is_413_with_a_row(gateway: Gateway) -> None:
    """The caller can read the answer although the body was never taken."""
    body = b"x" * (33 * 1024 * 1024)
    reply = talk(gateway, request(gateway, body=body))
    assert (status_of(reply), error_of(reply)["code"]) == (413, "payload_too_large")
    assert "33,554,432 bytes (limits.body_bytes_max)" in error_of(reply)["message"]
    row = gateway.row()
    assert (row.status_code, row.error_type, row.cost_nano_usd) == (413, "payload_too_large", 0)


def test_a_chunked_body_is_measured_as_it_comes(gateway: Gateway) -> None:
    """No Content-Length to refuse by: the limit holds all the same."""
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    reply = talk(gateway, request(gateway, body=b"", length="transfer-encoding: chunked\r\n"), *[chunk] * 33)
    assert status_of(reply) == 413


def test_a_small_body_that_unpacks_to_a_large_one_is_413(gateway: Gateway) -> None:
    """The limit counts bytes after decompression."""
    import gzip

    reply = talk(gateway, request(gateway, body=gzip.compress(b" " * 40_000_000), headers="content-encoding: gzip\r\n"))
    assert status_of(reply) == 413


@pytest.mark.parametrize(
    ("encoding", "body", "status"), [("br", BODY, 415), ("gzip", BODY, 400), ("gzip", b"\x1f\x8b\x08", 400)]
)
def test_unreadable_encodings_are_refused(gateway: Gateway, encoding: str, body: bytes, status: int) -> None:
    """Unknown, lying or cut-off compression."""
    assert status_of(talk(gateway, request(gateway, body=body, headers=f"content-encoding: {encoding}\r\n"))) == status


@pytest.mark.parametrize(
    "headers", ["x-long: " + "y" * 40_000 + "\r\n", "".join(f"x-{i}: y\r\n" for i in range(120))], ids=["long", "many"]
)
def test_headers_have_a_limit(gateway: Gateway, headers: str) -> None:
    """By bytes and by count."""
    reply = talk(gateway, request(gateway, headers=headers))
    assert (status_of(reply), error_of(reply)["code"]) == (431, "headers_too_large")


def test_an_endless_header_is_cut_before_it_ends(gateway: Gateway) -> None:
    """A header that never ends may not be collected for ever."""
    reply = talk(gateway, b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: " + b"y" * 60_000)
    assert status_of(reply) == 431


def test_a_slow_header_is_408(gateway: Gateway) -> None:
    """One byte now and then: the clock runs from the first one."""
    started = time.monotonic()
    reply = talk(gateway, *[bytes([byte]) for byte in b"GET /he"], pause_s=0.1)
    assert (status_of(reply), "(limits.header_s)" in error_of(reply)["message"]) == (408, True)
    assert time.monotonic() - started < 3


def test_a_slow_body_is_408_with_a_row(gateway: Gateway) -> None:
    """Authenticated by its headers, so recorded."""
    reply = talk(gateway, request(gateway)[:-5])
    assert (status_of(reply), "(limits.body_s)" in error_of(reply)["message"]) == (408, True)
    assert gateway.row().error_type == "request_timeout"


def test_an_idle_connection_is_closed_without_a_word(gateway: Gateway) -> None:
    """Keep-alive ends; there is no request to answer."""
    with gateway.connect() as connection:
        assert connection.recv(10) == b""


def test_connections_have_a_limit(gateway: Gateway) -> None:
    """The one too many is told so and nobody else is disturbed."""
    time.sleep(0.9)  # let the connections of other tests go idle
    held = [gateway.connect() for _ in range(20)]
    time.sleep(0.1)
    with gateway.connect() as one_too_many:
        assert status_of(read_reply(one_too_many)) == 503
    held[0].sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert status_of(read_reply(held[0])) == 200
    for connection in held:
        connection.close()


def test_requests_sent_ahead_are_served_in_order(gateway: Gateway) -> None:
    """Pipelining: in one write, and in a second one while the first call runs."""
    slow_call = request(gateway, body=BODY.replace(b"/ok", b"/slow"))
    health = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    reply = talk(gateway, slow_call + health, health + last, pause_s=0.05, until_close=True)
    assert re.findall(rb"HTTP/1.1 (\d+)", reply) == [b"200", b"200", b"200", b"503"]
    assert reply.index(b"chat.completion") < reply.index(b'"status":"ok"')


def test_too_many_requests_sent_ahead_end_the_connection(gateway: Gateway) -> None:
    """A bounded queue: the first are served, the flood is not."""
    slow_call = request(gateway, body=BODY.replace(b"/ok", b"/slow"))
    reply = talk(gateway, slow_call + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 100, until_close=True)
    assert reply.count(b"HTTP/1.1 ") <= 34


def test_expect_continue_is_answered_before_the_body(gateway: Gateway) -> None:
    """curl waits for it with larger bodies; a refusal comes instead of the body."""
    whole = request(gateway, headers="expect: 100-continue\r\n")
    with gateway.connect() as connection:
        connection.sendall(whole[: -len(BODY)])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert status_of(read_reply(connection)) == 200
    assert status_of(talk(gateway, whole[: -len(BODY)].replace(gateway.key.encode(), b"wrong"))) == 401


def test_an_unauthenticated_body_is_not_waited_for(gateway: Gateway) -> None:
    """401 as soon as the headers are there: strangers upload nothing."""
    head = request(gateway, body=b"", length="content-length: 30000000\r\n").replace(gateway.key.encode(), b"wrong")
    assert status_of(talk(gateway, head)) == 401


def test_http_1_0_gets_a_stream_that_ends_with_the_connection(gateway: Gateway) -> None:
    """No chunks before HTTP/1.1."""
    body = BODY[:-1] + b',"stream":true}'
    reply = talk(gateway, request(gateway, body=body).replace(b"HTTP/1.1", b"HTTP/1.0"), until_close=True)
    head, _, rest = reply.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert rest.startswith(b"data: {")
    assert rest.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_request_may_arrive_in_any_pieces(gateway: Gateway, size: int) -> None:
    """TCP cuts where it likes."""
    whole = request(gateway)
    with gateway.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(whole), size):
            connection.sendall(whole[start : start + size])
        assert status_of(read_reply(connection)) == 200


def test_a_header_that_only_we_may_set_is_not_forwarded_to_the_provider(
    gateway: Gateway, provider: FakeProvider
) -> None:
    """Cookies, forwarded addresses and the caller's key stay here."""
    talk(gateway, request(gateway, headers="cookie: a=b\r\nx-forwarded-for: 1.2.3.4\r\nx-tidegate-tenant: root\r\n"))
    assert set(provider.calls[-1].headers) == {
        "host", "user-agent", "accept", "accept-encoding", "content-type", "content-length",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/nowhere"])
def test_head_has_no_body_and_the_connection_lives_on(gateway: Gateway, path: str) -> None:
    """A body after HEAD would be read as the next reply."""
    with gateway.connect() as connection:
        for _ in range(2):
            connection.sendall(
                f"HEAD {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n\r\n".encode()
            )
            data = connection.recv(65536)
            assert data.startswith(b"HTTP/1.1 ")
            assert data.endswith(b"\r\n\r\n")
