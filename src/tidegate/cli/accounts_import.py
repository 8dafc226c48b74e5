"""`tidegate accounts import`: another gateway's installation as ours."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.ledger_options import Form, format_option
from tidegate.cli.tables import Cell, print_table, printable
from tidegate.core.errors import AccountsError

if TYPE_CHECKING:
    from tidegate.accounts.imports import Plan

SYSTEMS = ("litellm", "one-api", "new-api")
SHOWN_MAX = 40


@click.command("import")
@click.argument("system", type=click.Choice(SYSTEMS))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only show what would be made.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("tidegate.toml"),
    show_default=True,
    help="Where providers and endpoints are written; never over a file that is there.",
)
@click.option("--quota-per-usd", type=click.IntRange(min=1), help="one-api's `quota` in a USD.  [default: as it says]")
@format_option
def import_(
    system: str,
    file: Path,
    dry_run: bool,
    config_file: Path,
    quota_per_usd: int | None,
    form: Form,
) -> None:
    """Take over another gateway: its models, keys, tenants and quotas. Ends with a list of what did not map.

    FILE: LiteLLM's config.yaml, or the SQLite database of one-api or new-api. Clients keep their keys; providers' keys
    are stored encrypted. Again, nothing is made twice.

    \b
    Example:
      tidegate accounts import litellm config.yaml --dry-run
      tidegate accounts import one-api one-api.db
    """
    from tidegate.accounts.imports import toml
    from tidegate.catalog import load_catalog
    from tidegate.config import load_config

    config = load_config()
    catalog = load_catalog([config.catalog_path])
    plan = _read(system, file, catalog, quota_per_usd or 0)
    _show(plan, form)
    if dry_run:
        click.echo("dry run: nothing was made", err=True)
        return
    if config_file.exists():
        raise AccountsError(f"{config_file} is there already; name another with --config, and join them by hand")
    _apply(plan)
    config_file.write_text(toml.render(plan), "utf-8")
    click.echo(f"providers and endpoints: {config_file}", err=True)
    variables = sorted({part.api_key_env for part in plan.providers if part.api_key_env})
    if variables:
        click.echo(f"set before you serve: {', '.join(variables)}", err=True)


def _read(system: str, file: Path, catalog: object, quota_per_usd: int) -> "Plan":
    from tidegate.accounts.imports.litellm_config import read_config
    from tidegate.accounts.imports.one_api_db import read_database
    from tidegate.catalog import Catalog

    assert isinstance(catalog, Catalog)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    if system == "litellm":
        return read_config(file, catalog, today)
    return read_database(file, catalog, today, quota_per_usd)


def _apply(plan: "Plan") -> None:
    from tidegate.accounts.imports.apply import apply
    from tidegate.accounts.provider_keys import read_operator_key
    from tidegate.cli.keys import accounts_of
    from tidegate.config import load_config
    from tidegate.core.money import format_usd

    config = load_config()
    with accounts_of(config) as accounts:
        operator_key = b""
        if any(part.keys for part in plan.providers):
            operator_key = read_operator_key(config.home_path, config.accounts.operator_key_file, may_make=True)
        done = apply(accounts, plan, operator_key)
    click.echo(
        f"made: {done.tenants} tenants, {done.keys} keys, {done.quotas} quotas, {done.provider_keys} providers' keys, "
        f"{format_usd(done.credits_nano_usd)} USD of credit; {done.known} were there already",
        err=True,
    )
    for problem in done.problems:
        click.echo(f"not made: {printable(problem)}", err=True)


def _show(plan: "Plan", form: Form) -> None:
    from tidegate.core.money import format_usd

    def dollars(amount: int | None) -> str:
        return "" if amount is None else format_usd(amount)

    rows: list[list[Cell]] = [
        ["provider", part.name, part.base_url or "as the catalog has it"] for part in plan.providers
    ]
    rows += [
        ["endpoint", part.model, f"{part.upstream_model or part.model} at {part.provider}"] for part in plan.endpoints
    ]
    rows += [["tenant", part.tenant_id, f"{dollars(part.credit_nano_usd)} USD of credit"] for part in plan.tenants]
    rows += [["key", part.name, f"of {part.tenant_id}"] for part in plan.keys]
    limits = [*plan.quotas, *(quota for key in plan.keys for quota in key.quotas)]
    rows += [
        [
            "quota",
            part.name,
            (f"{dollars(part.limit)} USD" if part.unit == "nano_usd" else f"{part.limit} {part.unit}")
            + f", {part.window}",
        ]
        for part in limits
    ]
    rows += [["not mapped", text, ""] for text in plan.unmapped]
    if form != "table":
        print_table(["what", "name", "about"], rows, form)
        return
    made = [row for row in rows if row[0] != "not mapped"]
    print_table(["what", "name", "about"], made[:SHOWN_MAX], form)
    if len(made) > SHOWN_MAX:
        click.echo(f"... and {len(made) - SHOWN_MAX} more: --format csv")
    for note in plan.notes:
        click.echo(f"note: {note}")
    click.echo(f"not mapped: {len(plan.unmapped)}")
    for text in plan.unmapped:
        click.echo(f"- {printable(text)}")
