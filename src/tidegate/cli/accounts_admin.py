"""`tidegate accounts admin`: operators. An installation has none until somebody who has its files makes one."""

from typing import TYPE_CHECKING

import click

from tidegate.cli.keys import accounts_of
from tidegate.config import Config, load_config

if TYPE_CHECKING:
    from tidegate.accounts.keys import Accounts


@click.group()
def admin() -> None:
    """Operators: who may manage every tenant. A fresh installation has none, and nobody can sign in.

    \b
    Example:
      tidegate accounts admin create ada@example.com
      tidegate accounts admin link ada@example.com
    """


@admin.command()
@click.argument("email")
@click.option("--name", default="", help="As people call them.")
def create(email: str, name: str) -> None:
    """Make an operator, and print a link with which they set their password: good once, for a day.

    \b
    Example:
      tidegate accounts admin create ada@example.com --name Ada
    """
    from tidegate.accounts.people import create_person

    config = load_config()
    with accounts_of(config) as accounts:
        person = create_person(accounts.database, email, name, is_operator=True)
        click.echo(f"made {person.person_id}  {person.email}  operator")
        _print_link(config, accounts, person.person_id)


@admin.command()
@click.argument("email")
def link(email: str) -> None:
    """Print another link for a person, who forgot their password or let the first link end.

    \b
    Example:
      tidegate accounts admin link ada@example.com
    """
    from tidegate.accounts.people import find_person

    config = load_config()
    with accounts_of(config) as accounts:
        _print_link(config, accounts, find_person(accounts.database, email).person_id)


def _print_link(config: Config, accounts: "Accounts", person_id: str) -> None:
    from tidegate.accounts.links import make_link

    gateway = config.gateway
    scheme = "https" if gateway.tls_cert_file else "http"
    origin = config.console.public_url.rstrip("/") or f"{scheme}://{gateway.host}:{gateway.port}"
    click.echo("They set their password here, once, within a day; whoever has this link can:")
    click.echo(f"{origin}/console/welcome?link={make_link(accounts.database, accounts.pepper, person_id)}")
