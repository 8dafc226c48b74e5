"""`tidegate accounts wallet`: what tenants have paid in, used and left."""

import time
from typing import TYPE_CHECKING, Literal

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.ledger_options import Form, format_option
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.errors import AccountsError
from tidegate.core.money import InvalidMoney, NanoUSD, format_usd, parse_usd

if TYPE_CHECKING:
    from tidegate.accounts.books.balance import Balance

CreditKind = Literal["grant", "refund", "correction"]


@click.group()
def wallet() -> None:
    """Wallets: prepaid credit of tenants, its hard stop, and what is left of it.

    \b
    Example:
      tidegate accounts wallet credit acme 20 --memo "bank transfer 4711"
      tidegate accounts wallet show acme
      tidegate accounts wallet list --format csv
    """


@wallet.command("list")
@format_option
def list_all(form: Form) -> None:
    """All wallets, by tenant. Calls that are not settled yet show as held.

    \b
    Example:
      tidegate accounts wallet list
    """
    from tidegate.accounts.books.balance import list_balances

    with accounts_of(load_config()) as accounts, accounts.database.reading() as connection:
        found = list_balances(connection)
    _print(found, form)


@wallet.command()
@click.argument("tenant")
@format_option
def show(tenant: str, form: Form) -> None:
    """One tenant's wallet.

    \b
    Example:
      tidegate accounts wallet show acme --format json
    """
    from tidegate.accounts.books.balance import balance_of

    with accounts_of(load_config()) as accounts, accounts.database.reading() as connection:
        found = balance_of(connection, tenant)
    if form == "table":
        print_table(["wallet", "USD"], _facts(found), form)
    else:
        _print([found], form)


@wallet.command()
@click.argument("tenant")
@click.argument("amount_usd")
@click.option(
    "--kind",
    type=click.Choice(["grant", "refund", "correction"]),
    default="grant",
    show_default=True,
    help="grant: given by you; refund, correction: may be below zero (paid back out, taken back).",
)
@click.option("--memo", default="", help="A line for the tenant's statement.")
@click.option(
    "--reference", help="What makes it one: booked again under the same reference, nothing changes. Default: a new one."
)
def credit(tenant: str, amount_usd: str, kind: CreditKind, memo: str, reference: str | None) -> None:
    """Book a credit by hand. The first one makes a wallet prepaid: its tenant stops at zero.

    \b
    Example:
      tidegate accounts wallet credit acme 20 --memo "bank transfer 4711" --reference bank-4711
      tidegate accounts wallet credit acme --kind refund -- -5
    """
    import secrets

    from tidegate.accounts.books.balance import balance_of
    from tidegate.accounts.books.entries import post
    from tidegate.accounts.books.posting import credit_posting
    from tidegate.accounts.tenancy import find_tenant

    amount, now_us = _usd(amount_usd), time.time_ns() // 1000
    reference = reference or f"by-hand-{secrets.token_hex(6)}"
    with accounts_of(load_config()) as accounts:
        find_tenant(accounts.database, tenant)
        with accounts.database.writing() as connection:
            posting = credit_posting(kind, tenant, amount, reference=reference, booked_us=now_us, memo=memo)
            booked = post(connection, posting)
            found = balance_of(connection, tenant)
    was = "booked" if booked.is_new else "was booked before"
    click.echo(f"{kind} no. {booked.number} of {format_usd(amount)} USD {was} ({reference})")
    left = found.balance_nano_usd if found.available_nano_usd is None else found.available_nano_usd
    click.echo(f"{tenant} has {format_usd(left)} USD left")


@wallet.command()
@click.argument("tenant")
@click.argument("amount_usd")
def overdraft(tenant: str, amount_usd: str) -> None:
    """Let a prepaid tenant go this far below zero; 0 is a hard stop.

    \b
    Example:
      tidegate accounts wallet overdraft acme 5
    """
    from tidegate.accounts.books.wallets import set_overdraft
    from tidegate.accounts.tenancy import find_tenant

    with accounts_of(load_config()) as accounts:
        find_tenant(accounts.database, tenant)
        with accounts.database.writing() as connection:
            found = set_overdraft(connection, tenant, _usd(amount_usd), now_us=time.time_ns() // 1000)
    click.echo(f"{tenant} may go {format_usd(found.overdraft_nano_usd)} USD below zero")
    if found.mode != "prepaid":
        click.echo("this counts once the wallet is prepaid: `tidegate accounts wallet mode` says what it is", err=True)


@wallet.command()
@click.argument("tenant")
@click.argument("new", type=click.Choice(["prepaid", "postpaid"]), metavar="prepaid|postpaid")
def mode(tenant: str, new: Literal["prepaid", "postpaid"]) -> None:
    """Stop a tenant at zero (prepaid), or let it pay later (postpaid; set a quota for a ceiling).

    \b
    Example:
      tidegate accounts wallet mode acme postpaid
    """
    from tidegate.accounts.books.wallets import set_mode
    from tidegate.accounts.tenancy import find_tenant

    with accounts_of(load_config()) as accounts:
        find_tenant(accounts.database, tenant)
        with accounts.database.writing() as connection:
            set_mode(connection, tenant, new, now_us=time.time_ns() // 1000)
    click.echo(f"{tenant} is {new}")


def _usd(text: str) -> NanoUSD:
    try:
        return parse_usd(text)
    except InvalidMoney as error:
        raise AccountsError(f"amount: {error}; in USD, to nine decimals") from None


def _facts(found: "Balance") -> list[list[Cell]]:
    left = format_usd(found.available_nano_usd) if found.available_nano_usd is not None else "no limit"
    return [
        ["mode", found.mode or "not decided: the first credit makes it prepaid"],
        ["credits", format_usd(found.credits_nano_usd)],
        ["used, settled", format_usd(found.used_nano_usd)],
        ["balance", format_usd(found.balance_nano_usd)],
        ["overdraft", format_usd(found.overdraft_nano_usd)],
        ["reserved or not settled yet", format_usd(found.pending_nano_usd)],
        ["left to spend", left],
    ]


def _print(found: "list[Balance]", form: Form) -> None:
    if form == "table":
        columns = ["tenant", "mode", "credits USD", "used USD", "balance USD", "pending USD", "left USD"]
        rows: list[list[Cell]] = [
            [
                one.tenant_id,
                one.mode,
                *map(format_usd, (one.credits_nano_usd, one.used_nano_usd, one.balance_nano_usd, one.pending_nano_usd)),
                "" if one.available_nano_usd is None else format_usd(one.available_nano_usd),
            ]
            for one in found
        ]
        print_table(columns, rows, form)
        return
    from tidegate.accounts.books.balance import Balance

    names = Balance.__struct_fields__
    print_table(names, [[getattr(one, name) for name in names] for one in found], form)
