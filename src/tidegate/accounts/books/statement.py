"""A tenant's statement of one month: what was there, what was paid in, what was used, what is left. Exact."""

import datetime
import re
from typing import Final

import msgspec
import sqlalchemy as sa

from tidegate.accounts.money.fx import read_fx
from tidegate.accounts.schema.books import balances, entries, transactions, usage_days, wallets
from tidegate.core.errors import AccountsError
from tidegate.core.fx import MINOR_DIGITS, Amount, Rate
from tidegate.core.price import round_half_even

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """One credit of the wallet; below zero it was paid back or taken back. `number`: of the tenant's transaction."""

    day: str
    number: int
    kind: str
    reference: str
    memo: str
    amount_nano_usd: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one day and model. `cached_tokens`: part of input. `unmetered_calls`: of unknown cost, charged 0."""

    day: str
    model: str
    calls: int
    unmetered_calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    charged_nano_usd: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One month of a tenant. Amounts in nano-USD; days are UTC.

    `opening` + `credited` - `charged` = `closing`. `through_number`, `through_digest`: the newest transaction that was
    booked when it was made: who keeps them can prove later what the books held. `made`: UTC, ISO 8601. `is_open`: the
    month is not over. `rate`: of another currency in which totals are also told.
    """

    tenant_id: str
    tenant_name: str
    month: str
    made: str
    is_open: bool
    opening_nano_usd: int
    credited_nano_usd: int
    charged_nano_usd: int
    closing_nano_usd: int
    calls: int
    unmetered_calls: int
    credits: tuple[Credit, ...]
    usage: tuple[Usage, ...]
    through_number: int
    through_digest: str
    rate: Rate | None = None

    @property
    def last_day(self) -> str:
        return _last_day(self.month)

    def worth(self, nano_usd: int) -> Amount | None:
        """An amount in the other currency, rounded to its minor unit; None where there is none."""
        if self.rate is None:
            return None
        return Amount(self.rate.currency, round_half_even(nano_usd * self.rate.denominator, self.rate.numerator))


def statement(
    connection: sa.Connection, tenant_id: str, month: str, *, tenant_name: str = "", now_us: int, currency: str = ""
) -> Statement:
    """month: `2026-11`. currency: also tell totals in it, at the rate of the month's last day (or of today before it).

    tenant_name: empty for a tenant that only the books know. Raises AccountsError for a month that is none or a tenant
    that nobody knows; CurrencyUnknown, RateUnknown.
    """
    within = month_of(balances.c.day, month)
    query = sa.select(wallets.c.last_number, wallets.c.last_digest).where(wallets.c.tenant_id == tenant_id)
    head = connection.execute(query).first()
    if head is None and not tenant_name:
        raise AccountsError(
            f"there is no tenant {tenant_id!r}, and nothing was ever booked for one; `tidegate accounts wallet list` "
            "shows who"
        )
    number, digest = head or (0, "")
    now = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=now_us)
    credited = _credits(connection, tenant_id, month)
    usage = _usage(connection, tenant_id, month)
    opening, moved = _moved(connection, tenant_id, month, within)
    last_day = min(_last_day(month), now.date().isoformat())
    return Statement(
        tenant_id=tenant_id,
        tenant_name=tenant_name or tenant_id,
        month=month,
        made=now.isoformat(timespec="seconds") + "Z",
        is_open=now.date().isoformat() <= _last_day(month),
        opening_nano_usd=opening,
        credited_nano_usd=sum(one.amount_nano_usd for one in credited),
        charged_nano_usd=sum(one.amount_nano_usd for one in credited) - moved,
        closing_nano_usd=opening + moved,
        calls=sum(one.calls for one in usage),
        unmetered_calls=sum(one.unmetered_calls for one in usage),
        credits=tuple(credited),
        usage=tuple(usage),
        through_number=number,
        through_digest=digest,
        rate=read_fx(connection).rate(currency, last_day) if currency and currency != "USD" else None,
    )


def currencies() -> tuple[str, ...]:
    """Those in which totals can be told."""
    return tuple(MINOR_DIGITS)


def _moved(connection: sa.Connection, tenant_id: str, month: str, in_month: sa.ColumnElement[bool]) -> tuple[int, int]:
    """(the wallet's balance before the month, what the month moved it by)."""
    amount = sa.func.coalesce(sa.func.sum(balances.c.amount_nano_usd), 0)
    query = sa.select(amount).where(balances.c.tenant_id == tenant_id, balances.c.account == "wallet")
    before = connection.execute(query.where(balances.c.day < f"{month}-01")).scalar_one()
    within = connection.execute(query.where(in_month)).scalar_one()
    return int(before), int(within)


def _credits(connection: sa.Connection, tenant_id: str, month: str) -> list[Credit]:
    told = transactions.c
    both = sa.and_(
        entries.c.tenant_id == told.tenant_id, entries.c.number == told.number, entries.c.account == "wallet"
    )
    query = (
        sa.select(told.day, told.number, told.kind, told.reference, told.memo, entries.c.amount_nano_usd)
        .select_from(transactions.join(entries, both))
        .where(told.tenant_id == tenant_id, told.kind != "usage", month_of(told.day, month))
        .order_by(told.day, told.number)
    )
    return [Credit(**row) for row in connection.execute(query).mappings()]


def _usage(connection: sa.Connection, tenant_id: str, month: str) -> list[Usage]:
    query = (
        sa.select(*(usage_days.c[name] for name in Usage.__struct_fields__))
        .where(usage_days.c.tenant_id == tenant_id, month_of(usage_days.c.day, month))
        .order_by(usage_days.c.day, usage_days.c.model)
    )
    return [Usage(**row) for row in connection.execute(query).mappings()]


def month_of(day: sa.ColumnElement[str], month: str) -> sa.ColumnElement[bool]:
    """Days in a month. Raises AccountsError where it is none."""
    if not _MONTH.fullmatch(month):
        raise AccountsError(f"--month {month[:20]!r} is no month; write for example 2026-11")
    return day.between(f"{month}-01", f"{month}-31")


def _last_day(month: str) -> str:
    year, number = map(int, month.split("-"))
    following = datetime.date(year + number // 12, number % 12 + 1, 1)
    return (following - datetime.timedelta(days=1)).isoformat()
