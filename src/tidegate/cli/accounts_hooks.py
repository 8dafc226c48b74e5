"""`tidegate accounts hooks`: whom to tell when a tenant's credit runs low."""

import asyncio
import time

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.ledger_options import Form, format_option
from tidegate.cli.moments import print_moment
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.errors import TidegateError
from tidegate.core.money import InvalidMoney, format_usd, parse_usd


@click.group()
def hooks() -> None:
    """Low-balance hooks: a signed POST when a tenant's credit falls below a threshold, once a crossing.

    \b
    Example:
      tidegate accounts hooks add acme --below 5 --url https://example.com/low-balance
      tidegate accounts hooks list
      tidegate accounts hooks log hook_3f2a9c0d11e2b4a7
    """


@hooks.command()
@click.argument("tenant")
@click.option("--below", required=True, metavar="USD", help="Told when the balance falls below it.")
@click.option("--url", required=True, help="Where the POST goes.")
def add(tenant: str, below: str, url: str) -> None:
    """Make a hook, and show the secret that its posts are signed with (Standard Webhooks).

    \b
    Example:
      tidegate accounts hooks add acme --below 5 --url https://example.com/low-balance
    """
    from tidegate.accounts.money.hooks import add_hook, hook_secret
    from tidegate.accounts.tenancy import find_tenant

    try:
        threshold = parse_usd(below)
    except InvalidMoney as error:
        raise TidegateError(f"--below: {error}") from error
    with accounts_of(load_config()) as accounts:
        find_tenant(accounts.database, tenant)
        hook = add_hook(accounts.database, tenant, threshold, url, time.time_ns() // 1000)
        secret = hook_secret(accounts.pepper, hook.hook_id)
    click.echo(f"{hook.hook_id}  {tenant} below {format_usd(threshold)} USD\n\n  {secret}")


@hooks.command("list")
@click.option("--tenant", help="Only this tenant's.")
@format_option
def list_(tenant: str | None, form: Form) -> None:
    """List hooks.

    \b
    Example:
      tidegate accounts hooks list --format json
    """
    from tidegate.accounts.money.hooks import list_hooks

    with accounts_of(load_config()) as accounts:
        found = list_hooks(accounts.database, tenant)
    rows: list[list[Cell]] = [
        [one.hook_id, one.tenant_id, format_usd(one.threshold_nano_usd), one.url, _state(one.is_below), one.crossings]
        for one in found
    ]
    print_table(["hook_id", "tenant", "below_usd", "url", "state", "crossings"], rows, form)


@hooks.command()
@click.argument("hook")
@format_option
def log(hook: str, form: Form) -> None:
    """What a hook had to tell, newest first, and whether it was taken.

    \b
    Example:
      tidegate accounts hooks log hook_3f2a9c0d11e2b4a7
    """
    from tidegate.accounts.money.hooks import list_deliveries

    with accounts_of(load_config()) as accounts:
        found = list_deliveries(accounts.database, hook)
    columns = ["crossing", "seen", "attempts", "delivered", "next", "last_error"]
    rows: list[list[Cell]] = [
        [
            one.crossing,
            print_moment(one.made_us),
            one.attempts,
            print_moment(one.delivered_us),
            print_moment(one.next_us),
            one.last_error,
        ]
        for one in found
    ]
    print_table(columns, rows, form)


@hooks.command()
@click.argument("hook")
def secret(hook: str) -> None:
    """Show the secret that a hook signs with, for its receiver.

    \b
    Example:
      tidegate accounts hooks secret hook_3f2a9c0d11e2b4a7
    """
    from tidegate.accounts.money.hooks import hook_secret, list_hooks

    with accounts_of(load_config()) as accounts:
        if hook not in {one.hook_id for one in list_hooks(accounts.database)}:
            raise TidegateError(f"no hook has the id {hook!r}; `tidegate accounts hooks list` shows all")
        click.echo(hook_secret(accounts.pepper, hook))


@hooks.command()
@click.argument("hook")
def remove(hook: str) -> None:
    """Remove a hook, and what it had to tell.

    \b
    Example:
      tidegate accounts hooks remove hook_3f2a9c0d11e2b4a7
    """
    from tidegate.accounts.money.hooks import remove_hook

    with accounts_of(load_config()) as accounts:
        remove_hook(accounts.database, hook)
    click.echo(f"removed {hook}")


@hooks.command()
def send() -> None:
    """Look at all balances now and send what is due; a running gateway does so every few seconds by itself.

    \b
    Example:
      tidegate accounts hooks send
    """
    from tidegate.accounts.money.hook_sender import send_due

    with accounts_of(load_config()) as accounts:
        taken, failed = asyncio.run(send_due(accounts.database, accounts.pepper))
    click.echo(f"{taken} taken, {failed} not")


def _state(is_below: bool) -> str:
    return "below" if is_below else "armed"
