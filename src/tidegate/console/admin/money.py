"""Wallets and vouchers: what a tenant has paid in, and how a voucher becomes part of it."""

import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidegate.accounts.books.entries import post, read_booked
from tidegate.accounts.books.posting import Booked, CreditKind, Kind, Leg, credit_posting
from tidegate.accounts.books.wallets import Wallet, set_mode, set_overdraft, wallet_of
from tidegate.accounts.money.fx import read_fx
from tidegate.accounts.money.vouchers import Batch, NewBatch, Voucher, list_batches, list_vouchers, make_batch, redeem
from tidegate.accounts.money.vouchers import revoke as revoke_vouchers
from tidegate.accounts.schema.books import transactions
from tidegate.accounts.tenancy import now_us
from tidegate.console.admin import ROOT, TENANT
from tidegate.console.operations import Asked, Operation
from tidegate.core.errors import InvalidRequest
from tidegate.core.fx import parse_amount
from tidegate.core.money import InvalidMoney, parse_usd

BATCH_MAX: Final = 10_000
"""Vouchers made in one request; `tidegate accounts vouchers` makes more."""
USD_EXAMPLE: Final = 'write USD as text, for example "12.50"'


class Credit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes into a wallet; a refund or a correction may be below zero. `amount_usd`: exact, as text.

    `reference`: what it is about, unique within its kind: sent again it changes nothing. `memo`: for statements.
    """

    kind: CreditKind
    amount_usd: str
    reference: Annotated[str, Meta(min_length=1, max_length=200)]
    memo: str = ""


class WalletTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`mode`: prepaid stops at zero, less the overdraft (USD, exact, as text); postpaid does not."""

    mode: Literal["prepaid", "postpaid"] | UnsetType = UNSET
    overdraft_usd: str | UnsetType = UNSET


class EntryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries with numbers above `after`, oldest first."""

    after: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction as it moved the wallet. `legs`: all sides of it, for who has a role in the installation only."""

    number: int
    kind: Kind
    reference: str
    day: str
    booked_us: int
    amount_nano_usd: int
    memo: str
    legs: tuple[Leg, ...] | None = None


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """Transactions of a wallet, by number: what was paid in, and what calls came to, a segment and day each."""

    data: list[Entry]


class NewVouchers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch to be made. `face`: exact, as text, of `currency`; what it is worth follows from the rate of the day.

    `tenant_id`: the only one who may redeem; None: anybody. `expires_us`: UTC microseconds.
    """

    name: str
    face: str
    count: Annotated[int, Meta(ge=1, le=BATCH_MAX)]
    currency: str = "USD"
    tenant_id: str | None = None
    expires_us: int | None = None


class MadeVouchers(msgspec.Struct, frozen=True, kw_only=True):
    """The batch and its codes, which are told here only."""

    batch: Batch
    codes: list[str]


class Batches(msgspec.Struct, frozen=True, kw_only=True):
    """All batches, newest first; never a code."""

    data: list[Batch]


class Vouchers(msgspec.Struct, frozen=True, kw_only=True):
    """The vouchers of a batch; never a code."""

    data: list[Voucher]


class Code(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A voucher's code, however it is typed."""

    code: str

    def __repr__(self) -> str:
        return "Code()"


class Redeemed(msgspec.Struct, frozen=True, kw_only=True):
    """The voucher, and the wallet with it."""

    voucher: Voucher
    wallet: Wallet


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """How many vouchers became worthless."""

    revoked: int


def _wallet(asked: Asked) -> Wallet:
    with asked.backend.database.reading() as connection:
        return wallet_of(connection, asked.tenant_id)


def _credit(asked: Asked) -> Wallet:
    body: Credit = asked.body
    posting = credit_posting(
        body.kind,
        asked.tenant_id,
        _usd(body.amount_usd, "amount_usd"),
        reference=body.reference,
        booked_us=now_us(),
        memo=body.memo,
    )
    with asked.backend.database.writing() as connection:
        post(connection, posting)
        return wallet_of(connection, asked.tenant_id)


def _set_terms(asked: Asked) -> Wallet:
    body: WalletTerms = asked.body
    with asked.backend.database.writing() as connection:
        if body.overdraft_usd is not UNSET:
            set_overdraft(connection, asked.tenant_id, _usd(body.overdraft_usd, "overdraft_usd"), now_us=now_us())
        if body.mode is not UNSET:
            set_mode(connection, asked.tenant_id, body.mode, now_us=now_us())
        return wallet_of(connection, asked.tenant_id)


def _entries(asked: Asked) -> Entries:
    first = asked.query.after + 1
    number = transactions.c.number
    where = (transactions.c.tenant_id == asked.tenant_id) & number.between(first, asked.query.after + asked.query.limit)
    with asked.backend.database.reading() as connection:
        return Entries(
            data=[
                _entry(booked, sees_all=asked.caller.role is not None)
                for booked in read_booked(connection, where, is_new=False)
            ]
        )


def _entry(booked: Booked, *, sees_all: bool) -> Entry:
    posting = booked.posting
    return Entry(
        number=booked.number,
        kind=posting.kind,
        reference=posting.reference,
        day=posting.day,
        booked_us=posting.booked_us,
        amount_nano_usd=posting.wallet_nano_usd,
        memo=posting.memo,
        legs=posting.legs if sees_all else None,
    )


def _make(asked: Asked) -> MadeVouchers:
    body: NewVouchers = asked.body
    try:
        face = parse_amount(body.face, body.currency)
    except InvalidMoney as error:
        raise InvalidRequest(f"face: {error}", param="face") from None
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    with asked.backend.database.reading() as connection:
        rate = read_fx(connection).rate(body.currency, today)
    new = NewBatch(
        name=body.name, face=face, rate=rate, count=body.count, tenant_id=body.tenant_id, expires_us=body.expires_us
    )
    batch, codes = make_batch(asked.backend.database, asked.backend.pepper, new, now_us())
    return MadeVouchers(batch=batch, codes=codes)


def _batches(asked: Asked) -> Batches:
    return Batches(data=list_batches(asked.backend.database))


def _vouchers(asked: Asked) -> Vouchers:
    return Vouchers(data=list_vouchers(asked.backend.database, asked.path["batch_id"]))


def _revoke(asked: Asked) -> Revoked:
    return Revoked(revoked=revoke_vouchers(asked.backend.database, asked.path["batch_id"], now_us()))


def _redeem(asked: Asked) -> Redeemed:
    database = asked.backend.database
    voucher = redeem(database, asked.backend.pepper, asked.body.code, asked.tenant_id, now_us())
    return Redeemed(voucher=voucher, wallet=_wallet(asked))


def _usd(text: str, param: str) -> int:
    try:
        return parse_usd(text)
    except InvalidMoney as error:
        raise InvalidRequest(f"{param}: {error}; {USD_EXAMPLE}", param=param) from None


_BATCH = f"{ROOT}/vouchers/{{batch_id}}"
OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{TENANT}/wallet", summary="A tenant's wallet as the books have it.",
        action="wallet.read", run=_wallet, reply=Wallet,
    ),
    Operation(
        method="PATCH", path=f"{TENANT}/wallet", summary="Prepaid or postpaid, and how far below zero.",
        action="wallet.terms", run=_set_terms, body=WalletTerms, reply=Wallet,
    ),
    Operation(
        method="POST", path=f"{TENANT}/wallet/credits", summary="Credit a wallet; once for each reference.",
        action="wallet.credit", run=_credit, body=Credit, reply=Wallet, status=201,
    ),
    Operation(
        method="GET", path=f"{TENANT}/wallet/entries", summary="What was booked, by number.", action="wallet.read",
        run=_entries, query=EntryPage, reply=Entries,
    ),
    Operation(
        method="POST", path=f"{TENANT}/vouchers/redeem", summary="Redeem a voucher into the wallet.",
        action="voucher.redeem", run=_redeem, body=Code, reply=Redeemed,
    ),
    Operation(
        method="GET", path=f"{ROOT}/vouchers", summary="Batches of vouchers.", action="voucher.read", run=_batches,
        reply=Batches,
    ),
    Operation(
        method="POST", path=f"{ROOT}/vouchers", summary="Make vouchers; their codes are told once.",
        action="voucher.create", run=_make, body=NewVouchers, reply=MadeVouchers, status=201,
    ),
    Operation(
        method="GET", path=_BATCH, summary="The vouchers of a batch.", action="voucher.read", run=_vouchers,
        reply=Vouchers,
    ),
    Operation(
        method="DELETE", path=_BATCH, summary="Make the rest of a batch worthless.", action="voucher.create",
        run=_revoke, reply=Revoked,
    ),
)  # fmt: skip
