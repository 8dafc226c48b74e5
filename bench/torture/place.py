"""One installation under torture: its files, its stores, its processes."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from rig.stores import Postgres, Valkey, free_port, start_postgres, start_valkey
from tidegate.accounts.database import url_in
from tidegate.accounts.keys import Accounts, open_accounts
from tidegate.ledger.store import Ledger

HERE = Path(__file__).parent
START_S, STOP_S = 60.0, 60.0
LEASE_S = 2.0
NEWS_S = 2.2
"""Workers see new accounts within two seconds."""
Stores = Literal["sqlite", "postgres", "valkey"]

CONFIG = """
[gateway]
port = {port}
workers = {workers}
providers_from_environment = false
drain_s = 5
log_level = "warning"
[ledger]
segment_age_s = 1
seal_interval_s = 1.5
[accounts]
database_url = "{database_url}"
quota_store = "{quota_store}"
redis_url = "{redis_url}"
lease_s = {lease_s}
quota_wait_s = {quota_wait_s}
[routing]
failures_to_open = 1000000
open_s = 0.05
retries_per_call = 4
[providers.mock]
base_url = "http://127.0.0.1:{provider_port}/v1"
[providers.spare]
base_url = "http://127.0.0.1:{provider_port}/spare/v1"
[[endpoints]]
provider = "mock"
model = "acme/m"
upstream_model = "m"
price = {{ input = "2", output = "10" }}
[[endpoints]]
provider = "spare"
model = "acme/m"
upstream_model = "m"
price = {{ input = "2", output = "10" }}
[[endpoints]]
provider = "mock"
model = "acme/free"
upstream_model = "free"
price = {{ input = "0", output = "0" }}
"""


class Setting(msgspec.Struct, frozen=True):
    """One of the six configurations. stores: PostgreSQL with Valkey is `valkey`."""

    stores: Stores
    workers: int

    @property
    def name(self) -> str:
        return f"{self.stores}-{self.workers}"


SETTINGS = {
    setting.name: setting
    for setting in (Setting(stores, workers) for stores in ("sqlite", "postgres", "valkey") for workers in (1, 4))
}


class Place:
    """An installation. `with Place(...) as place:` starts it and leaves nothing running."""

    def __init__(
        self, setting: Setting, provider_port: int, *, clock_s: float = 0, mistake: str = "", quota_wait_s: float = 1.5,
        with_console: bool = True,
    ) -> None:  # fmt: skip
        self.setting = setting
        self._console = "--console" if with_console else "--no-console"
        self.home = Path(tempfile.mkdtemp(prefix="tidegate-torture-"))
        self.port = free_port()
        self.postgres: Postgres | None = start_postgres() if setting.stores != "sqlite" else None
        self.valkey: Valkey | None = start_valkey() if setting.stores == "valkey" else None
        self.database_url = self.postgres.create() if self.postgres else ""
        self.config = self.home / "tidegate.toml"
        self.config.write_text(
            CONFIG.format(
                port=self.port,
                workers=setting.workers,
                database_url=self.database_url,
                quota_store="redis" if self.valkey else "database",
                redis_url=self.valkey.url if self.valkey else "",
                lease_s=LEASE_S,
                quota_wait_s=quota_wait_s,
                provider_port=provider_port,
            )
        )
        paths = [str(HERE / "inside"), os.environ.get("PYTHONPATH", "")]
        self.environ = {
            **os.environ,
            "TIDEGATE_HOME": str(self.home),
            "TIDEGATE_CONFIG": str(self.config),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "TORTURE_CLOCK_S": str(clock_s),
            "TORTURE_MISTAKE": mistake,
        }
        self.accounts: Accounts = open_accounts(self.home, self.database_url, "")
        self.ledger = Ledger.create(self.home / "ledger")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Place":
        try:
            self.start()
        except BaseException:  # raised again: nothing may be left running
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.accounts.close()
        if self.postgres:
            self.postgres.stop(signal.SIGQUIT)
            shutil.rmtree(self.postgres.folder, ignore_errors=True)
        if self.valkey:
            self.valkey.stop(signal.SIGKILL)
            shutil.rmtree(self.valkey.folder, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sqlite_file(self) -> str:
        return url_in(self.home).removeprefix("sqlite:///")

    def start(self) -> None:
        """Start `tidegate serve` and wait until all its workers listen."""
        with (self.home / "log").open("ab") as log:
            command = [sys.executable, "-m", "tidegate", "serve", "--workers", str(self.setting.workers), self._console]
            self.process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        mark = b"serving at"
        before = (self.home / "log").stat().st_size
        while mark not in (self.home / "log").read_bytes()[before:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"tidegate serve did not start: {self.log_end()}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """SIGTERM drains, seals and settles; SIGKILL leaves it all for the next start."""
        if self.process is None or self.process.poll() is not None:
            return
        for pid in self.pids(""):
            _signal(pid, signal.SIGCONT)
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise RuntimeError(f"tidegate serve did not stop: {self.log_end()}") from None

    def log_end(self) -> str:
        return (self.home / "log").read_text(errors="replace")[-3000:]

    def pids(self, word: str) -> list[int]:
        """Children of the supervisor whose command has this word."""
        if self.process is None:
            return []
        return [pid for pid, parent, command in _processes() if parent == self.process.pid and word in command]

    def signal_one(self, word: str, number: int, how: signal.Signals) -> int | None:
        """Send a signal to the child of that number; its pid."""
        found = sorted(self.pids(word))
        if not found:
            return None
        pid = found[number % len(found)]
        _signal(pid, how)
        return pid


def _signal(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        pass


def _processes() -> Iterator[tuple[int, int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            yield int(folder.name), parent, command
