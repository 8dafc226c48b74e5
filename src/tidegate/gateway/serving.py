"""From configuration, catalog and environment to the routing table of a worker."""

import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tidegate.catalog import load_catalog
from tidegate.catalog.addresses import auth_of, base_url_of, dialects_of, is_addressable, provider_in_use
from tidegate.catalog.catalog import Catalog
from tidegate.catalog.currencies import FX_AGE_DAYS_MAX, stale_rates
from tidegate.catalog.endpoint_facts import facts_book, known_endpoints
from tidegate.catalog.installed import model_of, names_by_model, read_policies
from tidegate.catalog.routes import prices_hold_until, served_endpoints
from tidegate.config import Config, ProviderConfig
from tidegate.core.errors import ConfigError
from tidegate.core.facts import Dialect, Endpoint, Provider
from tidegate.core.fx import Quote
from tidegate.core.hours import moment_us
from tidegate.core.ids import KEY_PREFIX
from tidegate.gateway.connect import Target
from tidegate.gateway.credentials import Credentials, credentials_for
from tidegate.gateway.egress import BODIES_BY_AUTH, KEY_LINES, request_prefix
from tidegate.gateway.ladders import read_ladders
from tidegate.gateway.routing import Router
from tidegate.gateway.shelf import Shelf, ShelfLines
from tidegate.gateway.table import Serving, Table
from tidegate.route.setup import planner_of, policy_book
from tidegate.wire.dialects import DIALECTS

log = logging.getLogger(__name__)
EMBEDDINGS: Dialect = "openai-embeddings"


def build_table(config: Config, environ: Mapping[str, str], day: str) -> Table:
    """What this gateway serves at a moment: as `build_serving`."""
    return build_serving(config, environ, day)[0]


def build_serving(
    config: Config,
    environ: Mapping[str, str],
    day: str,
    shelves: Mapping[str, Shelf] = MappingProxyType({}),
    before: Router | None = None,
    quotes: Iterable[Quote] = (),
) -> tuple[Table, Router]:
    """What this gateway serves on an ISO day, or at a minute of it (`core.hours.moment_us`), and who plans its calls.

    The catalog is read and dropped again: a worker keeps only its own endpoints. shelves: stored keys by provider.
    before: the router until now, whose knowledge of health and caches goes on. quotes: the operator's own rates of
    exchange.
    Raises ConfigError or CatalogError naming the entry to mend.
    """
    catalog = load_catalog([config.catalog_path])
    catalog.own_quotes = tuple(quotes)
    from_environment = config.gateway.providers_from_environment
    endpoints = served_endpoints(config.providers, config.endpoints, catalog, environ, day, from_environment)
    endpoints += _by_stored_keys(endpoints, config, catalog, environ, day, shelves)
    providers: dict[str, Spoken] = {}
    for name in dict.fromkeys(endpoint.provider for endpoint in endpoints):
        fact = provider_in_use(name, config.providers.get(name), catalog.providers.get(name), environ)
        providers[name] = Spoken(fact, config, environ, shelves.get(name))
        if not providers[name].targets and name in config.providers:
            raise ConfigError(f"provider {name}: this gateway does not speak its dialect {fact.dialect}")
    served = [endpoint for endpoint in endpoints if providers[endpoint.provider].targets]
    book = facts_book(catalog, config.routing.local_country, [config.catalog_path])
    in_use = {name: spoken.provider for name, spoken in providers.items()}
    known = known_endpoints(served, in_use, book, config.providers, config.endpoints)
    policies = policy_book(
        config.routing,
        read_policies(config.policies),
        {name: tenant.policies for name, tenant in config.tenants.items()},
        book.jurisdictions.expand,
    )
    slugs = {endpoint.model: endpoint.model.partition(":")[0] for endpoint in served}
    contexts = {name: catalog.models[slug].context_tokens for name, slug in slugs.items() if slug in catalog.models}
    table = Table(
        [(facts, model_of(facts.endpoint, catalog)) for facts in known],
        lambda endpoint: providers[endpoint.provider].servings(endpoint),
        {name: tokens for name, tokens in contexts.items() if tokens},
        names_by_model(served, catalog),
    )
    table.holds_until_us = prices_hold_until(served, moment_us(day))
    _tell_stale_rates(served, day)
    table.ladders = read_ladders(config.ladders, table.names)
    planner = planner_of(config.routing, table.by_model, policies, before.planner if before is not None else None)
    return table, Router(planner, table.names, config.routing, table.unpriced)


def _tell_stale_rates(served: Iterable[Endpoint], day: str) -> None:
    for (currency, of), count in stale_rates([endpoint.price for endpoint in served], day).items():
        log.warning(
            "%d prices are converted at the rate of %s of %s, more than %d days ago; "
            "`tidegate accounts fx set %s RATE` enters a newer one",
            *(count, currency, of, FX_AGE_DAYS_MAX, currency),
        )


def _by_stored_keys(
    known: list[Endpoint],
    config: Config,
    catalog: Catalog,
    environ: Mapping[str, str],
    day: str,
    shelves: Mapping[str, Shelf],
) -> list[Endpoint]:
    """Endpoints of catalog providers that are served because somebody has stored a key for them.

    What the configuration says of a provider goes before that.
    """
    others = {endpoint.provider for endpoint in known} | set(config.providers)
    return [
        endpoint
        for name, shelf in shelves.items()
        if shelf.has_stored and name not in others and name in catalog.providers
        if is_addressable(catalog.providers[name], environ)
        for endpoint in catalog.endpoints_of(name, day)
    ]


class Spoken:
    """A provider as this worker can call it: one target for each dialect that both know."""

    def __init__(self, provider: Provider, config: Config, environ: Mapping[str, str], shelf: Shelf | None) -> None:
        """shelf: the provider's stored keys; None, or an empty one: the environment's key is used."""
        self.provider = provider
        settings = config.providers.get(provider.provider, ProviderConfig())
        shelf = shelf if shelf is not None and shelf.has_stored else None
        if shelf is not None:
            shelf.spare(_key_in(provider, settings, environ))
        key = shelf.keys[0].secret if shelf is not None else _key(provider, settings, environ)
        self.targets: dict[Dialect, Target] = {}
        self.credentials: dict[Dialect, Credentials | None] = {}
        for dialect in dialects_of(provider):
            base_url = base_url_of(provider, dialect)
            if not base_url or dialect not in DIALECTS:
                continue
            target = Target(provider.provider, base_url, settings, config.upstream)
            try:
                auth = auth_of(provider, dialect)
                self.credentials[dialect] = credentials_for(auth, target, key, settings)
                if shelf is not None and auth in KEY_LINES:
                    self.credentials[dialect] = ShelfLines(shelf, auth)
            except ConfigError as error:
                if provider.provider in config.providers:
                    raise
                log.warning("%s; it is left out", error)  # nobody asked for it: its variables happened to be set
                continue
            self.targets[dialect] = target
        if "openai-chat" in self.targets:  # compatible servers have both under one address; one without says 404
            self.targets.setdefault(EMBEDDINGS, self.targets["openai-chat"])
        self._key = key if shelf is None else ""  # of the heads that are made in advance

    def servings(self, endpoint: Endpoint) -> dict[str, Serving]:
        """How an endpoint of this provider is called, in each dialect."""
        return {dialect: self._serving(endpoint, dialect, target) for dialect, target in self.targets.items()}

    def _serving(self, endpoint: Endpoint, dialect: Dialect, target: Target) -> Serving:
        auth = auth_of(self.provider, dialect)
        whole, stream, count = (
            request_prefix(
                target, dialect, auth, self._key, model=endpoint.upstream_model, api_version=self.provider.api_version,
                is_stream=kind == "stream", counts_only=kind == "count",
            )
            for kind in ("whole", "stream", "count")
        )  # fmt: skip
        return Serving(
            DIALECTS[dialect], target, endpoint.upstream_model, self.provider.quirks, whole, stream, count,
            self.credentials.get(dialect), BODIES_BY_AUTH.get((dialect, auth)),
        )  # fmt: skip


def _key(provider: Provider, settings: ProviderConfig, environ: Mapping[str, str]) -> str:
    key = _key_in(provider, settings, environ)
    if provider.api_key_env and not key:
        raise ConfigError(
            f"provider {provider.provider}: the variable {provider.api_key_env} that holds its API key is not set, and "
            "`tidegate accounts provider-keys` has none for it"
        )
    return key


def _key_in(provider: Provider, settings: ProviderConfig, environ: Mapping[str, str]) -> str:
    """The provider's key in the environment; empty: none."""
    variable = provider.api_key_env
    key = environ.get(variable, "") if variable else ""
    if key.startswith(KEY_PREFIX) and not settings.api_key_env:
        return ""  # ours, not the provider's; only a configured variable says that the provider is a Tidegate too
    return key
