"""What routing knows, as the index asks for it: endpoints, where they process, and which policies let them serve."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.catalog.endpoint_facts import facts_book, known_endpoints
from tidegate.catalog.installed import read_policies
from tidegate.catalog.routes import endpoint_id_of
from tidegate.core.facts import Endpoint, Provider
from tidegate.core.routing_settings import PolicyConfig
from tidegate.index.implications import Permit, Served
from tidegate.route.filter import exclusions
from tidegate.route.setup import policy_book
from tidegate.route.wishes import NO_WISHES

if TYPE_CHECKING:
    from tidegate.catalog import Catalog
    from tidegate.config import Config
    from tidegate.core.endpoint_facts import EndpointFacts
    from tidegate.route.policy import Policy


def permits_and_served(config: "Config", catalog: "Catalog", day: str) -> tuple[list[Permit], list[Served]]:
    """The shipped policies and the operator's own; and each priced model of the catalog in each region of its provider.

    What the operator says of a provider or an endpoint (`facts`) holds here, too. Raises ConfigError or CatalogError.
    """
    configured = read_policies(config.policies)
    book = facts_book(catalog, config.routing.local_country, [config.catalog_path])
    policies = policy_book(config.routing, configured, {}, book.jurisdictions.expand)
    named = dict(zip(policies.names, policies.named(policies.names), strict=True))
    alpha3 = {country.country: country.alpha3 for country in catalog.countries.values()}
    permits = [
        Permit(policy=name, says=_words(configured[name]), countries=_countries(policy, alpha3))
        for name, policy in named.items()
    ]
    endpoints = list(chain.from_iterable(_endpoints(catalog, provider, day) for provider in catalog.providers.values()))
    known = known_endpoints(endpoints, catalog.providers, book, config.providers, config.endpoints)
    return permits, [_served(facts, named, alpha3) for facts in known]


def _endpoints(catalog: "Catalog", provider: Provider, day: str) -> Iterator[Endpoint]:
    """The provider's priced models in each of its regions; one without a price where it has none."""
    priced = catalog.endpoints_of(provider.provider, day)
    regions = tuple(dict.fromkeys((*provider.regions, *provider.hosts))) or ("",)
    for region in regions:
        for one in priced or [Endpoint(endpoint_id="", provider=provider.provider, model="", upstream_model="")]:
            yield Endpoint(
                endpoint_id=endpoint_id_of(one.model, one.provider, region),
                provider=one.provider,
                model=one.model,
                upstream_model=one.upstream_model,
                region=region,
                price=one.price,
            )


def _served(facts: "EndpointFacts", named: "Mapping[str, Policy]", alpha3: Mapping[str, str]) -> Served:
    endpoint = facts.endpoint
    return Served(
        provider=endpoint.provider,
        model=endpoint.model,
        price=endpoint.price,
        processing=frozenset(alpha3.get(country, country) for country in facts.processing or ()),
        trains=facts.trains,
        retention_days=facts.retention_days,
        permitted_by=frozenset(name for name, policy in named.items() if not exclusions(facts, (policy,), NO_WISHES)),
    )


def _words(config: PolicyConfig) -> str:
    """The rules of a policy in words: what its settings say."""
    said: dict[str, Any] = msgspec.to_builtins(config)
    parts = [f"{name} {' '.join(value) if isinstance(value, tuple | list) else value}" for name, value in said.items()]
    return ", ".join(part.removesuffix(" True") for part in parts) or "no rule"


def _countries(policy: "Policy", alpha3: Mapping[str, str]) -> frozenset[str] | None:
    place = policy.processing
    if place.is_open:
        return None
    permitted = (frozenset(alpha3) if place.allowed is None else place.allowed) - place.denied
    return frozenset(alpha3.get(country, country) for country in permitted)
