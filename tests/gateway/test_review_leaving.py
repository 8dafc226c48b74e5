"""Callers who leave, read slowly or read arrays: in every dialect the row is right and the provider is treated well."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from rig.gateway import Gateway
from rig.provider import Call, delta, usage_event
from rig.scripted import ScriptedProvider, request_of, start_before

CALLERS = ("openai-chat", "openai-responses", "anthropic", "gemini")
FLOOD_EVENTS, FLOOD_BYTES = 1500, 10_000
TEXT = "word " * 4


async def finish(call: Call, text: str = "end") -> None:
    await call.event(delta(text, "stop"))
    await call.event(usage_event())
    await call.end_stream()


async def slow_stream(call: Call) -> None:
    await call.begin_stream()
    for word in TEXT.split():
        await call.event(delta(word + " "))
        await asyncio.sleep(0.1)
    await finish(call)


async def slow_start(call: Call) -> None:
    await asyncio.sleep(1.0)
    await call.begin_stream()
    await finish(call)


async def flood(call: Call) -> None:
    await call.begin_stream()
    for number in range(FLOOD_EVENTS):
        await call.event(delta(f"{number:05d}" + "x" * FLOOD_BYTES))
    await finish(call)


async def fails(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("Two "))
    await call.event({"error": {"message": "overloaded", "code": "busy"}})
    await call.end_stream()


async def dies(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("Two "))
    await asyncio.sleep(0.05)
    call.writer.transport.abort()


async def dies_at_once(call: Call) -> None:
    await call.begin_stream()
    call.writer.transport.abort()


SCRIPTS = {"slow": slow_stream, "late": slow_start, "flood": flood, "fails": fails, "dies": dies, "gone": dies_at_once}


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(SCRIPTS) as running:
        yield running


@pytest.fixture(scope="module", params=["drain", "cancel"])
def policy(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def gateway(provider: ScriptedProvider, policy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("home")
    running = start_before(provider, home, f'[gateway]\non_disconnect = "{policy}"\ncomment_s = 0.3\n')
    first = begin(running, "openai-chat", "chat+slow")
    first.recv(65536)
    first.close()
    next_row(running, 0)  # the first estimate takes its time: it loads the tokenizer
    yield running
    assert running.stop() == 0
    assert "Traceback" not in (home / "log").read_text()


def begin(gateway: Gateway, dialect: str, model: str, *, as_array: bool = False) -> socket.socket:
    """A streamed call, sent and not read."""
    path, body = request_of(dialect, model, stream=True)
    data = json.dumps(body).encode()
    path = path.removesuffix("?alt=sse") if as_array else path
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    connection = gateway.connect()
    connection.sendall(head.encode() + data)
    return connection


@pytest.mark.parametrize("as_array", [False, True])
@pytest.mark.parametrize("dialect", CALLERS)
def test_leaving_within_a_stream(
    gateway: Gateway, provider: ScriptedProvider, policy: str, dialect: str, as_array: bool
) -> None:
    """Drained to the provider's own figures, or cancelled at once and estimated; never free."""
    if as_array and dialect != "gemini":
        pytest.skip("only Gemini has streams as arrays")
    before, rows = provider.aborted.count("chat+slow"), len(gateway.outcomes())
    connection = begin(gateway, dialect, "chat+slow", as_array=as_array)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    connection.close()
    row = next_row(gateway, rows)
    assert (row.is_cancelled, row.status_code, row.dialect) == (True, 200, dialect)
    assert row.cost_nano_usd > 0
    if policy == "drain":
        assert (row.cost_basis, row.usage_input_tokens, row.error_type) == ("metered", 12, None)
        assert provider.aborted.count("chat+slow") == before
    else:
        assert (row.cost_basis, row.error_type) == ("estimated_partial", "client_gone")
        assert row.usage_input_tokens < 100 and row.usage_output_tokens < 10
        wait_for(lambda: provider.aborted.count("chat+slow") == before + 1)


@pytest.mark.parametrize("dialect", CALLERS)
def test_leaving_before_the_first_byte(gateway: Gateway, policy: str, dialect: str) -> None:
    """The provider has the request by then: it is paid for, and the row has no status of a reply."""
    rows = len(gateway.outcomes())
    connection = begin(gateway, dialect, "chat+late")
    time.sleep(0.1)
    connection.close()
    row = next_row(gateway, rows)
    assert (row.is_cancelled, row.status_code) == (True, 499)
    assert row.cost_basis == ("metered" if policy == "drain" else "estimated_partial")
    assert row.cost_nano_usd > 0


def test_leaving_right_behind_the_request(gateway: Gateway) -> None:
    """Whatever has happened by then, there is one row, and the next call works."""
    rows = len(gateway.outcomes())
    for _ in range(20):
        begin(gateway, "anthropic", "chat+late").close()
    wait_for(lambda: len(gateway.outcomes()) == rows + 20)
    assert all(outcome.row.is_cancelled for outcome in gateway.outcomes()[rows:])
    wait_for(lambda: open_calls(gateway) == 0)


@pytest.mark.parametrize("dialect", CALLERS)
def test_a_slow_reader_gets_every_event_and_costs_no_memory(gateway: Gateway, dialect: str, policy: str) -> None:
    """Back-pressure reaches the provider through the hub as well as past the parser; nothing is lost or reordered."""
    if policy == "cancel":
        pytest.skip("the policy plays no part")
    rows, before = len(gateway.outcomes()), resident_mb(gateway)
    connection = begin(gateway, dialect, "chat+flood")
    time.sleep(0.5)
    assert resident_mb(gateway) - before < 12
    data = bytearray()
    while not data.endswith(b"0\r\n\r\n"):
        piece = connection.recv(1 << 18)
        assert piece
        data += piece
    connection.close()
    assert [int(number) for number in re.findall(rb"(\d{5})xxx", data)][:FLOOD_EVENTS] == [*range(FLOOD_EVENTS)]
    row = next_row(gateway, rows)
    assert (row.finish_reason, row.cost_basis, row.usage_output_tokens) == ("stop", "metered", 5)


@pytest.mark.parametrize("script", ["slow", "late", "fails", "dies", "gone"])
def test_an_array_is_json_however_it_ends(gateway: Gateway, script: str) -> None:
    """No comment stands in it, and a failure is its last element."""
    path, body = request_of("gemini", f"chat+{script}", stream=True)
    url = gateway.url + path.removesuffix("?alt=sse")
    reply = httpx.post(url, json=body, headers=gateway.headers, timeout=20)
    assert reply.headers["content-type"] == "application/json"
    elements = reply.json()
    assert isinstance(elements, list)
    assert elements
    assert ("error" in elements[-1]) == (script in ("fails", "dies", "gone"))


def next_row(gateway: Gateway, rows: int):
    wait_for(lambda: len(gateway.outcomes()) > rows)
    assert len(gateway.outcomes()) == rows + 1
    return gateway.outcomes()[-1].row


def wait_for(condition, within_s: float = 6.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.02)


def open_calls(gateway: Gateway) -> float:
    text = httpx.get(f"{gateway.url}/metrics").text
    return float(next(line.split()[-1] for line in text.splitlines() if line.startswith("tidegate_open_calls")))


def resident_mb(gateway: Gateway) -> float:
    return int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6
