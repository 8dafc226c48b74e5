"""A gateway worker as a real process, a fake provider as a real server, and the rows that came of it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from rig.provider import FakeProvider
from tidegate.accounts.keys import open_accounts
from tidegate.core.row import Attempt, Outcome, Row
from tidegate.ledger.journal import journal_files, read_journal

PRICE = 'price = { input = "2", output = "10", cache_read = "0.5" }'


def call_head(key: str) -> str:
    """The head of a chat call as raw bytes; framing headers and the blank line are the test's own."""
    return f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"


class Gateway:
    """A running worker and its home."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes], port: int, key: str) -> None:
        self.home, self.process, self.port, self.key = home, process, port, key

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def call_head(self) -> str:
        return call_head(self.key)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def outcomes(self) -> list[Outcome]:
        items = [item for path in journal_files(self.home / "ledger" / "journal") for item in read_journal(path)]
        return [item for item in items if isinstance(item, Outcome)]

    def row(self, model: str | None = None, *, within_s: float = 5.0) -> Row:
        """The newest row (of a model), waiting for it to be written."""
        return self.outcome(model, within_s=within_s).row

    def attempts(self, model: str | None = None) -> tuple[Attempt, ...]:
        return self.outcome(model).attempts

    def outcome(self, model: str | None = None, *, within_s: float = 5.0) -> Outcome:
        deadline = time.monotonic() + within_s
        while True:
            found = [o for o in self.outcomes() if model is None or o.row.request_model == model]
            if found or time.monotonic() > deadline:
                assert found, f"no row for {model or 'any model'} within {within_s} s"
                return found[-1]
            time.sleep(0.02)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


def start_gateway(home: Path, config: str, environ: dict[str, str] | None = None, key: str = "") -> Gateway:
    """Start a worker on a free port and wait until it accepts.

    It asks nobody twice in a call, so that a test sees what came of one attempt; unless `config` says `pauses_s`.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / "tidegate.toml"
    path.write_text(config)
    if not key:
        accounts = open_accounts(home)
        key = accounts.create_key("test").secret
        accounts.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    reading, writing = os.pipe()
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                 "TIDEGATE_HOME": str(home), "TIDEGATE_CONFIG": str(path),
                 "TIDEGATE_GATEWAY_PORT": str(port)}  # fmt: skip
    if "pauses_s" not in config:
        variables["TIDEGATE_ROUTING_PAUSES_S"] = "0"
    variables |= environ or {}
    command = [sys.executable, "-m", "tidegate.gateway", "--worker", "0", "--ready-fd", str(writing)]
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(command, env=variables, pass_fds=[writing], stderr=log)
    os.close(writing)
    ready = os.read(reading, 16)
    os.close(reading)
    if ready != b"ready\n":
        process.wait(10)
        raise AssertionError((home / "log").read_text())
    return Gateway(home, process, port, key)


def configuration(provider: FakeProvider, models: list[str], extra: str = "", provider_extra: str = "") -> str:
    """A configuration that serves `models` from a fake provider."""
    lines = [extra, f'[providers.mock]\nbase_url = "{provider.url}"\n{provider_extra}']
    lines += [f'[[endpoints]]\nprovider = "mock"\nmodel = "acme/{m}"\nupstream_model = "{m}"\n{PRICE}' for m in models]
    return "\n".join(lines) + "\n"
