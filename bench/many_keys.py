"""Claim: with a million keys a worker starts in at most 5 s, and keeps at most 40 MB for them to itself.

    python bench/many_keys.py              fills a database (a minute), measures, writes bench/results/many_keys.json
    python bench/many_keys.py --postgres   the same on PostgreSQL; writes bench/results/many_keys_postgres.json
    python bench/many_keys.py --render     the tables of docs/explanation/keys.md from those files

One worker is started as the supervisor starts it: without keys; with a million, for the first time (it packs them); and
again (it maps what was packed). `pss_mb` counts a page that several processes share once in all.
"""

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import sqlalchemy as sa

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from harness.machine import machine
from harness.process import free_port
from harness.setting import now, say
from harness.tidegate_gateway import REPOSITORY, commit
from tidegate.accounts import schema
from tidegate.accounts.keys import Accounts, open_accounts

RESULTS = {
    "SQLite": REPOSITORY / "bench" / "results" / "many_keys.json",
    "PostgreSQL": REPOSITORY / "bench" / "results" / "many_keys_postgres.json",
}
PAGE = REPOSITORY / "docs" / "explanation" / "keys.md"
BEGIN, END = "<!-- many-keys:begin -->", "<!-- many-keys:end -->"
ROWS_AT_ONCE = 20_000
CONFIG = (
    '[gateway]\nport = {port}\nproviders_from_environment = false\n[providers.m]\nbase_url = "http://localhost:1/v1"\n'
    '[accounts]\ndatabase_url = "{url}"\n'
)


class Start(msgspec.Struct, frozen=True):
    """One kind of start: medians over the rounds. ready_s: to the first accepted connection; cpu_s: of it."""

    what: str
    ready_s: float
    cpu_s: float
    private_mb: float
    pss_mb: float
    samples_s: tuple[float, ...]


class Record(msgspec.Struct, frozen=True):
    """A whole run. `pack_mb`: the file of packed keys. `known_s`: from making a key to its first good call."""

    date: str
    commit: str
    cpu: str
    cores: int
    load_before: float
    keys: int
    pack_mb: float
    starts: tuple[Start, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--render", action="store_true")
    options = parser.parse_args()
    store = "PostgreSQL" if options.postgres else "SQLite"
    if not options.render:
        with tempfile.TemporaryDirectory(prefix="tidegate-keys-") as folder:
            record = measure(Path(folder), options)
        RESULTS[store].write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
        say(f"written: {RESULTS[store]}")
    render()


def measure(folder: Path, options: argparse.Namespace) -> Record:
    few, many = folder / "few", folder / "many"
    with contextlib.ExitStack() as stack:
        for home in (few, many):
            home.mkdir()
            url = stack.enter_context(postgres_url()) if options.postgres else ""
            (home / "tidegate.toml").write_text(CONFIG.format(port=free_port(), url=url))
            fill(open_accounts(home, url, ""), options.keys if home == many else 1)
        before, pack = machine(), many / "keys.pack"
        starts = []
        for what, home, is_first in (
            ("one key", few, False),
            ("first start", many, True),
            ("later start", many, False),
        ):
            samples = []
            for _ in range(options.rounds):
                if is_first:
                    pack.unlink(missing_ok=True)
                samples.append(start(home))
                say(f"{what}: {samples[-1][0]:.2f} s, {samples[-1][2]:.0f} MB private")
            ready, cpu, private, pss = (statistics.median(column) for column in zip(*samples, strict=True))
            starts.append(Start(what, ready, cpu, private, pss, tuple(sample[0] for sample in samples)))
        pack_mb = pack.stat().st_size / 1e6
    return Record(now(), commit(), before.cpu, before.cores, before.load_before, options.keys, pack_mb, tuple(starts))


@contextlib.contextmanager
def postgres_url() -> Iterator[str]:
    """An empty database of a server of its own."""
    from rig.stores import start_postgres

    server = start_postgres()
    try:
        yield server.create()
    finally:
        server.stop(signal.SIGINT)
        shutil.rmtree(server.folder, ignore_errors=True)


def fill(accounts: Accounts, count: int) -> None:
    """Keys of fifty thousand tenants, as a reseller has them."""
    say(f"making {count} keys")
    accounts.create_key("first")
    for first in range(1, count, ROWS_AT_ONCE):
        with accounts.database.writing() as connection:
            connection.execute(sa.insert(schema.keys), list(rows(accounts, first, min(first + ROWS_AT_ONCE, count))))
    accounts.close()


def rows(accounts: Accounts, first: int, end: int) -> Iterator[dict[str, object]]:
    for number in range(first, end):
        yield {
            "key_id": f"key_{number:016x}",
            "tenant_id": f"customer-{number % 50_000}",
            "project_id": "default",
            "name": f"key {number}",
            "secret_hash": accounts.hash_secret(f"sk-{number}"),
            "hint": "sk-tg-abc...wxyz",
            "created_us": 1_760_000_000_000_000 + number,
            "changed": 2,
        }


def start(home: Path) -> tuple[float, float, float, float]:
    """Seconds until a worker accepts, CPU seconds of that, and its private and proportional memory in MB."""
    reading, writing = os.pipe()
    environ = {"PATH": os.environ["PATH"], "TIDEGATE_HOME": str(home), "TIDEGATE_CONFIG": str(home / "tidegate.toml")}
    command = [sys.executable, "-m", "tidegate.gateway", "--worker", "0", "--ready-fd", str(writing)]
    began = time.monotonic()
    with (home / "log").open("ab") as log:
        worker = subprocess.Popen(command, env=environ, pass_fds=[writing], stderr=log)
    os.close(writing)
    try:
        if os.read(reading, 16) != b"ready\n":
            raise SystemExit((home / "log").read_text())
        ready_s = time.monotonic() - began
        ticks = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        cpu_s = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        lines = (line.split() for line in Path(f"/proc/{worker.pid}/smaps_rollup").read_text().splitlines()[1:])
        kb = {words[0]: int(words[1]) for words in lines}
        private = kb["Private_Clean:"] + kb["Private_Dirty:"]
        return ready_s, cpu_s, private * 1024 / 1e6, kb["Pss:"] * 1024 / 1e6
    finally:
        os.close(reading)
        worker.terminate()
        worker.wait(30)


def render() -> None:
    """Write the tables of what was measured between their two marks."""
    tables = [
        table(store, msgspec.json.decode(path.read_bytes(), type=Record))
        for store, path in RESULTS.items()
        if path.exists()
    ]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    text = "\n\n".join(tables)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
    sys.stdout.write(f"{text}\n")


def table(store: str, record: Record) -> str:
    lines = [
        f"{record.keys:,} keys, {store}, one worker; the packed file is {record.pack_mb:.0f} MB. {record.date[:10]}, "
        f"{record.cpu}, {record.cores} cores, load average {record.load_before:g} before the run, commit "
        f"`{record.commit[:12]}`; medians of {len(record.starts[0].samples_s)}.",
        "",
        "| | ready, s | of it CPU, s | memory of its own, MB |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {s.what} | {s.ready_s:.2f} | {s.cpu_s:.2f} | {s.private_mb:.0f} |" for s in record.starts]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
