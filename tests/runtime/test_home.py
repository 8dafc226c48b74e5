"""One supervisor a home, and a port that is really free."""

import os
import socket

import pytest

from tidegate.config import Config
from tidegate.core.errors import ConfigError
from tidegate.runtime.home import (
    HomeLock,
    Running,
    checked_port,
    forget_running,
    free_port,
    origin,
    read_running,
    write_running,
)


def test_two_supervisors_do_not_share_a_home(config: Config) -> None:
    """They would seal each other's journals and fight over the console's socket."""
    with HomeLock(config), pytest.raises(ConfigError, match=rf"already running in .* \(pid {os.getpid()}\)"):
        HomeLock(config).__enter__()
    with HomeLock(config):
        pass  # free again


@pytest.mark.parametrize("shares", [False, True])
def test_a_busy_port_is_named_with_the_mend(shares: bool) -> None:
    """Also one that another program shares: a second gateway on it would silently take half of its calls."""
    with socket.socket() as other:
        if shares:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(ConfigError, match=rf"port {port} on 127.0.0.1 is in use.*PORT=\d+ make up"):
            checked_port("127.0.0.1", port)


def test_port_zero_means_any() -> None:
    """Workers share one number, so it is drawn before they start."""
    port = free_port("127.0.0.1")
    assert checked_port("127.0.0.1", port) == port
    assert checked_port("127.0.0.1", 0) > 0


def test_a_wildcard_address_is_reached_on_loopback() -> None:
    """`http://0.0.0.0` is an address to listen on, not one to call."""
    assert origin("0.0.0.0", 8080, tls=False) == "http://127.0.0.1:8080"
    assert origin("::", 8443, tls=True) == "https://[::1]:8443"
    assert origin("gw.example.com", 443, tls=True) == "https://gw.example.com:443"


def test_what_runs_is_known_only_while_it_runs(config: Config) -> None:
    """A file left by a killed supervisor must not send callers nowhere."""
    running = Running(pid=os.getpid(), url="http://127.0.0.1:8080")
    assert read_running(config) is None
    with HomeLock(config):
        assert read_running(config) is None, "held, but not serving yet"
        write_running(config, running)
        assert read_running(config) == running
    assert read_running(config) is None, "its supervisor is gone, its file is not"

    with HomeLock(config):
        forget_running(config)
        forget_running(config)
        assert read_running(config) is None
