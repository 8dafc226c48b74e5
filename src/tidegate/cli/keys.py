"""`tidegate keys`: API keys of this installation."""

import os
import re
import time

import click

from tidegate.config import load_config
from tidegate.core.errors import TidegateError

_SPAN = re.compile(r"(\d+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


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
    from tidegate.accounts.keys import open_accounts

    if billing_country and not re.fullmatch(r"[A-Za-z]{2}", billing_country):
        raise TidegateError(f"--billing-country {billing_country!r} is not an ISO 3166 alpha-2 code such as DE")
    secret = None
    if from_env and not (secret := os.environ.get(from_env)):
        raise TidegateError(f"the variable {from_env} is not set")
    accounts = open_accounts(load_config().home_path)
    made = accounts.create_key(
        name,
        tenant_id=tenant,
        project_id=project,
        expires_us=time.time_ns() // 1000 + _span_s(expires_in) * 1_000_000 if expires_in else None,
        billing_country=billing_country.upper() if billing_country else None,
        secret=secret,
    )
    accounts.close()
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
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def list_(form: str) -> None:
    """List all keys, revoked ones included; never a secret.

    \b
    Example:
      tidegate keys list --format json
    """
    from tidegate.accounts.keys import open_accounts
    from tidegate.cli.tables import print_table

    now_us = time.time_ns() // 1000
    rows = []
    for key in open_accounts(load_config().home_path).list_keys():
        state = "valid" if key.is_valid(now_us) else "revoked" if key.revoked_us else "expired"
        rows.append(
            [
                key.key_id,
                key.name,
                key.tenant_id,
                key.project_id,
                key.hint,
                _time(key.created_us),
                _time(key.expires_us),
                state,
            ]
        )
    print_table(["key_id", "name", "tenant_id", "project_id", "hint", "created", "expires", "state"], rows, form)


def _time(us: int | None) -> str | None:
    return None if us is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(us // 1_000_000))


@keys.command()
@click.argument("key")
def revoke(key: str) -> None:
    """Revoke the key with this id, or every key of this name; running gateways refuse it within two seconds.

    \b
    Example:
      tidegate keys revoke key_3f2a9c0d11e2b4a7
    """
    from tidegate.accounts.keys import open_accounts

    for key_id in open_accounts(load_config().home_path).revoke_key(key):
        click.echo(f"revoked {key_id}")
