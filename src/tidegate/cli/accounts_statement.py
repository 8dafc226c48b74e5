"""`tidegate accounts statement|totals`: what a tenant was given, used and has left; what the operator earned."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.ledger_options import Form, format_option
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.error_words import Language
from tidegate.core.money import format_usd

if TYPE_CHECKING:
    from tidegate.accounts.books.statement import Statement
    from tidegate.accounts.database import Database

BOM = "\ufeff"  # without it spreadsheets take a file for another alphabet
MEANING = {
    "wallet": "what tenants have left, or owe where it is below zero",
    "revenue": "calls at the tenants' prices",
    "provider_cost": "what providers charge for them",
    "provider_payable": "the same, as a debt",
    "operator_loss": "calls beyond what their tenants had: yours to bear",
    "top_ups": "paid in",
    "vouchers": "redeemed",
    "grants": "credited by hand",
    "refunds": "paid back",
    "corrections": "corrected",
    "earned": "revenue less provider_cost and operator_loss",
}
StatementForm = Literal["table", "json", "csv", "html"]


@click.command()
@click.argument("tenant")
@click.option("--month", help="e.g. 2026-11, in UTC.  [default: this month, so far]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "html"]),
    default="table",
    show_default=True,
    help="html: one page that opens from disk and prints.",
)
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Of html and csv.  [default: the tenant's, else en]")
@click.option("--currency", default="", metavar="CNY", help="Tell the totals in this currency too (html, json).")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: stdout]")
def statement(
    tenant: str, month: str | None, form: StatementForm, lang: Language | None, currency: str, out: Path | None
) -> None:
    """What a tenant paid in, used and has left: exact, by day and model, and up to which entry of its books.

    \b
    Example:
      tidegate accounts statement acme --month 2026-11
      tidegate accounts statement acme --month 2026-11 --format html --lang zh --currency CNY --out acme.html
    """
    from tidegate.accounts.books.statement import statement as make_statement

    now_us = time.time_ns() // 1000
    month = month or time.strftime("%Y-%m", time.gmtime(now_us // 1_000_000))
    with accounts_of(load_config()) as accounts:
        name, language = _about(accounts.database, tenant)
        with accounts.database.reading() as connection:
            found = make_statement(
                connection, tenant, month, tenant_name=name, now_us=now_us, currency=currency.upper()
            )
    text = _text(found, form, lang or language)
    if text is None:
        _print(found)
    elif out is None:
        sys.stdout.write(text)
    else:
        out.write_text(BOM + text if form == "csv" else text, encoding="utf-8")
        click.echo(f"written to {out}", err=True)


@click.command()
@click.option("--month", default="", help="e.g. 2026-11, in UTC.  [default: all time]")
@format_option
def totals(month: str, form: Form) -> None:
    """What all tenants' entries come to, by account: paid in, revenue, what providers charge, what was earned.

    \b
    Example:
      tidegate accounts totals --month 2026-11
    """
    from tidegate.accounts.books.totals import totals as sum_up

    with accounts_of(load_config()) as accounts, accounts.database.reading() as connection:
        found = sum_up(connection, month)
    if form == "table":
        rows: list[list[Cell]] = [[name, format_usd(amount), MEANING[name]] for name, amount in found.items()]
        print_table(["account", "USD", "meaning"], rows, form)
    else:
        print_table(["account", "amount_nano_usd"], [[name, amount] for name, amount in found.items()], form)


def _about(database: "Database", tenant_id: str) -> tuple[str, Language]:
    """A tenant's name and language; of one that is at most in the books no name, and English."""
    from tidegate.accounts.errors import AccountNotFound
    from tidegate.accounts.tenancy import find_tenant

    try:
        tenant = find_tenant(database, tenant_id)
    except AccountNotFound:
        return "", "en"
    return tenant.name or tenant_id, "zh" if tenant.language == "zh" else "en"


def _text(found: "Statement", form: StatementForm, language: Language) -> str | None:
    if form == "html":
        from tidegate.accounts.books.statement_page import render

        return render(found, language)
    if form == "csv":
        from tidegate.accounts.books.statement_csv import csv_text

        return csv_text(found, language)
    if form == "json":
        from tidegate.accounts.books.statement_json import json_text

        return json_text(found)
    return None


def _print(found: "Statement") -> None:
    facts: list[list[Cell]] = [
        ["opening", format_usd(found.opening_nano_usd)],
        ["paid in", format_usd(found.credited_nano_usd)],
        ["used", format_usd(found.charged_nano_usd)],
        ["closing", format_usd(found.closing_nano_usd)],
        ["calls", found.calls],
        ["of unknown cost, free", found.unmetered_calls],
    ]
    print_table([f"{found.tenant_name}, {found.month}", "USD"], facts, "table")
    if found.credits:
        click.echo()
        credit_rows: list[list[Cell]] = [
            [one.day, one.kind, format_usd(one.amount_nano_usd), one.reference, one.memo] for one in found.credits
        ]
        print_table(["day", "credit", "USD", "reference", "memo"], credit_rows, "table")
    if found.usage:
        click.echo()
        rows: list[list[Cell]] = [
            [one.day, one.model, one.calls, one.input_tokens, one.output_tokens, format_usd(one.charged_nano_usd)]
            for one in found.usage
        ]
        print_table(["day", "model", "calls", "input", "output", "USD"], rows, "table")
    click.echo(f"\nup to entry no. {found.through_number} ({found.through_digest[:16]})")
