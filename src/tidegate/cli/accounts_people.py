"""`tidegate accounts people|service-keys`: who manages, and under which role."""

import os
import time
from typing import TYPE_CHECKING

import click

from tidegate.cli.keys import accounts_of
from tidegate.cli.moments import span_s
from tidegate.cli.tables import print_table
from tidegate.config import load_config
from tidegate.core.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.accounts.people import Role

FORMAT = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
ROLE = click.Choice(["owner", "admin", "member", "billing", "auditor"])


@click.group()
def people() -> None:
    """People who sign in to the console, and their roles in tenants.

    \b
    Example:
      tidegate accounts people create ada@example.com --operator
      tidegate accounts people role ada@example.com acme owner
    """


@people.command("create")
@click.argument("email")
@click.option("--name", default="", help="As people call them.")
@click.option("--operator", "is_operator", is_flag=True, help="May manage every tenant and the installation.")
@click.option("--no-password", is_flag=True, help="They sign in with OpenID Connect alone.")
@click.option("--password-env", metavar="VARIABLE", help="Take the password from this variable. Default: asked for.")
def create_person(email: str, name: str, is_operator: bool, no_password: bool, password_env: str | None) -> None:
    """Make a person; asks for their password.

    \b
    Example:
      tidegate accounts people create ada@example.com --name Ada --operator
    """
    from tidegate.accounts import people as folk
    from tidegate.accounts.sign_in import check_new_password, set_password

    password = None if no_password else _password(password_env)
    if password is not None:
        check_new_password(password)
    with accounts_of(load_config()) as accounts:
        made = folk.create_person(accounts.database, email, name, is_operator=is_operator)
        if password is not None:
            set_password(accounts.database, made.person_id, password)
    click.echo(f"made {made.person_id}  {made.email}")


@people.command("list")
@FORMAT
def list_people(form: str) -> None:
    """List people, with their roles.

    \b
    Example:
      tidegate accounts people list
    """
    from tidegate.accounts import people as folk

    rows = []
    with accounts_of(load_config()) as accounts:
        for person in folk.list_people(accounts.database):
            roles = [f"{m.role} of {m.tenant_id}" for m in folk.list_memberships(accounts.database, person.person_id)]
            told = ["operator", *roles] if person.is_operator else roles
            state = "enabled" if person.is_enabled else "disabled"
            rows.append([person.person_id, person.email, person.name, state, ", ".join(told)])
    print_table(["person", "email", "name", "state", "roles"], rows, form)


@people.command("role")
@click.argument("person")
@click.argument("tenant")
@click.argument("role", type=click.Choice([*ROLE.choices, "none"]))
def set_role(person: str, tenant: str, role: str) -> None:
    """Give PERSON (address or id) a role in TENANT; `none` takes it away.

    \b
    Example:
      tidegate accounts people role ada@example.com acme billing
    """
    from tidegate.accounts import people as folk

    with accounts_of(load_config()) as accounts:
        found = folk.find_person(accounts.database, person)
        if role == "none":
            folk.remove_member(accounts.database, tenant, found.person_id)
        else:
            given: Role = role  # type: ignore[assignment]  # one of the choices
            folk.set_member(accounts.database, tenant, found.person_id, given)
    click.echo(f"{found.email}: {role} of {tenant}")


@people.command("password")
@click.argument("person")
@click.option("--password-env", metavar="VARIABLE", help="Take the password from this variable. Default: asked for.")
def password_(person: str, password_env: str | None) -> None:
    """Set a person's password; who is signed in as them is signed out.

    \b
    Example:
      tidegate accounts people password ada@example.com
    """
    from tidegate.accounts.people import find_person
    from tidegate.accounts.sign_in import set_password

    with accounts_of(load_config()) as accounts:
        found = find_person(accounts.database, person)
        set_password(accounts.database, found.person_id, _password(password_env))
    click.echo(f"{found.email}: password set")


@people.command("update")
@click.argument("person")
@click.option("--enable/--disable", "is_enabled", required=True, help="Let them sign in, or not; disabling signs out.")
def update_person(person: str, is_enabled: bool) -> None:
    """Let a person sign in, or not.

    \b
    Example:
      tidegate accounts people update ada@example.com --disable
    """
    from tidegate.accounts import people as folk

    with accounts_of(load_config()) as accounts:
        found = folk.find_person(accounts.database, person)
        folk.update_person(accounts.database, found.person_id, folk.PersonChange(is_enabled=is_enabled))
    click.echo(f"{found.email}: {'enabled' if is_enabled else 'disabled'}")


@click.group("service-keys")
def service_keys() -> None:
    """Keys of programs that manage accounts through the admin API. They call no model.

    \b
    Example:
      tidegate accounts service-keys create --name provisioning --role admin --tenant acme
    """


@service_keys.command("create")
@click.option("--name", required=True, help="What it is for.")
@click.option("--role", type=ROLE, default="admin", show_default=True, help="What it may do.")
@click.option("--tenant", help="The tenant it manages. Default: every one, as an operator.")
@click.option("--expires-in", metavar="SPAN", help="How long it is valid, e.g. 90d. Default: until revoked.")
@click.option("--quiet", is_flag=True, help="Print the secret alone.")
def create_service_key(name: str, role: str, tenant: str | None, expires_in: str | None, quiet: bool) -> None:
    """Make a service key and show its secret, once.

    \b
    Example:
      tidegate accounts service-keys create --name provisioning --role admin
    """
    from tidegate.accounts import service_keys as services

    given: Role = role  # type: ignore[assignment]  # one of the choices
    expires_us = time.time_ns() // 1000 + span_s(expires_in, "--expires-in") * 1_000_000 if expires_in else None
    wish = services.ServiceKeyWish(name=name, role=given, tenant_id=tenant, expires_us=expires_us)
    with accounts_of(load_config()) as accounts:
        made, secret = services.create_service_key(accounts.database, accounts.pepper, wish)
    whole = f"{made.service_key_id}  {made.name}\n\n  {secret}\n\nShown this once; only its hash is kept."
    click.echo(secret if quiet else whole)


@service_keys.command("list")
@FORMAT
def list_service_keys(form: str) -> None:
    """List service keys, revoked ones included; never a secret.

    \b
    Example:
      tidegate accounts service-keys list
    """
    from tidegate.accounts import service_keys as services

    now_us = time.time_ns() // 1000
    with accounts_of(load_config()) as accounts:
        found = services.list_service_keys(accounts.database)
    rows = [
        [k.service_key_id, k.name, k.role, k.tenant_id, k.hint, "valid" if k.is_valid(now_us) else "ended"]
        for k in found
    ]
    print_table(["service_key", "name", "role", "tenant", "hint", "state"], rows, form)


@service_keys.command("revoke")
@click.argument("service_key")
def revoke_service_key(service_key: str) -> None:
    """Revoke a service key.

    \b
    Example:
      tidegate accounts service-keys revoke service_3f2a9c0d11e2b4a7
    """
    from tidegate.accounts import service_keys as services

    with accounts_of(load_config()) as accounts:
        services.revoke_service_key(accounts.database, service_key)
    click.echo(f"revoked {service_key}")


def _password(variable: str | None) -> str:
    """From a variable, or asked for twice and not shown; never from the command line, which others can list."""
    if variable is None:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    if variable not in os.environ:
        raise TidegateError(f"the variable {variable} is not set")
    return os.environ[variable]
