"""`tidegate accounts settle|verify`: the books, from the ledger."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.ledger_options import ledger_option, open_ledger, progress_bar
from tidegate.config import load_config
from tidegate.core.money import format_usd

if TYPE_CHECKING:
    from tidegate.accounts.books.run import Report


@click.command()
@ledger_option
def settle(ledger_path: Path | None) -> None:
    """Book what is sealed and not booked yet, and release what ended workers hold.

    `tidegate up` and `serve` do this after each sealing. Once or many times, also after a crash: each row counts once.

    \b
    Example:
      tidegate ledger seal && tidegate accounts settle
    """
    from tidegate.accounts.books.run import settle as run_settle

    config = load_config()
    ledger = open_ledger(ledger_path)
    with accounts_of(config) as accounts, progress_bar("settling") as progress:
        report = run_settle(accounts.database, ledger, gateway_id=config.gateway.gateway_id, progress=progress)
    _echo(report)


def _echo(report: "Report") -> None:
    for segment in report.segments:
        lost = f", {format_usd(segment.lost_nano_usd)} lost" if segment.lost_nano_usd else ""
        click.echo(
            f"settled {segment.segment_id}: {segment.rows} rows, {format_usd(segment.charged_nano_usd)} USD charged, "
            f"{format_usd(segment.upstream_nano_usd)} upstream{lost}"
        )
    for life in report.lives:
        click.echo(
            f"worker {life.worker_id} has ended: of {format_usd(life.held_nano_usd)} USD it held its rows say "
            f"{format_usd(life.spent_nano_usd)}"
        )
    if report.warning:
        click.echo(f"warning: {report.warning}", err=True)
    if not report.segments and not report.lives:
        click.echo("nothing to settle: every sealed call is booked")
