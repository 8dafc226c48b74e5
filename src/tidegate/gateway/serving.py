"""From configuration, catalog and environment to the routing table of a worker."""

from collections.abc import Mapping

from tidegate.catalog import Catalog, load_catalog
from tidegate.catalog.routes import names_of, served_endpoints
from tidegate.config import Config, ProviderConfig
from tidegate.core.errors import ConfigError
from tidegate.core.ids import KEY_PREFIX
from tidegate.gateway.connect import Target
from tidegate.gateway.table import Table


def build_table(config: Config, environ: Mapping[str, str], day: str) -> Table:
    """What this gateway serves on an ISO day. Raises ConfigError or CatalogError naming the entry to mend.

    The catalog is read and dropped again: a worker keeps only its own endpoints.
    """
    catalog = load_catalog([config.catalog_path])
    from_environment = config.gateway.providers_from_environment
    endpoints = served_endpoints(config.providers, config.endpoints, catalog, environ, day, from_environment)
    targets: dict[str, Target] = {}
    for endpoint in endpoints:
        if endpoint.provider not in targets:
            targets[endpoint.provider] = _target(endpoint.provider, catalog, config, environ)
    return Table([(endpoint, names_of(endpoint)) for endpoint in endpoints], targets)


def _target(name: str, catalog: Catalog, config: Config, environ: Mapping[str, str]) -> Target:
    settings = config.providers.get(name, ProviderConfig())
    fact = catalog.providers.get(name)
    base_url = settings.base_url or (fact.base_url if fact else "")
    if not base_url:
        raise ConfigError(
            f"providers.{name} has no base_url, and the catalog knows none; set it to where /chat/completions follows"
        )
    variable = settings.api_key_env or (fact.api_key_env if fact and not settings.base_url else "")
    key = environ.get(variable, "") if variable else ""
    if key.startswith(KEY_PREFIX) and not settings.api_key_env:
        key = ""  # ours, not the provider's; only a configured variable says that the provider is a Tidegate too
    if variable and not key:
        raise ConfigError(f"provider {name}: the variable {variable} that holds its API key is not set")
    return Target(name, base_url, key, settings, config.upstream)
