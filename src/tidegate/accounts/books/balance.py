"""What a tenant has left, for people and APIs: the wallet in the books beside what workers hold of its quota."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.wallets import Mode, Wallet, list_wallets, wallet_of
from tidegate.accounts.schema.books import wallets
from tidegate.accounts.schema.quotas import windows


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's wallet at this moment, nano-USD.

    `used_nano_usd`: settled usage. `balance_nano_usd`: credits less that. `pending_nano_usd`: what workers hold beyond
    settled usage: calls that are not settled yet, and reservations. `available_nano_usd`: what calls may still spend
    (balance and overdraft less pending); None where the tenant is not prepaid.
    """

    tenant_id: str
    mode: Mode
    credits_nano_usd: int
    used_nano_usd: int
    balance_nano_usd: int
    overdraft_nano_usd: int
    pending_nano_usd: int
    available_nano_usd: int | None


def balance_of(connection: sa.Connection, tenant_id: str) -> Balance:
    """All zero for a tenant that was never booked."""
    return _balances(connection, [wallet_of(connection, tenant_id)])[0]


def list_balances(connection: sa.Connection, tenant_ids: Sequence[str] | None = None) -> list[Balance]:
    """All wallets, or those of some tenants; by tenant."""
    where = None if tenant_ids is None else wallets.c.tenant_id.in_(tenant_ids)
    return _balances(connection, list_wallets(connection, where))


def _balances(connection: sa.Connection, found: Sequence[Wallet]) -> list[Balance]:
    query = sa.select(windows.c.quota_id, sa.func.sum(windows.c.held)).group_by(windows.c.quota_id)
    if len(found) == 1:
        query = query.where(windows.c.quota_id == found[0].quota_id)
    else:
        query = query.where(windows.c.quota_id.in_(sa.select(wallets.c.quota_id)))
    held = {quota_id: int(amount) for quota_id, amount in connection.execute(query)}
    return [_balance(wallet, held.get(wallet.quota_id or "", 0)) for wallet in found]


def _balance(wallet: Wallet, held: int) -> Balance:
    used = wallet.credits_nano_usd - wallet.balance_nano_usd
    is_prepaid = wallet.quota_id is not None
    return Balance(
        tenant_id=wallet.tenant_id,
        mode=wallet.mode,
        credits_nano_usd=wallet.credits_nano_usd,
        used_nano_usd=used,
        balance_nano_usd=wallet.balance_nano_usd,
        overdraft_nano_usd=wallet.overdraft_nano_usd,
        pending_nano_usd=held - (used - wallet.before_nano_usd) if is_prepaid else 0,
        available_nano_usd=wallet.limit_nano_usd - held if is_prepaid else None,
    )
