"""`tidegate accounts provider-keys`: keys that providers gave the operator, stored encrypted."""

import os
import sys

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.tables import print_table
from tidegate.config import load_config
from tidegate.core.errors import TidegateError


@click.group("provider-keys")
def provider_keys() -> None:
    """Providers' keys, encrypted under the operator's key. With several, one that is refused rests a while.

    \b
    Example:
      tidegate accounts provider-keys add openai --from-env OPENAI_API_KEY
      tidegate accounts provider-keys list
    """


@provider_keys.command()
@click.argument("provider")
@click.option("--name", default="", help="What to call it, e.g. the account it is of.")
@click.option("--from-env", metavar="VARIABLE", help="Take the key from this variable. Default: asked for, or stdin.")
def add(provider: str, name: str, from_env: str | None) -> None:
    """Store a key of PROVIDER; running gateways use it within two seconds.

    \b
    Example:
      tidegate accounts provider-keys add openai --name "second account"
    """
    from tidegate.accounts.provider_keys import add_provider_key, read_operator_key

    if from_env is not None and not os.environ.get(from_env):
        raise TidegateError(f"the variable {from_env} is not set")
    if from_env is not None:
        secret = os.environ[from_env]
    else:
        secret = click.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    config = load_config()
    with accounts_of(config) as accounts:
        key = read_operator_key(config.home_path, config.accounts.operator_key_file, may_make=True)
        made = add_provider_key(accounts.database, key, provider, secret, name)
    click.echo(f"stored {made.provider_key_id}  {made.provider_name}  {made.hint}")


@provider_keys.command("list")
@click.option("--provider", help="Only this provider's.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def list_(provider: str | None, form: str) -> None:
    """List stored keys in the order in which they are used; never a key itself.

    \b
    Example:
      tidegate accounts provider-keys list --provider openai
    """
    from tidegate.accounts.provider_keys import list_provider_keys

    with accounts_of(load_config()) as accounts:
        found = list_provider_keys(accounts.database, provider)
    rows = [[k.provider_key_id, k.provider_name, k.name, k.hint, _state(k.is_enabled)] for k in found]
    print_table(["provider_key", "provider", "name", "hint", "state"], rows, form)


@provider_keys.command()
@click.argument("provider_key")
@click.option("--enable/--disable", "is_enabled", required=True, help="Use it, or not for now.")
def update(provider_key: str, is_enabled: bool) -> None:
    """Use a stored key, or not for now.

    \b
    Example:
      tidegate accounts provider-keys update provider_key_3f2a9c0d11e2b4a7 --disable
    """
    from tidegate.accounts.provider_keys import enable_provider_key

    with accounts_of(load_config()) as accounts:
        enable_provider_key(accounts.database, provider_key, is_enabled=is_enabled)
    click.echo(f"{provider_key}: {_state(is_enabled)}")


@provider_keys.command()
@click.argument("provider_key")
def remove(provider_key: str) -> None:
    """Forget a stored key; nothing of it is kept.

    \b
    Example:
      tidegate accounts provider-keys remove provider_key_3f2a9c0d11e2b4a7
    """
    from tidegate.accounts.provider_keys import remove_provider_key

    with accounts_of(load_config()) as accounts:
        remove_provider_key(accounts.database, provider_key)
    click.echo(f"removed {provider_key}")


@provider_keys.command()
@click.argument("new_file", type=click.Path(dir_okay=False))
def reseal(new_file: str) -> None:
    """Encrypt all stored keys under the operator's key in NEW_FILE, made there if need be; then move it into place.

    \b
    Example:
      tidegate accounts provider-keys reseal operator.key.new
    """
    from tidegate.accounts import provider_keys as stored

    config = load_config()
    with accounts_of(config) as accounts:
        old = stored.read_operator_key(config.home_path, config.accounts.operator_key_file)
        new = stored.read_operator_key(config.home_path, new_file, may_make=True)
        count = stored.reseal(accounts.database, old, new)
    click.echo(f"{count} keys are encrypted under {new_file} now: put it in the place of the old one")


def _state(is_enabled: bool) -> str:
    return "in use" if is_enabled else "disabled"
