"""`tidegate accounts vouchers`: prepaid codes, made in batches and redeemed once."""

import time
from typing import Final, TextIO

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.ledger_options import Form, format_option
from tidegate.cli.moments import days_between, ending, print_moment, today
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.errors import TidegateError
from tidegate.core.fx import MINOR_DIGITS, Amount, Rate, parse_amount
from tidegate.core.money import InvalidMoney, format_usd

FX_AGE_DAYS: Final = 45
"""A rate of before that is old: central banks' rates are shipped by the month."""


@click.group()
def vouchers() -> None:
    """Vouchers: codes that each credit a wallet once. Only their hashes are kept.

    \b
    Example:
      tidegate accounts vouchers make --name spring --amount 10 --count 50 --format csv > codes.csv
      tidegate accounts vouchers redeem TG-7Q2MX-... --tenant acme
      tidegate accounts vouchers list
    """


@vouchers.command()
@click.option("--name", required=True, help="What the batch is for; shown in lists.")
@click.option("--amount", required=True, help="What is printed on each, e.g. 10 or 9.99.")
@click.option(
    "--currency", type=click.Choice(list(MINOR_DIGITS)), default="USD", show_default=True, help="Of the amount."
)
@click.option("--count", type=click.IntRange(1, 100_000), help="How many.  [default: 1]")
@click.option(
    "--codes-from",
    type=click.File("r"),
    help="Take the codes of this file, one a line: another gateway's. -: stdin.",
)
@click.option("--tenant", help="The only tenant who may redeem them. Default: anybody.")
@click.option("--expires-in", metavar="SPAN", help="How long they can be redeemed, e.g. 365d. Default: for ever.")
@format_option
def make(  # noqa: PLR0913 - one parameter an option
    name: str,
    amount: str,
    currency: str,
    count: int | None,
    codes_from: TextIO | None,
    tenant: str | None,
    expires_in: str | None,
    form: Form,
) -> None:
    """Make a batch and show its codes, once.

    \b
    Example:
      tidegate accounts vouchers make --name spring --amount 70 --currency CNY --count 100 --expires-in 365d
      tidegate accounts vouchers make --name one-api --amount 10 --codes-from open-codes.txt
    """
    from tidegate.accounts.money.fx import read_fx
    from tidegate.accounts.money.vouchers import NewBatch, make_batch
    from tidegate.accounts.tenancy import find_tenant

    now_us = time.time_ns() // 1000
    face = amount_of(amount, currency)
    given = tuple(line.strip() for line in codes_from if line.strip()) if codes_from is not None else ()
    if codes_from is not None and (count is not None or not given):
        raise TidegateError("--codes-from takes the codes of a file with at least one, without --count")
    with accounts_of(load_config()) as accounts:
        database = accounts.database
        if tenant is not None:
            find_tenant(database, tenant)
        with database.reading() as connection:
            rate = read_fx(connection).rate(currency, today(now_us))
        wanted = NewBatch(
            name=name,
            face=face,
            rate=rate,
            count=0 if given else count or 1,
            given=given,
            tenant_id=tenant,
            expires_us=ending(expires_in, now_us),
        )
        warn_of_age(rate, now_us)
        batch, codes = make_batch(database, accounts.pepper, wanted, now_us)
    if form == "table":
        worth = "" if currency == "USD" else f", credited as {format_usd(batch.amount_nano_usd)} USD"
        rate_told = f" (rate of {rate.day})" if rate.day else ""
        click.echo(f"{batch.batch_id}  {batch.count:,} of {face} {currency}{worth}{rate_told}\n")
        if given:
            return
        click.echo("\n".join(codes))
        click.echo("\nShown this once; only their hashes are kept.")
        return
    rows = [[batch.batch_id, code, str(face), currency, format_usd(batch.amount_nano_usd)] for code in codes]
    print_table(["batch_id", "code", "amount", "currency", "credit_usd"], rows, form)


@vouchers.command("list")
@click.argument("batch", required=False)
@format_option
def list_(batch: str | None, form: Form) -> None:
    """List all batches, or the vouchers of one; never a code.

    \b
    Example:
      tidegate accounts vouchers list
      tidegate accounts vouchers list vb_3f2a9c0d11e2 --format csv
    """
    from tidegate.accounts.money.vouchers import list_batches, list_vouchers

    now_us = time.time_ns() // 1000
    with accounts_of(load_config()) as accounts:
        if batch is not None:
            found = list_vouchers(accounts.database, batch)
            if not found:
                raise TidegateError(f"no batch has the id {batch!r}; `tidegate accounts vouchers list` shows all")
            rows = [
                [one.voucher_id, f"...{one.hint}", one.state(now_us), one.redeemed_by, print_moment(one.redeemed_us)]
                for one in found
            ]
            print_table(["voucher_id", "code", "state", "redeemed_by", "redeemed"], rows, form)
            return
        batches = list_batches(accounts.database)
    if form == "table":  # narrow enough for a terminal
        short: list[list[Cell]] = [
            [
                one.batch_id,
                one.name,
                f"{Amount(one.currency, one.face_minor)} {one.currency}",
                one.count,
                one.redeemed,
                one.revoked,
                print_moment(one.expires_us)[:10],
            ]
            for one in batches
        ]
        print_table(["batch_id", "name", "each", "count", "redeemed", "revoked", "expires"], short, form)
        return
    columns = ["batch_id", "name", "amount", "currency", "credit_usd", "count", "redeemed", "revoked", "expires"]
    print_table(
        columns,
        [
            [
                one.batch_id,
                one.name,
                str(Amount(one.currency, one.face_minor)),
                one.currency,
                format_usd(one.amount_nano_usd),
                one.count,
                one.redeemed,
                one.revoked,
                print_moment(one.expires_us),
            ]
            for one in batches
        ],
        form,
    )


@vouchers.command()
@click.argument("code")
@click.option("--tenant", required=True, help="Whose wallet is credited.")
def redeem(code: str, tenant: str) -> None:
    """Credit a tenant's wallet with a code, in the tenant's place.

    \b
    Example:
      tidegate accounts vouchers redeem TG-7Q2MX-0WD4K-9RB1T-HZ5VC --tenant acme
    """
    from tidegate.accounts.money.vouchers import redeem as redeem_code
    from tidegate.accounts.tenancy import find_tenant

    with accounts_of(load_config()) as accounts:
        find_tenant(accounts.database, tenant)
        done = redeem_code(accounts.database, accounts.pepper, code, tenant, time.time_ns() // 1000)
    click.echo(f"{tenant} was credited {format_usd(done.amount_nano_usd)} USD by voucher ...{done.hint}")


@vouchers.command()
@click.argument("batch_or_voucher")
def revoke(batch_or_voucher: str) -> None:
    """Make a batch, or one voucher, worthless as far as it is not redeemed.

    \b
    Example:
      tidegate accounts vouchers revoke vb_3f2a9c0d11e2
    """
    from tidegate.accounts.money.vouchers import revoke as revoke_vouchers

    with accounts_of(load_config()) as accounts:
        count = revoke_vouchers(accounts.database, batch_or_voucher, time.time_ns() // 1000)
    click.echo(f"{count:,} revoked")


def warn_of_age(rate: Rate, now_us: int) -> None:
    """Say on stderr that a rate is old: whoever takes real money by it loses what it has moved since."""
    if rate.day and days_between(rate.day, now_us) > FX_AGE_DAYS:
        click.echo(
            f"the rate of {rate.currency} is of {rate.day}; `tidegate accounts fx set {rate.currency} RATE` enters one",
            err=True,
        )


def amount_of(text: str, currency: str) -> Amount:
    """Raises TidegateError for what is no amount."""
    try:
        return parse_amount(text, currency)
    except InvalidMoney as error:
        raise TidegateError(f"--amount: {error}") from error
