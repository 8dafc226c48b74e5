"""Wallets: prepaid credit as a quota whose limit is all that was ever credited, and the overdraft that is allowed.

limit = credits + overdraft - before, where `before` is what calls before the wallet was prepaid came to: the quota
counts calls from then on alone. So limit - held is what is left to spend, and without reservations it is the balance
and the overdraft.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.posting import Posting
from tidegate.accounts.books.upsert import insert_missing
from tidegate.accounts.database import touch
from tidegate.accounts.quotas.table import LIMIT_MAX, held_of, set_quota
from tidegate.accounts.schema.books import wallets
from tidegate.accounts.schema.quotas import quotas
from tidegate.core.errors import AccountsError
from tidegate.core.money import format_usd
from tidegate.core.quota import Quota

Mode = Literal["", "prepaid", "postpaid"]
_OPENING: Final = ("top_up", "voucher", "grant")
_SHORT: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")


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
    quota_id: str | None = None
    before_nano_usd: int = 0
    last_number: int = 0

    @property
    def funds_nano_usd(self) -> int:
        """What calls since it is prepaid may come to in all; below zero where a correction took more than there was."""
        return self.credits_nano_usd + self.overdraft_nano_usd - self.before_nano_usd

    @property
    def limit_nano_usd(self) -> int:
        """The limit of its quota, where it is prepaid."""
        return max(0, self.funds_nano_usd)


def wallet_of(connection: sa.Connection, tenant_id: str) -> Wallet:
    """An empty one for a tenant that was never booked."""
    return next(iter(list_wallets(connection, wallets.c.tenant_id == tenant_id)), Wallet(tenant_id=tenant_id))


def list_wallets(connection: sa.Connection, where: sa.ColumnElement[bool] | None = None) -> list[Wallet]:
    """All wallets, or some, by tenant."""
    query = sa.select(*(wallets.c[name] for name in Wallet.__struct_fields__)).order_by(wallets.c.tenant_id)
    found = connection.execute(query if where is None else query.where(where))
    return [Wallet(**row) for row in found.mappings()]


def follow_credits(connection: sa.Connection, credited: Iterable[Posting]) -> None:
    """Called by whoever books credits: makes undecided wallets prepaid, and their quotas' limits what they now say.

    Raises AccountsError where more would be paid back than is left: nothing is booked then.
    """
    by_tenant: dict[str, list[Posting]] = {}
    for posting in credited:
        by_tenant.setdefault(posting.tenant_id, []).append(posting)
    for tenant_id, postings in sorted(by_tenant.items()):
        wallet = wallet_of(connection, tenant_id)
        if wallet.mode == "" and (first := next((one for one in postings if one.kind in _OPENING), None)):
            set_mode(connection, tenant_id, "prepaid", now_us=first.booked_us)
            continue
        _set_limit(connection, wallet)
        paid_back = -sum(posting.wallet_nano_usd for posting in postings if posting.kind == "refund")
        if paid_back > 0 and wallet.quota_id and wallet.funds_nano_usd < (held := held_of(connection, wallet.quota_id)):
            raise AccountsError(
                f"{format_usd(paid_back)} USD cannot be paid back from the wallet of {tenant_id!r}: "
                f"{format_usd(wallet.funds_nano_usd)} USD of credit and overdraft would be left, and "
                f"{format_usd(held)} USD are spent or reserved. A correction may go below zero"
            )


def add_before(connection: sa.Connection, charged: Mapping[str, int]) -> None:
    """Count late rows, of calls from before their tenants' wallets were prepaid, as such. charged: nano-USD each."""
    for tenant_id, amount in sorted(charged.items()):
        if amount:
            _update(connection, tenant_id, before_nano_usd=wallets.c.before_nano_usd + amount)
            _set_limit(connection, wallet_of(connection, tenant_id))


def set_mode(connection: sa.Connection, tenant_id: str, mode: Literal["prepaid", "postpaid"], *, now_us: int) -> Wallet:
    """Stop a tenant at zero from now on, or no longer; the wallet then. Again: no change."""
    wallet = open_wallet(connection, tenant_id, now_us=now_us)
    if wallet.mode == mode:
        return wallet
    is_prepaid = mode == "prepaid"
    new = msgspec.structs.replace(
        wallet,
        mode=mode,
        prepaid_since_us=now_us if is_prepaid else None,
        quota_id=_quota_id(tenant_id, now_us) if is_prepaid else None,
        before_nano_usd=wallet.credits_nano_usd - wallet.balance_nano_usd if is_prepaid else 0,
    )
    changed = ("mode", "prepaid_since_us", "quota_id", "before_nano_usd")
    _update(connection, tenant_id, **{name: getattr(new, name) for name in changed})
    if wallet.quota_id:
        values = {"removed_us": now_us, "changed": touch(connection)}
        connection.execute(sa.update(quotas).where(quotas.c.quota_id == wallet.quota_id).values(values))
    if new.quota_id:
        set_quota(
            connection,
            Quota(
                quota_id=new.quota_id,
                tenant_id=tenant_id,
                scope="tenant",
                subject=tenant_id,
                unit="nano_usd",
                window="lifetime",
                limit=new.limit_nano_usd,
                is_wallet=True,
                name=f"wallet of {tenant_id}",
            ),
        )
    return new


def set_overdraft(connection: sa.Connection, tenant_id: str, overdraft_nano_usd: int, *, now_us: int) -> Wallet:
    """How far below zero a prepaid tenant may go; the wallet then. Raises AccountsError for less than none.

    Lowered below what is spent already it stops further calls; it takes nothing back.
    """
    if not 0 <= overdraft_nano_usd <= LIMIT_MAX:
        raise AccountsError(
            f"an overdraft of {overdraft_nano_usd} nano-USD; 0 (a hard stop) to {LIMIT_MAX} is accepted"
        )
    open_wallet(connection, tenant_id, now_us=now_us)
    _update(connection, tenant_id, overdraft_nano_usd=overdraft_nano_usd)
    wallet = wallet_of(connection, tenant_id)
    _set_limit(connection, wallet)
    return wallet


def open_wallet(connection: sa.Connection, tenant_id: str, *, now_us: int) -> Wallet:
    """The tenant's wallet, made empty where there is none; its row stays locked until the transaction ends."""
    insert_missing(connection, wallets, [empty_row(tenant_id, now_us)])
    connection.execute(sa.select(wallets.c.tenant_id).where(wallets.c.tenant_id == tenant_id).with_for_update())
    return wallet_of(connection, tenant_id)


def empty_row(tenant_id: str, now_us: int) -> dict[str, object]:
    """A wallet that nothing was booked on."""
    return {
        "tenant_id": tenant_id,
        "last_number": 0,
        "last_digest": "",
        "balance_nano_usd": 0,
        "credits_nano_usd": 0,
        "overdraft_nano_usd": 0,
        "mode": "",
        "before_nano_usd": 0,
        "opened_us": now_us,
    }


def _set_limit(connection: sa.Connection, wallet: Wallet) -> None:
    """Workers are told (`touch`) before the quota's row is locked, as everywhere: nobody waits in a circle."""
    if wallet.quota_id is None:
        return
    if wallet.limit_nano_usd > LIMIT_MAX:
        raise AccountsError(f"the wallet of {wallet.tenant_id!r} cannot hold more than {format_usd(LIMIT_MAX)} USD")
    values = {"limit": wallet.limit_nano_usd, "changed": touch(connection)}
    connection.execute(sa.update(quotas).where(quotas.c.quota_id == wallet.quota_id).values(values))


def _quota_id(tenant_id: str, now_us: int) -> str:
    """A new one each time a wallet becomes prepaid: its quota counts from then on."""
    short = tenant_id
    if not _SHORT.fullmatch(tenant_id):
        short = (
            re.sub(r"[^A-Za-z0-9_.-]", "_", tenant_id[:23]) + "-" + hashlib.sha256(tenant_id.encode()).hexdigest()[:8]
        )
    return f"wallet:{short}:{now_us:x}"


def _update(connection: sa.Connection, tenant_id: str, **values: object) -> None:
    connection.execute(sa.update(wallets).where(wallets.c.tenant_id == tenant_id).values(**values))
