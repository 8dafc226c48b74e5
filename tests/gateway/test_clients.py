"""Callers as they are: what their libraries send, and what they do at the wrong moment."""

import json
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import Call, FakeProvider, answer, completion, delta, usage_event

BODY = b'{"model":"acme/ok","messages":[]}'


async def slow(call: Call) -> None:
    import asyncio

    await asyncio.sleep(1.0)
    await answer(call)


async def large(call: Call) -> None:
    await call.reply(200, completion("large", text="x" * 8_000_000))


async def burst(call: Call) -> None:
    """A stream that ends in the same write in which a caller who does not read becomes too slow."""
    await call.begin_stream()
    filler = b"".join(b"data: " + json.dumps(delta("x" * 1000)).encode() + b"\n\n" for _ in range(8000))
    last = b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in (delta(None, "stop"), usage_event()))
    data = filler + last + b"data: [DONE]\n\n"
    await call.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))


async def listen(call: Call) -> None:
    import asyncio

    await call.begin_stream()
    await call.event(delta("a"))
    await asyncio.sleep(1.4)
    await call.event(delta(None, "stop"))
    await call.end_stream()


SCRIPTS = {"slow": slow, "listen": listen, "large": large, "burst": burst}
EXTRA = "[limits]\nheader_s = 0.4\nbody_s = 0.4\nidle_s = 0.5\n[upstream]\nidle_s = 1.5\nfirst_byte_s = 3"


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(SCRIPTS) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = start_gateway(tmp_path_factory.mktemp("home"), configuration(provider, ["ok", *SCRIPTS], EXTRA))
    yield running
    assert running.stop() == 0
    assert "Traceback" not in (running.home / "log").read_text()


def request(gateway: Gateway, *, model: str = "ok", headers: str = "", body: bytes = b"") -> bytes:
    body = body or BODY.replace(b"/ok", b"/" + model.encode())
    return f"{gateway.call_head}{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def read_all(connection: socket.socket, within_s: float = 5.0) -> bytes:
    connection.settimeout(within_s)
    data = b""
    while piece := connection.recv(1 << 20):
        data += piece
    return data


def read_replies(connection: socket.socket, count: int) -> bytes:
    """Bytes until `count` replies with a Content-Length are whole."""
    data = b""
    while True:
        rest, found = data, 0
        while b"\r\n\r\n" in rest and found < count:
            head, _, after = rest.partition(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head)[1])
            if len(after) < length:
                break
            rest, found = after[length:], found + 1
        if found == count:
            return data
        piece = connection.recv(1 << 20)
        assert piece, data
        data += piece


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", data)]


def wait_for(condition, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.02)


# -- libraries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_body", [True, False])
def test_an_offer_of_http_2_is_ignored(gateway: Gateway, with_body: bool) -> None:
    """Java's HttpClient makes it on every first request in the clear; the body must not be lost with it."""
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    plain = f"GET /healthz HTTP/1.1\r\nhost: x\r\n{offer}\r\n".encode()
    data = request(gateway, headers=offer) if with_body else plain
    for size in (len(data), 1):
        with gateway.connect() as connection:
            for start in range(0, len(data), size):
                connection.sendall(data[start : start + size])
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert statuses(read_replies(connection, 2)) == [200, 200]


@pytest.mark.parametrize(
    "options",
    [
        ["--http2", "--data-binary", "@-"],
        ["--http2", "-X", "POST", "-T", "-"],
        ["-H", "Expect: 100-continue", "--data-binary", "@-"],
        ["-X", "POST", "-T", "-"],
        ["--http1.0", "--data-binary", "@-"],
    ],
    ids=" ".join,
)
def test_curl(gateway: Gateway, options: list[str]) -> None:
    """HTTP/2 offered, a body announced, a body of unknown length, an old version."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "-sS", *options, "-H", f"Authorization: bearer {gateway.key}"]
    done = subprocess.run([*command, f"{gateway.url}/v1/chat/completions"], input=BODY, capture_output=True, timeout=10)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "Four.", done.stderr


async def test_aiohttp_keeps_its_connection_over_every_kind_of_error(gateway: Gateway) -> None:
    """An error that was read whole costs no connection."""
    url, made = f"{gateway.url}/v1/chat/completions", []
    trace = aiohttp.TraceConfig()

    async def on_connection_create_end(*_: object) -> None:
        made.append(1)

    trace.on_connection_create_end.append(on_connection_create_end)
    async with aiohttp.ClientSession(headers=gateway.headers, trace_configs=[trace]) as session:
        for body, status in ((BODY, 200), (b"{", 400), (BODY.replace(b"/ok", b"/x"), 404), (b"", 400), (BODY, 200)):
            async with session.post(url, data=body) as reply:
                assert reply.status == status
                await reply.read()
    assert len(made) == 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.upper().replace("/V1/CHAT/COMPLETIONS", "/v1/chat/completions"),
        lambda text: text.replace("authorization: Bearer", "AUTHORIZATION:bearer  "),
        lambda text: text.replace("/completions HTTP", "/completions?api-version=2024-10-21 HTTP"),
        lambda text: text.replace("POST /v1", "POST http://x/v1"),
        lambda text: "\r\n" + text,
        lambda text: text.replace("\r\n", " \t\r\n").replace("1.1 \t", "1.1") + "content-encoding: identity \r\n",
    ],
    ids=["upper case", "bearer", "query", "absolute", "leading line", "trailing space"],
)
def test_heads_of_every_taste(gateway: Gateway, edit) -> None:
    """Case, spaces, a query on POST, a proxy's target, an old client's stray line."""
    head = edit(gateway.call_head).replace(gateway.key.upper(), gateway.key)
    with gateway.connect() as connection:
        connection.sendall(f"{head}content-length: {len(BODY)}\r\n\r\n".encode() + BODY)
        assert statuses(read_replies(connection, 1)) == [200]


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + BODY,
        BODY.decode().encode("utf-16"),
        b"[" * 200_000,
        b'{"model":"acme/ok","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"\\ud800","messages":[]}',
        b'{"model":" acme/ok","messages":[]}',
        b'{"model":"' + b"x" * 2_000_000 + b'"}',
    ],
    ids=["bom", "utf-16", "open brackets", "deep", "surrogate", "space in the model", "2 MB of name"],
)
def test_bodies_that_are_no_request_are_refused_with_one_row_each(gateway: Gateway, body: bytes) -> None:
    """A clear 4xx, quickly, and the connection lives on."""
    rows, started = len(gateway.outcomes()), time.monotonic()
    with gateway.connect() as connection:
        connection.sendall(request(gateway, body=body) + request(gateway))
        data = read_replies(connection, 2)
    assert statuses(data) in ([400, 200], [404, 200])
    assert time.monotonic() - started < 2
    assert len(gateway.outcomes()) == rows + 2


def test_a_target_that_is_no_url_is_400(gateway: Gateway) -> None:
    """Not a 500: the mistake is the caller's."""
    with gateway.connect() as connection:
        connection.sendall(b"GET http://[::1/healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert statuses(read_replies(connection, 1)) == [400]


# -- trailers and endless parts ----------------------------------------------------------------------------------------


def test_a_trailer_changes_nothing(gateway: Gateway) -> None:
    """What stands behind the body may not pretend to stand before it."""
    head = f"{gateway.call_head}transfer-encoding: chunked\r\n\r\n{len(BODY):x}\r\n".encode()
    with gateway.connect() as connection:
        connection.sendall(
            head + BODY + b"\r\n0\r\ncontent-encoding: gzip\r\nx-title: Forged\r\nx-session-id: s\r\n\r\n"
        )
        assert statuses(read_replies(connection, 1)) == [200]
    assert (gateway.row().app, gateway.row().session_id) == (None, None)


def test_an_endless_trailer_is_cut(gateway: Gateway) -> None:
    """Nobody needs a key to send one, so nobody may fill the memory with one."""
    with gateway.connect() as connection:
        connection.sendall(b"POST /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-a: ")
        connection.sendall(b"y" * 100_000)
        assert statuses(read_all(connection)) == [431]


# -- sending ahead -----------------------------------------------------------------------------------------------------


def test_half_a_request_sent_ahead_does_not_end_the_call_before_it(gateway: Gateway) -> None:
    """Its clock starts when it is its turn: a long answer is no slow header."""
    ahead = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with gateway.connect() as connection:
        connection.sendall(request(gateway, model="slow") + ahead[:9])
        time.sleep(0.8)
        connection.sendall(ahead[9:])
        assert statuses(read_replies(connection, 2)) == [200, 200]


def test_nonsense_sent_ahead_does_not_end_the_call_before_it(gateway: Gateway) -> None:
    """The call is answered in full, then the connection ends."""
    with gateway.connect() as connection:
        connection.sendall(request(gateway, model="slow") + b"\x00\x01nonsense\r\n\r\n")
        data = read_all(connection)
    assert statuses(data) == [200]
    assert data.endswith(b"}}}")


def test_waiting_behind_ones_own_call_is_not_the_gateways_overhead(gateway: Gateway) -> None:
    """A request sent ahead waits for the caller's own earlier one."""
    with gateway.connect() as connection:
        connection.sendall(request(gateway, model="slow") + request(gateway))
        read_replies(connection, 2)
    row = gateway.row("acme/ok")
    assert row.duration_us > 500_000
    assert row.overhead_us < 100_000


def test_continue_is_not_said_in_the_middle_of_another_reply(gateway: Gateway) -> None:
    """An interim reply belongs to its own request."""
    with gateway.connect() as connection:
        connection.sendall(request(gateway, model="slow") + request(gateway, headers="expect: 100-continue\r\n"))
        assert statuses(read_replies(connection, 2)) == [200, 200]


def test_replies_that_nobody_reads_are_not_piled_up(gateway: Gateway) -> None:
    """Requests are not served faster than their replies are taken; then all of them are, in order."""
    health = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"
    with gateway.connect() as connection:
        connection.setblocking(False)
        sent, stop = 0, time.monotonic() + 0.3
        block = health * 30
        while time.monotonic() < stop and sent < 200_000_000:
            try:
                sent += connection.send(block[sent % len(block) :])
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < 20_000_000
        assert resident_mb(gateway) < 120
        connection.setblocking(True)
        whole = sent // len(health)
        data = read_replies(connection, min(whole, 100))
        assert set(statuses(data)) == {200}


def test_a_caller_who_never_takes_a_reply_is_let_go(gateway: Gateway) -> None:
    """Closing waits for unsent bytes, but not for ever."""
    with gateway.connect() as connection:
        connection.sendall(request(gateway, model="large", headers="connection: close\r\n"))
        wait_for(lambda: gauge(gateway, "tidegate_client_connections") >= 2)
        wait_for(lambda: gauge(gateway, "tidegate_client_connections") == 1)


# -- leaving -----------------------------------------------------------------------------------------------------------


def test_closing_one_side_is_leaving(gateway: Gateway) -> None:
    """A half-closed connection looks like an abandoned one: the call is drained, charged and marked."""
    with gateway.connect() as connection:
        connection.sendall(request(gateway, model="slow"))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    rows = len([o for o in gateway.outcomes() if o.row.request_model == "acme/slow"])
    wait_for(lambda: len([o for o in gateway.outcomes() if o.row.request_model == "acme/slow"]) > rows)
    row = gateway.row("acme/slow")
    assert (row.is_cancelled, row.status_code, row.cost_nano_usd, row.error_type) == (True, 499, 68_000, None)


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.02, 0.3])
@pytest.mark.parametrize("stream", [b"true", b"false"])
def test_a_reset_at_any_moment_leaves_one_row(gateway: Gateway, after_s: float, stream: bytes) -> None:
    """Before dispatch, while the provider thinks: one row, and nothing stays open."""
    rows = len(gateway.outcomes())
    with gateway.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        body = BODY.replace(b"/ok", b"/slow")[:-1] + b',"stream":' + stream + b"}"
        connection.sendall(request(gateway, body=body))
        time.sleep(after_s)
    wait_for(lambda: gauge(gateway, "tidegate_open_calls") == 0)
    time.sleep(0.05)
    new = gateway.outcomes()[rows:]
    assert len(new) <= 1  # a reset may come before the request is read
    for outcome in new:
        assert (outcome.row.is_cancelled, outcome.row.status_code) == (True, 499)
        assert outcome.row.upstream_cost_nano_usd == outcome.attempts[-1].upstream_cost_nano_usd
    if after_s > 0.01:
        assert new


def test_a_slow_reader_does_not_spoil_the_providers_connection(gateway: Gateway, provider: FakeProvider) -> None:
    """A connection that was paused for one caller serves the next one at once."""
    body = BODY.replace(b"/ok", b"/burst")[:-1] + b',"stream":true}'
    before = provider.connections
    with gateway.connect() as connection:
        connection.sendall(request(gateway, body=body))
        time.sleep(0.3)
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += connection.recv(1 << 20)
        started = time.monotonic()
        for _ in range(3):
            assert httpx.post(f"{gateway.url}/v1/chat/completions", content=BODY, headers=gateway.headers).is_success
        assert time.monotonic() - started < 1
    assert provider.connections <= before + 1


def test_a_reader_slower_than_the_providers_silence_is_no_timeout(gateway: Gateway) -> None:
    """While the caller does not read, the silence is ours."""
    body = BODY.replace(b"/ok", b"/burst")[:-1] + b',"stream":true}'
    with gateway.connect() as connection:
        connection.sendall(request(gateway, body=body))
        time.sleep(2.2)
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += connection.recv(1 << 20)
    assert data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert gateway.row("acme/burst").error_type is None


def test_a_stream_does_not_keep_its_request_in_memory(gateway: Gateway) -> None:
    """Agents send hundreds of kilobytes and listen for minutes."""
    filler = b"x" * 500_000
    body = b'{"model":"acme/listen","stream":true,"messages":[{"content":"%b"}],"tools":[{}]}' % filler
    before, open_streams = resident_mb(gateway), []
    for _ in range(100):
        connection = gateway.connect()
        connection.sendall(request(gateway, body=body))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        open_streams.append(connection)
    assert resident_mb(gateway) - before < 25
    for connection in open_streams:
        connection.close()
    assert gateway.row("acme/listen").tools_offered == 1


def gauge(gateway: Gateway, name: str) -> int:
    text = httpx.get(f"{gateway.url}/metrics").text
    return int(float(re.search(rf"^{name} (\S+)", text, re.MULTILINE)[1]))


def resident_mb(gateway: Gateway) -> float:
    return int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6
