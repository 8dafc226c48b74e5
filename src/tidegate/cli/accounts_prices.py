"""`tidegate accounts prices`: price groups, their dated margins and rates, and who is in which."""

import time

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.ledger_options import Form, format_option
from tidegate.cli.moments import moment, print_moment
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.errors import TidegateError
from tidegate.core.money import InvalidMoney, format_rate, parse_decimal, parse_rate
from tidegate.core.price import Price, Rates
from tidegate.core.terms import Charge, Term


@click.group()
def prices() -> None:
    """Price groups: what tenants are charged for what providers charge you. Dated, never changed backwards.

    \b
    Example:
      tidegate accounts prices add retail --margin 20%
      tidegate accounts prices add retail --models openai/gpt-4o-mini --input 0.25 --output 1
      tidegate accounts prices join acme retail
    """


@prices.command()
@click.argument("group")
@click.option("--models", default="*", show_default=True, help="A model or a glob; the most particular entry counts.")
@click.option("--margin", metavar="PERCENT", help="On the provider's price, e.g. 20% or -5%.")
@click.option("--input", "input_usd", metavar="USD", help="A price of your own, per million input tokens.")
@click.option("--output", "output_usd", metavar="USD", help="... per million output tokens.")
@click.option(
    "--cache-read", "cache_usd", metavar="USD", help="... per million cached input tokens. Default: as input."
)
@click.option("--from", "from_", metavar="DATE", help="When it begins (UTC), e.g. 2026-12-01. Default: now.")
@click.option("--until", metavar="DATE", help="When it ends. Default: until a later entry takes over.")
def add(  # noqa: PLR0913 - one parameter an option
    group: str,
    models: str,
    margin: str | None,
    input_usd: str | None,
    output_usd: str | None,
    cache_usd: str | None,
    from_: str | None,
    until: str | None,
) -> None:
    """Add a margin, or a price of your own, to a group; the first entry makes the group.

    \b
    Example:
      tidegate accounts prices add retail --margin 20% --from 2026-12-01
      tidegate accounts prices add retail --models 'anthropic/*' --margin 12.5%
    """
    from tidegate.accounts.money.terms import add_term

    term = Term(
        term_id="",
        models=models,
        margin_ppm=_margin(margin),
        price=_price(group, models, (input_usd, output_usd, cache_usd)),
        valid_from_us=moment(from_, "--from") or 0,
        valid_until_us=moment(until, "--until"),
    )
    if (margin is None) == (term.price is None):
        raise TidegateError("give either --margin, or a price of your own with --input and --output")
    with accounts_of(load_config()) as accounts:
        made = add_term(accounts.database, group, term, time.time_ns() // 1000)
    click.echo(f"{made.term_id}  {group}: {models} from {print_moment(made.valid_from_us)}")


@prices.command("list")
@format_option
def list_(form: Form) -> None:
    """Every entry of every group there ever was.

    \b
    Example:
      tidegate accounts prices list --format csv
    """
    from tidegate.accounts.money.terms import list_terms

    with accounts_of(load_config()) as accounts:
        found = list_terms(accounts.database)
    rows: list[list[Cell]] = []
    if form == "table":  # narrow enough for a terminal
        for one in found:
            begin, ends = print_moment(one.term.valid_from_us)[:16], print_moment(one.term.valid_until_us)[:16]
            rows.append([one.term.term_id, one.group, one.term.models, _told(one.term), begin, ends])
        print_table(["term_id", "group", "models", "charged", "from", "until"], rows, form)
        return
    for one in found:
        term = one.term
        rates = [None, None, None] if term.price is None else _rates(term.price)
        margin = None if term.price is not None else _percent(term.margin_ppm)
        ends = print_moment(term.valid_until_us)
        rows.append([term.term_id, one.group, term.models, margin, *rates, print_moment(term.valid_from_us), ends])
    columns = ["term_id", "group", "models", "margin", "input_usd", "output_usd", "cache_read_usd", "from", "until"]
    print_table(columns, rows, form)


@prices.command()
@click.argument("term")
@click.option("--at", metavar="DATE", help="When it ends (UTC). Default: now.")
def end(term: str, at: str | None) -> None:
    """Let an entry end; what was charged by it stays.

    \b
    Example:
      tidegate accounts prices end term_3f2a9c0d11e2 --at 2027-01-01
    """
    from tidegate.accounts.money.terms import end_term

    with accounts_of(load_config()) as accounts:
        end_term(accounts.database, term, time.time_ns() // 1000, moment(at, "--at"))
    click.echo(f"{term} ends {at or 'now'}")


@prices.command()
@click.argument("tenant")
@click.argument("group")
@click.option("--from", "from_", metavar="DATE", help="When it begins (UTC). Default: now.")
def join(tenant: str, group: str, from_: str | None) -> None:
    """Put a tenant into a price group, out of any other; `none` takes it out.

    \b
    Example:
      tidegate accounts prices join acme retail
      tidegate accounts prices join acme none --from 2027-01-01
    """
    from tidegate.accounts.money.terms import join_group
    from tidegate.accounts.tenancy import find_tenant

    with accounts_of(load_config()) as accounts:
        find_tenant(accounts.database, tenant)
        chosen = "" if group == "none" else group
        joined = join_group(accounts.database, tenant, chosen, time.time_ns() // 1000, moment(from_, "--from"))
    click.echo(f"{tenant} is in {group} from {print_moment(joined.since_us)}")


@prices.command()
@click.argument("tenant")
@click.argument("model")
@click.option("--at", metavar="DATE", help="At this moment (UTC). Default: now.")
@format_option
def show(tenant: str, model: str, at: str | None, form: Form) -> None:
    """How a call of a tenant is charged, and which entry says so.

    \b
    Example:
      tidegate accounts prices show acme openai/gpt-4o-mini
    """
    from tidegate.accounts.money.terms import read_terms

    asked_us = moment(at, "--at")
    with accounts_of(load_config()) as accounts, accounts.database.reading() as connection:
        book = read_terms(connection)
    charge = book.charge(tenant, model, time.time_ns() // 1000 if asked_us is None else asked_us)
    if form == "table":
        print_table(["model", "charged", "by"], [[model, _told(charge), charge.terms_id or "no entry"]], form)
        return
    rates = [None, None, None] if charge.price is None else _rates(charge.price)
    margin = None if charge.price is not None else _percent(charge.margin_ppm)
    columns = ["tenant", "model", "terms", "margin", "input_usd", "output_usd", "cache_read_usd"]
    print_table(columns, [[tenant, model, charge.terms_id or "at cost", margin, *rates]], form)


def _margin(text: str | None) -> int:
    """Parts per million of a percentage. Raises TidegateError."""
    if text is None:
        return 0
    try:
        return parse_decimal(text.removesuffix("%"), 4)
    except InvalidMoney as error:
        raise TidegateError(f"--margin {text!r} is no percentage; write for example 20% or 12.5%") from error


def _told(term: Term | Charge) -> str:
    """How an entry charges, in a few words."""
    if term.price is not None:
        entered, left, cached = _rates(term.price)
        return f"{entered} in, {left} out" + (f", {cached} cached" if cached else "")
    return f"cost + {_percent(term.margin_ppm)}" if term.margin_ppm else "at cost"


def _percent(ppm: int) -> str:
    sign = "-" if ppm < 0 else ""
    return f"{sign}{abs(ppm) // 10_000}.{abs(ppm) % 10_000:04d}".rstrip("0").rstrip(".") + "%"


def _price(group: str, models: str, usd: tuple[str | None, str | None, str | None]) -> Price | None:
    given = [None if text is None else _rate(text) for text in usd]
    entered, left, cached = given
    if entered is None and left is None and cached is None:
        return None
    if entered is None or left is None:
        raise TidegateError("a price of your own has --input and --output; a free direction says 0")
    return Price(price_id=f"{models}@{group}"[:200], rates=Rates(input=entered, output=left, cache_read=cached))


def _rate(text: str) -> int:
    try:
        found = parse_rate(text)
    except InvalidMoney as error:
        raise TidegateError(f"{text!r} is no price in USD per million tokens: {error}") from error
    if found < 0:
        raise TidegateError(f"a price is not below zero, seen {text}")
    return found


def _rates(price: Price) -> list[Cell]:
    rates = price.rates
    cached = None if rates.cache_read is None else format_rate(rates.cache_read)
    return [format_rate(rates.input), format_rate(rates.output), cached]
