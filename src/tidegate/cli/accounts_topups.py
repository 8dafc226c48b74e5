"""`tidegate accounts topups` and `fx`: orders that payment providers settle, and what currencies are worth."""

import os
import time

import click

from tidegate.cli.accounts_vouchers import amount_of, warn_of_age
from tidegate.cli.keys import accounts_of
from tidegate.cli.ledger_options import Form, format_option
from tidegate.cli.moments import print_moment, today
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.errors import ConfigError, TidegateError
from tidegate.core.fx import MINOR_DIGITS
from tidegate.core.money import format_usd


@click.group()
def topups() -> None:
    """Top-ups: orders that a payment provider's signed callback turns into credit, once.

    \b
    Example:
      tidegate accounts topups order epay 70 --currency CNY --tenant acme
      tidegate accounts topups list --tenant acme
      tidegate accounts topups events
    """


@topups.command()
@click.argument("channel")
@click.argument("amount")
@click.option(
    "--currency", type=click.Choice(list(MINOR_DIGITS)), default="USD", show_default=True, help="Of the amount."
)
@click.option("--tenant", required=True, help="Whose wallet is credited once it is paid.")
@format_option
def order(channel: str, amount: str, currency: str, tenant: str, form: Form) -> None:
    """Make an order for a channel of [topups.NAME], and say where it is paid.

    \b
    Example:
      tidegate accounts topups order epay 70 --currency CNY --tenant acme
    """
    from tidegate.accounts.money.channels import channels_of
    from tidegate.accounts.money.fx import read_fx
    from tidegate.accounts.money.topups import NewOrder, make_order
    from tidegate.accounts.tenancy import find_tenant

    config, now_us = load_config(), time.time_ns() // 1000
    channels = channels_of(config.topups, os.environ)
    if channel not in channels:
        raise ConfigError(f"there is no channel {channel!r}: {', '.join(channels) or 'no [topups.NAME] is configured'}")
    held = channels[channel]
    with accounts_of(config) as accounts:
        find_tenant(accounts.database, tenant)
        with accounts.database.reading() as connection:
            rate = read_fx(connection).rate(currency, today(now_us))
        wanted = NewOrder(
            tenant_id=tenant,
            channel=channel,
            amount=held.amount_of(amount, currency),
            rate=rate,
            valid_s=held.config.order_valid_s,
        )
        warn_of_age(rate, now_us)
        made = make_order(accounts.database, wanted, now_us)
    rows: list[list[Cell]] = [
        ["order_id", made.order_id],
        ["to pay", f"{made.amount} {made.currency}"],
        ["credit_usd", format_usd(made.credit_nano_usd)],
        ["rate of", made.fx_day],
        ["until", print_moment(made.expires_us)],
        ["pay_url", held.pay_url(made)],
    ]
    if form == "table":
        print_table(["top-up", tenant], rows, form)
    else:
        print_table([str(name) for name, _ in rows], [[value for _, value in rows]], form)


@topups.command("list")
@click.option("--tenant", help="Only this tenant's.")
@format_option
def list_(tenant: str | None, form: Form) -> None:
    """List orders, newest first.

    \b
    Example:
      tidegate accounts topups list --tenant acme --format csv
    """
    from tidegate.accounts.money.topups import list_orders

    with accounts_of(load_config()) as accounts:
        found = list_orders(accounts.database, tenant)
    if form == "table":  # narrow enough for a terminal
        short: list[list[Cell]] = [
            [one.order_id, one.tenant_id, f"{one.amount} {one.currency}", one.state, print_moment(one.made_us)[:16]]
            for one in found
        ]
        print_table(["order_id", "tenant", "to pay", "state", "made"], short, form)
        return
    columns = ["order_id", "tenant", "channel", "amount", "currency", "credit_usd", "state", "made", "paid", "payment"]
    rows: list[list[Cell]] = [
        [
            one.order_id,
            one.tenant_id,
            one.channel,
            str(one.amount),
            one.currency,
            format_usd(one.credit_nano_usd),
            one.state,
            print_moment(one.made_us),
            print_moment(one.paid_us),
            one.payment_id,
        ]
        for one in found
    ]
    print_table(columns, rows, form)


@topups.command()
@click.option("--all", "show_all", is_flag=True, help="Those too that credited somebody, or could not.")
@format_option
def events(show_all: bool, form: Form) -> None:
    """Signed callbacks that brought money and credited nobody: too little, too late, twice, or for no order of ours.

    \b
    Example:
      tidegate accounts topups events
      tidegate accounts topups events --all --format csv
    """
    from tidegate.accounts.money.topups import list_events

    with accounts_of(load_config()) as accounts:
        found = list_events(accounts.database, needs_a_look=not show_all)
    rows: list[list[Cell]] = [
        [
            one.channel,
            one.outcome,
            one.order_id,
            one.payment_id,
            one.detail,
            print_moment(one.first_us),
            print_moment(one.last_us),
            one.seen_count,
        ]
        for one in found
    ]
    print_table(["channel", "outcome", "order_id", "payment", "detail", "first", "last", "seen"], rows, form)


@topups.command()
@click.argument("order_id")
@click.option("--payment", required=True, help="The payment's id, from the provider or your bank; it credits once.")
def credit(order_id: str, payment: str) -> None:
    """Credit an order by hand: you have seen its money, and its callback was late, cancelled or never came.

    \b
    Example:
      tidegate accounts topups credit top0f3c... --payment 20160806151343349021
    """
    from tidegate.accounts.money.topups import credit_by_hand

    with accounts_of(load_config()) as accounts:
        done = credit_by_hand(accounts.database, order_id, payment, time.time_ns() // 1000)
    click.echo(
        f"{done.tenant_id} was credited {format_usd(done.credit_nano_usd)} USD for {done.amount} {done.currency}"
    )


@topups.command()
@click.argument("order_id")
def cancel(order_id: str) -> None:
    """Cancel an order that is not paid; what is paid for it later waits for you.

    \b
    Example:
      tidegate accounts topups cancel top0f3c...
    """
    from tidegate.accounts.money.topups import cancel_order

    with accounts_of(load_config()) as accounts:
        cancel_order(accounts.database, order_id)
    click.echo(f"cancelled {order_id}")


@click.group()
def fx() -> None:
    """Exchange rates: dated, with their sources; your own win over those that come with the program.

    \b
    Example:
      tidegate accounts fx list
      tidegate accounts fx set CNY 7.11 --source "our bank"
      tidegate accounts fx convert 100 CNY
    """


@fx.command("list")
@click.option("--day", help="In force on this day (UTC). Default: today.")
@format_option
def list_rates(day: str | None, form: Form) -> None:
    """The rate of each currency in force on a day: how much of it is one USD, since when, and who says so.

    \b
    Example:
      tidegate accounts fx list --day 2026-09-01
    """
    from tidegate.accounts.money.fx import read_fx

    with accounts_of(load_config()) as accounts, accounts.database.reading() as connection:
        table = read_fx(connection)
    rows: list[list[Cell]] = []
    for currency, digits in MINOR_DIGITS.items():
        rate = table.rate(currency, day or today(time.time_ns() // 1000))
        units = rate.denominator * 10**9 * 10**6 // (rate.numerator * int(10**digits))
        rows.append([currency, f"{units // 10**6}.{units % 10**6:06d}", rate.day, rate.source])
    print_table(["currency", "per_usd", "day", "source"], rows, form)


@fx.command("set")
@click.argument("currency", type=click.Choice([name for name in MINOR_DIGITS if name != "USD"]))
@click.argument("per_usd")
@click.option("--day", help="From this day on (UTC). Default: today.")
@click.option("--source", required=True, help="Who says so; shown in orders and statements.")
def set_rate(currency: str, per_usd: str, day: str | None, source: str) -> None:
    """Enter how much of a currency is one USD, from a day on. Orders that are made keep their rate.

    \b
    Example:
      tidegate accounts fx set VND 26310 --day 2026-11-20 --source "State Bank of Vietnam"
    """
    from tidegate.accounts.money.fx import set_quote
    from tidegate.core.fx import Quote

    now_us = time.time_ns() // 1000
    try:
        quote = Quote(
            day=day or today(now_us), base="USD", quote=currency, rate=per_usd, source=source[:200], is_own=True
        )
    except ValueError as error:
        raise TidegateError(str(error)) from error
    with accounts_of(load_config()) as accounts:
        set_quote(accounts.database, quote, now_us)
    click.echo(f"1 USD = {per_usd} {currency} from {quote.day} on")


@fx.command()
@click.argument("currency", type=click.Choice([name for name in MINOR_DIGITS if name != "USD"]))
@click.option("--day", required=True, help="The day it was entered for.")
def remove(currency: str, day: str) -> None:
    """Take back a rate of your own; those that come with the program count again.

    \b
    Example:
      tidegate accounts fx remove VND --day 2026-11-20
    """
    from tidegate.accounts.money.fx import remove_quote

    with accounts_of(load_config()) as accounts:
        count = remove_quote(accounts.database, day, currency)
    if not count:
        raise TidegateError(f"no rate of your own of {currency} is entered for {day}")
    click.echo(f"removed the rate of {currency} of {day}")


@fx.command()
@click.argument("amount")
@click.argument("currency", type=click.Choice(list(MINOR_DIGITS)))
@click.option("--day", help="At the rate of this day (UTC). Default: today.")
def convert(amount: str, currency: str, day: str | None) -> None:
    """What an amount is worth in USD, exactly as a top-up of it would be credited.

    \b
    Example:
      tidegate accounts fx convert 100 CNY
    """
    from tidegate.accounts.money.fx import read_fx

    with accounts_of(load_config()) as accounts, accounts.database.reading() as connection:
        rate = read_fx(connection).rate(currency, day or today(time.time_ns() // 1000))
    click.echo(format_usd(rate.nano_usd(amount_of(amount, currency))))
