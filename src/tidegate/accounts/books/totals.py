"""The operator's own view: what all tenants' entries come to, by account."""

from typing import Final, get_args

import sqlalchemy as sa

from tidegate.accounts.books.posting import Account
from tidegate.accounts.books.statement import month_of
from tidegate.accounts.schema.books import balances

ACCOUNTS: Final[tuple[str, ...]] = get_args(Account)
EARNED: Final = ("revenue", "operator_loss", "provider_cost")


def totals(connection: sa.Connection, month: str = "") -> dict[str, int]:
    """Nano-USD by account, all of them, then `earned`: revenue less what providers charge and what was borne.

    month: `2026-11`, in UTC; empty for all time. Raises AccountsError for a month that is none.
    """
    query = sa.select(balances.c.account, sa.func.sum(balances.c.amount_nano_usd)).group_by(balances.c.account)
    if month:
        query = query.where(month_of(balances.c.day, month))
    found = {account: int(amount) for account, amount in connection.execute(query)}
    sums = {account: found.get(account, 0) for account in ACCOUNTS}
    return {**sums, "earned": sum(sums[account] for account in EARNED)}
