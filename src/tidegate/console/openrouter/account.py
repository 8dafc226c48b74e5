"""Whose figures are asked, and how money and times are written: shared by these pages."""

import datetime
from decimal import Decimal, InvalidOperation

import msgspec

from tidegate.console.access import require
from tidegate.console.operations import Asked
from tidegate.core.errors import InvalidRequest
from tidegate.core.money import NANO_PER_USD, format_usd
from tidegate.core.quota import Amount

DEFAULT_TENANT = "default"


class TenantQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Ours: which tenant, for a service key that has a role in every one; `default` where it says nothing."""

    tenant_id: str | None = None


def account_of(asked: Asked, action: str, tenant_id: str | None = None) -> str:
    """The tenant that is asked about, once the caller may ask `action` there.

    An API key may read its tenant's figures where `console.keys_read_account` says so; it manages nothing.
    """
    caller = asked.caller
    if caller.kind == "api_key":
        if not (asked.backend.config.console.keys_read_account and action in ("wallet.read", "usage.read")):
            require(caller, action, caller.tenant_id or "")
        return caller.tenant_id or ""
    tenant_id = caller.tenant_id or tenant_id or DEFAULT_TENANT
    require(caller, action, tenant_id)
    return tenant_id


def usd(amount: int) -> msgspec.Raw:
    """Nano-USD as a JSON number, digit for digit."""
    return msgspec.Raw(format_usd(amount, places_min=0).encode())


def usd_or_null(amount: int | None) -> msgspec.Raw:
    return msgspec.Raw(b"null") if amount is None else usd(amount)


def nano_usd(number: Decimal, param: str) -> Amount:
    """A JSON number of USD in nano-USD. Raises InvalidRequest below zero and beyond what is held here."""
    try:
        exact = number * NANO_PER_USD
        if number < 0 or exact != exact.to_integral_value() or exact > 1 << 62:
            raise InvalidOperation
    except InvalidOperation:
        raise InvalidRequest(f"{param}: USD from 0 on, with at most 9 decimals, are accepted", param=param) from None
    return int(exact)


def iso(us: int | None) -> str | None:
    """UTC microseconds as ISO 8601."""
    if us is None:
        return None
    return (
        datetime.datetime.fromtimestamp(us / 1e6, datetime.UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()
