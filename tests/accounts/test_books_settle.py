"""Rows are the truth: entries follow from them, once, whatever crashes."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from booked_calls import DAY_US, HOUR_US, NOON_US, Call, Host, amounts, die
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.stores import Postgres
from tidegate.accounts.books.balance import balance_of
from tidegate.accounts.books.entries import post, read_booked
from tidegate.accounts.books.lives import ended_lives
from tidegate.accounts.books.lost import give_up, silent_workers
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.books.reclaim import reclaim
from tidegate.accounts.books.run import settle
from tidegate.accounts.books.settle import settle_segments
from tidegate.accounts.books.wallets import set_mode
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.accounts.quotas.table import list_quotas, set_quota
from tidegate.accounts.quotas.windows import window_start_us
from tidegate.accounts.schema.books import usage_days
from tidegate.accounts.schema.quotas import holdings, windows, workers
from tidegate.core.errors import AccountsError, LedgerError
from tidegate.core.quota import LeaseAsk, Quota, WindowKey
from tidegate.ledger.seal import seal


@pytest.fixture
def database(empty_accounts: str) -> Iterator[Database]:
    """An empty accounts database on SQLite."""
    opened = open_database(empty_accounts)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty accounts database of each engine: for what they do differently."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("empty_accounts")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.copy()
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "ledger")


def run(database: Database, host: Host) -> int:
    """How many segments one run settled."""
    return len(settle(database, host.ledger).segments)


def test_a_segment_is_one_transaction_a_tenant_and_day(either: Database, host: Host) -> None:
    """Not one a row: of two tenants around midnight there are three, and each says its rows."""
    late = NOON_US + 12 * HOUR_US - 1
    host.seal(
        [
            Call(charged=100, upstream=80),
            Call(charged=7, upstream=5, lost=2, ts=late),
            Call(charged=1, upstream=1, ts=late + 1),
            Call(tenant="other", charged=0, upstream=0),
            Call(charged=None, upstream=None, ts=late + 2),
        ]
    )

    assert run(either, host) == 1
    assert run(either, host) == 0

    with either.reading() as connection:
        found = {(b.posting.tenant_id, b.posting.day): b for b in read_booked(connection, sa.true())}
    assert sorted(found) == [("acme", "2026-03-23"), ("acme", "2026-03-24"), ("other", "2026-03-23")]
    first, second = found["acme", "2026-03-23"].posting, found["acme", "2026-03-24"].posting
    assert {leg.account: leg.amount_nano_usd for leg in first.legs} == {
        "wallet": -107,
        "operator_loss": -2,
        "revenue": 109,
        "provider_cost": -85,
        "provider_payable": 85,
    }
    assert first.rows is not None and second.rows is not None
    assert (first.rows.first_seq, first.rows.last_seq, first.rows.count, first.rows.unmetered) == (0, 1, 2, 0)
    assert (second.rows.first_seq, second.rows.last_seq, second.rows.count, second.rows.unmetered) == (2, 4, 2, 1)
    assert second.wallet_nano_usd == -1, "what is unknown is charged 0"
    assert found["other", "2026-03-23"].posting.legs == (), "free calls are booked too, as rows without an amount"


def test_calls_that_a_dead_gateway_left_are_booked_at_nothing(database: Database, host: Host) -> None:
    """Recovered rows are of unknown cost: told, and free."""
    writer = host.open()
    host.write(writer, [Call(charged=40), Call(charged=60, is_lost=True)])
    die(writer)
    seal(host.ledger)

    run(database, host)

    assert amounts(database, "acme")["wallet"] == -40
    with database.reading() as connection:
        query = sa.select(usage_days.c.calls, usage_days.c.unmetered_calls, usage_days.c.charged_nano_usd)
        assert connection.execute(query).all() == [(2, 1, 40)]


def test_rows_without_a_tenant_are_booked_too(database: Database, host: Host) -> None:
    """Nothing that was sealed is left out of the books."""
    host.seal([Call(tenant=None, charged=9)])
    run(database, host)
    assert amounts(database, "")["wallet"] == -9


def test_a_late_segment_adds_to_its_own_day(database: Database, host: Host) -> None:
    """A host that was away seals and settles days later: the calls count on the day they were made."""
    host.seal([Call(charged=5, ts=NOON_US + DAY_US)], start_us=NOON_US + DAY_US)
    run(database, host)
    host.seal([Call(charged=3)], start_us=NOON_US + 2 * DAY_US)
    run(database, host)

    with database.reading() as connection:
        days = {b.posting.day: -b.posting.wallet_nano_usd for b in read_booked(connection, sa.true())}
    assert days == {"2026-03-23": 3, "2026-03-24": 5}


def test_a_segment_that_cannot_be_read_does_not_hold_up_the_others(database: Database, host: Host) -> None:
    """It is named, and settled once its file is back."""
    host.seal([Call(charged=5)])
    damaged = host.ledger.row_files()[0]
    content = damaged.read_bytes()
    damaged.write_bytes(b"PAR1 nonsense")
    host.seal([Call(charged=7)], start_us=NOON_US + 1)

    with pytest.raises(LedgerError, match=r"1 of 2 segments are not settled: gw-0000-\S+: its rows cannot be read"):
        run(database, host)
    assert amounts(database, "acme")["wallet"] == -7

    damaged.write_bytes(content)
    assert run(database, host) == 1
    assert amounts(database, "acme")["wallet"] == -12


def test_hosts_on_one_database_settle_at_once_without_counting_twice(either: Database, tmp_path: Path) -> None:
    """Three ledgers, the same tenants in each, settled by threads at one moment; twice each."""
    hosts = [Host(tmp_path / f"ledger-{n}", f"gw{n}") for n in range(3)]
    for number, host in enumerate(hosts):
        for segment in range(3):
            calls = [Call(tenant=tenant, charged=10**number) for tenant in ("a", "b", "c")]
            host.seal(calls, start_us=NOON_US + segment)
    failures: list[Exception] = []

    def work(host: Host) -> None:
        try:
            settle_segments(either, host.ledger)
        except (LedgerError, AccountsError, sa.exc.DBAPIError) as error:  # seen below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(host,)) for host in hosts for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert [amounts(either, tenant)["wallet"] for tenant in ("a", "b", "c")] == [-333, -333, -333]


def test_a_segment_of_two_ledgers_is_not_charged_twice(database: Database, tmp_path: Path) -> None:
    """Two hosts with one gateway id, or a ledger that was copied under another identity: refused by name."""
    one, other = Host(tmp_path / "one"), Host(tmp_path / "other")
    one.seal([Call(charged=5)])
    other.seal([Call(charged=5)])
    run(database, one)

    with pytest.raises(LedgerError, match=r"settled from ledger \w+, and is in ledger \w+ too"):
        run(database, other)
    assert amounts(database, "acme")["wallet"] == -5


calls = st.builds(
    Call,
    tenant=st.sampled_from(["a", "b", None]),
    charged=st.none() | st.integers(0, 10**12),
    upstream=st.none() | st.integers(0, 10**12),
    lost=st.none() | st.integers(0, 10**12),
    ts=st.integers(NOON_US - 2 * DAY_US, NOON_US + 2 * DAY_US),
    model=st.sampled_from([None, "m", "n"]),
)


@settings(max_examples=4)
@given(segments=st.lists(st.lists(calls, min_size=1, max_size=8), min_size=1, max_size=3))
def test_what_is_charged_in_rows_is_what_leaves_the_wallets(
    segments: list[list[Call]], made_accounts: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By tenant: rows, entries and the sums that statements print agree."""
    folder = tmp_path_factory.mktemp("books")
    url = f"sqlite:///{shutil.copy(made_accounts, folder / 'a.sqlite')}"
    host, database = Host(folder / "ledger"), open_database(url)
    for number, segment in enumerate(segments):
        host.seal(segment, start_us=NOON_US + number)
    run(database, host)
    every = [call for segment in segments for call in segment]
    for tenant in {call.tenant for call in every}:
        own = [call for call in every if call.tenant == tenant]
        charged = sum(call.charged or 0 for call in own)
        found = amounts(database, tenant or "")
        assert found.get("wallet", 0) == -charged
        assert found.get("revenue", 0) == charged + sum(call.lost or 0 for call in own)
        assert found.get("provider_cost", 0) == -sum(call.upstream or 0 for call in own)
        with database.reading() as connection:
            query = sa.select(sa.func.sum(usage_days.c.charged_nano_usd), sa.func.sum(usage_days.c.calls))
            summed = connection.execute(query.where(usage_days.c.tenant_id == (tenant or ""))).one()
        assert tuple(summed) == (charged, len(own))
    database.close()


def prepaid(database: Database, credit: int, tenant: str = "acme", since_us: int = NOON_US) -> Quota:
    with database.writing() as connection:
        post(connection, credit_posting("grant", tenant, credit, reference=f"g-{tenant}", booked_us=since_us))
        [quota] = [quota for quota in list_quotas(connection, tenant) if quota.is_wallet]
    return quota


def test_a_wallets_limit_is_what_was_credited_less_what_was_used_before(database: Database, host: Host) -> None:
    """Postpaid calls, also those that are settled later, are not paid from the quota a second time."""
    host.seal([Call(charged=30, ts=NOON_US - HOUR_US)])
    run(database, host)

    quota = prepaid(database, 100)
    assert quota.limit == 70

    host.seal([Call(charged=4, ts=NOON_US - 1), Call(charged=5, ts=NOON_US)], start_us=NOON_US + 1)
    run(database, host)
    with database.reading() as connection:
        [quota] = list_quotas(connection)
        left = balance_of(connection, "acme")
    assert quota.limit == 66, "the call of before the wallet was prepaid counts against it once"
    assert (left.balance_nano_usd, left.pending_nano_usd, left.available_nano_usd) == (61, 0, 61)


def test_a_tenant_that_pays_later_has_no_wallet_quota(database: Database) -> None:
    """And one that goes back to prepaid gets a new one, which counts from then on."""
    first = prepaid(database, 100)
    with database.writing() as connection:
        set_mode(connection, "acme", "postpaid", now_us=NOON_US + 1)
        assert list_quotas(connection) == []
        set_mode(connection, "acme", "prepaid", now_us=NOON_US + 2)
        [second] = list_quotas(connection)
    assert second.quota_id != first.quota_id and second.limit == 100


def leased(store: SqlStore, worker_id: str, window: WindowKey, spent: int) -> None:
    """A worker that holds 1,000 of a window and has told of `spent`."""
    lessee = Lessee(worker_id=worker_id, gateway_id="gw")
    store.enter(lessee)
    store.exchange(lessee, [LeaseAsk(window=window, granted=0, returned=0, spent=0, want=1000, want_min=1000)])
    store.exchange(lessee, [LeaseAsk(window=window, granted=1000, returned=0, spent=spent)])


def held(database: Database, window: WindowKey) -> int:
    with database.reading() as connection:
        query = sa.select(windows.c.held).where(
            windows.c.quota_id == window.quota_id, windows.c.subject == window.subject
        )
        return int(connection.execute(query).scalar_one())


def test_what_a_dead_worker_held_becomes_what_its_rows_say(either: Database, host: Host) -> None:
    """Killed with 1,000 in hand, told of 10, its rows say 25: 975 come back, and not before that is known."""
    quota = prepaid(either, 10_000)
    window = WindowKey(quota.quota_id, "acme", 0)
    store = SqlStore(either)
    writer = host.open()
    leased(store, writer.segment_id, window, 10)
    host.write(writer, [Call(charged=20), Call(charged=5), Call(charged=9, is_lost=True)])

    run(either, host)
    assert held(either, window) == 1000, "its journal is open: it lives"
    die(writer)
    run(either, host)
    assert held(either, window) == 1000, "its rows are not sealed"
    seal(host.ledger)
    report = settle(either, host.ledger)

    assert held(either, window) == 25
    [life] = report.lives
    assert (life.held_nano_usd, life.spent_nano_usd, life.rows) == (1000, 25, 3)
    run(either, host)
    assert held(either, window) == 25, "once"
    store.leave(Lessee(worker_id=writer.segment_id, gateway_id="gw"), [])
    assert held(either, window) == 25, "a last word that comes late changes nothing"
    with either.reading() as connection:
        assert connection.execute(sa.select(holdings)).all() == []
        assert balance_of(connection, "acme").pending_nano_usd == 0


def test_two_runs_that_meet_reclaim_once(database: Database, host: Host) -> None:
    """The second finds the worker settled, though it had seen it as over too."""
    quota = prepaid(database, 10_000)
    window = WindowKey(quota.quota_id, "acme", 0)
    writer = host.open()
    leased(SqlStore(database), writer.segment_id, window, 0)
    host.write(writer, [Call(charged=5)])
    writer.close()
    seal(host.ledger)
    settle_segments(database, host.ledger)
    over = ended_lives(database, host.ledger)

    assert [len(reclaim(database, host.ledger, over)) for _ in range(2)] == [1, 0]
    assert held(database, window) == 5


def test_lives_of_one_worker_are_told_apart_by_their_segments(either: Database, host: Host) -> None:
    """The first life wrote two segments; the second is alive, and keeps what it holds."""
    quota = prepaid(either, 10_000)
    window = WindowKey(quota.quota_id, "acme", 0)
    store = SqlStore(either)
    first = host.open(NOON_US)
    leased(store, first.segment_id, window, 0)
    host.write(first, [Call(charged=20)])
    following = first.rotate(NOON_US + 50)
    first.close()
    host.write(following, [Call(charged=3)])
    die(following)
    second = host.open(NOON_US + 100)
    leased(store, second.segment_id, window, 0)
    host.write(second, [Call(charged=500)])
    seal(host.ledger)

    report = settle(either, host.ledger)

    assert [(life.spent_nano_usd, life.rows) for life in report.lives] == [(23, 2)]
    assert held(either, window) == 1000 + 23
    second.close()
    seal(host.ledger)
    run(either, host)
    assert held(either, window) == 523


def test_a_worker_that_died_before_its_first_call_gives_everything_back(database: Database, host: Host) -> None:
    """It left no row and no segment: that it was of this ledger is on record since it began."""
    quota = prepaid(database, 10_000)
    window = WindowKey(quota.quota_id, "acme", 0)
    writer = host.open()
    leased(SqlStore(database), writer.segment_id, window, 0)
    run(database, host)
    assert held(database, window) == 1000
    die(writer)
    seal(host.ledger)

    run(database, host)

    assert held(database, window) == 0


def test_a_worker_that_was_started_again_is_not_taken_for_the_one_before(database: Database, host: Host) -> None:
    """The new one leases nothing yet; what the dead one held comes back all the same."""
    quota = prepaid(database, 10_000)
    window = WindowKey(quota.quota_id, "acme", 0)
    writer = host.open()
    leased(SqlStore(database), writer.segment_id, window, 0)
    host.write(writer, [Call(charged=7)])
    die(writer)
    host.write(host.open(NOON_US + 1), [Call(charged=5)])
    seal(host.ledger)

    run(database, host)

    assert held(database, window) == 7


def test_nobody_takes_another_hosts_workers_for_dead(database: Database, tmp_path: Path) -> None:
    """Two hosts that forgot to name their gateways: each knows its own workers, from its own journal."""
    here, there = Host(tmp_path / "here"), Host(tmp_path / "there")
    quota = prepaid(database, 10_000)
    window = WindowKey(quota.quota_id, "acme", 0)
    writer = there.open()
    leased(SqlStore(database), writer.segment_id, window, 0)
    there.write(writer, [Call(charged=5)])
    run(database, here)
    assert held(database, window) == 1000

    writer.close()
    seal(there.ledger)
    run(database, here)
    settle(database, there.ledger, is_copy=True)
    assert held(database, window) == 1000, "nor does a copy of a ledger, whose journal may be another's"
    run(database, there)
    assert held(database, window) == 5


def test_a_worker_whose_ledger_is_gone_holds_what_it_last_told(database: Database) -> None:
    """Nobody else can say what it spent; and nobody gives up a worker that may be alive."""
    quota = prepaid(database, 10_000)
    window = WindowKey(quota.quota_id, "acme", 0)
    leased(SqlStore(database), "gw-0000-0000000000000001", window, 10)
    assert silent_workers(database) == []
    with pytest.raises(AccountsError, match="may be alive"):
        give_up(database, "gw-0000-0000000000000001")
    with database.writing() as connection:
        connection.execute(sa.update(workers).values(seen_us=workers.c.seen_us - 2 * DAY_US))

    assert [one.unspent_nano_usd for one in silent_workers(database)] == [990]
    assert give_up(database, "gw-0000-0000000000000001") == 990

    assert held(database, window) == 10 and silent_workers(database) == []
    with pytest.raises(AccountsError, match="is settled"):
        give_up(database, "gw-0000-0000000000000001")


def test_budgets_of_keys_and_days_get_back_what_was_not_spent(database: Database, host: Host) -> None:
    """Each window gets the rows of its subject and its time; more than was held is not put on it."""
    now_us = time.time_ns() // 1000
    budgets = {
        "key": Quota(
            quota_id="k", tenant_id="acme", scope="key", subject="key_1", unit="nano_usd", window="day", limit=9000
        ),
        "model": Quota(
            quota_id="m", tenant_id="acme", scope="model", subject="*", unit="nano_usd", window="month", limit=9000
        ),
    }
    with database.writing() as connection:
        for quota in budgets.values():
            set_quota(connection, quota)
    of_key = WindowKey("k", "key_1", window_start_us("day", now_us))
    of_model = WindowKey("m", "big:free", window_start_us("month", now_us))
    store, writer = SqlStore(database), host.open(now_us)
    leased(store, writer.segment_id, of_key, 0)
    leased(store, writer.segment_id, of_model, 0)
    host.write(
        writer,
        [
            Call(charged=30, key="key_1", model="small", ts=now_us),
            Call(charged=5, key="key_2", model="big", ts=now_us),
            Call(charged=700, key="key_1", model="small", ts=now_us + DAY_US),
            Call(charged=2000, key="key_2", model="big", variant="free", ts=now_us),
        ],
    )
    writer.close()
    seal(host.ledger)

    run(database, host)

    assert held(database, of_key) == 30
    assert held(database, of_model) == 1000, "what else its rows say was before the quota"


def test_a_crash_at_any_step_is_repaired_by_the_next_run(tmp_path: Path) -> None:
    """kill -9 before each commit of a run, which is when what is on the disk changes; then always the same books."""
    driver = Path(__file__).with_name("settle_crash_driver.py")
    done = subprocess.run([sys.executable, str(driver), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    states = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(states) == 4, "the segment, the mark of how far, the worker; and the clean run"
    assert all(one == states[-1] for one in states)
    clean = states[-1]
    assert clean["quota_windows"][0][4] == "23" and len(clean["settled workers"]) == 1
