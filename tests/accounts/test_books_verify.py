"""Whoever changes a row, an entry or a balance is found, by name; whoever changes nothing is left in peace."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa
from booked_calls import DAY_US, NOON_US, Call, Host, die
from click.testing import CliRunner

from rig.stores import Postgres
from tidegate.accounts.books.difference import Difference
from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.books.run import settle
from tidegate.accounts.books.statement import statement
from tidegate.accounts.books.verify import Verification, verify
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.accounts.quotas.table import list_quotas
from tidegate.accounts.schema.books import balances, entries, settled_segments, transactions, usage_days, wallets
from tidegate.accounts.schema.quotas import quotas, windows
from tidegate.cli import cli
from tidegate.core.errors import AccountsError
from tidegate.core.quota import LeaseAsk, WindowKey
from tidegate.ledger.seal import seal

HERE = transactions.c.tenant_id == "acme"


def make_books(url: str, folder: Path) -> None:
    """Two tenants, two segments on two days, a credit, and a worker whose life is over and settled."""
    database, host = open_database(url), Host(folder)
    with database.writing() as connection:
        post(connection, credit_posting("grant", "acme", 10_000, reference="g", booked_us=NOON_US, memo="welcome"))
        [quota] = list_quotas(connection)
    writer = host.open()
    store, lessee = SqlStore(database), Lessee(worker_id=writer.segment_id, gateway_id="gw")
    window = WindowKey(quota.quota_id, "acme", 0)
    store.exchange(lessee, [LeaseAsk(window=window, granted=0, returned=0, spent=0, want=1000, want_min=1000)])
    host.write(writer, [Call(charged=20, lost=1), Call(tenant="other", charged=4)])
    following = writer.rotate(NOON_US + DAY_US)
    writer.close()
    host.write(following, [Call(charged=3, ts=NOON_US + DAY_US)])
    die(following)
    seal(host.ledger)
    settle(database, host.ledger)
    database.close()


@pytest.fixture(scope="session")
def made_books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with such books, to be copied."""
    home = tmp_path_factory.mktemp("books")
    make_books(f"sqlite:///{home / 'accounts.sqlite'}", home / "ledger")
    return home


@pytest.fixture
def home(made_books: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_books, tmp_path / "home"))


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{home / 'accounts.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def host(home: Path) -> Host:
    return Host(home / "ledger", number=3)


def change(database: Database, table: sa.Table, where: sa.ColumnElement[bool], **values: object) -> None:
    """What somebody with the password of the database could do."""
    with database.writing() as connection:
        assert connection.execute(sa.update(table).where(where).values(**values)).rowcount == 1


def run(database: Database, host: Host) -> Verification:
    return verify(database, host.ledger)


def first(database: Database, host: Host) -> Difference:
    found = run(database, host)
    assert found.count == len(found.differences) > 0
    return found.differences[0]


def test_books_that_nobody_touched_agree(database: Database, host: Host) -> None:
    """And what was looked at is told."""
    found = run(database, host)
    assert found.differences == []
    assert (found.segments, found.rows, found.transactions, found.tenants) == (2, 3, 4, 2)
    assert (found.others, found.workers_waiting) == (0, 0), "held was compared too"


def test_books_on_postgresql_are_read_as_they_stood_at_one_moment(postgres: Postgres, tmp_path: Path) -> None:
    """And what was changed there is found as on SQLite."""
    url, host = postgres.copy(), Host(tmp_path / "ledger")
    make_books(url, tmp_path / "ledger")
    database = open_database(url)
    assert run(database, host).differences == []
    change(database, entries, (entries.c.tenant_id == "acme") & (entries.c.account == "grants"), amount_nano_usd=-1)
    change(database, windows, windows.c.subject == "acme", held=windows.c.held + 1)
    assert [one.what for one in run(database, host).differences] == ["balance changed", "entry changed", "held differs"]
    database.close()


def test_a_changed_row_is_found_down_to_its_segment(database: Database, host: Host) -> None:
    """The file is another than was sealed, and its rows come to more than was booked."""
    path = next(path for path in host.ledger.row_files() if "2026-03-24" in str(path))
    duckdb.sql(
        f"COPY (SELECT * REPLACE (cost_nano_usd + 1 AS cost_nano_usd) FROM '{path}') TO '{path}.new' (FORMAT parquet)"
    )
    Path(f"{path}.new").rename(path)

    found = run(database, host).differences

    segment_id = path.name.removesuffix(".parquet")
    assert [(one.what, one.day, one.segment_id) for one in found] == [
        ("row changed", "2026-03-24", segment_id),
        ("rows and entries differ", "2026-03-24", segment_id),
    ]
    assert "wallet -4" in found[1].expected and "wallet -3" in found[1].seen
    assert (found[1].tenant_id, found[1].number) == ("acme", 3)


def test_a_fallback_whose_cost_was_forgotten_is_found(database: Database, host: Host) -> None:
    """A provider charges for an attempt that failed late; the row has to say so."""
    good, bad = Call(upstream=9, attempts=(None, 4, 5)), Call(upstream=5, attempts=(4, 5))
    segment_id = host.seal([good, bad, Call(upstream=None, attempts=(None,))], start_us=NOON_US + 2 * DAY_US)
    settle(database, host.ledger)

    [found] = [one for one in run(database, host).differences if one.what == "row and attempts differ"]

    assert (found.segment_id, found.tenant_id, found.day) == (segment_id, "acme", "2026-03-23")
    assert "9 nano-USD for its attempts" in found.expected and found.seen == "5 in its row"


def test_rows_that_are_gone_are_found(database: Database, host: Host) -> None:
    """A file that is missing cannot vouch for its entries."""
    path = host.ledger.row_files()[0]
    path.unlink()
    found = run(database, host).differences
    assert {one.what for one in found} == {"row changed"}
    assert any("No such file" in one.seen for one in found)


@pytest.mark.parametrize("skip", ["segment", "mark"])
def test_a_segment_that_was_not_settled_is_found(database: Database, host: Host, skip: str) -> None:
    """Whether its settlement was skipped, or only marked as done."""
    segment_id = host.seal([Call(charged=8)], start_us=NOON_US + 2 * DAY_US)
    if skip == "mark":
        with database.writing() as connection:
            mark = {"ledger_id": host.ledger.ledger_id, "manifest_number": 3, "row_count": 1, "settled_us": 0}
            connection.execute(sa.insert(settled_segments).values(segment_id=segment_id, **mark))

    found = first(database, host)

    assert (found.segment_id, found.tenant_id, found.day) == (segment_id, "acme", "2026-03-23")
    assert found.what == ("not settled" if skip == "segment" else "rows and entries differ")


def test_a_segment_that_was_settled_twice_is_found(database: Database, host: Host) -> None:
    """The same rows under another reference: the chain is whole, and the rows say that it is too much."""
    segment_id = host.ledger.entries()[0].unit
    with database.writing() as connection:
        query = sa.select(transactions).where(HERE, transactions.c.segment_id == segment_id)
        row = dict(connection.execute(query).mappings().one())
        connection.execute(sa.insert(transactions).values(**{**row, "number": 9, "reference": "again"}))
        connection.execute(sa.insert(entries).values(tenant_id="acme", number=9, account="wallet", amount_nano_usd=-20))
    found = {one.what for one in run(database, host).differences}
    assert {"rows and entries differ", "entry missing", "balance changed"} <= found


def number_of(database: Database, kind: str) -> int:
    with database.reading() as connection:
        query = sa.select(sa.func.min(transactions.c.number)).where(HERE, transactions.c.kind == kind)
        return int(connection.execute(query).scalar_one())


@pytest.mark.parametrize("kind", ["usage", "grant"])
@pytest.mark.parametrize("column", ["memo", "day", "amount"])
def test_a_changed_entry_is_found_by_its_number(database: Database, host: Host, kind: str, column: str) -> None:
    """Its digest no longer fits; also that of an entry which no row stands behind."""
    number = number_of(database, kind)
    where = sa.and_(HERE, transactions.c.number == number)
    if column == "amount":
        side = sa.and_(entries.c.tenant_id == "acme", entries.c.number == number, entries.c.account == "wallet")
        change(database, entries, side, amount_nano_usd=entries.c.amount_nano_usd + 1)
    else:
        change(database, transactions, where, **{column: "2026-01-01"})

    found = [one for one in run(database, host).differences if one.what == "entry changed"]

    assert [(one.tenant_id, one.number) for one in found] == [("acme", number)]
    if column == "amount":
        assert "does not balance" in found[0].seen


def remove_first(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.delete(entries).where(entries.c.tenant_id == "acme", entries.c.number == 1))
        connection.execute(sa.delete(transactions).where(HERE, transactions.c.number == 1))


def remove_last(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.delete(entries).where(entries.c.tenant_id == "acme", entries.c.number == 3))
        connection.execute(sa.delete(transactions).where(HERE, transactions.c.number == 3))


@pytest.mark.parametrize(("remove", "number"), [(remove_first, 1), (remove_last, 3)])
def test_a_missing_entry_is_found(
    database: Database, host: Host, remove: Callable[[Database], None], number: int
) -> None:
    """Entries are only ever added: a number that is not there was taken away."""
    remove(database)
    found = [one for one in run(database, host).differences if one.what == "entry missing"]
    assert [(one.tenant_id, one.number) for one in found] == [("acme", number)]


@pytest.mark.parametrize(
    ("table", "column", "what", "day"),
    [
        (balances, "amount_nano_usd", "balance changed", "2026-03-23"),
        (balances, "entry_count", "balance changed", "2026-03-23"),
        (usage_days, "charged_nano_usd", "usage sum changed", "2026-03-23"),
        (usage_days, "calls", "usage sum changed", "2026-03-23"),
        (wallets, "balance_nano_usd", "wallet changed", ""),
        (wallets, "credits_nano_usd", "wallet changed", ""),
        (wallets, "last_number", "entry missing", ""),
    ],
)
def test_a_changed_balance_is_found(
    database: Database, host: Host, table: sa.Table, column: str, what: str, day: str
) -> None:
    """Balances follow from entries; one that does not is named with what the entries say."""
    where = table.c.tenant_id == "acme"
    if "day" in table.c:
        where &= table.c.day == day
    if "account" in table.c:
        where &= table.c.account == "wallet"
    change(database, table, where, **{column: table.c[column] + 1})

    found = run(database, host).differences

    assert what in {one.what for one in found}
    one = next(one for one in found if one.what == what)
    assert (one.tenant_id, one.day) == ("acme", day)


def test_a_wallet_that_may_spend_more_than_its_credits_is_found(database: Database, host: Host) -> None:
    """Its quota's limit is what the books say, and nothing else."""
    change(database, quotas, quotas.c.tenant_id == "acme", limit=quotas.c.limit + 5)
    found = first(database, host)
    assert (found.what, found.tenant_id, found.seen) == ("limit changed", "acme", "10005")


@pytest.mark.parametrize("by", [1, -1])
def test_a_reservation_that_stayed_and_one_that_was_dropped_are_found(database: Database, host: Host, by: int) -> None:
    """Once all workers have left, what the wallet's quota holds is what the rows say."""
    change(database, windows, windows.c.subject == "acme", held=windows.c.held + by)
    found = first(database, host)
    assert (found.what, found.tenant_id) == ("held differs", "acme")
    assert "23 nano-USD" in found.expected and f"holds {23 + by}" in found.seen


def test_other_hosts_entries_are_checked_and_their_rows_are_not(database: Database, host: Host, tmp_path: Path) -> None:
    """Each host proves its own rows; the books are proved whole by each."""
    other = Host(tmp_path / "other", "gw2")
    other.seal([Call(charged=6)])
    settle(database, other.ledger)
    here, there = run(database, host), run(database, other)
    assert (here.differences, here.others, here.transactions) == ([], 1, 5)
    assert (there.differences, there.others, there.rows) == ([], 3, 1)


def test_what_a_statement_told_of_the_chain_is_still_so(database: Database, host: Host, home: Path) -> None:
    """Somebody who rewrites a whole chain, digests and all, cannot rewrite what a tenant holds."""
    with database.reading() as connection:
        told = statement(connection, "acme", "2026-03", now_us=NOON_US)
    head = f"acme:{told.through_number}:{told.through_digest}"
    run = CliRunner(env={"TIDEGATE_HOME": str(home)})

    good = run.invoke(cli, ["accounts", "verify", "--head", head, "--since", "2026-03-24"])
    other = run.invoke(cli, ["accounts", "verify", "--head", head[:-1] + ("0" if head[-1] != "0" else "1")])

    assert (good.exit_code, other.exit_code) == (0, 1), (good.output, other.output)
    assert "1 rows in 1 segments" in good.output
    assert "entry changed: tenant acme (no. 3)" in other.output
    for wrong in (["--head", "acme"], ["--since", "yesterday"]):
        assert isinstance(run.invoke(cli, ["accounts", "verify", *wrong]).exception, AccountsError)
