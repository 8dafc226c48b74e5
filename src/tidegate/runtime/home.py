"""The folder of an installation while it runs: one supervisor, its port, and where it can be reached."""

import errno
import fcntl
import ipaddress
import os
import socket
import time
from pathlib import Path
from types import TracebackType

import msgspec

from tidegate.config import Config
from tidegate.core.errors import ConfigError

LOCK_NAME = "supervisor.lock"
LOCK_TRIES = 10
LOCK_TRY_S = 0.02
PORT_TRIES = 50


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What runs here, for the commands that call it: `<home>/run/running.json`.

    `url`: origin of the gateway, e.g. `http://127.0.0.1:8080`.
    """

    pid: int
    url: str


class HomeLock:
    """Holds an installation for one supervisor. The lock is the kernel's: it ends with the process that held it."""

    def __init__(self, config: Config) -> None:
        self._path = config.run_path / LOCK_NAME
        self._fd = -1

    def __enter__(self) -> "HomeLock":
        """Raises ConfigError where another supervisor holds this home."""
        private_folder(self._path.parent.parent)
        private_folder(self._path.parent)
        self._path.parent.chmod(0o700)  # sockets live here
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not self._taken():
            holder = os.read(self._fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise ConfigError(
                f"Tidegate is already running in {self._path.parent.parent} (pid {holder}). "
                "Stop it first, or use another home: TIDEGATE_HOME=FOLDER"
            )
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())
        return self

    def _taken(self) -> bool:
        """Tries for a moment: `read_running` of another command holds the lock for an instant."""
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(LOCK_TRY_S)
            else:
                return True
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


def private_folder(path: Path) -> None:
    """Make the folder if need be, for its owner only. An existing one keeps its permissions."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def free_port(host: str) -> int:
    """A port that nobody uses on `host` now."""
    with _bound(host, 0) as probe:
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


def checked_port(host: str, port: int) -> int:
    """`port`, or a free one where it is 0. Raises ConfigError, naming a free port, where it cannot be had.

    Workers share their port (`SO_REUSEPORT`), so a second gateway would silently take half of the calls: this binds
    without it first.
    """
    if port == 0:
        return free_port(host)
    try:
        _bound(host, port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = _next_free(host, port)
            raise ConfigError(
                f"port {port} on {host} is in use. Take another one: PORT={other} make up, "
                f"or --port {other}, or gateway.port in tidegate.toml"
            ) from error
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}. Set gateway.host and gateway.port"
        ) from error
    return port


def _next_free(host: str, port: int) -> int:
    for candidate in range(port + 1, min(port + PORT_TRIES, 65536)):
        try:
            _bound(host, candidate).close()
        except OSError:
            continue
        return candidate
    return free_port(host)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections of a moment ago do not count
        probe.bind((host, port))
        probe.listen(1)
    except OSError:
        probe.close()
        raise
    return probe


def origin(host: str, port: int, *, tls: bool) -> str:
    """The URL at which this machine reaches a listener on `host`: a wildcard address is reached on loopback."""
    reached = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    shown = f"[{reached}]" if ":" in reached else reached
    return f"{'https' if tls else 'http'}://{shown}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a listener on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def write_running(config: Config, running: Running) -> None:
    """Tell `tidegate call` where the gateway is."""
    path = config.run_path / "running.json"
    path.write_bytes(msgspec.json.encode(running) + b"\n")


def read_running(config: Config) -> Running | None:
    """What runs in this home, or None where no supervisor holds its lock."""
    if not _is_held(config.run_path / LOCK_NAME):
        return None
    try:
        return msgspec.json.decode((config.run_path / "running.json").read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):  # held, but not serving yet
        return None


def _is_held(lock_path: Path) -> bool:
    """Asks the kernel rather than a pid in a file: pids are used again, and a zombie still has one."""
    try:
        with lock_path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def forget_running(config: Config) -> None:
    """The gateway has stopped."""
    (config.run_path / "running.json").unlink(missing_ok=True)
