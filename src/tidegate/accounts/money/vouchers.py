"""Vouchers: made in batches, sold by whoever sells them, redeemed once. Only a keyed hash of each code is kept.

A code carries 100 random bits in Crockford's alphabet, so it can be read out on the telephone and cannot be guessed.
Redeeming marks the voucher and books the credit in one transaction: the mark is a guarded update, so of two who try at
one moment one gets the credit and the other the error, on SQLite and on PostgreSQL.
"""

import hashlib
import re
import secrets
from typing import Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.database import Database
from tidegate.accounts.errors import AccountExists
from tidegate.accounts.schema.money_in import voucher_batches as batches
from tidegate.accounts.schema.money_in import vouchers
from tidegate.core.errors import AccountsError
from tidegate.core.fx import Amount, Rate

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LETTERS: Final = 20
PREFIX: Final = "TG"
BATCH_MAX: Final = 100_000
INSERT_ROWS: Final = 1000
GIVEN: Final = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
"""Codes that others have made: one-api's are 32 hex digits."""

_LOOKALIKES: Final = str.maketrans("OIL", "011")
_CODE: Final = re.compile(rf"{PREFIX}([{ALPHABET}]{{{CODE_LETTERS}}})")


class VoucherRefused(AccountsError):
    """A code that cannot be redeemed: unknown, redeemed, revoked, expired, or somebody else's."""


class Voucher(msgspec.Struct, frozen=True, kw_only=True):
    """A voucher as it is listed; times in UTC microseconds, None where it never came."""

    voucher_id: str
    batch_id: str
    hint: str
    amount_nano_usd: int
    expires_us: int | None = None
    redeemed_us: int | None = None
    redeemed_by: str | None = None
    revoked_us: int | None = None

    def state(self, now_us: int) -> str:
        """`redeemed`, `revoked`, `expired` or `open`."""
        if self.redeemed_us is not None:
            return "redeemed"
        if self.revoked_us is not None:
            return "revoked"
        return "open" if self.expires_us is None or now_us < self.expires_us else "expired"


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch and how far it is used up. `tenant_id`: the only tenant who may redeem; None: anybody.

    `face`: the amount printed on each. `count`, `redeemed`, `revoked`: vouchers.
    """

    batch_id: str
    name: str
    currency: str
    face_minor: int
    amount_nano_usd: int
    tenant_id: str | None
    made_us: int
    expires_us: int | None
    count: int = 0
    redeemed: int = 0
    revoked: int = 0


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch is to be. `rate`: of the day, for faces in other currencies than USD: fixed for the batch.

    `given`: codes that were sold elsewhere (another gateway's), instead of `count` new ones.
    """

    name: str
    face: Amount
    rate: Rate
    count: int = 0
    given: tuple[str, ...] = ()
    tenant_id: str | None = None
    expires_us: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= (self.count or len(self.given)) <= BATCH_MAX or (self.count and self.given):
            raise AccountsError(
                f"a batch has 1 to {BATCH_MAX:,} vouchers, asked were {self.count or len(self.given):,}"
            )
        for code in self.given:
            if not GIVEN.fullmatch(code):
                raise AccountsError(
                    f"the given code {code[:4]!r}... is not of 16 to 64 letters, digits, hyphens and underscores"
                )
        if len(set(self.given)) < len(self.given):
            raise AccountsError("a given code stands twice in the list")
        if self.face.minor <= 0 or self.rate.nano_usd(self.face) <= 0:
            raise AccountsError(
                f"a voucher of {self.face} {self.face.currency} is worth nothing; give an amount above 0"
            )
        if not self.name.strip() or len(self.name) > 128:
            raise AccountsError("a batch has a name of 1 to 128 characters; it says what the vouchers are for")


def make_batch(database: Database, pepper: bytes, new: NewBatch, now_us: int) -> tuple[Batch, list[str]]:
    """Make a batch; its codes exist outside the caller's hands at this moment only.

    Raises AccountExists where one of the given codes is a voucher already.
    """
    batch = Batch(
        batch_id="vb_" + secrets.token_hex(6),
        name=new.name,
        currency=new.face.currency,
        face_minor=new.face.minor,
        amount_nano_usd=new.rate.nano_usd(new.face),
        tenant_id=new.tenant_id,
        made_us=now_us,
        expires_us=new.expires_us,
        count=new.count or len(new.given),
    )
    codes = list(new.given) or [_new_code() for _ in range(new.count)]
    rows = [
        {
            "voucher_id": "vch_" + secrets.token_hex(8),
            "batch_id": batch.batch_id,
            "code_hash": hash_code(pepper, code),
            "hint": code[-4:],
        }
        for code in codes
    ]
    fields = {name: getattr(batch, name) for name in batches.c.keys()}  # noqa: SIM118 - a column collection
    try:
        with database.writing() as connection:
            connection.execute(sa.insert(batches).values(fields))
            for start in range(0, len(rows), INSERT_ROWS):
                connection.execute(sa.insert(vouchers), rows[start : start + INSERT_ROWS])
    except sa.exc.IntegrityError:
        raise AccountExists("one of these codes is a voucher already; nothing was made") from None
    return batch, codes


def redeem(database: Database, pepper: bytes, code: str, tenant_id: str, now_us: int) -> Voucher:
    """Credit a tenant's wallet with a voucher. Raises VoucherRefused, with words that a caller may see.

    The tenant that has redeemed a code learns so; anybody else hears what they would of a code that never was.
    """
    unknown = VoucherRefused("this voucher code is not valid; check its letters, or ask whoever sold it")
    hashed = hash_code(pepper, code)
    if hashed is None:
        raise unknown
    with database.writing() as connection:
        found = _find(connection, hashed)
        if found is None:
            raise unknown
        voucher, only_for = found
        state = voucher.state(now_us)
        if state == "redeemed" and voucher.redeemed_by == tenant_id:
            raise VoucherRefused(f"voucher ...{voucher.hint} was redeemed by this account before; it credits once")
        if state == "redeemed" or (only_for is not None and only_for != tenant_id):
            raise unknown
        if state != "open":
            raise VoucherRefused(f"voucher ...{voucher.hint} is {state}; ask whoever sold it")
        is_open = (vouchers.c.voucher_id == voucher.voucher_id) & vouchers.c.redeemed_us.is_(None)
        marked = connection.execute(
            sa.update(vouchers)
            .where(is_open, vouchers.c.revoked_us.is_(None))
            .values(redeemed_us=now_us, redeemed_by=tenant_id)
        )
        if marked.rowcount != 1:
            raise unknown  # somebody else was quicker
        post(
            connection,
            credit_posting(
                "voucher",
                tenant_id,
                voucher.amount_nano_usd,
                reference=voucher.voucher_id,
                booked_us=now_us,
                memo=f"voucher ...{voucher.hint}",
            ),
        )
    return msgspec.structs.replace(voucher, redeemed_us=now_us, redeemed_by=tenant_id)


def revoke(database: Database, batch_or_voucher_id: str, now_us: int) -> int:
    """Make the vouchers of a batch, or one voucher, worthless that are not redeemed; how many there were.

    Raises AccountsError where no such batch or voucher exists.
    """
    chosen = (vouchers.c.batch_id == batch_or_voucher_id) | (vouchers.c.voucher_id == batch_or_voucher_id)
    with database.writing() as connection:
        if connection.execute(sa.select(vouchers.c.voucher_id).where(chosen).limit(1)).first() is None:
            raise AccountsError(
                f"no batch and no voucher has the id {batch_or_voucher_id!r}; "
                "`tidegate accounts vouchers list` shows all"
            )
        changed = connection.execute(
            sa.update(vouchers)
            .where(chosen, vouchers.c.redeemed_us.is_(None), vouchers.c.revoked_us.is_(None))
            .values(revoked_us=now_us)
        )
        return int(changed.rowcount)


def list_batches(database: Database) -> list[Batch]:
    """All batches, newest first."""
    counts = (
        sa.select(
            vouchers.c.batch_id,
            sa.func.count().label("count"),
            sa.func.count(vouchers.c.redeemed_us).label("redeemed"),
            sa.func.count(vouchers.c.revoked_us).label("revoked"),
        )
        .group_by(vouchers.c.batch_id)
        .subquery()
    )
    query = (
        sa.select(*batches.c, counts.c.count, counts.c.redeemed, counts.c.revoked)
        .join(counts, counts.c.batch_id == batches.c.batch_id)
        .order_by(batches.c.made_us.desc(), batches.c.batch_id)
    )
    with database.reading() as connection:
        return [Batch(**row) for row in connection.execute(query).mappings()]


def list_vouchers(database: Database, batch_id: str) -> list[Voucher]:
    """The vouchers of a batch; never a code."""
    query = _select().where(vouchers.c.batch_id == batch_id).order_by(vouchers.c.voucher_id)
    with database.reading() as connection:
        return [Voucher(**row) for row in connection.execute(query).mappings()]


def hash_code(pepper: bytes, code: str) -> bytes | None:
    """The stored form of a code however it is typed: spaces, hyphens, small letters, O for 0, I and L for 1.

    One that was given is taken to the letter. None where it cannot be a code.
    """
    text = code[:100].strip()
    plain = re.sub(r"[\s-]+", "", text).upper()
    match = _CODE.fullmatch(plain[: len(PREFIX)] + plain[len(PREFIX) :].translate(_LOOKALIKES))
    if match is not None:
        said = b"voucher:" + match[1].encode()
    elif GIVEN.fullmatch(text):
        said = b"given voucher:" + text.encode()
    else:
        return None
    return hashlib.blake2b(said, key=pepper, digest_size=32).digest()


def _new_code() -> str:
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LETTERS))
    return "-".join([PREFIX, *(letters[start : start + 5] for start in range(0, CODE_LETTERS, 5))])


def _find(connection: sa.Connection, code_hash: bytes) -> tuple[Voucher, str | None] | None:
    query = _select().add_columns(batches.c.tenant_id).where(vouchers.c.code_hash == code_hash)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    fields = dict(row)
    only_for = fields.pop("tenant_id")
    return Voucher(**fields), only_for


def _select() -> sa.Select[tuple[object, ...]]:
    own = [vouchers.c[name] for name in ("voucher_id", "batch_id", "hint", "redeemed_us", "redeemed_by", "revoked_us")]
    joined = vouchers.join(batches, vouchers.c.batch_id == batches.c.batch_id)
    return sa.select(*own, batches.c.amount_nano_usd, batches.c.expires_us).select_from(joined)
