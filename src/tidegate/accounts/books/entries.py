"""Booking transactions: exactly once by kind and reference, one chain a tenant, and what follows from them beside it.

Everything here works on a connection of `Database.writing()`, so that a transaction comes into force together with
whatever else its caller marks there (a voucher as redeemed, a segment as settled), or neither does. A tenant's wallet
row stays locked from the first booking to the end of that SQL transaction; rows are locked in the order of their
tenants, so that two hosts wait for each other and never in a circle.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from tidegate.accounts.books.posting import Booked, Leg, Posting, RowRange, digest_of
from tidegate.accounts.books.upsert import add_up, insert_missing
from tidegate.accounts.books.wallets import empty_row, follow_credits
from tidegate.accounts.schema.books import balances, entries, transactions, wallets
from tidegate.core.errors import AccountsError

CHUNK: Final = 400
"""Values in one IN list: SQLite and PostgreSQL both take many more."""


def post(connection: sa.Connection, posting: Posting) -> Booked:
    """Book one transaction, or find that it was booked before.

    A first credit opens the tenant's wallet as prepaid. Raises AccountsError where the reference was booked with
    another tenant or other amounts.
    """
    return post_many(connection, [posting])[0]


def post_many(connection: sa.Connection, postings: Sequence[Posting]) -> list[Booked]:
    """As `post`, for many at once: their results in the same order."""
    heads = _lock(connection, postings)
    known = _known(connection, postings)
    found: list[Booked] = []
    new: list[Booked] = []
    for posting in postings:
        key = (posting.kind, posting.reference)
        if (before := known.get(key)) is not None:
            found.append(_same_or_raise(before, posting))
            continue
        number, digest = heads[posting.tenant_id]
        digest = digest_of(digest, number + 1, posting)
        heads[posting.tenant_id] = number + 1, digest
        booked = Booked(number=number + 1, digest=digest, posting=posting)
        known[key] = booked
        new.append(booked)
        found.append(booked)
    if new:
        _write(connection, new)
        _move(connection, new, heads)
        credited = [booked.posting for booked in new if booked.posting.kind != "usage"]
        follow_credits(connection, credited)
    return found


def _lock(connection: sa.Connection, postings: Iterable[Posting]) -> dict[str, tuple[int, str]]:
    """Each tenant's newest number and digest. Makes missing wallets; holds the rows until the transaction ends."""
    opened = {posting.tenant_id: posting.booked_us for posting in reversed(list(postings))}
    insert_missing(
        connection,
        wallets,
        [empty_row(tenant_id, opened[tenant_id]) for tenant_id in sorted(opened)],
    )
    heads: dict[str, tuple[int, str]] = {}
    for chunk in chunks(sorted(opened)):
        query = (
            sa.select(wallets.c.tenant_id, wallets.c.last_number, wallets.c.last_digest)
            .where(wallets.c.tenant_id.in_(chunk))
            .order_by(wallets.c.tenant_id)
            .with_for_update()
        )
        heads.update({tenant_id: (number, digest) for tenant_id, number, digest in connection.execute(query)})
    return heads


def _known(connection: sa.Connection, postings: Iterable[Posting]) -> dict[tuple[str, str], Booked]:
    """Those of the postings' references that are booked already."""
    wanted: dict[str, list[str]] = {}
    for posting in postings:
        wanted.setdefault(posting.kind, []).append(posting.reference)
    return {
        (booked.posting.kind, booked.posting.reference): booked
        for kind, references in wanted.items()
        for chunk in chunks(references)
        for booked in read_booked(
            connection, sa.and_(transactions.c.kind == kind, transactions.c.reference.in_(chunk)), is_new=False
        )
    }


def read_booked(connection: sa.Connection, where: sa.ColumnElement[bool], *, is_new: bool = True) -> Iterator[Booked]:
    """Transactions as they stand in the database, by tenant and number. A damaged one is returned unchecked.

    Raises AccountsError where one is not a posting at all (its legs do not balance, for example): it was changed.
    """
    order = (transactions.c.tenant_id, transactions.c.number)
    legs: dict[tuple[str, int], list[Leg]] = {}
    joined = sa.and_(entries.c.tenant_id == transactions.c.tenant_id, entries.c.number == transactions.c.number)
    found = sa.select(entries).join(transactions, joined).where(where)
    for tenant_id, number, account, amount in connection.execute(found):
        legs.setdefault((tenant_id, number), []).append(Leg(account, amount))
    for row in connection.execute(sa.select(transactions).where(where).order_by(*order)).mappings():
        sides = sorted(legs.get((row["tenant_id"], row["number"]), ()), key=lambda leg: leg.account)
        yield Booked(
            number=row["number"], digest=row["digest"], posting=posting_of(dict(row), tuple(sides)), is_new=is_new
        )


def posting_of(row: dict[str, Any], legs: tuple[Leg, ...]) -> Posting:
    """The posting in a row of `transactions` and its legs."""
    rows = None
    if row["segment_id"] is not None:
        rows = RowRange(
            ledger_id=row["ledger_id"],
            segment_id=row["segment_id"],
            first_seq=row["first_seq"],
            last_seq=row["last_seq"],
            count=row["row_count"],
            unmetered=row["unmetered_count"],
        )
    return Posting(
        kind=row["kind"],
        tenant_id=row["tenant_id"],
        reference=row["reference"],
        day=row["day"],
        booked_us=row["booked_us"],
        memo=row["memo"],
        legs=legs,
        rows=rows,
    )


def _same_or_raise(before: Booked, posting: Posting) -> Booked:
    there = before.posting
    if (there.tenant_id, set(there.legs), there.rows) != (posting.tenant_id, set(posting.legs), posting.rows):
        raise AccountsError(
            f"{posting.kind} {posting.reference!r} was booked before as no. {before.number} of tenant "
            f"{there.tenant_id!r} with {there.wallet_nano_usd} nano-USD; now it says tenant {posting.tenant_id!r} and "
            f"{posting.wallet_nano_usd}. Entries are never changed: book the difference as a correction."
        )
    return Booked(number=before.number, digest=before.digest, posting=there, is_new=False)


def _write(connection: sa.Connection, new: Sequence[Booked]) -> None:
    try:
        connection.execute(sa.insert(transactions), [_transaction_row(booked) for booked in new])
    except sa.exc.IntegrityError as error:
        names = ", ".join(f"{booked.posting.kind} {booked.posting.reference!r}" for booked in new[:3])
        raise AccountsError(f"{names}: booked for another tenant at this moment; nothing was changed") from error
    sides = [
        {
            "tenant_id": booked.posting.tenant_id,
            "number": booked.number,
            "account": leg.account,
            "amount_nano_usd": leg.amount_nano_usd,
        }
        for booked in new
        for leg in booked.posting.legs
    ]
    if sides:
        connection.execute(sa.insert(entries), sides)


def _transaction_row(booked: Booked) -> dict[str, Any]:
    posting, rows = booked.posting, booked.posting.rows
    return {
        "tenant_id": posting.tenant_id,
        "number": booked.number,
        "kind": posting.kind,
        "reference": posting.reference,
        "day": posting.day,
        "booked_us": posting.booked_us,
        "memo": posting.memo,
        "ledger_id": rows.ledger_id if rows else None,
        "segment_id": rows.segment_id if rows else None,
        "first_seq": rows.first_seq if rows else None,
        "last_seq": rows.last_seq if rows else None,
        "row_count": rows.count if rows else None,
        "unmetered_count": rows.unmetered if rows else None,
        "digest": booked.digest,
    }


def _move(connection: sa.Connection, new: Sequence[Booked], heads: dict[str, tuple[int, str]]) -> None:
    """Balances by day, and the wallets' own sums and heads."""
    moved: Counter[tuple[str, str, str]] = Counter()
    counted: Counter[tuple[str, str, str]] = Counter()
    wallet: Counter[str] = Counter()
    for posting in (booked.posting for booked in new):
        wallet[posting.tenant_id] += posting.wallet_nano_usd
        for leg in posting.legs:
            key = (posting.tenant_id, leg.account, posting.day)
            moved[key] += leg.amount_nano_usd
            counted[key] += 1
    add_up(
        connection,
        balances,
        [
            {
                "tenant_id": key[0],
                "account": key[1],
                "day": key[2],
                "amount_nano_usd": amount,
                "entry_count": counted[key],
            }
            for key, amount in sorted(moved.items())
        ],
    )
    credited = _credited(new)
    connection.execute(
        sa.update(wallets)
        .where(wallets.c.tenant_id == sa.bindparam("of_tenant"))
        .values(
            last_number=sa.bindparam("number"),
            last_digest=sa.bindparam("digest"),
            balance_nano_usd=wallets.c.balance_nano_usd + sa.bindparam("moved"),
            credits_nano_usd=wallets.c.credits_nano_usd + sa.bindparam("credited"),
        ),
        [
            {
                "of_tenant": tenant_id,
                "number": heads[tenant_id][0],
                "digest": heads[tenant_id][1],
                "moved": amount,
                "credited": credited.get(tenant_id, 0),
            }
            for tenant_id, amount in sorted(wallet.items())
        ],
    )


def _credited(new: Iterable[Booked]) -> dict[str, int]:
    """Credits by tenant: what is not usage."""
    found: dict[str, int] = {}
    for posting in (booked.posting for booked in new if booked.posting.kind != "usage"):
        found[posting.tenant_id] = found.get(posting.tenant_id, 0) + posting.wallet_nano_usd
    return found


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Pieces that fit an IN list."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))
