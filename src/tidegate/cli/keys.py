"""`tidegate keys`: API keys of this installation."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tidegate.config import Config, load_config
from tidegate.core.errors import ConfigError, TidegateError

if TYPE_CHECKING:
    from tidegate.accounts.keys import Accounts, Key

_SPAN = re.compile(r"([1-9]\d{0,4})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@contextmanager
def accounts_of(config: Config) -> "Iterator[Accounts]":
    """The accounts of this installation. Raises ConfigError where its database or its secret cannot be used."""
    import sqlalchemy.exc

    from tidegate.accounts.keys import open_accounts

    home, settings = config.home_path, config.accounts
    try:
        accounts = open_accounts(home, settings.database_url, settings.secret_file)
        try:
            yield accounts
        finally:
            accounts.close()
    except sqlalchemy.exc.DBAPIError as error:
        name = "the database of accounts.database_url" if settings.database_url else home / "accounts.sqlite"
        raise ConfigError(f"{name} cannot be used: {str(error.orig).strip().splitlines()[0]}") from error


@click.group()
def keys() -> None:
    """API keys: who may call the gateway.

    \b
    Example:
      tidegate keys create --name laptop
      tidegate keys list
      tidegate keys revoke laptop
    """


@keys.command()
@click.option("--name", required=True, help="What the key is for; shown in lists.")
@click.option("--tenant", default="default", show_default=True, help="The account that pays.")
@click.option("--project", default="default", show_default=True, help="The project inside the account.")
@click.option("--expires-in", metavar="SPAN", help="How long it is valid, e.g. 90d, 12h. Default: until revoked.")
@click.option("--billing-country", metavar="CC", help="ISO 3166 alpha-2 country of the account's billing address.")
@click.option("--from-env", metavar="VARIABLE", help="Take the secret from this variable instead of making one.")
@click.option("--quiet", is_flag=True, help="Print the secret alone.")
def create(  # noqa: PLR0913 - one parameter an option
    name: str,
    tenant: str,
    project: str,
    expires_in: str | None,
    billing_country: str | None,
    from_env: str | None,
    quiet: bool,
) -> None:
    """Make a key and show its secret, once.

    \b
    Example:
      export OPENAI_API_KEY=$(tidegate keys create --name laptop --quiet)
    """
    if not name.strip():
        raise TidegateError("--name is empty; say what the key is for")
    if billing_country and not re.fullmatch(r"[A-Za-z]{2}", billing_country):
        raise TidegateError(f"--billing-country {billing_country!r} is not an ISO 3166 alpha-2 code such as DE")
    secret = None
    if from_env and not (secret := os.environ.get(from_env)):
        raise TidegateError(f"the variable {from_env} is not set")
    expires_us = time.time_ns() // 1000 + _span_s(expires_in) * 1_000_000 if expires_in else None
    with accounts_of(load_config()) as accounts:
        made = accounts.create_key(
            name,
            tenant_id=tenant,
            project_id=project,
            expires_us=expires_us,
            billing_country=billing_country.upper() if billing_country else None,
            secret=secret,
        )
    if quiet:
        click.echo(made.secret)
    else:
        click.echo(f"{made.key_id}  {name}\n\n  {made.secret}\n\nShown this once; only its hash is kept.")


def _span_s(text: str) -> int:
    match = _SPAN.fullmatch(text)
    if not match:
        raise TidegateError(f"--expires-in {text!r} is not a span; write for example 90d, 12h or 30m")
    return int(match[1]) * _SECONDS[match[2]]


@keys.command("list")
@click.option("--all", "with_revoked", is_flag=True, help="Revoked and expired keys too.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def list_(with_revoked: bool, form: str) -> None:
    """List the keys that are valid now, oldest first; never a secret.

    \b
    Example:
      tidegate keys list
      tidegate keys list --all --format json
    """
    from tidegate.cli.tables import print_table

    now_us = time.time_ns() // 1000
    with accounts_of(load_config()) as accounts:
        listed = [key for key in accounts.list_keys() if with_revoked or key.is_valid(now_us)]
    if form == "table":  # narrow enough for a terminal
        columns = ["key_id", "name", "account", "hint", "created", "state"]
        rows = [
            [key.key_id, key.name, _account(key), key.hint, _time(key.created_us)[:10], _state(key, now_us)]
            for key in listed
        ]
        print_table(columns, rows, form)
        return
    columns = ["key_id", "name", "tenant_id", "project_id", "hint", "created", "expires", "state"]
    full: list[list[str | None]] = []
    for key in listed:
        expires = None if key.expires_us is None else _time(key.expires_us)
        state = _state(key, now_us).partition(" ")[0]
        full.append(
            [key.key_id, key.name, key.tenant_id, key.project_id, key.hint, _time(key.created_us), expires, state]
        )
    print_table(columns, full, form)


def _account(key: "Key") -> str:
    return key.tenant_id if key.project_id == "default" else f"{key.tenant_id}/{key.project_id}"


def _state(key: "Key", now_us: int) -> str:
    if not key.is_valid(now_us):
        return "revoked" if key.revoked_us else "expired"
    return "valid" if key.expires_us is None else f"valid until {_time(key.expires_us)[:10]}"


def _time(us: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(us // 1_000_000))


@keys.command()
@click.argument("key")
def revoke(key: str) -> None:
    """Revoke the key with this id, or every key of this name; running gateways refuse it within two seconds.

    \b
    Example:
      tidegate keys revoke key_3f2a9c0d11e2b4a7
    """
    with accounts_of(load_config()) as accounts:
        for key_id in accounts.revoke_key(key):
            click.echo(f"revoked {key_id}")
