"""`tidegate accounts database`: what the accounts are kept in, and the way back to an earlier release."""

import click

from tidegate.cli.keys import accounts_of
from tidegate.config import load_config


@click.command()
@click.option("--back-to", metavar="REVISION", help="Undo every later step, before an earlier release is installed.")
@click.option("--yes", is_flag=True, help="Do it without being asked.")
def database(back_to: str | None, yes: bool) -> None:
    """Where the accounts are, and at which revision their tables are.

    Stop every gateway before `--back-to`, and keep a backup: what only the later steps knew is lost. Opening the
    database with this release brings it up to date again.

    \b
    Example:
      tidegate accounts database
      tidegate accounts database --back-to 0001
    """
    from tidegate.accounts.database import HEAD
    from tidegate.accounts.migrations.run import check_revision

    if back_to is not None:
        check_revision(back_to)
        if not yes:
            click.confirm(f"Undo every step after {back_to}? Its tables and what is in them are lost", abort=True)
    config = load_config()
    with accounts_of(config) as accounts:
        if back_to is not None:
            accounts.database.migrate(back_to)
        where = "SQLite" if accounts.database.is_sqlite else "PostgreSQL"
        click.echo(f"{where}: {accounts.database.place}")
        click.echo(f"revision {accounts.database.revision()}; this release reads and writes {HEAD}")
