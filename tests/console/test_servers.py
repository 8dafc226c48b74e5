"""The console is a standard ASGI application: granian serves it, uvicorn can."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidegate.config import Config

from .conftest import SEALED_ID

UVICORN = """
import os, sys, uvicorn
from tidegate.config import load_config
from tidegate.console.app import create_app
config = load_config()
uvicorn.run(create_app(config), uds=str(config.run_path / "console.sock"), log_level="warning")
"""


def ask(path: Path, request: bytes) -> bytes:
    """One request over the Unix socket, as the gateway sends it."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(request)
        reply = b""
        while part := client.recv(65536):
            reply += part
    return reply


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_both_servers_answer_over_the_socket(server: str, config: Config) -> None:
    """The gateway relays to a socket and does not know which server is behind it."""
    command = ["-m", "tidegate.console"] if server == "granian" else ["-c", UVICORN]
    socket_path = config.run_path / "console.sock"
    config.run_path.mkdir(exist_ok=True)
    environ = {**os.environ, "TIDEGATE_HOME": config.home}
    environ.pop("TIDEGATE_CONFIG", None)
    with subprocess.Popen([sys.executable, *command], env=environ) as running:
        try:
            deadline = time.monotonic() + 20
            reply = b""
            head = b"Host: localhost\r\nx-tidegate-tenant: a\r\nConnection: close\r\n\r\n"
            while not reply and time.monotonic() < deadline:
                try:
                    reply = ask(socket_path, b"GET /api/v1/generation?id=%b HTTP/1.1\r\n" % SEALED_ID.encode() + head)
                except OSError:
                    time.sleep(0.05)
            assert reply.startswith(b"HTTP/1.1 200") and SEALED_ID.encode() in reply
        finally:
            running.terminate()
            running.wait(timeout=20)
    if server == "granian":
        assert running.returncode == 0
        assert not socket_path.exists()


def test_a_home_with_too_long_a_path_is_refused_with_the_mend(tmp_path: Path) -> None:
    """The kernel's own message would be `AF_UNIX path too long`."""
    home = tmp_path / ("x" * 100)
    environ = {**os.environ, "TIDEGATE_HOME": str(home)}
    ended = subprocess.run(
        [sys.executable, "-m", "tidegate.console"], env=environ, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1 and "Use a shorter home" in ended.stderr
