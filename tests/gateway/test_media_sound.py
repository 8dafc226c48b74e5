"""Sound on its way to the caller: as it comes, no faster than it is heard, and never whole where it was not."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.media import memory_kb, wait_for
from rig.provider import Call, FakeProvider


async def speak(call: Call) -> None:
    await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/pcm\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(3):
        await call.chunk(bytes(24_000))
        await asyncio.sleep(0.15)
    await call.write(b"0\r\n\r\n")


async def break_off(call: Call) -> None:
    await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 100000\r\n\r\n" + bytes(5000))
    call.writer.transport.abort()


async def speak_long(call: Call) -> None:
    await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 64000000\r\n\r\n")
    for _ in range(64):
        await call.write(bytes(1_000_000))


@pytest.fixture(scope="module")
def speaker() -> Iterator[FakeProvider]:
    with FakeProvider({"speaks": speak, "breaks": break_off, "long": speak_long}) as provider:
        yield provider


@pytest.fixture(scope="module")
def stage(speaker: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = start_gateway(tmp_path_factory.mktemp("home"), configuration(speaker, ["speaks", "breaks", "long"]))
    yield running
    running.stop()


def say(model: str) -> dict[str, Any]:
    return {"json": {"model": f"acme/{model}", "input": "Two and two are four.", "voice": "alloy"}}


def test_sound_is_heard_as_it_comes(stage: Gateway) -> None:
    """The first bytes are there long before the last; 72,000 bytes of `pcm` are a second and a half."""
    came = []
    with httpx.stream("POST", f"{stage.url}/v1/audio/speech", headers=stage.headers, **say("speaks")) as reply:
        for data in reply.iter_raw():
            came.append((time.monotonic(), len(data)))
    assert sum(length for _, length in came) == 72_000
    assert came[-1][0] - came[0][0] > 0.2
    row = stage.row("acme/speaks")
    assert (row.audio_output_s, row.status_code, row.error_type) == (2, 200, None)
    assert row.time_to_first_chunk_us is not None
    assert row.duration_us is not None
    assert row.time_to_first_chunk_us < row.duration_us - 200_000


def test_sound_that_breaks_off_is_never_taken_for_whole(stage: Gateway) -> None:
    with (
        pytest.raises(httpx.HTTPError),
        httpx.stream("POST", f"{stage.url}/v1/audio/speech", headers=stage.headers, **say("breaks")) as reply,
    ):
        assert reply.status_code == 200
        reply.read()
    row = stage.row("acme/breaks")
    assert (row.status_code, row.error_type, row.cost_basis) == (200, "upstream_error", "estimated_partial")
    assert row.cost_nano_usd is not None
    assert row.cost_nano_usd > 0


def test_a_slow_listener_holds_the_provider_back(stage: Gateway) -> None:
    """Sixty-four megabytes for a caller who does not read stay where they come from."""
    body = json.dumps(say("long")["json"]).encode()
    before = memory_kb(stage)
    with socket.create_connection(("127.0.0.1", stage.port), timeout=20) as caller:
        head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {stage.key}\r\n"
        caller.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.7)
        assert memory_kb(stage) - before < 8_000
        length = 0
        while not (data := caller.recv(1 << 20)).endswith(b"0\r\n\r\n"):
            length += len(data)
    assert length + len(data) > 64_000_000
    assert memory_kb(stage) - before < 8_000
    assert stage.row("acme/long").error_type is None


def test_a_listener_who_leaves_pays_for_what_was_spoken(stage: Gateway) -> None:
    rows = len(stage.outcomes())
    with httpx.stream("POST", f"{stage.url}/v1/audio/speech", headers=stage.headers, **say("speaks")) as reply:
        next(reply.iter_raw())
    wait_for(lambda: len(stage.outcomes()) > rows)
    row = stage.row("acme/speaks")
    assert row.is_cancelled
    assert row.cost_nano_usd is not None
    assert row.cost_nano_usd > 0
