"""Uploads on their way to the provider: never wholly in memory, whole at each attempt, and gone afterwards."""

import asyncio
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from conformance.mock_provider import MockProvider, form_fields
from rig.gateway import Gateway, start_gateway
from rig.media import config, files_without_a_name, form, memory_kb, post, wait_for
from rig.server import ThreadedServer


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProvider]:
    with MockProvider() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(mock: MockProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = start_gateway(tmp_path_factory.mktemp("home"), config(mock), {"MOCK_KEY": "mock"})
    yield running
    running.stop()


def test_an_upload_is_never_wholly_in_memory_and_leaves_nothing_behind(gateway: Gateway, mock: MockProvider) -> None:
    headers, body = form([("file", bytes(28_000_000), "a.mp3"), ("model", b"acme/ear", "")])
    small_headers, small = form([("file", bytes(3_000_000), "a.mp3"), ("model", b"acme/ear", "")])
    post(gateway, "/v1/audio/transcriptions", headers=small_headers, content=small)
    before = memory_kb(gateway)
    assert post(gateway, "/v1/audio/transcriptions", headers=headers, content=body).status_code == 200
    assert len(mock.calls[-1].raw) == len(body) + 1
    assert memory_kb(gateway) - before < 6_000
    assert files_without_a_name(gateway) == []
    assert [path.name for path in (gateway.home / "run").iterdir() if path.name.startswith("tmp")] == []


def test_a_caller_who_leaves_in_the_middle_of_an_upload_leaves_no_file(gateway: Gateway) -> None:
    headers, body = form([("file", bytes(4_000_000), "a.mp3"), ("model", b"acme/ear", "")])
    rows = len(gateway.outcomes())
    with gateway.connect() as caller:
        head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        head += f"content-type: {headers['content-type']}\r\ncontent-length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode() + body[:3_000_000])
        wait_for(lambda: files_without_a_name(gateway) != [])
    wait_for(lambda: files_without_a_name(gateway) == [])
    assert len(gateway.outcomes()) == rows  # no call was made of it


# -- an upload's way to the provider ----------------------------------------------------------------------------------


class Odd(ThreadedServer):
    """A provider of forms that behaves as `model` says."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for number in range(100):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                if length % 2 and number == 0:  # an odd one: refused by its head alone
                    writer.write(b"HTTP/1.1 413 No\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
                    await asyncio.sleep(0.5)
                    break
                if number == 1:  # the second on one connection finds it closed
                    break
                await asyncio.sleep(0.2)
                body = await reader.readexactly(length)
                self.bodies.append(body)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n"
                             b'{"text":"ab"}')  # fmt: skip
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@pytest.fixture(scope="module")
def odd() -> Iterator[Odd]:
    with Odd() as provider:
        yield provider


@pytest.fixture(scope="module")
def odd_gateway(odd: Odd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    text = f'[providers.mock]\nbase_url = "http://127.0.0.1:{odd.port}/v1"\n[[endpoints]]\nprovider = "mock"\n'
    text += 'model = "ear"\nprice = { input = "2", output = "10" }\n'
    running = start_gateway(tmp_path_factory.mktemp("home"), text)
    yield running
    running.stop()


def upload(gateway: Gateway, *, odd: bool) -> httpx.Response:
    sound = bytes(range(256)) * 20_000
    headers, body = form([("model", b"ear", ""), ("file", sound, "a.mp3")])
    if len(body) % 2 != odd:
        headers, body = form([("model", b"ear", ""), ("file", sound + b"x", "a.mp3")])
    reply = post(gateway, "/v1/audio/transcriptions", headers=headers, content=body)
    assert len(body) % 2 == odd
    return reply


def test_a_warm_connection_that_was_closed_gets_the_whole_form_again(odd: Odd, odd_gateway: Gateway) -> None:
    """Five megabytes, twice: what the first connection took is not missing on the second."""
    assert upload(odd_gateway, odd=False).status_code == 200
    assert upload(odd_gateway, odd=False).status_code == 200
    assert (odd.bodies[0], len(odd.bodies)) == (odd.bodies[1], 2)
    assert len(odd.bodies[0]) > 5_000_000
    assert form_fields("multipart/form-data; boundary=b-0", odd.bodies[0])["file"][:4] == b"\x00\x01\x02\x03"
    outcome = odd_gateway.outcome("ear")
    assert [attempt.status_code for attempt in outcome.attempts] == [None, 200]


def test_a_provider_that_answers_before_it_has_read_is_heard(odd: Odd, odd_gateway: Gateway) -> None:
    """Its connection is not used again: half a form is still on its way there."""
    known = odd.connections
    assert upload(odd_gateway, odd=True).status_code == 413
    assert upload(odd_gateway, odd=False).status_code == 200
    assert odd.connections >= known + 1
    assert files_without_a_name(odd_gateway) == []
