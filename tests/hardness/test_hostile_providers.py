"""Providers that mean harm, or are broken as if they did: each harms its own call, and no other.

Beside `gateway/test_faults.py` and `gateway/test_providers.py`, which hold the simpler ones. Real sockets throughout.
"""

import asyncio
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import Call, FakeProvider, completion, delta, usage_event

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n"
JSON, SSE = b"application/json", b"text/event-stream"
BODY = json.dumps(completion("m")).encode()
PACKET = 64 * 1024


async def pour(call: Call, start: bytes, again: bytes) -> None:
    """The same bytes until the other side hangs up."""
    await call.write(start)
    block = again * max(PACKET // len(again), 1)
    while True:
        await call.write(block)
        await asyncio.sleep(0)


async def endless_reply(call: Call) -> None:
    await pour(call, HEAD % JSON + b'\r\n{"choices":[{"message":{"content":"', b"x")


async def endless_chunks(call: Call) -> None:
    await pour(call, HEAD % JSON + b"transfer-encoding: chunked\r\n\r\n", b'8\r\n{"a":1}\n\r\n')


async def endless_error(call: Call) -> None:
    await pour(call, b"HTTP/1.1 500 X\r\n\r\n", b"x")


async def endless_hints(call: Call) -> None:
    await pour(call, b"", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")


async def endless_extension(call: Call) -> None:
    await pour(call, HEAD % SSE + b"transfer-encoding: chunked\r\n\r\n5;", b"x")


async def endless_event(call: Call) -> None:
    await call.begin_stream()
    while True:
        await call.chunk(b"data: " if not call.raw else b"x" * PACKET)
        call.raw = b"x"


async def endless_line_ends(call: Call) -> None:
    await call.begin_stream()
    while True:
        await call.chunk(b": \n" * 20_000)


def packed_forever(piece: bytes) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    while True:
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)


async def packed_stream(call: Call) -> None:
    """A megabyte of well-formed events in each kilobyte on the wire."""
    await call.write(HEAD % SSE + b"transfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\n")
    event = b"data: " + json.dumps(delta("a" * 2000)).encode() + b"\n\n"
    for data in packed_forever(event * 20_000):
        await call.chunk(data)


async def endless_stream(call: Call) -> None:
    await call.begin_stream()
    while True:
        await call.event(delta("word " * 100))


async def endless_tools(call: Call) -> None:
    """Each event another tool call."""
    await call.begin_stream()
    number = 0
    while True:
        calls = [{"index": number + i, "id": f"c{number + i}", "function": {"name": "f"}} for i in range(500)]
        number += 500
        await call.event({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]})


async def drip(call: Call) -> None:
    """A byte of the head now and then: never silent, never there."""
    for byte in HEAD % JSON + b"x-a: " + b"y" * 1000:
        await call.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def forged_next(call: Call) -> None:
    """An answer, and in the same packet the answer to somebody's next question."""
    whole = HEAD % JSON + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
    forged = json.dumps(completion("m", text="FORGED")).encode()
    await call.write(whole + HEAD % JSON + b"content-length: %d\r\n\r\n%b" % (len(forged), forged))


async def forged_later(call: Call) -> None:
    """Likewise, a moment later, when the connection is idle."""
    await call.reply(200, BODY)
    await asyncio.sleep(0.05)
    await call.reply(200, completion("m", text="FORGED"))


async def forged_after_stream(call: Call) -> None:
    await call.begin_stream()
    for event in (delta("a"), delta(None, "stop"), usage_event()):
        await call.event(event)
    await call.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    await call.reply(200, completion("m", text="FORGED"))


def header_of(name: bytes, value: bytes):
    async def script(call: Call) -> None:
        await call.write(HEAD % JSON + b"%b: %b\r\ncontent-length: %d\r\n\r\n%b" % (name, value, len(BODY), BODY))

    return script


ENDLESS = {
    f.__name__.replace("_", "-"): f
    for f in (endless_reply, endless_chunks, endless_error, endless_hints, drip)
}  # fmt: skip
STREAMS = {f.__name__.replace("_", "-"): f for f in (endless_extension, endless_event, endless_line_ends)}
FORGED = {f.__name__.replace("_", "-"): f for f in (forged_next, forged_later, forged_after_stream)}
POURED = {f.__name__.replace("_", "-"): f for f in (endless_stream, packed_stream, endless_tools)}
HEADERS = {
    "cookie": header_of(b"set-cookie", b"a=b"),
    "length": header_of(b"x-generation-id", b"forged"),
    "alt-svc": header_of(b"alt-svc", b'h3="evil:443"'),
}
SCRIPTS = ENDLESS | STREAMS | FORGED | POURED | HEADERS
EXTRA = """
[gateway]
drain_s = 1.0
[limits]
response_bytes_max = 4_000_000
event_bytes_max = 2_000_000
[upstream]
first_byte_s = 3
idle_s = 1
total_s = 4
"""


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


def post(gateway: Gateway, model: str, path: str = "/v1/chat/completions", **members: object) -> httpx.Response:
    body = {"model": f"acme/{model}", "messages": [{"role": "user", "content": "a"}], **members}
    return httpx.post(f"{gateway.url}{path}", json=body, headers=gateway.headers, timeout=20)


def resident_mb(gateway: Gateway) -> float:
    return int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6


def assert_unharmed(gateway: Gateway, before_mb: float) -> None:
    """The next caller is served at once, and nothing of the hostile call is left in memory."""
    started = time.monotonic()
    assert post(gateway, "ok").status_code == 200
    assert time.monotonic() - started < 1
    assert resident_mb(gateway) - before_mb < 40


@pytest.mark.parametrize("name", ENDLESS)
def test_a_reply_without_end_is_an_error_of_its_own_call(gateway: Gateway, name: str) -> None:
    """By size, or by time where it comes slowly: a 502 or 504 with its row."""
    before = resident_mb(gateway)
    reply = post(gateway, name)
    assert reply.status_code == (504 if name == "drip" else 502)
    assert gateway.row(f"acme/{name}").error_type in ("upstream_error", "upstream_timeout")
    assert_unharmed(gateway, before)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_without_events_is_an_error_of_its_own_call(gateway: Gateway, name: str) -> None:
    """An event, a comment or a chunk's line that never ends: told inside the stream."""
    before = resident_mb(gateway)
    reply = post(gateway, name, stream=True)
    assert reply.status_code in (200, 502)
    assert "upstream_error" in reply.text
    assert gateway.row(f"acme/{name}").error_type == "upstream_error"
    assert_unharmed(gateway, before)


@pytest.mark.parametrize("name", POURED)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_stream_without_end_costs_no_memory_and_ends_with_its_time(gateway: Gateway, name: str, path: str) -> None:
    """As fast as a provider can, to a caller who reads nothing for a while: what is not taken is not fetched."""
    before = resident_mb(gateway)
    body = json.dumps({"model": f"acme/{name}", "stream": True, "max_tokens": 9,
                       "messages": [{"role": "user", "content": "a"}]}).encode()  # fmt: skip
    head = gateway.call_head.replace("/v1/chat/completions", path)
    with gateway.connect() as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        most, until = 0.0, time.monotonic() + 1.5
        while time.monotonic() < until:
            most = max(most, resident_mb(gateway))
            time.sleep(0.05)
        assert most - before < 120
    row = gateway.row(f"acme/{name}", within_s=8)
    assert row.is_cancelled or row.error_type
    assert post(gateway, "ok").status_code == 200


@pytest.mark.parametrize("name", FORGED)
def test_nobody_gets_an_answer_to_another_question(gateway: Gateway, provider: FakeProvider, name: str) -> None:
    """What a provider sends beyond its reply poisons the connection; the next call has another one."""
    reply = post(gateway, name, stream="stream" in name)
    assert reply.status_code == 200
    assert "FORGED" not in reply.text
    time.sleep(0.2)  # what comes on an idle connection; what comes after the next question would be its answer
    for _ in range(3):
        assert "FORGED" not in post(gateway, "ok").text
        time.sleep(0.05)


@pytest.mark.parametrize("name", HEADERS)
def test_a_providers_headers_do_not_reach_the_caller(gateway: Gateway, name: str) -> None:
    """Cookies, other origins, forged ids: a gateway speaks for itself."""
    reply = post(gateway, name)
    assert reply.status_code == 200
    assert not {"set-cookie", "alt-svc"} & set(reply.headers)
    assert reply.headers["x-generation-id"] != "forged"
