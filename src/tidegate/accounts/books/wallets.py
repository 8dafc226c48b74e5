"""Wallets: prepaid credit as a quota whose limit is all that was ever credited, and the overdraft that is allowed.

limit = credits + overdraft - before, where `before` is what calls before the wallet was prepaid came to: the quota
counts calls from then on alone. So limit - held is what is left to spend, and without reservations it is the balance
and the overdraft.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.posting import Posting
from tidegate.accounts.schema.books import wallets
from tidegate.core.errors import AccountsError

Mode = Literal["", "prepaid", "postpaid"]


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's wallet as the books have it; calls that are not settled yet are not in it.

    `balance_nano_usd`: credits less usage; below zero is owed. `mode`: `prepaid` stops at zero (less the overdraft),
    `postpaid` does not; "" is not decided: the first top-up, voucher or grant makes it prepaid.
    `before_nano_usd`: usage from before `prepaid_since_us`. `last_number`: its newest transaction.
    """

    tenant_id: str
    balance_nano_usd: int = 0
    credits_nano_usd: int = 0
    overdraft_nano_usd: int = 0
    mode: Mode = ""
    prepaid_since_us: int | None = None
    before_nano_usd: int = 0
    last_number: int = 0

    @property
    def limit_nano_usd(self) -> int:
        """The limit of its quota, where it is prepaid."""
        return max(0, self.credits_nano_usd + self.overdraft_nano_usd - self.before_nano_usd)


def wallet_of(connection: sa.Connection, tenant_id: str) -> Wallet:
    """An empty one for a tenant that was never booked."""
    return next(iter(list_wallets(connection, wallets.c.tenant_id == tenant_id)), Wallet(tenant_id=tenant_id))


def list_wallets(connection: sa.Connection, where: sa.ColumnElement[bool] | None = None) -> list[Wallet]:
    """All wallets, or some, by tenant."""
    query = sa.select(*(wallets.c[name] for name in Wallet.__struct_fields__)).order_by(wallets.c.tenant_id)
    found = connection.execute(query if where is None else query.where(where))
    return [Wallet(**row) for row in found.mappings()]


def follow_credits(connection: sa.Connection, credits: Iterable[Posting]) -> None:
    """Called by whoever books credits: makes undecided wallets prepaid, and limits what the wallets now say."""
    for posting in credits:
        wallet = wallet_of(connection, posting.tenant_id)
        if wallet.mode == "" and posting.kind in ("top_up", "voucher", "grant"):
            set_mode(connection, posting.tenant_id, "prepaid", now_us=posting.booked_us)


def set_mode(connection: sa.Connection, tenant_id: str, mode: Literal["prepaid", "postpaid"], *, now_us: int) -> None:
    """Stop a tenant at zero from now on, or no longer. Again: no change."""
    wallet = wallet_of(connection, tenant_id)
    if wallet.mode == mode:
        return
    _update(
        connection,
        tenant_id,
        mode=mode,
        prepaid_since_us=now_us if mode == "prepaid" else None,
        before_nano_usd=wallet.credits_nano_usd - wallet.balance_nano_usd if mode == "prepaid" else 0,
    )


def set_overdraft(connection: sa.Connection, tenant_id: str, overdraft_nano_usd: int) -> None:
    """How far below zero a prepaid tenant may go. Raises AccountsError for less than none."""
    if overdraft_nano_usd < 0:
        raise AccountsError(f"an overdraft of {overdraft_nano_usd} nano-USD is below zero; 0 is a hard stop")
    _update(connection, tenant_id, overdraft_nano_usd=overdraft_nano_usd)


def _update(connection: sa.Connection, tenant_id: str, **values: object) -> None:
    connection.execute(sa.update(wallets).where(wallets.c.tenant_id == tenant_id).values(**values))
