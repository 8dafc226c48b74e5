"""`tidegate route`: which endpoints may serve a call, which may not, and why."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tidegate.cli.tables import Cell, print_table
from tidegate.core.errors import GatewayError, TidegateError

if TYPE_CHECKING:
    from tidegate.catalog.installed import Installed
    from tidegate.gateway.ladders import ExplainedLadder, Ladders
    from tidegate.gateway.routing import Router
    from tidegate.route.explain import Explanation

format_option = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
COLUMNS = ["order", "endpoint", "state", "expected_usd", "chance", "why"]
DIALECTS = ("openai-chat", "openai-responses", "openai-completions", "openai-embeddings", "anthropic")


class _Caller(msgspec.Struct, frozen=True):
    """For whom a plan is made."""

    tenant_id: str
    project_id: str
    key_id: str
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()


@click.group()
def route() -> None:
    """Policies, what is known of endpoints, and the plan of a call.

    \b
    Example:
      tidegate route explain body.json
      tidegate route policies
      tidegate route facts deepseek
    """


@route.command()
@click.argument("body", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--tenant", default="default", show_default=True, help="tenant whose policies bind the call")
@click.option("--project", default="default", show_default=True, help="project of the caller")
@click.option("--key", "key_id", default="", help="id of the caller's key")
@click.option("--data-class", default="", help="data class that the call states")
@click.option("--policy", "policies", multiple=True, help="a policy by which the call narrows itself; may be repeated")
@click.option("--dialect", type=click.Choice(DIALECTS), default="openai-chat", show_default=True, help="of the body")
@format_option
def explain(  # noqa: PLR0913 - one option each
    body: Path,
    tenant: str,
    project: str,
    key_id: str,
    data_class: str,
    policies: tuple[str, ...],
    dialect: str,
    form: str,
) -> None:
    """Tell the plan of the call in BODY (JSON; `-`: standard input) on this installation, without making it.

    Live health is that of a fresh worker. A running gateway tells its own: POST /api/v1/route/explain. Of a ladder the
    plan of each rung is told, and of its judge.

    \b
    Example:
      tidegate route explain body.json --tenant acme --data-class health
      echo '{"model": "openai/gpt-4o-mini", "messages": [], "provider": {"zdr": true}}' | tidegate route explain -
    """
    from tidegate.gateway.ladders import explain_ladder
    from tidegate.gateway.operation import Operation
    from tidegate.gateway.planning import read_head
    from tidegate.gateway.routing import Said
    from tidegate.wire.dialects import DIALECTS as SPOKEN
    from tidegate.wire.routing_ask import DATA_CLASS, POLICY

    read = sys.stdin.buffer.read() if str(body) == "-" else body.read_bytes()
    headers = {DATA_CLASS: data_class.encode()} if data_class else {}
    if policies:
        headers[POLICY] = ",".join(policies).encode()
    router, _, ladders = _router()
    caller: Any = _Caller(tenant, project, key_id)
    try:
        head, read = read_head(Operation("chat", SPOKEN[dialect]), read)
        said = Said(head, read, headers, dialect)
        if (ladder := ladders.find(head.model)) is not None:
            _print_ladder(explain_ladder(router, said, caller, ladder, time.monotonic()), form)
        else:
            _print(router.explain(router.asking(said, caller), time.monotonic()), form)
    except GatewayError as error:
        raise TidegateError(error.message) from None


def _print(found: "Explanation", form: str) -> None:
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    rows = _rows(found)
    if form == "table":
        names = ", ".join(found.policies) or "none"
        click.echo(f"models {', '.join(found.models)}; policies {names}; first by {found.reason}")
        if found.availability is not None:
            click.echo(f"nothing may serve: {found.availability['code']}")
    print_table(COLUMNS, rows, form)


def _rows(found: "Explanation") -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = [
        (number, one.endpoint_id, "planned", one.expected_cost_usd,
         None if one.weight_ppm is None else one.weight_ppm / 1e6, "")
        for number, one in enumerate(found.plan, start=1)
    ]  # fmt: skip
    rows += [(None, one.endpoint_id, one.excluded_by, None, None, f"{one.rule} ({one.fact})") for one in found.excluded]
    return rows


def _print_ladder(found: "ExplainedLadder", form: str) -> None:
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    if form == "table":
        budget = f"; budget {found.budget_usd} USD a call" if found.budget_usd is not None else ""
        click.echo(f"ladder {found.ladder}, rung after rung{budget}")
    rows: list[tuple[Cell, ...]] = []
    for number, one in enumerate(found.rungs, start=1):
        rung = str(number) if one.role == "rung" else one.role
        if one.plan is None:
            rows.append((rung, None, one.model, "unserved", None, None, one.error))
        else:
            rows += [(rung, *row) for row in _rows(one.plan)]
    print_table(["rung", *COLUMNS], rows, form)


@route.command()
@format_option
def policies(form: str) -> None:
    """List the policies that there are, shipped and your own, and whom each one binds.

    \b
    Example:
      tidegate route policies --format json
    """
    from tidegate.catalog.installed import read_policies
    from tidegate.config import load_config

    config = load_config()
    _router()  # refuses what contradicts itself
    rows: list[tuple[Cell, ...]] = []
    for name, policy in read_policies(config.policies).items():
        stated = msgspec.to_builtins(policy)
        rules = {word: value for word, value in stated.items() if value is not None and value is not False}
        bound = ["everyone"] * (name in config.routing.policies)
        bound += [f"tenant {tenant}" for tenant, entry in config.tenants.items() if name in entry.policies]
        for kind, owners in (("project", config.routing.projects), ("key", config.routing.keys)):
            bound += [f"{kind} {owner}" for owner, names in owners.items() if name in names]
        told = "; ".join(f"{word} {_words(value)}" for word, value in rules.items())
        rows.append((name, "own" if name in config.policies else "shipped", told, ", ".join(bound)))
    print_table(["policy", "from", "rules", "binds"], rows, form)


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value).lower()


@route.command()
@click.argument("query", default="")
@format_option
def facts(query: str, form: str) -> None:
    """List what is known of the endpoints served here, those with QUERY in their id; an empty cell is unknown.

    \b
    Example:
      tidegate route facts gpt-4o --format csv
    """
    _, installed, _ = _router()
    rows: list[tuple[Cell, ...]] = []
    for one in installed.endpoints:
        if query.lower() not in one.endpoint.endpoint_id.lower():
            continue
        places = (
            None if seen is None else ";".join(sorted(seen)) or "nowhere" for seen in (one.processing, one.storage)
        )
        rows.append(
            (one.endpoint.endpoint_id, one.tag, *places, one.headquarters or None, one.trains, one.retention_days,
             None if one.quantization == "unknown" else one.quantization, one.context_tokens or None, one.is_local)
        )  # fmt: skip
    columns = ["endpoint", "tag", "processing", "storage", "headquarters", "trains", "retention_days", "quantization"]
    print_table([*columns, "context_tokens", "local"], rows, form)


def _router() -> "tuple[Router, Installed, Ladders]":
    """The plans of this installation as a fresh worker would make them. Raises ConfigError or CatalogError."""
    from tidegate.catalog import load_catalog
    from tidegate.catalog.installed import installed, model_of, names_by_model, read_policies
    from tidegate.config import load_config
    from tidegate.core.endpoint_facts import EndpointFacts
    from tidegate.gateway.ladders import read_ladders
    from tidegate.gateway.routing import Router
    from tidegate.route.setup import planner_of, policy_book

    config = load_config()
    catalog = load_catalog([config.catalog_path])
    day = time.strftime("%Y-%m-%d", time.gmtime())
    found = installed(
        config, catalog, os.environ, day, providers_from_environment=config.gateway.providers_from_environment
    )
    tenants = {name: tenant.policies for name, tenant in config.tenants.items()}
    book = policy_book(config.routing, read_policies(config.policies), tenants, found.book.jurisdictions.expand)
    models: dict[str, list[EndpointFacts]] = {}
    for one in found.endpoints:
        models.setdefault(model_of(one.endpoint, catalog), []).append(one)
    names = names_by_model([one.endpoint for one in found.endpoints], catalog)
    router = Router(planner_of(config.routing, models, book), names, config.routing, frozenset())
    return router, found, read_ladders(config.ladders, names)
