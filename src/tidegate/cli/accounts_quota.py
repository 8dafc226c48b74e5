"""`tidegate accounts quota`: limits of tenants, projects, keys, end users, models, endpoints and networks."""

import hashlib
import re
import time
from typing import cast, get_args

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.ledger_options import Form, format_option
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.errors import AccountsError
from tidegate.core.money import InvalidMoney, format_usd, parse_usd
from tidegate.core.quota import EACH, Quota, Scope, Unit, Window

_UNITS: dict[str, Unit] = {"usd": "nano_usd", "requests": "requests", "tokens": "tokens", "calls_open": "calls_open"}


@click.group()
def quota() -> None:
    """Quotas: so many dollars, requests, tokens or open calls, for somebody, in a window.

    \b
    Example:
      tidegate accounts quota set acme --unit usd --window month --limit 500
      tidegate accounts quota set acme --scope key --unit requests --window minute --limit 60
      tidegate accounts quota status acme
    """


@quota.command("set")
@click.argument("tenant")
@click.option(
    "--scope", type=click.Choice(get_args(Scope)), default="tenant", show_default=True, help="Whom it limits."
)
@click.option("--subject", help="Its id, hash or network; default: each one in the scope has a limit of its own.")
@click.option("--user", help="One end user, as clients name it: sets the scope and the subject.")
@click.option("--unit", type=click.Choice(list(_UNITS)), required=True, help="What it counts.")
@click.option("--window", type=click.Choice(get_args(Window)), help="Default: lifetime for calls_open, else month.")
@click.option("--limit", required=True, help="How much: dollars such as 12.50, or a whole number.")
@click.option("--rolling", is_flag=True, help="The window ends now, instead of with the calendar's.")
@click.option("--timezone", help="Whose calendar: an IANA name. Default: the tenant's.")
@click.option("--name", default="", help="What a refusal calls it.")
@click.option("--id", "quota_id", help="Default: from what it counts, so that setting it again changes the limit.")
def set_(  # noqa: PLR0913 - one parameter an option
    tenant: str,
    scope: Scope,
    subject: str | None,
    user: str | None,
    unit: str,
    window: Window | None,
    limit: str,
    rolling: bool,
    timezone: str | None,
    name: str,
    quota_id: str | None,
) -> None:
    """Make a quota, or change its limit. Running gateways keep to it within two seconds.

    A quota that names its subject stands in for the one for each (`*`) of the same unit and window.

    \b
    Example:
      tidegate accounts quota set acme --unit usd --window month --limit 500 --name "monthly budget"
      tidegate accounts quota set acme --scope user --unit tokens --window day --limit 100000
      tidegate accounts quota set acme --scope key --subject key_3f2a9c0d11e2b4a7 --unit calls_open --limit 4
    """
    from tidegate.accounts.quotas.table import set_quota
    from tidegate.accounts.tenancy import find_tenant
    from tidegate.gateway.rows import user_hash

    window = window or ("lifetime" if unit == "calls_open" else "month")
    subject = subject or (tenant if scope == "tenant" else EACH)
    with accounts_of(load_config()) as accounts:
        if user:
            scope, subject = "user", user_hash(accounts.pepper, tenant, user)
        made = Quota(
            quota_id=quota_id or _id(tenant, scope, subject, unit, f"rolling-{window}" if rolling else window),
            tenant_id=tenant,
            scope=scope,
            subject=subject,
            unit=_UNITS[unit],
            window=window,
            limit=_amount(limit, unit),
            is_rolling=rolling,
            timezone=timezone or find_tenant(accounts.database, tenant).timezone,
            name=name,
        )
        with accounts.database.writing() as connection:
            set_quota(connection, made)
    click.echo(f"{made.quota_id}  {_text(made.limit, made.unit)} {unit} a {window} for {_whom(made)}")


@quota.command("list")
@click.argument("tenant", required=False)
@format_option
def list_(tenant: str | None, form: Form) -> None:
    """List quotas, wallets among them.

    \b
    Example:
      tidegate accounts quota list
      tidegate accounts quota list acme --format json
    """
    from tidegate.accounts.quotas.table import list_quotas

    with accounts_of(load_config()) as accounts, accounts.database.reading() as connection:
        found = list_quotas(connection, tenant)
    columns = ["quota_id", "tenant_id", "scope", "subject", "unit", "window", "limit", "calendar", "name"]
    rows: list[list[Cell]] = [
        [
            one.quota_id,
            one.tenant_id,
            one.scope,
            one.subject,
            _unit(one.unit),
            one.window,
            _text(one.limit, one.unit),
            "rolling" if one.is_rolling else one.timezone,
            one.name,
        ]
        for one in found
    ]
    print_table(columns, rows, form)


@quota.command()
@click.argument("quota_id")
def remove(quota_id: str) -> None:
    """Lift a quota; running gateways know it within two seconds. A wallet cannot be lifted.

    \b
    Example:
      tidegate accounts quota remove acme:key:requests:minute
    """
    from tidegate.accounts.quotas.table import remove_quota

    with accounts_of(load_config()) as accounts, accounts.database.writing() as connection:
        gone = remove_quota(connection, quota_id)
    click.echo(f"removed {gone.quota_id}: {_whom(gone)} may spend without it")


@quota.command()
@click.argument("tenant")
@format_option
def status(tenant: str, form: Form) -> None:
    """What is spent, reserved and left of a tenant's quotas in the windows that are open now.

    \b
    Example:
      tidegate accounts quota status acme
    """
    from tidegate.accounts.quotas.status import window_statuses
    from tidegate.accounts.tenancy import find_tenant

    with accounts_of(load_config()) as accounts:
        find_tenant(accounts.database, tenant)
        with accounts.database.reading() as connection:
            found = window_statuses(connection, tenant, time.time_ns() // 1000)
    columns = ["quota_id", "subject", "unit", "limit", "spent", "reserved", "left", "ends"]
    rows: list[list[Cell]] = [
        [
            one.quota.quota_id,
            one.subject,
            _unit(one.quota.unit),
            *(_text(amount, one.quota.unit) for amount in (one.quota.limit, one.spent, one.reserved, one.left)),
            "" if one.ends_us is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.ends_us // 1_000_000)),
        ]
        for one in found
    ]
    print_table(columns, rows, form)


def _id(tenant: str, scope: str, subject: str, unit: str, window: str) -> str:
    parts = [tenant, scope, unit, window]
    if subject not in (EACH, tenant):
        parts.append(subject)
    text = ":".join(parts)
    if re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", text):
        return text
    return f"{tenant[:40]}:{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def _amount(text: str, unit: str) -> int:
    try:
        return parse_usd(text) if unit == "usd" else int(text.replace("_", ""))
    except (InvalidMoney, ValueError):
        wanted = "dollars such as 12.50" if unit == "usd" else "a whole number"
        raise AccountsError(f"--limit {text!r} is not {wanted}") from None


def _text(amount: int, unit: Unit) -> str:
    return format_usd(amount) if unit == "nano_usd" else str(amount)


def _unit(unit: Unit) -> str:
    return "usd" if unit == "nano_usd" else cast(str, unit)


def _whom(quota: Quota) -> str:
    if quota.scope == "tenant":
        return f"tenant {quota.tenant_id}"
    return f"{'each ' if quota.subject == EACH else ''}{quota.scope}" + (
        f" of {quota.tenant_id}" if quota.subject == EACH else f" {quota.subject} of {quota.tenant_id}"
    )
