"""Providers as they are: odd usage, odd framing, odd endings. The row says what is known, and nothing else."""

import asyncio
import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import USAGE, Call, FakeProvider, Script, completion, delta, usage_event

JSON_200 = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
BODY = json.dumps(completion("m")).encode()
ANSWER = [delta("a"), delta(None, "stop"), usage_event()]


def sse(*payloads: object, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(p).encode() + b"\n\n" for p in payloads) + end


def raw(*pieces: bytes, close: bool = False, pause_s: float = 0.0) -> Script:
    """A provider that writes these bytes."""

    async def script(call: Call) -> None:
        for piece in pieces:
            await call.write(piece)
            await asyncio.sleep(pause_s)
        if close:
            call.writer.close()

    return script


def stream(*chunks: bytes, head: bytes = b"") -> Script:
    """A provider that streams these chunks."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    start = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n" + head + b"\r\n"
    return raw(start, framed + b"0\r\n\r\n")


def usage(value: object) -> Script:
    """A provider that reports this usage, streamed or not."""

    async def script(call: Call) -> None:
        if call.body.get("stream"):
            await call.begin_stream()
            await call.event(delta("a", "stop"))
            await call.event({"choices": [], "usage": value})
            await call.end_stream()
        else:
            await call.reply(200, completion("m", usage=None) | {"usage": value})

    return script


def zipped_stream() -> Script:
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(sse(e, end=b"")) + packer.flush(zlib.Z_SYNC_FLUSH) for e in ANSWER]
    return stream(*pieces, packer.compress(b"data: [DONE]\n\n") + packer.flush(), head=b"content-encoding: gzip\r\n")


async def work_then_die(call: Call) -> None:
    await asyncio.sleep(1.2)
    call.writer.transport.abort()


async def reset_after_usage(call: Call) -> None:
    await call.begin_stream()
    for event in ANSWER:
        await call.event(event)
    await asyncio.sleep(0.05)
    call.writer.transport.abort()


async def long_reason(call: Call) -> None:
    await call.reply(200, {"choices": [{"index": 0, "finish_reason": "x" * 17_000_000}]})


async def endless_value(call: Call) -> None:
    await call.write(b"HTTP/1.1 200 OK\r\nx-a: ")
    for _ in range(200):
        await call.write(b"y" * 65536)


async def endless_trailer(call: Call) -> None:
    await call.write(JSON_200 + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nx-a: " % (len(BODY), BODY))
    for _ in range(200):
        await call.write(b"y" * 65536)


async def chatter_after_done(call: Call) -> None:
    await call.begin_stream()
    await call.chunk(sse(*ANSWER))
    while True:
        await call.chunk(b": still here\n\n")
        await asyncio.sleep(0.05)


CRLF = sse(*ANSWER).replace(b"\n", b"\r\n")
SIZED = b"content-length: %d\r\n\r\n"
METERED: dict[str, Script] = {
    "crlf-bytewise": stream(*[CRLF[i : i + 1] for i in range(len(CRLF))]),
    "cr": stream(sse(*ANSWER).replace(b"\n", b"\r")),
    "bom": stream(b"\xef\xbb\xbf", sse(*ANSWER)),
    "no-space": stream(sse(*ANSWER).replace(b"data: ", b"data:")),
    "comments": stream(b": ping\n\n", *[sse(e, end=b": ping\n\n") for e in ANSWER], b"data: [DONE]\n\n"),
    "multi-line": stream(sse(*ANSWER[:2], end=b""), b'data: {"choices":[],\ndata: "usage":%b}\n\n' % json.dumps(USAGE).encode(), b"data: [DONE]\n\n"),  # noqa: E501
    "done-with-space": stream(sse(*ANSWER, end=b"data: [DONE] \n\n")),
    "done-twice": stream(sse(*ANSWER), b"data: [DONE]\n\n"),
    "no-done": stream(sse(*ANSWER, end=b"")),
    "usage-in-last-choice": stream(sse(delta("a"), delta(None, "stop") | {"usage": USAGE})),
    "usage-cumulative": stream(sse(*[delta("a") | {"usage": USAGE | {"prompt_tokens": n}} for n in (1, 2)], *ANSWER)),
    "zipped-stream": zipped_stream(),
    "tiny-events": stream(b'data: {"choices":[]}\n\n' * 20_000, sse(*ANSWER)),
    "ten-megabytes": stream(sse(delta("x" * 10_000_000), *ANSWER)),
    "odd-types": stream(sse(*ANSWER[:2], end=b""), b'data: {"choices":[{"index":"0","delta":{"tool_calls":[{"index":0,"id":7}]}}],"usage":%b}\n\n' % json.dumps(USAGE).encode(), b"data: [DONE]\n\n"),  # noqa: E501
    "chatter-after-done": chatter_after_done,
}  # fmt: skip
METERED_REPLIES: dict[str, Script] = {
    "http-1.0": raw(JSON_200.replace(b"1.1", b"1.0") + SIZED % len(BODY) + BODY, close=True),
    "http-1.0-until-close": raw(JSON_200.replace(b"1.1", b"1.0") + b"\r\n" + BODY, close=True),
    "trailers": raw(JSON_200 + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY,
                    b"\r\n0\r\ncontent-type: x/y\r\n\r\n"),
    "100-continue": raw(b"HTTP/1.1 100 Continue\r\n\r\n", JSON_200 + SIZED % len(BODY) + BODY, pause_s=0.02),
    "more-than-said": raw(JSON_200 + SIZED % len(BODY) + BODY + b"and more"),
}  # fmt: skip
BROKEN: dict[str, Script] = {
    "less-than-said": raw(JSON_200 + SIZED % (len(BODY) + 10) + BODY, close=True),
    "cut-gzip": raw(JSON_200 + b"content-encoding: gzip\r\n" + SIZED % 100 + gzip.compress(BODY + bytes(500))[:100]),
    "endless-value": endless_value,
    "endless-trailer": endless_trailer,
    "101": raw(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"),
}
REFUSALS = {str(status): raw(b"HTTP/1.1 %d X\r\nlocation: http://evil/\r\ncontent-length: 0\r\n\r\n" % status)
            for status in (301, 307, 429, 500, 503)}  # fmt: skip
USAGES: dict[str, tuple[object, int | None]] = {
    "usage-empty": ({}, None),
    "usage-null": (None, None),
    "usage-text": ("12 tokens", None),
    "usage-half": (USAGE | {"prompt_tokens": 12.5}, None),
    "usage-negative": (USAGE | {"prompt_tokens": -1}, None),
    "usage-2-to-the-70": (USAGE | {"prompt_tokens": 2**70}, None),
    "usage-2-to-the-62": (USAGE | {"completion_tokens": 2**62}, None),
    "usage-floats": (USAGE | {"prompt_tokens": 12.0, "completion_tokens": 5.0}, 68_000),
    "usage-odd-details": (USAGE | {"completion_tokens_details": "x"}, 68_000),
}
OTHERS: dict[str, Script] = {
    "no-content": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "error-200": raw(JSON_200 + SIZED % 35 + b'{"error":{"message":"no","code":1}}'),
    "work-then-die": work_then_die,
    "reset-after-usage": reset_after_usage,
    "long-reason": long_reason,
}  # fmt: skip
SCRIPTS = {
    **METERED,
    **METERED_REPLIES,
    **BROKEN,
    **REFUSALS,
    **OTHERS,
    **{n: usage(u) for n, (u, _) in USAGES.items()},
}


class EarlyRefuser:
    """Answers 413 after the first bytes of a request and closes, as providers with a body limit do."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 413 X\r\nconnection: close\r\ncontent-length: 9\r\n\r\ntoo large")
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.3)
            connection.close()


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(SCRIPTS) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    refuser, mute = EarlyRefuser(), socket.create_server(("127.0.0.1", 0))
    config = configuration(provider, ["ok", *SCRIPTS], "[upstream]\nidle_s = 2\nfirst_byte_s = 3\nconnect_s = 0.4")
    others = {
        "refuser": f"http://127.0.0.1:{refuser.port}/v1",
        "mute": f"https://127.0.0.1:{mute.getsockname()[1]}/v1",  # accepts, and never shakes hands
        "nowhere": "http://no-such-host.invalid/v1",
        "label": f"http://{'a' * 70}.invalid/v1",
    }
    for name, url in others.items():
        config += f'[providers.{name}]\nbase_url = "{url}"\n'
        config += (
            f'[[endpoints]]\nprovider = "{name}"\nmodel = "acme/{name}"\nprice = {{ input = "1", output = "1" }}\n'
        )
    running = start_gateway(tmp_path_factory.mktemp("home"), config)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in (running.home / "log").read_text()
    refuser.listener.close()
    mute.close()


def post(gateway: Gateway, model: str, *, stream: bool = False, **extra: object) -> httpx.Response:
    body = {"model": f"acme/{model}", "messages": [], "stream": stream, **extra}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=gateway.headers, timeout=20)


@pytest.mark.parametrize("name", METERED)
def test_a_stream_of_any_shape_is_metered_to_the_token(gateway: Gateway, name: str) -> None:
    """Line ends, spaces, comments, several usages, compression, sizes: the same call, the same row."""
    reply = post(gateway, name, stream=True)
    assert reply.status_code == 200
    assert ("[DONE]" in reply.text) is (name != "no-done")
    assert reply.text.count("[DONE]") <= 1
    row = gateway.row(f"acme/{name}")
    assert (row.cost_nano_usd, row.cost_basis, row.finish_reason, row.error_type) == (68_000, "metered", "stop", None)


@pytest.mark.parametrize("name", METERED_REPLIES)
def test_a_reply_of_any_framing_is_metered(gateway: Gateway, name: str) -> None:
    """And what a provider says outside its reply is nobody's."""
    reply = post(gateway, name)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert reply.json()["usage"]["prompt_tokens"] == 12
    assert gateway.row(f"acme/{name}").cost_nano_usd == 68_000


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_reply_is_502_of_unknown_cost(gateway: Gateway, name: str) -> None:
    """Never a short 200: what was cut must not look whole."""
    assert post(gateway, name).status_code == 502
    row = gateway.row(f"acme/{name}")
    assert (row.cost_basis, row.error_type, row.attempt_count) == ("unknown", "upstream_error", 1)


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_costs_nothing_in_row_and_attempt(gateway: Gateway, name: str) -> None:
    """A redirect is not followed, a refusal without words keeps its status, and row and attempt say the same."""
    assert post(gateway, name).status_code == (429 if name == "429" else 502)
    outcome = gateway.outcome(f"acme/{name}")
    assert (outcome.row.cost_basis, outcome.row.upstream_cost_nano_usd) == ("metered", 0)
    assert [(a.status_code, a.upstream_cost_nano_usd) for a in outcome.attempts] == [(int(name), 0)]


@pytest.mark.parametrize("name", USAGES)
@pytest.mark.parametrize("stream", [False, True])
def test_usage_is_read_where_it_can_be_and_counted_here_elsewhere(gateway: Gateway, name: str, stream: bool) -> None:
    """Never a zero for what nobody knows, never a number that no column holds."""
    assert post(gateway, name, stream=stream).status_code == 200
    row, expected = gateway.row(f"acme/{name}"), USAGES[name][1]
    assert row.cost_basis == ("metered" if expected else "estimated_partial")
    assert row.cost_nano_usd == expected if expected else 0 < row.cost_nano_usd < 1_000_000
    assert row.finish_reason == "stop"


def test_a_reply_without_content_has_no_length(gateway: Gateway) -> None:
    """RFC 9110, section 8.6; strict clients would read on."""
    reply = post(gateway, "no-content")
    assert (reply.status_code, reply.headers.get("content-length")) == (204, None)


def test_an_error_with_status_200_is_an_error_in_the_row(gateway: Gateway) -> None:
    """The caller gets the provider's own words; the row does not call it a success."""
    assert post(gateway, "error-200").json()["error"]["message"] == "no"
    row = gateway.row("acme/error-200")
    assert (row.status_code, row.error_type, row.cost_basis) == (200, "upstream_error", "unknown")


def test_what_a_provider_may_have_worked_on_is_not_sent_twice(gateway: Gateway, provider: FakeProvider) -> None:
    """A warm connection that was stale fails at once; one that dies later was a call, perhaps a paid one."""
    post(gateway, "ok")
    before = len(provider.calls)
    assert post(gateway, "work-then-die").status_code == 502
    assert len(provider.calls) == before + 1
    assert gateway.row("acme/work-then-die").cost_basis == "unknown"


def test_usage_that_came_before_a_reset_counts_in_row_and_attempt(gateway: Gateway) -> None:
    """The answer was cut, the bill was not."""
    post(gateway, "reset-after-usage", stream=True)
    outcome = gateway.outcome("acme/reset-after-usage")
    assert (outcome.row.error_type, outcome.row.cost_nano_usd) == ("upstream_error", 68_000)
    assert [attempt.upstream_cost_nano_usd for attempt in outcome.attempts] == [68_000]


def test_a_provider_cannot_make_a_row_too_long_to_read(gateway: Gateway) -> None:
    """17 MB of finish reason: the journal's line stays a line, and has a word that is known."""
    assert post(gateway, "long-reason").status_code == 200
    assert gateway.row("acme/long-reason").finish_reason == "stop"


def test_a_refusal_before_the_body_was_sent_reaches_the_caller(gateway: Gateway) -> None:
    """Providers with a body limit answer early; their 413 is the caller's answer."""
    reply = post(gateway, "refuser", padding="x" * 20_000_000)
    assert (reply.status_code, reply.text) == (413, "too large")


@pytest.mark.parametrize(("name", "status"), [("mute", 504), ("nowhere", 502), ("label", 502)])
def test_what_cannot_be_reached_costs_nothing_and_is_not_our_overhead(gateway: Gateway, name: str, status: int) -> None:
    """A handshake that never comes, a name that does not exist, a name that cannot."""
    assert post(gateway, name).status_code == status
    outcome = gateway.outcome(f"acme/{name}")
    assert (outcome.row.cost_basis, outcome.row.upstream_cost_nano_usd) == ("metered", 0)
    assert [attempt.upstream_cost_nano_usd for attempt in outcome.attempts] == [0]
    assert outcome.row.overhead_us < 100_000


def test_failures_are_counted_by_attempt(gateway: Gateway) -> None:
    """Passed on, answered with 502, or seen inside a stream: each is a failed attempt."""
    before = failures(gateway)
    post(gateway, "429")
    post(gateway, "error-200")
    assert failures(gateway) == before + 2


def failures(gateway: Gateway) -> float:
    lines = httpx.get(f"{gateway.url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("tidegate_upstream_failures_total{"))
