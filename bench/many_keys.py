"""Claim: with a million keys a worker starts in at most 5 s, and keeps at most 40 MB for them to itself.

    python bench/many_keys.py            fills a database (a minute), measures, writes bench/results/many_keys.json
    python bench/many_keys.py --render   the table of docs/explanation/keys.md from that file

One worker is started as the supervisor starts it: without keys; with a million, for the first time (it packs them); and
again (it maps what was packed). `pss_mb` counts a page that several processes share once in all.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import sqlalchemy as sa

from harness.machine import machine
from harness.process import free_port
from harness.setting import now, say
from harness.tidegate_gateway import REPOSITORY, commit
from tidegate.accounts import schema
from tidegate.accounts.keys import Accounts, open_accounts

RESULT = REPOSITORY / "bench" / "results" / "many_keys.json"
PAGE = REPOSITORY / "docs" / "explanation" / "keys.md"
BEGIN, END = "<!-- many-keys:begin -->", "<!-- many-keys:end -->"
ROWS_AT_ONCE = 20_000
CONFIG = (
    '[gateway]\nport = {port}\nproviders_from_environment = false\n[providers.m]\nbase_url = "http://localhost:1/v1"\n'
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
    parser.add_argument("--render", action="store_true")
    options = parser.parse_args()
    if not options.render:
        with tempfile.TemporaryDirectory(prefix="tidegate-keys-") as folder:
            RESULT.write_bytes(
                msgspec.json.format(msgspec.json.encode(measure(Path(folder), options)), indent=2) + b"\n"
            )
        say(f"written: {RESULT}")
    render(msgspec.json.decode(RESULT.read_bytes(), type=Record))


def measure(folder: Path, options: argparse.Namespace) -> Record:
    few, many = folder / "few", folder / "many"
    for home in (few, many):
        home.mkdir()
        (home / "tidegate.toml").write_text(CONFIG.format(port=free_port()))
        fill(open_accounts(home), options.keys if home == many else 1)
    before, pack = machine(), many / "keys.pack"
    starts = []
    for what, home, is_first in (("one key", few, False), ("first start", many, True), ("later start", many, False)):
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


def render(record: Record) -> None:
    """Write the table between its two marks."""
    lines = [
        f"{record.keys:,} keys, SQLite, one worker; the packed file is {record.pack_mb:.0f} MB. {record.date[:10]}, "
        f"{record.cpu}, {record.cores} cores, load average {record.load_before:g} before the run, commit "
        f"`{record.commit[:12]}`; medians of {len(record.starts[0].samples_s)}.",
        "",
        "| | ready, s | of it CPU, s | memory of its own, MB |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {s.what} | {s.ready_s:.2f} | {s.cpu_s:.2f} | {s.private_mb:.0f} |" for s in record.starts]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}")
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()
