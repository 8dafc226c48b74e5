"""What is not a model call goes to the console: over its socket, with nobody's word but ours on who asks."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import FakeProvider
from rig.server import ThreadedServer


class Console(ThreadedServer):
    """Answers every request with the head it saw, as text; HEAD without a body, as servers do."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    async def listen(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self.serve, self.path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                body = head + await reader.readexactly(length)
                status = b"304 Not Modified" if b"/unchanged" in head else b"200 OK"
                reply = b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
                writer.write(reply if head.startswith(b"HEAD") or b"/unchanged" in head else reply + body)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("home")
    (home / "run").mkdir(mode=0o700)
    with FakeProvider() as provider, Console(home / "run" / "console.sock"):
        running = start_gateway(home, configuration(provider, ["ok"], "[upstream]\nidle_s = 1"))
        yield running
        assert running.stop() == 0


FORGED = {"x-tidegate-tenant": "root", "X-Tidegate-Client": "127.0.0.1", "x-api-key": "k", "cookie": "a=b"}


def test_the_console_learns_the_caller_from_us_alone(gateway: Gateway) -> None:
    """Tenant and address are ours to say; the caller's key stays here."""
    seen = httpx.post(f"{gateway.url}/api/v1/x?a=b", content=b"hello", headers=FORGED | gateway.headers).text
    assert seen.startswith("POST /api/v1/x?a=b HTTP/1.1\r\n")
    assert seen.endswith("\r\n\r\nhello")
    assert "x-tidegate-tenant: default\r\n" in seen
    assert "cookie: a=b\r\n" in seen
    assert seen.lower().count("x-tidegate-tenant") == seen.lower().count("x-tidegate-client") == 1
    assert gateway.key not in seen


@pytest.mark.parametrize("path", ["/%761/key", "//v1/key", "/V1/key", "/x/../v1/key", "/v1%2fkey"])
def test_a_path_in_disguise_names_no_tenant(gateway: Gateway, path: str) -> None:
    """What did not look like a path that needs a key was not checked, and says so by saying nothing."""
    with gateway.connect() as connection:
        forged = "".join(f"{name}: {value}\r\n" for name, value in FORGED.items())
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{forged}\r\n".encode())
        seen = b""
        while piece := connection.recv(65536):
            seen += piece
    assert (b"401 Unauthorized" if path.startswith("/v1") else b"200 OK") in seen
    assert b"tenant" not in seen


def test_head_and_304_do_not_wait_for_a_body_that_never_comes(gateway: Gateway) -> None:
    """HEAD says the length that GET would have."""
    with httpx.Client(base_url=gateway.url, timeout=5) as client:
        for _ in range(2):
            reply = client.head("/page")
            assert (reply.status_code, reply.content) == (200, b"")
            assert int(reply.headers["content-length"]) > 0
            assert client.get("/unchanged").status_code == 304


def test_requests_to_the_console_are_no_calls(gateway: Gateway) -> None:
    """Neither refused nor served ones make a row, or count as an open call."""
    rows = len(gateway.outcomes())
    refused = httpx.post(f"{gateway.url}/v1/keys", headers=gateway.headers | {"content-encoding": "br"}, content=b"x")
    assert refused.status_code == 415
    assert httpx.get(f"{gateway.url}/v1/keys", headers=gateway.headers).status_code == 200
    assert len(gateway.outcomes()) == rows


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/api/v1/credits", "tgs_any", 200),  # the console says whether it is one
        ("/v1/keys/x", "tgs_any", 200),
        ("/api/v1/credits", "sk-tg-any", 401),
        ("/api/v1/other", "tgs_any", 401),
        ("/v1/models", "tgs_any", 401),
        ("/api/admin/v1/tenants", "tgs_any", 200),
        ("/api/admin/v1/tenants", "sk-tg-any", 200),
    ],
)
def test_a_service_key_goes_to_the_console_and_nowhere_else(
    gateway: Gateway, path: str, token: str, status: int
) -> None:
    """It opens no model and no list of them; what this gateway has not checked names no tenant."""
    reply = httpx.get(gateway.url + path, headers={"x-tidegate-token": "forged", "authorization": f"Bearer {token}"})
    assert reply.status_code == status
    if status == 200:
        assert f"x-tidegate-token: {token}\r\n" in reply.text and "forged" not in reply.text
        assert "x-tidegate-tenant" not in reply.text and "authorization" not in reply.text
    model = {"model": "ok", "messages": []}
    refused = httpx.post(f"{gateway.url}/v1/chat/completions", json=model, headers={"authorization": f"Bearer {token}"})
    assert refused.status_code == 401
