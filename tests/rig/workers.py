"""Several workers of one gateway as real processes on one port, and many callers at once."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rig.gateway import Gateway
from tidegate.accounts.keys import KeyWish, open_accounts
from tidegate.accounts.quotas.table import held_of, set_quota
from tidegate.core.quota import Quota


def make_tenant(home: Path, quotas: Sequence[Quota], database_url: str = "", **wish: Any) -> str:
    """Accounts with the tenant `acme`, its quotas, and a key of it, whose secret is returned."""
    accounts = open_accounts(home, database_url)
    secret = accounts.add_key(KeyWish(**{"name": "k", "tenant_id": "acme", **wish})).secret
    with accounts.database.writing() as connection:
        for quota in quotas:
            set_quota(connection, quota)
    accounts.close()
    return secret


def acme_quota(unit: str, limit: int, window: str = "lifetime", **more: Any) -> Quota:
    """A quota of all calls of `acme`, unless `more` says otherwise."""
    fields = {"quota_id": "q1", "tenant_id": "acme", "scope": "tenant", "subject": "acme"}
    return Quota(**{**fields, "unit": unit, "limit": limit, "window": window, **more})  # type: ignore[arg-type]


def held(home: Path, quota_id: str = "q1", database_url: str = "") -> int:
    """What the store takes to be held or spent of a quota."""
    accounts = open_accounts(home, database_url)
    with accounts.database.reading() as connection:
        found = held_of(connection, quota_id)
    accounts.close()
    return found


class Workers:
    """`with Workers(...) as gateway:` several workers; the gateway reads the rows of all of them."""

    def __init__(
        self, home: Path, config: str, key: str, count: int, launcher: Sequence[str] = ("-m", "tidegate.gateway")
    ) -> None:
        """launcher: what Python is told to run."""
        self.launcher = launcher
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.key, self.count = home, key, count
        (home / "tidegate.toml").write_text(config)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.probe = socket.socket()
        self.probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.probe.bind(("127.0.0.1", 0))

    def __enter__(self) -> Gateway:
        port = self.probe.getsockname()[1]
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        variables |= {"TIDEGATE_HOME": str(self.home), "TIDEGATE_GATEWAY_PORT": str(port)}
        variables["TIDEGATE_CONFIG"] = str(self.home / "tidegate.toml")
        pipes = [self._start(number, variables) for number in range(self.count)]
        for pipe in pipes:
            assert os.read(pipe, 16) == b"ready\n", (self.home / "log").read_text()
            os.close(pipe)
        self.probe.close()
        return Gateway(self.home, self.processes[0], port, self.key)

    def _start(self, number: int, variables: dict[str, str]) -> int:
        reading, writing = os.pipe()
        command = [sys.executable, *self.launcher, "--worker", str(number), "--ready-fd", str(writing)]
        with (self.home / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(command, env=variables, pass_fds=[writing], stderr=log))
        os.close(writing)
        return reading

    def stop(self) -> None:
        """Let all of them finish and leave."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(20)

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)


async def _call(port: int, key: str, body: bytes, path: str) -> int:
    """The status of one call on a connection of its own, so that the kernel deals calls out to workers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    reply = await reader.read()
    writer.close()
    return int(reply[9:12])


def call_at_once(gateway: Gateway, count: int, path: str = "/v1/chat/completions", **body: Any) -> Counter[int]:
    """How often each status came."""

    async def all_of_them() -> Counter[int]:
        data = json.dumps({"messages": [{"role": "user", "content": "2+2?"}], **body}).encode()
        return Counter(await asyncio.gather(*(_call(gateway.port, gateway.key, data, path) for _ in range(count))))

    return asyncio.run(all_of_them())
