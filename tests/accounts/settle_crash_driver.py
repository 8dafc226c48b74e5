"""Settles copies of an installation and dies at step 1, 2, 3, ... of each; run as a script by test_books_settle.py.

    settle_crash_driver.py WORK        prints, for each step, the books after the next run, as JSON; the clean run last

A step is a commit: what is on the disk changes there alone. `os._exit` just before it is the crash: nothing is rolled
back, no `finally` runs. The last run ends by itself, after the last commit.
"""

import itertools
import json
import os
import shutil
import sys
from pathlib import Path

import duckdb  # noqa: F401  loaded before the fork; its threads start with the first connection
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))

from booked_calls import NOON_US, Call, Host, die, state

from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.books.run import settle
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.accounts.quotas.table import list_quotas
from tidegate.core.quota import LeaseAsk, WindowKey
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

CRASHED = 86


def url_of(home: Path) -> str:
    return f"sqlite:///{home / 'accounts.sqlite'}"


def prepare(home: Path) -> None:
    """A prepaid tenant, and a worker that was killed while it held a slice and had written for two tenants."""
    database, host = open_database(url_of(home)), Host(home / "ledger")
    with database.writing() as connection:
        post(connection, credit_posting("grant", "acme", 10_000, reference="g", booked_us=NOON_US))
        [quota] = list_quotas(connection)
    writer = host.open()
    store, lessee = SqlStore(database), Lessee(worker_id=writer.segment_id, gateway_id="gw")
    window = WindowKey(quota.quota_id, "acme", 0)
    store.exchange(lessee, [LeaseAsk(window=window, granted=0, returned=0, spent=0, want=1000, want_min=1000)])
    host.write(
        writer, [Call(charged=20), Call(charged=3), Call(tenant="other"), Call(ts=NOON_US - 1), Call(is_lost=True)]
    )
    die(writer)
    seal(host.ledger)
    database.close()


def die_at(step: int, engine: sa.Engine) -> None:
    """Before commit number `step` of those that have something to write."""
    seen, has_written = 0, False

    def on_statement(*args: object) -> None:
        nonlocal has_written
        has_written = has_written or not str(args[2]).lstrip().upper().startswith(("SELECT", "BEGIN", "PRAGMA"))

    def on_commit(_: object) -> None:
        nonlocal seen, has_written
        seen += has_written
        if has_written and seen == step:
            os._exit(CRASHED)
        has_written = False

    sa.event.listen(engine, "before_cursor_execute", on_statement)
    sa.event.listen(engine, "commit", on_commit)


def in_child(work: object, *args: object) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work(*args)  # type: ignore[operator]
            sys.stdout.flush()
            os._exit(0)
        finally:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(home: Path, step: int, *, told: bool = False) -> None:
    database = Database(url_of(home))
    die_at(step, database.engine)
    settle(database, Ledger.open(home / "ledger"))
    if told:
        print(json.dumps(state(database)))


def main(work: Path) -> None:
    template = work / "template"
    template.mkdir()
    assert in_child(prepare, template) == 0
    for step in itertools.count(1):
        home = work / str(step)
        shutil.copytree(template, home)
        code = in_child(run, home, step)
        assert code in (0, CRASHED), code
        after = in_child(lambda home=home: run(home, 0, told=True))
        assert after == 0
        if code == 0:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
