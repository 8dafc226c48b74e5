"""`tidegate keys`: API keys of this installation."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli.moments import span_s
from tidegate.config import Config, load_config
from tidegate.core.errors import ConfigError, TidegateError

if TYPE_CHECKING:
    from tidegate.accounts.keys import Accounts, Key


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


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a key may call, and whose prices it pays."""
    options = [
        click.option(
            "--model", "models", multiple=True, metavar="GLOB",
            help="Models it may call, e.g. 'openai/*'; several times. Default: all.",
        ),
        click.option(
            "--provider", "providers", multiple=True, metavar="NAME",
            help="Providers that may serve it; several times. Default: all.",
        ),
        click.option(
            "--network", "networks", multiple=True, metavar="CIDR",
            help="Networks it may be used from, e.g. 203.0.113.0/24; several times. Default: anywhere.",
        ),
        click.option("--price-group", metavar="GROUP", help="Whose prices it pays. Default: its tenant's."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@keys.command()
@click.option("--name", required=True, help="What the key is for; shown in lists.")
@click.option("--tenant", default="default", show_default=True, help="The account that pays.")
@click.option("--project", default="default", show_default=True, help="The project inside the account.")
@click.option("--expires-in", metavar="SPAN", help="How long it is valid, e.g. 90d, 12h. Default: until revoked.")
@click.option("--billing-country", metavar="CC", help="ISO 3166 alpha-2 country of the account's billing address.")
@limit_options
@click.option("--from-env", metavar="VARIABLE", help="Take the secret from this variable instead of making one.")
@click.option("--quiet", is_flag=True, help="Print the secret alone.")
def create(name: str, from_env: str | None, quiet: bool, **wished: Any) -> None:
    """Make a key and show its secret, once. A tenant or project that is not there yet is made too.

    \b
    Example:
      export OPENAI_API_KEY=$(tidegate keys create --name laptop --quiet)
      tidegate keys create --name shop --tenant acme --project web --model 'openai/*' --network 203.0.113.0/24
    """
    from tidegate.accounts.keys import KeyWish

    if not name.strip():
        raise TidegateError("--name is empty; say what the key is for")
    country = wished["billing_country"]
    if country and not re.fullmatch(r"[A-Za-z]{2}", country):
        raise TidegateError(f"--billing-country {country!r} is not an ISO 3166 alpha-2 code such as DE")
    wish = KeyWish(
        name=name,
        tenant_id=wished["tenant"],
        project_id=wished["project"],
        expires_us=_ends_us("--expires-in", wished["expires_in"]),
        billing_country=country.upper() if country else None,
        price_group=wished["price_group"] or "",
        models=wished["models"],
        providers=wished["providers"],
        networks=wished["networks"],
    )
    secret = _secret_from(from_env)
    with accounts_of(load_config()) as accounts:
        made = accounts.add_key(wish, secret)
    _show_secret(made.key_id, name, made.secret, quiet)


@keys.command()
@click.argument("key")
@click.option("--overlap", metavar="SPAN", help="How long the present secret stays valid, e.g. 24h. Default: it ends.")
@click.option("--from-env", metavar="VARIABLE", help="Take the new secret from this variable instead of making one.")
@click.option("--quiet", is_flag=True, help="Print the secret alone.")
def rotate(key: str, overlap: str | None, from_env: str | None, quiet: bool) -> None:
    """Give a key a new secret. Its id, its limits and its history stay.

    \b
    Example:
      tidegate keys rotate laptop --overlap 24h
    """
    overlap_s = span_s(overlap, "--overlap") if overlap else 0
    secret = _secret_from(from_env)
    with accounts_of(load_config()) as accounts:
        found = accounts.valid_key(key)
        made = accounts.rotate_key(found.key_id, overlap_s=overlap_s, secret=secret)
    _show_secret(made.key_id, found.name, made.secret, quiet)


@keys.command()
@click.argument("key")
@click.option("--enable/--disable", "is_enabled", default=None, help="Let it be used, or not for now.")
@click.option("--name", help="What the key is for.")
@click.option("--expires-in", metavar="SPAN", help="How long it is valid from now on; `never` takes the end away.")
@limit_options
@click.option("--any-model", is_flag=True, help="Take the limit on models away.")
@click.option("--any-provider", is_flag=True, help="Take the limit on providers away.")
@click.option("--any-network", is_flag=True, help="Take the limit on networks away.")
def update(key: str, **wished: Any) -> None:
    """Change what a key may do; what is not named stays. Running gateways know within two seconds.

    \b
    Example:
      tidegate keys update laptop --disable
      tidegate keys update shop --model 'openai/*' --model 'anthropic/*' --any-network
    """
    from tidegate.accounts.keys import KeyChange

    values: dict[str, Any] = {
        name: wished[name] for name in ("is_enabled", "name", "price_group") if wished[name] is not None
    }
    for name in ("models", "providers", "networks"):
        if wished[name] or wished[f"any_{name[:-1]}"]:
            values[name] = wished[name]
    if wished["expires_in"]:
        is_never = wished["expires_in"] == "never"
        values["expires_us"] = None if is_never else _ends_us("--expires-in", wished["expires_in"])
    if not values:
        raise TidegateError("nothing to change; `tidegate keys update --help` shows what can be")
    with accounts_of(load_config()) as accounts:
        changed = accounts.update_key(accounts.valid_key(key).key_id, KeyChange(**values))
    click.echo(f"{changed.key_id}  {changed.name}: {_state(changed, time.time_ns() // 1000)}")


@keys.command("list")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--all", "with_revoked", is_flag=True, help="Revoked, disabled and expired keys too.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def list_(tenant: str | None, with_revoked: bool, form: str) -> None:
    """List the keys that are valid now, oldest first; never a secret.

    \b
    Example:
      tidegate keys list
      tidegate keys list --all --format json
    """
    from tidegate.cli.tables import print_table

    now_us = time.time_ns() // 1000
    with accounts_of(load_config()) as accounts:
        listed = [key for key in accounts.list_keys(tenant) if with_revoked or key.is_valid(now_us)]
    if form == "table":  # narrow enough for a terminal
        columns = ["key_id", "name", "account", "hint", "created", "state"]
        rows = [
            [key.key_id, key.name, _account(key), key.hint, _time(key.created_us)[:10], _state(key, now_us)]
            for key in listed
        ]
        print_table(columns, rows, form)
        return
    columns = [
        "key_id", "name", "tenant_id", "project_id", "hint", "created", "expires", "state", "price_group", "models",
        "providers", "networks",
    ]  # fmt: skip
    full: list[list[str | None]] = []
    for key in listed:
        expires = None if key.expires_us is None else _time(key.expires_us)
        state = _state(key, now_us).partition(" ")[0]
        limits = (" ".join(words) for words in (key.models, key.providers, key.networks))
        made = _time(key.created_us)
        full.append(
            [
                key.key_id,
                key.name,
                key.tenant_id,
                key.project_id,
                key.hint,
                made,
                expires,
                state,
                key.price_group,
                *limits,
            ]
        )
    print_table(columns, full, form)


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


def _ends_us(option: str, text: str | None) -> int | None:
    return time.time_ns() // 1000 + span_s(text, option) * 1_000_000 if text else None


def _secret_from(variable: str | None) -> str | None:
    secret = os.environ.get(variable) if variable else None
    if variable and not secret:
        raise TidegateError(f"the variable {variable} is not set")
    return secret


def _show_secret(key_id: str, name: str, secret: str, quiet: bool) -> None:
    if quiet:
        click.echo(secret)
    else:
        click.echo(f"{key_id}  {name}\n\n  {secret}\n\nShown this once; only its hash is kept.")


def _account(key: "Key") -> str:
    return key.tenant_id if key.project_id == "default" else f"{key.tenant_id}/{key.project_id}"


def _state(key: "Key", now_us: int) -> str:
    if not key.is_valid(now_us):
        return "revoked" if key.revoked_us else "expired" if key.is_enabled else "disabled"
    return "valid" if key.expires_us is None else f"valid until {_time(key.expires_us)[:10]}"


def _time(us: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(us // 1_000_000))
