"""The endpoints and policies of an installation: configuration, environment, catalog and shipped tables, joined.

Pure but for reading the shipped tables; `tidegate.config` offers what the protocol asks.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from tidegate.catalog.addresses import ProviderSettings, provider_in_use
from tidegate.catalog.catalog import DATA, Catalog
from tidegate.catalog.endpoint_facts import (
    FactsBook,
    SaidOfEndpoint,
    SaidOfProvider,
    facts_book,
    known_endpoints,
)
from tidegate.catalog.routes import ConfiguredEndpoint, ConfiguredProvider, names_of, served_endpoints
from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.errors import CatalogError
from tidegate.core.facts import Endpoint, Provider
from tidegate.core.routing_settings import PolicyConfig, Routing

POLICIES_FILE: Final = "policies.toml"


class InstalledProvider(ProviderSettings, ConfiguredProvider, SaidOfProvider, Protocol):
    """One `[providers.NAME]` of the configuration."""


class InstalledEndpoint(ConfiguredEndpoint, SaidOfEndpoint, Protocol):
    """One `[[endpoints]]` of the configuration."""


class Installation(Protocol):
    """What `tidegate.config.Config` says of routing."""

    @property
    def providers(self) -> Mapping[str, InstalledProvider]: ...
    @property
    def endpoints(self) -> Sequence[InstalledEndpoint]: ...
    @property
    def routing(self) -> Routing: ...
    @property
    def policies(self) -> Mapping[str, PolicyConfig]: ...
    @property
    def catalog_path(self) -> Path: ...


class Installed(msgspec.Struct, frozen=True):
    """What is served here. `providers`: as they are in use. `book`: makes facts, and knows the jurisdictions."""

    endpoints: tuple[EndpointFacts, ...]
    providers: Mapping[str, Provider]
    book: FactsBook


def installed(config: Installation, catalog: Catalog, environ: Mapping[str, str], day: str, *,
              providers_from_environment: bool) -> Installed:  # fmt: skip
    """The endpoints served on an ISO day, in order of preference, with all that is known of each.

    Raises ConfigError or CatalogError naming the entry to mend.
    """
    served = served_endpoints(config.providers, config.endpoints, catalog, environ, day, providers_from_environment)
    names = dict.fromkeys(endpoint.provider for endpoint in served)
    providers = {
        name: provider_in_use(name, config.providers.get(name), catalog.providers.get(name), environ) for name in names
    }
    book = facts_book(catalog, config.routing.local_country, [config.catalog_path])
    known = known_endpoints(served, providers, book, config.providers, config.endpoints)
    return Installed(tuple(known), providers, book)


def model_of(endpoint: Endpoint, catalog: Catalog) -> str:
    """The model that an endpoint serves, in one spelling for all endpoints that serve it: with date and variant."""
    return catalog.resolve(endpoint.model).slug


def names_by_model(endpoints: Sequence[Endpoint], catalog: Catalog) -> dict[str, str]:
    """Every name that callers may use, to the model it means; where two models share one, the first has it."""
    found: dict[str, str] = {}
    for endpoint in endpoints:
        model = model_of(endpoint, catalog)
        for name in (*names_of(endpoint), model):
            found.setdefault(name, model)
    return found


def read_policies(own: Mapping[str, PolicyConfig], path: Path | None = None) -> dict[str, PolicyConfig]:
    """The shipped policies and an installation's own, which win. Raises CatalogError naming the file."""
    path = path or DATA / POLICIES_FILE
    try:
        shipped = msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, PolicyConfig])
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CatalogError(f"{path} cannot be read as policies: {error}. Install Tidegate again.") from error
    return shipped | dict(own)
