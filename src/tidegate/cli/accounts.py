"""`tidegate accounts`: tenants, people, quotas, wallets and books of this installation.

Each command lives in its own file `accounts_*.py` and is imported only when it is called.
"""

import importlib

import click

COMMANDS: dict[str, str] = {  # name -> module:attribute
    "tenants": "tidegate.cli.accounts_tenancy:tenants",
    "projects": "tidegate.cli.accounts_tenancy:projects",
    "admin": "tidegate.cli.accounts_admin:admin",
    "people": "tidegate.cli.accounts_people:people",
    "service-keys": "tidegate.cli.accounts_people:service_keys",
    "provider-keys": "tidegate.cli.accounts_provider_keys:provider_keys",
    "database": "tidegate.cli.accounts_database:database",
    "quota": "tidegate.cli.accounts_quota:quota",
    "wallet": "tidegate.cli.accounts_wallet:wallet",
    "settle": "tidegate.cli.accounts_books:settle",
    "verify": "tidegate.cli.accounts_books:verify",
    "statement": "tidegate.cli.accounts_statement:statement",
    "totals": "tidegate.cli.accounts_statement:totals",
    "reconcile": "tidegate.cli.accounts_reconcile:reconcile",
    "import": "tidegate.cli.accounts_import:import_",
    "vouchers": "tidegate.cli.accounts_vouchers:vouchers",
    "topups": "tidegate.cli.accounts_topups:topups",
    "prices": "tidegate.cli.accounts_prices:prices",
    "fx": "tidegate.cli.accounts_topups:fx",
    "hooks": "tidegate.cli.accounts_hooks:hooks",
}


class AccountsGroup(click.Group):
    """Loads a command's module when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=AccountsGroup)
def accounts() -> None:
    """Tenants, people, quotas, wallets and books.

    \b
    Example:
      tidegate accounts tenants create acme --name "Acme Ltd"
      tidegate accounts tenants list
    """
