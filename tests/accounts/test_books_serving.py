"""The whole installation: what is called is charged, booked and proved, also when a worker is killed in the middle."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

from rig.gateway import configuration
from rig.provider import Call, FakeProvider, answer
from rig.workers import make_tenant
from tidegate.accounts.books.balance import Balance, balance_of
from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.books.verify import Verification, verify
from tidegate.accounts.database import open_database, url_in
from tidegate.accounts.schema.quotas import workers
from tidegate.config import load_config
from tidegate.ledger.store import Ledger
from tidegate.runtime.home import read_running

CREDIT = 100_000_000  # nano-USD


async def slowly(call: Call) -> None:
    """Long enough to be killed in."""
    await asyncio.sleep(0.3)
    await answer(call)


def call(url: str, key: str) -> int:
    """The status of one call; 0 where its worker died."""
    body = json.dumps({"model": "acme/m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/chat/completions", body, headers)) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def balance(home: Path) -> Balance:
    database = open_database(url_in(home))
    with database.reading() as connection:
        found = balance_of(connection, "acme")
    database.close()
    return found


def settled_workers(home: Path) -> int:
    database = open_database(url_in(home))
    with database.reading() as connection:
        query = sa.select(sa.func.count()).select_from(workers).where(workers.c.settled_us.is_not(None))
        found = int(connection.execute(query).scalar_one())
    database.close()
    return found


def proved(home: Path) -> Verification:
    database = open_database(url_in(home))
    found = verify(database, Ledger.open(home / "ledger"))
    database.close()
    return found


def gateway_pid(parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return next(int(pid) for pid in children if b"tidegate.gateway" in Path(f"/proc/{pid}/cmdline").read_bytes())


def test_a_worker_that_is_killed_costs_its_tenant_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    """kill -9 with calls under way: cut-off calls are free, the rest is charged once, and nothing stays reserved."""
    with FakeProvider({"m": slowly}) as provider:
        home = tmp_path / "home"
        home.mkdir()
        settings = "[gateway]\nproviders_from_environment = false\nport = 0\nworkers = 2\n"
        (home / "tidegate.toml").write_text(configuration(provider, ["m"], settings))
        key = make_tenant(home, [])
        database = open_database(url_in(home))
        with database.writing() as connection:
            post(connection, credit_posting("grant", "acme", CREDIT, reference="g", booked_us=time.time_ns() // 1000))
        database.close()
        environ = {"PATH": os.environ["PATH"], "TIDEGATE_HOME": str(home)}
        serve = [sys.executable, "-m", "tidegate", "serve"]
        with (
            (tmp_path / "log").open("wb") as log,
            subprocess.Popen(serve, env=environ, stderr=log) as running,
            ThreadPoolExecutor(12) as callers,
        ):
            try:
                deadline = time.monotonic() + 60
                while (found := read_running(load_config(environ=environ))) is None:
                    assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                    time.sleep(0.05)
                first = [callers.submit(call, found.url, key) for _ in range(24)]
                time.sleep(0.5)
                os.kill(gateway_pid(running.pid), signal.SIGKILL)
                seen = Counter(one.result() for one in first)
                assert seen[0] and set(seen) <= {0, 200}, seen
                until = time.monotonic() + 45
                while not settled_workers(home):
                    assert time.monotonic() < until, "what the dead one held comes back without waiting for anything"
                    time.sleep(0.2)
                seen += Counter(callers.map(lambda _: call(found.url, key), range(12)))
            finally:
                running.terminate()
                running.wait(60)

    left, books = balance(home), proved(home)
    assert books.differences == []
    assert books.workers_waiting == 0, "held is what the rows say: it was compared"
    assert left.pending_nano_usd == 0
    assert left.available_nano_usd == CREDIT - left.used_nano_usd
    assert seen[200] <= books.rows <= 36, "a call may have been in the kernel only when its worker died"
    price = 8 * 2_000 + 4 * 500 + 5 * 10_000  # USAGE of tests/rig/provider.py at PRICE of tests/rig/gateway.py
    paid, odd = divmod(left.used_nano_usd, price)
    assert odd == 0 and seen[200] <= paid <= books.rows, "a reply may be lost after its row; then it is charged"
