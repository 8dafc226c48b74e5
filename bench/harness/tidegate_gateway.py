"""Tidegate itself as a subject: one worker started as the supervisor starts it, its keys, and its journal counted."""

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import targets
from harness.bodies import MODEL
from harness.builds import INTERPRETED, Build
from harness.place import Place
from harness.process import START_S, Child, free_port
from harness.record import BenchError
from harness.subjects import Running

REPOSITORY = Path(__file__).resolve().parents[2]

CONFIG = """home = "{home}"
[gateway]
port = {port}
workers = 1
providers_from_environment = false
[providers.mock]
base_url = "{origin}/v1"
ca_file = "{ca_file}"
[[endpoints]]
provider = "mock"
model = "{model}"
[endpoints.price]
input = "0.15"
output = "0.60"
cache_read = "0.075"
"""


class Counted(msgspec.Struct, frozen=True):
    """What the journal holds: calls with an outcome (each once), attempts announced, lines that cannot be read."""

    outcomes: int
    distinct: int
    intents: int
    damaged: int


class Tidegate:
    """`launcher` goes before `-m tidegate.gateway`: a profiler may stand there. `build`: what is run."""

    name = "tidegate"

    def __init__(self, build: Build = INTERPRETED, launcher: Sequence[str] = (sys.executable,)) -> None:
        self.build, self._launcher = build, list(launcher)

    def version(self) -> str:
        import tidegate

        return tidegate.__version__

    def start(self, provider: Place, folder: Path, cpus: set[int]) -> Running:
        if not (REPOSITORY / "src" / "tidegate" / "gateway" / "__main__.py").is_file():
            raise BenchError("this tree has no tidegate.gateway yet; there is nothing to start")
        folder.mkdir(parents=True, exist_ok=True)
        home, port = folder / "home", free_port()
        config = folder / "tidegate.toml"
        ca_file = provider.ca_file or ""
        config.write_text(CONFIG.format(home=home, port=port, origin=provider.origin, ca_file=ca_file, model=MODEL))
        key = prepare_home(home)
        self.furnish(config)
        ready_read, ready_write = os.pipe()
        try:
            child = Child(
                [*self._launcher, "-m", "tidegate.gateway", "--worker", "0", "--ready-fd", str(ready_write)],
                folder / "log",
                cpus=cpus,
                env={**os.environ, "TIDEGATE_CONFIG": str(config), "PYTHONPATH": self.build.folder},
                pass_fds=(ready_write,),
            )
            os.close(ready_write)
            wait_ready(child, ready_read)
        finally:
            os.close(ready_read)
        return Running(child, port, key)

    def furnish(self, config: Path) -> None:
        """What else the installation has, made before it starts."""


class Interpreted(Tidegate):
    """The same from src/, beside a gateway under test that is compiled."""

    name = targets.INTERPRETED


class WithAccounts(Tidegate):
    """The same with everything that limits a call: a wallet, a monthly budget, requests and tokens a minute.

    The limits are never met: what is measured is keeping them.
    """

    name = targets.ACCOUNTS

    def furnish(self, config: Path) -> None:
        for words in ACCOUNTS:
            command = [sys.executable, "-m", "tidegate", "accounts", *words.split()]
            done = subprocess.run(
                command, env={**os.environ, "TIDEGATE_CONFIG": str(config)}, capture_output=True, text=True
            )
            if done.returncode != 0:
                raise BenchError(f"`tidegate accounts {words}` failed: {done.stderr.strip()[-300:]}")


ACCOUNTS = (
    "wallet credit default 100000",
    "quota set default --unit usd --window month --limit 50000",
    "quota set default --scope key --unit requests --window minute --limit 100000000",
    "quota set default --scope key --unit tokens --window minute --limit 100000000000",
)


def prepare_home(home: Path) -> str:
    """Accounts and ledger of a new installation; returns the secret of a new key."""
    from tidegate.accounts.keys import open_accounts
    from tidegate.ledger.store import Ledger

    Ledger.create(home / "ledger")
    with contextlib.closing(open_accounts(home)) as accounts:
        return accounts.create_key("bench").secret


def wait_ready(child: Child, ready_fd: int) -> None:
    """Until the worker writes the line `ready`; raises BenchError with the end of its log otherwise."""
    said, deadline = b"", time.monotonic() + START_S
    while b"ready\n" not in said:
        readable, _, _ = select.select([ready_fd], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(ready_fd, 4096) if readable else b""
        if not part:
            child.stop()
            how = "ended before it was ready" if readable else f"was not ready within {START_S:.0f} s"
            raise BenchError(f"the gateway {how}: {child.log_end()}")
        said += part


def count_journal(home: Path) -> Counted:
    """Read the journal of a gateway that has stopped; nothing must have been sealed from it."""
    from tidegate.core.row import Outcome
    from tidegate.ledger.journal import Damaged, journal_files, read_journal

    outcomes, intents, damaged = 0, 0, 0
    generations: set[str] = set()
    for path in journal_files(home / "ledger" / "journal"):
        for record in read_journal(path):
            if isinstance(record, Damaged):
                damaged += 1
            elif isinstance(record, Outcome):
                outcomes += 1
                generations.add(record.row.generation_id)
            else:
                intents += 1
    return Counted(outcomes=outcomes, distinct=len(generations), intents=intents, damaged=damaged)


def commit() -> str:
    """The tree's commit, `+changes` when product or benchmark differ from it, `unknown` without git."""
    try:
        said = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "src", "bench"], cwd=REPOSITORY, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said + ("+changes" if changed else "")
