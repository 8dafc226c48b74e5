"""Whatever is booked: once, balanced, in one chain a tenant, and never half."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.accounts.books.entries import post, post_many, read_booked
from tidegate.accounts.books.posting import Posting, RowRange, credit_posting, digest_of, legs, usage_posting
from tidegate.accounts.books.wallets import list_wallets, wallet_of
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.schema.books import balances, entries, transactions
from tidegate.core.errors import AccountsError

NOW_US = 1_774_267_200_000_000  # 2026-03-23T12:00:00Z


@pytest.fixture
def database(empty_accounts: str) -> Iterator[Database]:
    opened = open_database(empty_accounts)
    yield opened
    opened.close()


def top_up(amount: int, *, tenant_id: str = "acme", reference: str = "pay-1") -> Posting:
    return credit_posting("top_up", tenant_id, amount, reference=reference, booked_us=NOW_US)


def usage(charged: int, upstream: int, lost: int, *, tenant_id: str = "acme", segment: str = "s1") -> Posting:
    rows = RowRange(ledger_id="l", segment_id=segment, first_seq=0, last_seq=9, count=10)
    return usage_posting(tenant_id, "2026-03-23", rows, (charged, upstream, lost), booked_us=NOW_US)


def test_a_top_up_and_a_days_calls_make_the_balance(database: Database) -> None:
    """10 paid in, calls worth 4 of which 1 was more than the tenant had: 3 are charged, and 7 are left."""
    with database.writing() as connection:
        post(connection, top_up(10))
        booked = post(connection, usage(3, 2, 1))
        wallet = wallet_of(connection, "acme")

    assert booked.number == 2
    assert {leg.account: leg.amount_nano_usd for leg in booked.posting.legs} == {
        "wallet": -3,
        "operator_loss": -1,
        "revenue": 4,
        "provider_cost": -2,
        "provider_payable": 2,
    }
    assert (wallet.balance_nano_usd, wallet.credits_nano_usd) == (7, 10)


def test_what_is_booked_twice_counts_once(database: Database) -> None:
    """A webhook that is delivered again, a settlement that is run again."""
    with database.writing() as connection:
        first = post(connection, top_up(10))
    with database.writing() as connection:
        second, other = post_many(connection, [top_up(10), top_up(5, reference="pay-2")])
        both = post_many(connection, [top_up(1, reference="pay-3"), top_up(1, reference="pay-3")])
        wallet = wallet_of(connection, "acme")

    assert (second.number, second.is_new, second.digest) == (first.number, False, first.digest)
    assert other.is_new and [booked.is_new for booked in both] == [True, False]
    assert wallet.balance_nano_usd == 16


@pytest.mark.parametrize("changed", [top_up(11), top_up(10, tenant_id="other")])
def test_one_reference_cannot_mean_two_things(database: Database, changed: Posting) -> None:
    """Another amount or tenant under a known reference is refused, and changes nothing."""
    with database.writing() as connection:
        post(connection, top_up(10))

    said = r"booked before as no\. 1 of tenant 'acme' with 10 nano-USD"
    with pytest.raises(AccountsError, match=said), database.writing() as connection:
        post(connection, changed)

    with database.reading() as connection:
        assert [wallet.tenant_id for wallet in list_wallets(connection)] == ["acme"]


@pytest.mark.parametrize(
    ("problem", "make"),
    [
        ("does not balance", lambda: msgspec_posting(legs(wallet=5, top_ups=-4))),
        ("above zero", lambda: top_up(0)),
        ("above zero", lambda: top_up(-1)),
        ("63 bits", lambda: top_up(2**63)),
        ("1 to 255", lambda: top_up(1, reference="")),
        ("stands for rows", lambda: msgspec_posting(legs(wallet=5, top_ups=-5), kind="usage")),
    ],
)
def test_a_posting_that_exists_is_valid(problem: str, make: object) -> None:
    """So nothing invalid can reach the books."""
    with pytest.raises(AccountsError, match=problem):
        make()  # type: ignore[operator]


def msgspec_posting(sides: tuple[object, ...], kind: str = "top_up") -> Posting:
    return Posting(kind=kind, tenant_id="a", reference="r", day="2026-03-23", booked_us=NOW_US, legs=sides)  # type: ignore[arg-type]


def test_the_digest_does_not_depend_on_the_order_of_legs() -> None:
    """A database may return them in any."""
    posting = usage(3, 2, 1)
    turned = Posting(**{**{f: getattr(posting, f) for f in posting.__struct_fields__}, "legs": posting.legs[::-1]})
    assert digest_of("", 1, turned) == digest_of("", 1, posting) != digest_of("", 2, posting)


amounts = st.integers(0, 10**12)
postings = st.one_of(
    st.builds(
        lambda kind, tenant, amount, number: credit_posting(
            kind, tenant, amount + 1, reference=f"r{number}", booked_us=NOW_US + number
        ),
        st.sampled_from(["top_up", "voucher", "grant", "refund", "correction"]),
        st.sampled_from(["a", "b", "c"]),
        amounts,
        st.integers(0, 10**6),
    ),
    st.builds(
        lambda tenant, triple, number: usage(*triple, tenant_id=tenant, segment=f"s{number}"),
        st.sampled_from(["a", "b", "c"]),
        st.tuples(amounts, amounts, amounts),
        st.integers(0, 10**6),
    ),
)


@settings(max_examples=10)
@given(batches=st.lists(st.lists(postings, max_size=6, unique_by=lambda p: (p.kind, p.reference)), max_size=5))
def test_the_books_always_balance(
    batches: list[list[Posting]], made_accounts: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Legs add up to nothing, balances are the sums of entries, and each tenant's chain is whole."""
    path = tmp_path_factory.mktemp("books") / "a.sqlite"
    database = open_database(f"sqlite:///{shutil.copy(made_accounts, path)}")
    told: dict[tuple[str, str], Posting] = {}
    for batch in batches:
        fresh = [p for p in batch if (p.kind, p.reference) not in told]
        with database.writing() as connection:
            post_many(connection, fresh)
            post_many(connection, fresh[::-1])
        told.update({(p.kind, p.reference): p for p in fresh})
    with database.reading() as connection:
        summed = {
            tuple(row)
            for row in connection.execute(
                sa.select(
                    entries.c.tenant_id,
                    entries.c.account,
                    transactions.c.day,
                    sa.func.sum(entries.c.amount_nano_usd),
                    sa.func.count(),
                )
                .join(transactions)
                .group_by(entries.c.tenant_id, entries.c.account, transactions.c.day)
            )
        }
        held = {tuple(row) for row in connection.execute(sa.select(balances))}
        chains = list(read_booked(connection, sa.true()))
        wallets = {wallet.tenant_id: wallet for wallet in list_wallets(connection)}
    database.close()

    assert summed == held
    previous: dict[str, tuple[int, str]] = {}
    for booked in chains:
        number, digest = previous.get(booked.posting.tenant_id, (0, ""))
        assert booked.number == number + 1
        assert booked.digest == digest_of(digest, number + 1, booked.posting)
        previous[booked.posting.tenant_id] = booked.number, booked.digest
    for tenant_id in {p.tenant_id for p in told.values()}:
        own = [p for p in told.values() if p.tenant_id == tenant_id]
        assert wallets[tenant_id].balance_nano_usd == sum(p.wallet_nano_usd for p in own)
        assert wallets[tenant_id].credits_nano_usd == sum(p.wallet_nano_usd for p in own if p.kind != "usage")
        assert wallets[tenant_id].last_number == len(own)


def test_writers_at_one_moment_lose_nothing(database: Database) -> None:
    """Four threads book the same forty references: each counts once."""
    failures: list[BaseException] = []

    def book(start: int) -> None:
        try:
            for number in range(40):
                with database.writing() as connection:
                    post(connection, top_up(1, reference=f"r{(start + number) % 40}", tenant_id="acme"))
        except (AccountsError, sa.exc.DBAPIError) as error:  # seen below
            failures.append(error)

    threads = [threading.Thread(target=book, args=(10 * start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    with database.reading() as connection:
        assert wallet_of(connection, "acme").balance_nano_usd == 40
