"""Streams under stress, for every pair of dialects: cut at every byte, ten megabytes in one event, either side gone.

`STREAMS=5000` makes the count of open streams the full one.
"""

import asyncio
import contextlib
import itertools
import json
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from conformance.mock import chat, gemini, messages, responses
from conformance.mock.shapes import Ask, Stream
from rig.gateway import Gateway, start_gateway
from rig.server import ThreadedServer
from tidegate.wire.dialects import DIALECTS
from tidegate.wire.events import Answer, fold

NAMES = ("openai-chat", "openai-responses", "anthropic", "gemini")
PAIRS = list(itertools.product(NAMES, NAMES))
PATHS = {"openai-chat": "/v1/chat/completions", "openai-responses": "/v1/responses", "anthropic": "/v1/messages"}
SCRIPTS = ("bytewise", "huge", "half", "crawl", "flood", "hold")
HUGE = 10_000_000
OPEN = int(os.environ.get("STREAMS", "500"))
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def documented(dialect: str, text: str) -> list[tuple[str, Any]]:
    """The events of a plain answer as its maker documents them, with `text` in the place of its first word."""
    bodies: dict[str, dict[str, Any]] = {
        "openai-chat": {"messages": [{"role": "user", "content": "a"}], "stream_options": {"include_usage": True}},
        "openai-responses": {"input": "a"},
        "anthropic": {"messages": [{"role": "user", "content": "a"}], "max_tokens": 9},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "a"}]}]},
    }
    handlers = {"openai-chat": chat.chat, "openai-responses": responses.responses, "anthropic": messages.messages,
                "gemini": gemini.stream}  # fmt: skip
    body = bodies[dialect] | {"model": "m", "stream": True}
    made = handlers[dialect](Ask(body, {"model": "m"}, {"alt": "sse"}, {"anthropic-version": "2023-06-01"}, {}))
    assert isinstance(made, Stream)
    events = json.loads(json.dumps([*made.events, *([("", "[DONE]")] if made.done else [])]).replace("Two ", text))
    return [(name, data) for name, data in events]


def as_bytes(event: tuple[str, Any]) -> bytes:
    name, data = event
    text = data if isinstance(data, str) else json.dumps(data)
    return ((f"event: {name}\n" if name else "") + f"data: {text}\n\n").encode()


def text_event(dialect: str, text: str) -> bytes:
    """The first event of a documented stream that holds the text."""
    return next(as_bytes(event) for event in documented(dialect, "@@") if "@@" in json.dumps(event)).replace(
        b"@@", text.encode()
    )


class Provider(ThreadedServer):
    """Streams by the model's name, DIALECT--SCRIPT; `sent` counts the bytes of its floods, `gone` who hung up on it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent, self.gone, self.held = 0, list[str](), 0
        self.release: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.release = self.release or asyncio.Event()
        model = ""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                model = body.get("model") or head.split(b"/models/")[1].split(b":")[0].decode()
                dialect, _, script = model.partition("--")
                writer.write(HEAD)
                await getattr(self, script)(dialect, writer)
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            self.gone.append(model)
        finally:
            writer.close()

    async def chunk(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()

    async def bytewise(self, dialect: str, writer: asyncio.StreamWriter) -> None:
        """Every byte in a chunk and a packet of its own."""
        for event in documented(dialect, "Two "):
            for byte in as_bytes(event):
                await self.chunk(writer, bytes([byte]))
                await asyncio.sleep(0)

    async def huge(self, dialect: str, writer: asyncio.StreamWriter) -> None:
        for event in documented(dialect, "x" * HUGE):
            await self.chunk(writer, as_bytes(event))

    async def half(self, dialect: str, writer: asyncio.StreamWriter) -> None:
        """The text's first event, half of the next one, and a reset."""
        for event in documented(dialect, "Two "):
            if '"and "' in json.dumps(event):
                await self.chunk(writer, as_bytes(event)[:20])
                await asyncio.sleep(0.05)
                writer.transport.abort()
                raise ConnectionError
            await self.chunk(writer, as_bytes(event))

    async def crawl(self, dialect: str, writer: asyncio.StreamWriter) -> None:
        for event in documented(dialect, "Two "):
            await self.chunk(writer, as_bytes(event))
            await asyncio.sleep(0.04)

    async def flood(self, dialect: str, writer: asyncio.StreamWriter) -> None:
        """30 MB of text, as fast as they are taken."""
        many = text_event(dialect, "y" * 10_000)
        for event in documented(dialect, "Two "):
            data = as_bytes(event)
            await self.chunk(writer, data)
            if b"Two " in data and b"are" not in data:
                for _ in range(3000):
                    await self.chunk(writer, many)
                    self.sent += len(many)

    async def hold(self, dialect: str, writer: asyncio.StreamWriter) -> None:
        """The beginning; the rest when the test says so."""
        assert self.release is not None
        events = documented(dialect, "Two ")
        for event in events[:2]:
            await self.chunk(writer, as_bytes(event))
        self.held += 1
        await self.release.wait()
        for event in events[2:]:
            await self.chunk(writer, as_bytes(event))

    async def listen(self) -> asyncio.Server:
        return await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096)

    def let_go(self) -> None:
        assert self.release is not None
        self._loop.call_soon_threadsafe(self.release.set)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    lines = ["[upstream]", "connections_idle_max = 8"]
    for name in NAMES:
        url = f"http://127.0.0.1:{provider.port}/{'v1beta' if name == 'gemini' else 'v1'}"
        lines += [f"[providers.{name}]", f'base_url = "{url}"', f'dialect = "{name}"']
        for script in SCRIPTS:
            lines += ["[[endpoints]]", f'provider = "{name}"', f'model = "{name}--{script}"']
            lines += ['price = { input = "2", output = "10", cache_read = "0.5" }']
    running = start_gateway(tmp_path_factory.mktemp("home"), "\n".join(lines))
    yield running
    assert running.stop() == 0
    assert "Traceback" not in (running.home / "log").read_text()


def request_of(caller: str, model: str) -> tuple[str, bytes]:
    bodies: dict[str, dict[str, Any]] = {
        "openai-chat": {"messages": [{"role": "user", "content": "a"}], "stream_options": {"include_usage": True}},
        "openai-responses": {"input": "a"},
        "anthropic": {"messages": [{"role": "user", "content": "a"}], "max_tokens": 9},
    }
    if caller == "gemini":
        body = {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
        return f"/v1beta/models/{model}:streamGenerateContent?alt=sse", json.dumps(body).encode()
    return PATHS[caller], json.dumps(bodies[caller] | {"model": model, "stream": True}).encode()


def ask(gateway: Gateway, caller: str, model: str) -> tuple[httpx.Response, Answer]:
    path, body = request_of(caller, model)
    reply = httpx.post(gateway.url + path, headers=gateway.headers, content=body, timeout=30)
    assert reply.status_code == 200, reply.text
    decoder = DIALECTS[caller].stream_decoder(event_bytes_max=1 << 26)
    return reply, fold([*decoder.feed(reply.content), *decoder.finish()])


def begin(gateway: Gateway, caller: str, model: str) -> socket.socket:
    path, body = request_of(caller, model)
    head = gateway.call_head.replace("/v1/chat/completions", path)
    connection = gateway.connect()
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def text_of(answer: Answer) -> str:
    return "".join(block.text for block in answer.blocks if block.start.kind == "text")


def resident_mb(gateway: Gateway) -> float:
    return int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6


def eventually(holds: Callable[[], bool], within_s: float = 15) -> None:
    """Wait until it holds: what another process does is not done at once."""
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, f"not within {within_s} s"
        time.sleep(0.02)


pairs = pytest.mark.parametrize(("caller", "maker"), PAIRS)


@pairs
def test_a_stream_split_at_every_byte_means_the_same(gateway: Gateway, caller: str, maker: str) -> None:
    """A packet for each byte: text, usage and end are those of whole events."""
    _, answer = ask(gateway, caller, f"{maker}--bytewise")
    assert text_of(answer) == "Two and two are four."
    assert answer.stop is not None and answer.stop.reason == "stop" and answer.failure is None
    row = gateway.row(f"{maker}--bytewise")
    assert (row.usage_input_tokens, row.usage_output_tokens, row.cost_basis) == (12, 5, "metered")


@pairs
def test_an_event_of_ten_megabytes_passes(gateway: Gateway, caller: str, maker: str) -> None:
    """An image in base64 is one event."""
    _, answer = ask(gateway, caller, f"{maker}--huge")
    assert len(text_of(answer)) == HUGE + len("and two are four.")
    assert gateway.row(f"{maker}--huge").cost_basis == "metered"


@pairs
def test_half_an_event_never_reaches_the_caller(gateway: Gateway, caller: str, maker: str) -> None:
    """The provider resets in the middle of one: the caller gets what was whole, and an error that its SDK raises on."""
    reply, answer = ask(gateway, caller, f"{maker}--half")
    assert text_of(answer) == "Two "
    assert "closed the connection in the middle of its reply" in reply.text
    assert answer.stop is None or answer.stop.reason == "error"
    assert [event for event in reply.text.split("\n\n") if event][-1].count("{") >= 1
    row = gateway.row(f"{maker}--half")
    assert (row.error_type, row.status_code, row.is_cancelled) == ("upstream_error", 200, False)


@pairs
def test_a_caller_who_leaves_in_the_middle_is_metered(gateway: Gateway, caller: str, maker: str) -> None:
    """The provider is read to its end; the row has its own figures."""
    model = f"{maker}--crawl"
    rows = sum(outcome.row.request_model == model for outcome in gateway.outcomes())
    connection = begin(gateway, caller, model)
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    connection.close()
    eventually(lambda: sum(outcome.row.request_model == model for outcome in gateway.outcomes()) > rows)
    row = gateway.row(model)
    assert (row.is_cancelled, row.cost_basis, row.usage_input_tokens, row.usage_output_tokens) == (
        True,
        "metered",
        12,
        5,
    )


@pairs
def test_a_caller_who_does_not_read_slows_the_provider(
    gateway: Gateway, provider: Provider, caller: str, maker: str
) -> None:
    """30 MB for a caller who takes nothing are neither fetched nor kept; then all of them come."""
    before, provider.sent = resident_mb(gateway), 0
    connection = begin(gateway, caller, f"{maker}--flood")
    time.sleep(0.5)
    assert provider.sent < 20_000_000, "the kernel's buffers hold some; the gateway must not ask for the rest"
    assert resident_mb(gateway) - before < 15
    received, last = 0, b""
    while not last.endswith(b"0\r\n\r\n"):
        data = connection.recv(1 << 20)
        assert data
        received, last = received + len(data), (last + data)[-5:]
    connection.close()
    assert received > 30_000_000
    assert gateway.row(f"{maker}--flood").cost_basis == "metered"


def test_many_streams_are_open_at_once(gateway: Gateway, provider: Provider) -> None:
    """One process holds them all, each to its end, with little memory for each; pairs of dialects are mixed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < OPEN * 2 + 500:
        pytest.skip(f"{OPEN} streams need {OPEN * 2 + 500} descriptors in this process; the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as ending:
        before = resident_mb(gateway)
        connections = []
        for number in range(OPEN):
            caller, maker = PAIRS[number % len(PAIRS)]
            connections.append(ending.enter_context(begin(gateway, caller, f"{maker}--hold")))
        for connection in connections:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        eventually(lambda: provider.held == OPEN)
        each_kb = (resident_mb(gateway) - before) * 1000 / OPEN
        print(f"{OPEN} streams open, {each_kb:.1f} kB each")
        assert each_kb < 60
        assert httpx.get(f"{gateway.url}/healthz", timeout=5).status_code == 200
        provider.let_go()
        for connection in connections:
            connection.settimeout(30)
            said = b""
            while not said.endswith(b"0\r\n\r\n"):
                data = connection.recv(65536)
                assert data
                said += data
    rows = [outcome.row for outcome in gateway.outcomes() if outcome.row.request_model.endswith("--hold")]
    assert len(rows) == OPEN
    assert {(row.cost_basis, row.usage_output_tokens, row.error_type) for row in rows} == {("metered", 5, None)}
