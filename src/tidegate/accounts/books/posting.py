"""What is booked: a transaction of legs that add up to nothing, as a value. Pure.

A positive amount is a credit to its account. Seen from the operator:

    wallet            the tenant's: what was paid in and not used; below zero where usage is paid later
    revenue           what calls were worth at the tenant's prices
    provider_cost     what providers charge for them (below zero: an expense), against provider_payable
    operator_loss     what calls came to beyond what the tenant had (below zero: an expense); never the tenant's
    top_ups, vouchers, grants, refunds, corrections    where a wallet's credit came from, or went to

So a segment's calls of one tenant and day are wallet -charged, operator_loss -lost, revenue +(charged + lost),
provider_cost -upstream, provider_payable +upstream; a top-up is top_ups -x, wallet +x.
"""

import datetime
import hashlib
from typing import Final, Literal

import msgspec

from tidegate.core.errors import AccountsError

Account = Literal[
    "wallet",
    "revenue",
    "provider_cost",
    "provider_payable",
    "operator_loss",
    "top_ups",
    "vouchers",
    "grants",
    "refunds",
    "corrections",
]
Kind = Literal["usage", "top_up", "voucher", "grant", "refund", "correction"]
CreditKind = Literal["top_up", "voucher", "grant", "refund", "correction"]
SOURCE_OF: Final[dict[CreditKind, Account]] = {
    "top_up": "top_ups",
    "voucher": "vouchers",
    "grant": "grants",
    "refund": "refunds",
    "correction": "corrections",
}
"""The account that a wallet's credit comes from."""

AMOUNT_MAX: Final = 2**63 - 1
REFERENCE_CHARS_MAX: Final = 255
MEMO_CHARS_MAX: Final = 500


class Leg(msgspec.Struct, frozen=True, array_like=True):
    """One side of a transaction. Never zero."""

    account: Account
    amount_nano_usd: int


class RowRange(msgspec.Struct, frozen=True, kw_only=True):
    """The sealed rows that a usage transaction stands for: a tenant's of one UTC day in one segment of a ledger.

    `first_seq`, `last_seq`: smallest and largest `segment_seq` among them; `count`: how many (there may be gaps: other
    tenants' rows). `unmetered`: those of unknown cost, charged 0.
    """

    ledger_id: str
    segment_id: str
    first_seq: int
    last_seq: int
    count: int
    unmetered: int = 0


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that is to be booked. Valid once it exists: raises AccountsError where it is not.

    `reference`: what it is about, unique within its kind (a voucher's id, a provider's payment id, a segment and day):
    booking it again changes nothing. `day`: UTC day on which it counts (of the calls, for usage), ISO.
    `booked_us`: UTC microseconds. `memo`: for people, shown in statements; no secrets. `rows`: for usage only.
    """

    kind: Kind
    tenant_id: str
    reference: str
    day: str
    booked_us: int
    legs: tuple[Leg, ...]
    memo: str = ""
    rows: RowRange | None = None

    def __post_init__(self) -> None:
        where = f"{self.kind} {self.reference!r} of tenant {self.tenant_id!r}"
        total = sum(leg.amount_nano_usd for leg in self.legs)
        if total:
            raise AccountsError(f"{where} does not balance: its legs add up to {total} nano-USD instead of 0")
        if len({leg.account for leg in self.legs}) < len(self.legs):
            raise AccountsError(f"{where} names an account twice; add its amounts up first")
        for leg in self.legs:
            if not leg.amount_nano_usd or abs(leg.amount_nano_usd) > AMOUNT_MAX:
                raise AccountsError(
                    f"{where}: {leg.amount_nano_usd} nano-USD for {leg.account}; a leg is not zero and has 63 bits"
                )
        if not self.reference or len(self.reference) > REFERENCE_CHARS_MAX:
            raise AccountsError(f"{where}: a reference has 1 to {REFERENCE_CHARS_MAX} characters")
        if len(self.memo) > MEMO_CHARS_MAX or "\0" in self.memo + self.reference:
            raise AccountsError(f"{where}: a memo has at most {MEMO_CHARS_MAX} characters, none of them NUL")
        if (self.rows is not None) != (self.kind == "usage"):
            raise AccountsError(f"{where}: usage stands for rows, and nothing else does")

    @property
    def wallet_nano_usd(self) -> int:
        """What it adds to the tenant's wallet."""
        return next((leg.amount_nano_usd for leg in self.legs if leg.account == "wallet"), 0)


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as the books hold it: `number` in its tenant's chain, from 1, and its digest (hex).

    `is_new`: False where it was there before.
    """

    number: int
    digest: str
    posting: Posting
    is_new: bool = True


def legs(**amounts: int) -> tuple[Leg, ...]:
    """Legs by account; those of 0 are left out. Raises ValidationError for an account that is none."""
    return tuple(msgspec.convert(item, Leg) for item in sorted(amounts.items()) if item[1])


def credit_posting(
    kind: CreditKind, tenant_id: str, amount_nano_usd: int, *, reference: str, booked_us: int, memo: str = ""
) -> Posting:
    """A wallet's credit (a refund or correction may be below zero: the tenant is paid back)."""
    if kind not in SOURCE_OF:
        raise AccountsError(f"{kind!r} is no kind of credit; there are {', '.join(SOURCE_OF)}")
    if amount_nano_usd == 0 or (amount_nano_usd < 0 and kind not in ("refund", "correction")):
        raise AccountsError(f"a {kind} of {amount_nano_usd} nano-USD cannot be booked; above zero it can")
    return Posting(
        kind=kind,
        tenant_id=tenant_id,
        reference=reference,
        day=day_of(booked_us),
        booked_us=booked_us,
        legs=legs(**{"wallet": amount_nano_usd, SOURCE_OF[kind]: -amount_nano_usd}),
        memo=memo,
    )


def usage_posting(
    tenant_id: str, day: str, rows: RowRange, amounts: tuple[int, int, int], *, booked_us: int
) -> Posting:
    """What a segment's rows of one tenant and day come to. amounts: (charged, upstream, lost), nano-USD."""
    charged, upstream, lost = amounts
    return Posting(
        kind="usage",
        tenant_id=tenant_id,
        reference=f"{rows.segment_id}/{day}/{tenant_id}",
        day=day,
        booked_us=booked_us,
        legs=legs(
            wallet=-charged,
            operator_loss=-lost,
            revenue=charged + lost,
            provider_cost=-upstream,
            provider_payable=upstream,
        ),
        rows=rows,
    )


def digest_of(previous: str, number: int, posting: Posting) -> str:
    """SHA-256 (hex) over the digest of the tenant's transaction before ("" at the first), the number and the content.

    Legs count by account, so that it does not depend on their order.
    """
    content = msgspec.structs.replace(posting, legs=tuple(sorted(posting.legs, key=lambda leg: leg.account)))
    return hashlib.sha256(msgspec.json.encode([previous, number, content])).hexdigest()


def day_of(us: int) -> str:
    """The UTC day of microseconds since 1970, ISO."""
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us)).date().isoformat()
