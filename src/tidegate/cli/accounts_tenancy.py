"""`tidegate accounts tenants|projects`: who pays, and for what."""

from typing import Any

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.tables import print_table
from tidegate.config import load_config
from tidegate.core.errors import TidegateError

FORMAT = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
TIMEZONE = "Where its days and months begin, e.g. Asia/Shanghai."
LANGUAGE = "Language of texts for its people: en or zh. Default: as they ask."
COUNTRY = "ISO 3166 alpha-2 country of its billing address."


@click.group()
def tenants() -> None:
    """Tenants: who pays.

    \b
    Example:
      tidegate accounts tenants create acme --name "Acme Ltd" --timezone Europe/Berlin
      tidegate accounts tenants update acme --disable
    """


@tenants.command("create")
@click.argument("tenant")
@click.option("--name", default="", help="As people call it. Default: its id.")
@click.option("--timezone", default="UTC", show_default=True, help=TIMEZONE)
@click.option("--language", default="", help=LANGUAGE)
@click.option("--billing-country", metavar="CC", help=COUNTRY)
def create_tenant(tenant: str, name: str, timezone: str, language: str, billing_country: str | None) -> None:
    """Make a tenant, with a project `default`. Its id is what keys, rows and statements name.

    \b
    Example:
      tidegate accounts tenants create acme --name "Acme Ltd" --timezone Asia/Shanghai --language zh
    """
    from tidegate.accounts import tenancy

    wish = tenancy.Tenant(
        tenant_id=tenant,
        name=name,
        timezone=timezone,
        language=language,
        billing_country=billing_country.upper() if billing_country else None,
    )
    with accounts_of(load_config()) as accounts:
        made = tenancy.create_tenant(accounts.database, wish)
    click.echo(f"made tenant {made.tenant_id}")


@tenants.command("list")
@FORMAT
def list_tenants(form: str) -> None:
    """List all tenants, the disabled ones too.

    \b
    Example:
      tidegate accounts tenants list --format csv
    """
    from tidegate.accounts import tenancy

    with accounts_of(load_config()) as accounts:
        found = tenancy.list_tenants(accounts.database)
    columns = ["tenant", "name", "state", "timezone", "language", "billing_country"]
    rows = [[t.tenant_id, t.name, _state(t.is_enabled), t.timezone, t.language, t.billing_country] for t in found]
    print_table(columns, rows, form)


@tenants.command("update")
@click.argument("tenant")
@click.option("--enable/--disable", "is_enabled", default=None, help="Let its keys be used, or none of them for now.")
@click.option("--name", help="As people call it.")
@click.option("--timezone", help=TIMEZONE)
@click.option("--language", help=LANGUAGE)
@click.option("--billing-country", metavar="CC", help=COUNTRY)
def update_tenant(tenant: str, **wished: Any) -> None:
    """Change a tenant; what is not named stays. Running gateways know within two seconds.

    \b
    Example:
      tidegate accounts tenants update acme --disable
    """
    from tidegate.accounts import tenancy

    change = tenancy.TenantChange(**_named(wished))
    with accounts_of(load_config()) as accounts:
        changed = tenancy.update_tenant(accounts.database, tenant, change)
    click.echo(f"{changed.tenant_id}: {_state(changed.is_enabled)}")


@click.group()
def projects() -> None:
    """Projects: parts of a tenant with keys and quotas of their own.

    \b
    Example:
      tidegate accounts projects create acme web
      tidegate accounts projects list --tenant acme
    """


@projects.command("create")
@click.argument("tenant")
@click.argument("project")
@click.option("--name", default="", help="As people call it. Default: its id.")
def create_project(tenant: str, project: str, name: str) -> None:
    """Make a project of a tenant.

    \b
    Example:
      tidegate accounts projects create acme web --name "The shop"
    """
    from tidegate.accounts import tenancy

    wish = tenancy.Project(tenant_id=tenant, project_id=project, name=name)
    with accounts_of(load_config()) as accounts:
        made = tenancy.create_project(accounts.database, wish)
    click.echo(f"made project {made.tenant_id}/{made.project_id}")


@projects.command("list")
@click.option("--tenant", help="Only this tenant's.")
@FORMAT
def list_projects(tenant: str | None, form: str) -> None:
    """List projects, the disabled ones too.

    \b
    Example:
      tidegate accounts projects list --tenant acme
    """
    from tidegate.accounts import tenancy

    with accounts_of(load_config()) as accounts:
        found = tenancy.list_projects(accounts.database, tenant)
    rows = [[p.tenant_id, p.project_id, p.name, _state(p.is_enabled)] for p in found]
    print_table(["tenant", "project", "name", "state"], rows, form)


@projects.command("update")
@click.argument("tenant")
@click.argument("project")
@click.option("--enable/--disable", "is_enabled", default=None, help="Let its keys be used, or none of them for now.")
@click.option("--name", help="As people call it.")
def update_project(tenant: str, project: str, **wished: Any) -> None:
    """Change a project; what is not named stays. Running gateways know within two seconds.

    \b
    Example:
      tidegate accounts projects update acme web --disable
    """
    from tidegate.accounts import tenancy

    change = tenancy.ProjectChange(**_named(wished))
    with accounts_of(load_config()) as accounts:
        changed = tenancy.update_project(accounts.database, tenant, project, change)
    click.echo(f"{changed.tenant_id}/{changed.project_id}: {_state(changed.is_enabled)}")


def _named(wished: dict[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in wished.items() if value is not None}
    if not values:
        raise TidegateError("nothing to change; --help shows what can be")
    if values.get("billing_country"):
        values["billing_country"] = values["billing_country"].upper()
    return values


def _state(is_enabled: bool) -> str:
    return "enabled" if is_enabled else "disabled"
