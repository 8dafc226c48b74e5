"""Quotas in a database: many at once, the dead settled by the ledger, a database that goes away."""

import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.stores import Postgres, start_postgres
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.quotas.book import QuotaBook, subject_of
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.accounts.quotas.table import (
    check_quota,
    held_of,
    list_quotas,
    move_limit,
    remove_quota,
    set_quota,
)
from tidegate.accounts.quotas.upkeep import money_of, settle_worker
from tidegate.core.errors import AccountsError, QuotaStoreError
from tidegate.core.quota import LeaseAsk, Quota, WindowKey

NOW_US = 1_795_348_800_000_000


def quota(quota_id: str = "q", limit: int = 1000, **more: object) -> Quota:
    fields = {"tenant_id": "t", "scope": "tenant", "subject": "t", "unit": "nano_usd", "window": "lifetime"}
    return Quota(**(fields | {"quota_id": quota_id, "limit": limit} | more))  # type: ignore[arg-type]


def put(database: Database, *quotas: Quota) -> None:
    with database.writing() as connection:
        for one in quotas:
            set_quota(connection, one)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'accounts.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.copy()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


def test_workers_that_ask_at_one_moment_get_the_limit_and_no_more(database: Database) -> None:
    """Eight at once, in whatever order of windows: each unit of each is granted exactly once."""
    put(database, quota("a"), quota("b"))
    keys = [WindowKey("a", "t", 0), WindowKey("b", "t", 0)]
    got: list[list[int]] = []

    def work(number: int) -> None:
        store, lessee = SqlStore(database), Lessee(worker_id=f"w{number}", gateway_id="g")
        granted = [0, 0]
        order = [0, 1] if number % 2 else [1, 0]
        for _ in range(12):
            asks = [
                LeaseAsk(window=keys[i], granted=granted[i], returned=0, spent=granted[i], want=37, want_min=1)
                for i in order
            ]
            for i, answer in zip(order, store.exchange(lessee, asks), strict=True):
                granted[i] = answer.granted
        got.append(granted)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert [sum(granted[i] for granted in got) for i in (0, 1)] == [held_of(connection, name) for name in "ab"]
        assert 900 < held_of(connection, "a") <= 1000


def test_a_dead_worker_holds_what_its_rows_say_once_they_are_settled(database: Database) -> None:
    """It was granted 600 and told of 100; its rows say 250: 350 come back, nothing is forgotten."""
    put(database, quota())
    now = [NOW_US]
    store = SqlStore(database, clock_us=lambda: now[0])
    key, dead = WindowKey("q", "t", 0), Lessee(worker_id="dead", gateway_id="g")
    store.exchange(dead, [LeaseAsk(window=key, granted=0, returned=0, spent=0, want=600, want_min=600)])
    store.exchange(dead, [LeaseAsk(window=key, granted=600, returned=0, spent=100)])
    now[0] += 11_000_000
    with database.writing() as connection:
        assert money_of(connection, "dead")[key].spent == 100
        for _ in range(2):
            settle_worker(connection, "dead", {key: 250}, now[0])
        assert held_of(connection, "q") == 250
    alive = Lessee(worker_id="alive", gateway_id="g")
    (answer,) = store.exchange(alive, [LeaseAsk(window=key, granted=0, returned=0, spent=0, want=750, want_min=750)])
    assert (answer.granted, answer.unspent) == (750, 0)


def test_a_wallet_cannot_be_lowered_below_what_workers_hold(database: Database) -> None:
    """A refund takes what nobody holds, and nothing that a running call may still need."""
    put(database, quota(is_wallet=True, name="wallet"))
    store = SqlStore(database)
    ask = LeaseAsk(window=WindowKey("q", "t", 0), granted=0, returned=0, spent=0, want=600, want_min=600)
    store.exchange(Lessee(worker_id="w", gateway_id="g"), [ask])
    with database.writing() as connection:
        assert move_limit(connection, "q", -400) == 600
    with database.writing() as connection, pytest.raises(AccountsError, match="600 of it is spent or about to be"):
        move_limit(connection, "q", -1)
    with database.writing() as connection:
        assert move_limit(connection, "q", 5) == 605


def test_a_quota_that_is_removed_is_seen_no_more_and_still_answers(database: Database) -> None:
    """Workers see it within a second or two; until then their calls go on."""
    put(database, quota(), quota("other", unit="requests", window="minute"))
    book = QuotaBook()
    with database.writing() as connection:
        assert book.refresh(connection) and not book.refresh(connection)
        assert [one.quota_id for one in book.quotas_for("t", "p", "k")] == ["q", "other"]
        remove_quota(connection, "q")
        assert book.refresh(connection) and [one.quota_id for one in book.quotas_for("t", "p", "k")] == ["other"]
        assert [one.quota_id for one in list_quotas(connection, "t")] == ["other"]
        with pytest.raises(AccountsError, match="no quota 'q'"):
            remove_quota(connection, "q")
    ask = LeaseAsk(window=WindowKey("q", "t", 0), granted=0, returned=0, spent=0, want=5, want_min=5)
    (answer,) = SqlStore(database).exchange(Lessee(worker_id="w", gateway_id="g"), [ask])
    assert answer.granted == 5


def test_a_named_subject_stands_in_for_each_one() -> None:
    """Of the same unit and window: 100 requests a minute for one key, 10 for every other; tokens stay as they are."""
    key = {"scope": "key", "window": "minute"}
    book = QuotaBook(
        [
            quota("each", 10, subject="*", unit="requests", **key),
            quota("tokens", 9, subject="*", unit="tokens", **key),
            quota("one", 100, subject="key_1", unit="requests", **key),
        ]
    )
    assert [one.quota_id for one in book.quotas_of("t", "key", "key_1")] == ["one", "tokens"]
    assert [one.quota_id for one in book.quotas_of("t", "key", "key_2")] == ["each", "tokens"]
    assert book.limits("t", "key") and not book.limits("t", "user") and not book.limits("other", "key")


def test_networks_are_found_by_address_and_ipv6_counts_by_site() -> None:
    """A caller with a /64 has 2^64 addresses and one limit."""
    each = quota("each", subject="*", scope="network", unit="requests", window="minute")
    office = quota("office", subject="203.0.113.0/24", scope="network", unit="requests", window="minute")
    book = QuotaBook([each, office])
    assert [one.quota_id for one in book.quotas_of("t", "network", "203.0.113.9")] == ["office"]
    assert [one.quota_id for one in book.quotas_of("t", "network", "198.51.100.1")] == ["each"]
    assert subject_of(each, "2001:db8:1:2:3::4") == subject_of(each, "2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert subject_of(office, "203.0.113.9") == "203.0.113.0/24"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"unit": "calls_open", "window": "minute"}, "their window is `lifetime`"),
        ({"is_rolling": True}, "a lifetime does not roll"),
        ({"is_wallet": True, "scope": "key", "subject": "key_1"}, "a wallet is a tenant's"),
        ({"scope": "network", "subject": "office", "unit": "requests"}, "write for example 203.0.113.0/24"),
        ({"subject": "other"}, "the tenant is 't'"),
        ({"timezone": "Nowhere"}, "no time zone"),
        ({"quota_id": "a b"}, "an id has 1 to 64"),
        ({"limit": 1 << 63}, "is accepted"),
    ],
)
def test_a_quota_that_contradicts_itself_is_refused(wrong: dict[str, object], text: str) -> None:
    """With what is accepted instead."""
    with pytest.raises(AccountsError, match=text):
        check_quota(quota(**wrong))


def test_what_a_quota_counts_cannot_be_changed(database: Database) -> None:
    """Its limit can: another unit would make nonsense of what was counted."""
    put(database, quota(), quota(limit=5))
    with pytest.raises(AccountsError, match="has the unit 'nano_usd'"):
        put(database, quota(unit="tokens"))


def test_nothing_is_lost_when_the_database_goes_away() -> None:
    """PostgreSQL is killed: the store says so. When it is back, the same totals are taken in once."""
    try:
        server = start_postgres()
    except (ImportError, OSError) as error:
        pytest.skip(f"PostgreSQL cannot be started here: {error}")
    try:
        database = open_database(server.create())
        put(database, quota())
        store, lessee = SqlStore(database), Lessee(worker_id="w", gateway_id="g")
        ask = LeaseAsk(window=WindowKey("q", "t", 0), granted=0, returned=0, spent=0, want=100, want_min=100)
        store.exchange(lessee, [ask])
        server.stop()
        with pytest.raises(QuotaStoreError, match="does not answer"):
            store.exchange(lessee, [ask])
        server.start()
        (answer,) = store.exchange(lessee, [ask])
        assert answer.granted == 100 and store.held(ask.window) == 100
        database.close()
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(server.folder, ignore_errors=True)
