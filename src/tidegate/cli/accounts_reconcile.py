"""`tidegate accounts reconcile`: a provider's export against our rows."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.ledger_options import Form, format_option, ledger_option, open_ledger
from tidegate.cli.tables import Cell, print_table, printable

if TYPE_CHECKING:
    from tidegate.accounts.reconcile import Reconciled
    from tidegate.accounts.reconcile.run import Compared

COLUMNS = ("day", "model", "calls: ours, theirs", "input", "output", "ours", "billed", "difference", "main cause")
SIDES = ("requests", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost_nano_usd")
FORMS = ("openai", "anthropic", "openrouter")


@click.command()
@click.argument("exports", nargs=-1, type=click.Path(path_type=Path))
@ledger_option
@click.option("--as", "said", type=click.Choice(FORMS), help="Whose form.  [default: told from the file]")
@click.option("--provider", default="", help="Provider as our rows name it.  [default: the form's name]")
@click.option("--source-id", default="own", show_default=True, help="Whose rows of the ledger.")
@click.option("--mapping", type=click.Path(path_type=Path, dir_okay=False), help="YAML that maps any other table.")
@click.option("--days", type=click.IntRange(min=0), default=20, show_default=True, help="Lines of the table by day.")
@format_option
def reconcile(  # noqa: PLR0913 - one parameter an option
    exports: tuple[Path, ...],
    ledger_path: Path | None,
    said: str | None,
    provider: str,
    source_id: str,
    mapping: Path | None,
    days: int,
    form: Form,
) -> None:
    """Hold a provider's own usage and cost EXPORTS against our rows, by day and model, and rank why they differ.

    Reads OpenAI's and Anthropic's usage and cost exports (the API's JSON or the dashboard's CSV; several files add up),
    OpenRouter's activity, and any table by a mapping. Differences below a cent are rounding.

    \b
    Example:
      tidegate accounts reconcile usage.json costs.json
      tidegate accounts reconcile anthropic.csv --ledger L --format csv
      tidegate accounts reconcile bill.csv --mapping bill.yml --provider deepinfra
    """
    from tidegate.accounts.reconcile import Options
    from tidegate.accounts.reconcile import reconcile as run
    from tidegate.config import load_config

    if not exports:
        raise click.UsageError("name an export of the provider: tidegate accounts reconcile usage.json")
    catalog = (load_config().catalog_path,)
    options = Options(form=said or "", provider=provider, source_id=source_id, mapping=mapping, catalog=catalog)
    _print(run(exports, open_ledger(ledger_path), options), form, days)


def _print(found: "Reconciled", form: Form, days: int) -> None:
    if form == "json":
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    elif form == "csv":
        names = [f"{name}_{side}" for name in SIDES for side in ("ours", "theirs")]
        rows = [_csv_row(item) for item in found.days]
        print_table(["day", "model", *names, "difference_nano_usd", "is_list_price", "causes"], rows, form)
    else:
        _print_table(found, days)


def _csv_row(item: "Compared") -> list[Cell]:
    counts: list[Cell] = [getattr(side, name) for name in SIDES for side in (item.ours, item.theirs)]
    causes = "; ".join(f"{part.cause} {part.nano_usd}" for part in item.parts)
    return [item.day, item.model, *counts, item.difference_nano_usd, item.is_list_price, causes]


def _print_table(found: "Reconciled", days: int) -> None:
    from tidegate.accounts.audit.words import usd
    from tidegate.accounts.reconcile.causes import TEXTS

    wrong = [item for item in found.days if not item.is_alike]
    click.echo(
        f"{found.provider}, {found.first_day} to {found.last_day}: the provider bills {usd(found.theirs_nano_usd)}, "
        f"our rows say {usd(found.ours_nano_usd)}, a difference of {usd(found.difference_nano_usd)}; "
        f"{len(wrong)} of {len(found.days)} days and models differ by a cent or more"
    )
    causes: list[list[Cell]] = [
        [cause, usd(amount), count, TEXTS[cause]] for cause, amount, count in found.causes if abs(amount) >= 1000
    ]
    if causes:
        click.echo("")
        print_table(["cause", "amount", "days and models", "what it is"], causes, "table")
    rows: list[list[Cell]] = [_row(item) for item in wrong[:days]]
    if rows:
        click.echo("")
        print_table(COLUMNS, rows, "table", title=f"the {len(rows)} largest differences")
    for note in found.notes:
        click.echo(f"note: {printable(note)}")


def _row(item: "Compared") -> list[Cell]:
    from tidegate.accounts.audit.words import usd

    ours, theirs = item.ours, item.theirs
    known = item.difference_nano_usd is not None
    return [
        item.day,
        item.model,
        _both(ours.requests, theirs.requests),
        _both(ours.input_tokens, theirs.input_tokens),
        _both(ours.output_tokens, theirs.output_tokens),
        usd(ours.cost_nano_usd or 0),
        usd((ours.cost_nano_usd or 0) + (item.difference_nano_usd or 0)) if known else "unknown",
        usd(item.difference_nano_usd) if known else "unknown",
        item.parts[0].cause if item.parts else "",
    ]


def _both(ours: int | None, theirs: int | None) -> str:
    return ", ".join("-" if count is None else f"{count:,}" for count in (ours, theirs))
