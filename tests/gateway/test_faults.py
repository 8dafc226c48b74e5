"""What goes wrong between a caller and a provider: each fault has one clear error and one right row.

Real sockets throughout: a fault here is a reset, a stall or half an event, not a mock of one.
"""

import asyncio
import gzip
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import Call, FakeProvider, completion, delta, usage_event

SLOW_S = 0.6  # time-outs of this file's gateway


async def die_mid_stream(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("half an "))
    await call.chunk(b'data: {"choices":[{"index":0,"del')
    await asyncio.sleep(0.05)
    call.writer.transport.abort()


async def die_before_reply(call: Call) -> None:
    call.writer.transport.abort()


async def no_usage(call: Call) -> None:
    if call.body.get("stream"):
        await call.begin_stream()
        await call.event(delta("a", "stop"))
        await call.end_stream()
    else:
        await call.reply(200, completion("no-usage", usage=None))


async def error_after_200(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("a"))
    await call.event({"error": {"message": "overloaded", "code": 529}})
    await call.end_stream()


async def end_without_end(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("a"))
    await call.end_stream(done=False)


async def hang(call: Call) -> None:
    await call.reader.read(1)  # until the other side hangs up
    raise ConnectionError


async def hang_mid_stream(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("a"))
    await hang(call)


async def keep_open_after_done(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("a", "stop"))
    await call.event(usage_event())
    await call.chunk(b"data: [DONE]\n\n")
    await hang(call)


async def not_http(call: Call) -> None:
    await call.write(b"220 mail.example.com ESMTP\r\n")
    await asyncio.sleep(0.2)


async def garbage_json(call: Call) -> None:
    await call.reply(200, b"<html>a proxy's page</html>")


async def slow_stream(call: Call) -> None:
    await call.begin_stream()
    for _ in range(10):
        await call.event(delta("word "))
        await asyncio.sleep(0.03)
    await call.event(delta(None, "stop"))
    await call.event(usage_event())
    await call.end_stream()


async def endless_headers(call: Call) -> None:
    await call.write(b"HTTP/1.1 200 OK\r\n")
    for i in range(3000):
        await call.write(b"x-%d: %b\r\n" % (i, b"y" * 100))


BOMB = gzip.compress(b" " * 80_000_000)


async def bomb(call: Call) -> None:
    await call.reply(200, BOMB, "content-encoding: gzip\r\n")


async def flood(call: Call) -> None:
    """Far more than a caller who does not read will take."""
    await call.begin_stream()
    for _ in range(3000):
        await call.event(delta("x" * 10_000))
    await call.event(delta(None, "stop"))
    await call.end_stream()


SCRIPTS = {
    f.__name__.replace("_", "-"): f
    for f in (die_mid_stream, die_before_reply, no_usage, error_after_200, end_without_end, hang, hang_mid_stream,
              keep_open_after_done, not_http, garbage_json, slow_stream, endless_headers, bomb, flood)
}  # fmt: skip
EXTRA = f"[upstream]\nfirst_byte_s = {SLOW_S}\nidle_s = {SLOW_S}\nconnect_s = {SLOW_S}"


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(SCRIPTS) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        config = configuration(provider, ["ok", *SCRIPTS], EXTRA)
        config += f'[providers.gone]\nbase_url = "http://127.0.0.1:{nobody.getsockname()[1]}/v1"\n'
        config += (
            '[[endpoints]]\nprovider = "gone"\nmodel = "acme/unreachable"\nprice = { input = "1", output = "1" }\n'
        )
        running = start_gateway(tmp_path_factory.mktemp("home"), config)
        yield running
        assert running.stop() == 0


def post(gateway: Gateway, model: str, *, stream: bool = False) -> httpx.Response:
    body = {"model": f"acme/{model}", "messages": [], "stream": stream}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=gateway.headers, timeout=20)


def last_event(reply: httpx.Response) -> dict:
    return json.loads(reply.text.split("\n\n")[-2].removeprefix("data: "))


def test_a_provider_that_dies_mid_stream_is_told_inside_the_stream(gateway: Gateway) -> None:
    """Not half an event more, then an error the SDKs raise on; the row charges what was counted of it here."""
    reply = post(gateway, "die-mid-stream", stream=True)
    assert reply.status_code == 200
    assert len(reply.text.split("\n\n")) == 3
    assert "closed the connection in the middle of its reply" in last_event(reply)["error"]["message"]
    assert last_event(reply)["choices"][0]["finish_reason"] == "error"
    row = gateway.row("acme/die-mid-stream")
    assert (row.status_code, row.error_type, row.cost_basis) == (200, "upstream_error", "estimated_partial")
    assert row.usage_input_tokens > 0
    assert row.upstream_cost_nano_usd == row.cost_nano_usd > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_never_sends_usage_is_counted_here_and_marked_so(gateway: Gateway, stream: bool) -> None:
    """An estimate, so that nobody takes it for a free call, nor for the provider's own figure."""
    assert post(gateway, "no-usage", stream=stream).status_code == 200
    row = gateway.row("acme/no-usage")
    assert (row.status_code, row.cost_basis) == (200, "estimated_partial")
    assert row.cost_nano_usd == row.usage_input_tokens * 2000 + row.usage_output_tokens * 10_000 > 0
    assert row.error_type is None


def test_an_error_after_200_reaches_the_caller_and_the_row(gateway: Gateway) -> None:
    """The provider's own event passes; the row says that the call failed."""
    reply = post(gateway, "error-after-200", stream=True)
    assert '"overloaded"' in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")
    row = gateway.row("acme/error-after-200")
    assert (row.status_code, row.error_type, row.cost_basis) == (200, "upstream_error", "estimated_partial")


def test_a_stream_that_ends_before_its_answer_is_an_error(gateway: Gateway) -> None:
    """A clean end of the body without finish reason or [DONE] is no end of the answer."""
    reply = post(gateway, "end-without-end", stream=True)
    assert "ended before the answer did" in last_event(reply)["error"]["message"]
    assert gateway.row("acme/end-without-end").error_type == "upstream_error"


def test_a_provider_that_dies_before_replying_is_502(gateway: Gateway) -> None:
    """It may have worked before it died: the attempt's cost is unknown."""
    post(gateway, "ok")  # leaves a warm connection, which is tried first and then once more, fresh
    reply = post(gateway, "die-before-reply")
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_error")
    outcome = gateway.outcome("acme/die-before-reply")
    assert [attempt.attempt_no for attempt in outcome.attempts] == [1, 2]
    assert (outcome.row.attempt_count, outcome.row.cost_basis) == (2, "unknown")


def test_a_provider_that_hangs_is_504(gateway: Gateway) -> None:
    """The time-out that fired is named, with its setting."""
    reply = post(gateway, "hang")
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "upstream_timeout")
    assert "(first_byte_s)" in reply.json()["error"]["message"]
    assert gateway.row("acme/hang").cost_basis == "unknown"


def test_a_provider_that_falls_silent_mid_stream_is_told_inside_the_stream(
    gateway: Gateway, provider: FakeProvider
) -> None:
    """And the provider's connection is closed: nothing is paid for an answer nobody hears."""
    reply = post(gateway, "hang-mid-stream", stream=True)
    assert last_event(reply)["error"]["code"] == "upstream_timeout"
    assert gateway.row("acme/hang-mid-stream").error_type == "upstream_timeout"
    wait_for(lambda: "hang-mid-stream" in provider.aborted)


def test_a_provider_that_keeps_its_connection_after_done_delays_nobody(
    gateway: Gateway, provider: FakeProvider
) -> None:
    """[DONE] ends the answer; the connection is dropped a moment later."""
    started = time.monotonic()
    assert post(gateway, "keep-open-after-done", stream=True).text.endswith("data: [DONE]\n\n")
    assert time.monotonic() - started < SLOW_S
    assert gateway.row("acme/keep-open-after-done").cost_basis == "metered"
    wait_for(lambda: "keep-open-after-done" in provider.aborted)


def test_nobody_at_the_providers_address_is_502(gateway: Gateway) -> None:
    """Nothing was dispatched, so the cost is an exact zero."""
    reply = post(gateway, "unreachable")
    assert (reply.status_code, "cannot be reached" in reply.text) == (502, True)
    row = gateway.row("acme/unreachable")
    assert (row.cost_basis, row.cost_nano_usd, row.usage_input_tokens) == ("metered", 0, 0)


@pytest.mark.parametrize("model", ["not-http", "endless-headers", "bomb"])
def test_a_hostile_provider_harms_only_its_own_call(gateway: Gateway, model: str) -> None:
    """A mail server, endless headers, 80 MB in 80 kB: a 502, and the next call works."""
    assert post(gateway, model).status_code == 502
    assert gateway.row(f"acme/{model}").error_type == "upstream_error"
    assert post(gateway, "ok").status_code == 200


def test_a_reply_that_is_no_completion_passes_and_is_unknown(gateway: Gateway) -> None:
    """A proxy's error page with status 200: the caller sees it, the row does not pretend."""
    assert post(gateway, "garbage-json").content.startswith(b"<html>")
    assert gateway.row("acme/garbage-json").cost_basis == "unknown"


def begin_stream(gateway: Gateway, model: str) -> socket.socket:
    body = json.dumps({"model": f"acme/{model}", "messages": [], "stream": True}).encode()
    head = f"{gateway.call_head}content-length: {len(body)}\r\n\r\n"
    connection = gateway.connect()
    connection.sendall(head.encode() + body)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    return connection


def wait_for(condition, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.02)


def test_a_caller_who_leaves_mid_stream_is_metered_to_the_token(gateway: Gateway, provider: FakeProvider) -> None:
    """Leaving does not make a call free: the provider is read to its end, and usage is exact."""
    begin_stream(gateway, "slow-stream").close()
    row = gateway.row("acme/slow-stream")
    assert (row.is_cancelled, row.status_code, row.cost_basis, row.cost_nano_usd) == (True, 200, "metered", 68_000)
    assert "slow-stream" not in provider.aborted


def test_a_slow_caller_slows_the_provider_down_and_memory_stays(gateway: Gateway) -> None:
    """Back-pressure: 30 MB for a caller who reads nothing are not held in the gateway."""
    before = resident_mb(gateway)
    connection = begin_stream(gateway, "flood")
    time.sleep(0.4)
    assert resident_mb(gateway) - before < 12
    received, connection_end = 0, False
    while not connection_end:
        data = connection.recv(1 << 20)
        received += len(data)
        connection_end = data.endswith(b"0\r\n\r\n") or not data
    assert received > 30_000_000
    assert gateway.row("acme/flood").finish_reason == "stop"
    connection.close()


def resident_mb(gateway: Gateway) -> float:
    return int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6


def test_a_policy_of_cancelling_hangs_up_on_the_provider(provider: FakeProvider, run_gateway) -> None:
    """`on_disconnect = "cancel"`: the provider sees it at once, and the row has what was counted here until then."""
    gateway = run_gateway(configuration(provider, ["slow-stream"], '[gateway]\non_disconnect = "cancel"'))
    before = provider.aborted.count("slow-stream")
    begin_stream(gateway, "slow-stream").close()
    row = gateway.row("acme/slow-stream")
    assert (row.is_cancelled, row.cost_basis, row.error_type) == (True, "estimated_partial", "client_gone")
    wait_for(lambda: provider.aborted.count("slow-stream") == before + 1)


def test_a_drain_has_its_own_limit(provider: FakeProvider, run_gateway) -> None:
    """A provider that never ends is not read for ever after the caller has gone."""
    config = configuration(provider, ["hang-mid-stream"], "[gateway]\ndrain_s = 0.3")
    gateway = run_gateway(config)
    begin_stream(gateway, "hang-mid-stream").close()
    assert gateway.row("acme/hang-mid-stream").is_cancelled is True


def test_a_full_disk_stops_calls_not_truth(provider: FakeProvider, run_gateway) -> None:
    """A call that cannot be journalled is refused before it is dispatched; readiness says so; it heals by itself."""
    import resource

    gateway = run_gateway(configuration(provider, ["ok"]))
    assert post(gateway, "ok").status_code == 200
    before = len(provider.calls)
    journal = next((gateway.home / "ledger" / "journal").glob("*.open.jsonl"))
    # A file size limit is the disk that fills up: the next write fails.
    size = journal.stat().st_size
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    reply = post(gateway, "ok")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "unavailable")
    assert httpx.get(f"{gateway.url}/readyz").status_code == 503
    assert len(provider.calls) == before
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_for(lambda: httpx.get(f"{gateway.url}/readyz").status_code == 200)
    assert post(gateway, "ok").status_code == 200
    assert [o.row.status_code for o in gateway.outcomes()] == [200, 503, 200]
