"""What is known of the endpoints that an installation serves: the shipped table, the catalog, the operator's word.

The operator's word on an endpoint wins over that on its provider, that over the table and the catalog. Nothing is
concluded from an address alone: a server on this machine may be a relay to anywhere, unless the table knows it.
"""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from tidegate.catalog.catalog import DATA, Catalog
from tidegate.catalog.jurisdictions import Jurisdictions, read_jurisdictions
from tidegate.catalog.routes import endpoint_id_of
from tidegate.catalog.tables import read_lines
from tidegate.core.endpoint_facts import QUANTIZATIONS, EndpointFacts
from tidegate.core.errors import CatalogError
from tidegate.core.facts import DataPolicy, Endpoint, Provider
from tidegate.core.routing_settings import FactsConfig

REGION_COLUMNS: Final = ("provider", "region", "upstream", "processing", "storage", "source", "checked")
LOCAL: Final = "@local"  # in the table: on the operator's own machines
NOWHERE: Final = "@nowhere"
LOOPBACK: Final = frozenset(("127.0.0.1", "::1", "localhost"))
ANY: Final = "*"


class RegionFact(msgspec.Struct, frozen=True):
    """A line of `provider_regions.csv`: where a provider's region processes and stores what is sent to it.

    `region`: the provider's word, `*` any. `upstream`: a glob on the provider's name of a model, empty any. Of lines
    that fit an endpoint the first one holds. `processing`, `storage`: countries and groups; empty: unknown.
    """

    provider: str
    region: str
    upstream: str
    processing: str
    storage: str


class SaidOfProvider(Protocol):
    """One `[providers.NAME]` of the configuration, as far as facts go."""

    @property
    def region(self) -> str: ...
    @property
    def facts(self) -> FactsConfig: ...


class SaidOfEndpoint(Protocol):
    """One `[[endpoints]]` of the configuration, as far as facts go."""

    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def facts(self) -> FactsConfig: ...


class FactsBook:
    """Makes the facts of endpoints. One for an installation."""

    def __init__(self, catalog: Catalog, regions: Sequence[RegionFact], jurisdictions: Jurisdictions,
                 local_country: str = "") -> None:  # fmt: skip
        """local_country: where the operator's own machines stand; empty where nobody said."""
        self._catalog, self.jurisdictions = catalog, jurisdictions
        self._regions: dict[str, list[RegionFact]] = {}
        for fact in regions:
            self._regions.setdefault(fact.provider, []).append(fact)
        here = jurisdictions.country(local_country, "routing.local_country") if local_country else ""
        self._here = frozenset((here,)) if here else None

    def facts(self, endpoint: Endpoint, provider: Provider, said: Sequence[FactsConfig] = ()) -> EndpointFacts:
        """What is known of an endpoint. provider: as it is in use. said: the operator's words, the widest first.

        Raises CatalogError for a country or quantisation that is none, with near names.
        """
        known = self._known(endpoint, provider)
        for config in said:
            known |= self._said(config, endpoint.endpoint_id)
        if known["retention_days"] == 0 and known["storage"] is None:
            known["storage"] = frozenset()  # what is not kept is stored nowhere
        if known["is_local"] and known["processing"] is None:
            known["processing"] = self._here
        return EndpointFacts(endpoint=endpoint, **known)

    def _known(self, endpoint: Endpoint, provider: Provider) -> dict[str, Any]:
        model = self._catalog.model_of(endpoint.model)
        placed = self._placed(endpoint, provider)
        is_local = placed.processing == LOCAL and urlsplit(provider.base_url).hostname in LOOPBACK
        policy, where = provider.data_policy, f"provider_regions.csv: {provider.provider}"
        if any(fnmatchcase(endpoint.upstream_model.lower(), glob) for glob in policy.except_models):
            policy = DataPolicy()
        processing = None if placed.processing == LOCAL else self._places(placed.processing, where)
        storage = self._places(placed.storage, where) if placed.processing != LOCAL or is_local else None
        return {
            "tag": f"{endpoint.provider}/{endpoint.region}" if endpoint.region else endpoint.provider,
            "name": provider.name,
            "processing": processing,
            "storage": storage,
            "headquarters": provider.headquarters or (min(self._here) if is_local and self._here else ""),
            "trains": False if is_local else policy.trains,
            "retention_days": 0 if is_local else policy.retention_days,
            "context_tokens": model.context_tokens,
            "is_local": is_local,
            "weights": model.weights,
        }

    def _placed(self, endpoint: Endpoint, provider: Provider) -> RegionFact:
        region = endpoint.region or (provider.regions[0] if provider.regions else "")
        for fact in self._regions.get(endpoint.provider, ()):
            if fact.region in (region, ANY) and (
                not fact.upstream or fnmatchcase(endpoint.upstream_model.lower(), fact.upstream)
            ):
                return fact
        return RegionFact(endpoint.provider, region, "", "", "")

    def _places(self, text: str, where: str) -> frozenset[str] | None:
        if text == NOWHERE:
            return frozenset()
        return self.jurisdictions.expand(text.split(";"), where) if text else None

    def _said(self, config: FactsConfig, endpoint_id: str) -> dict[str, Any]:
        """The operator's word, as far as he has said one."""
        where = f"facts of {endpoint_id}"
        found = {name: value for name, value in msgspec.structs.asdict(config).items() if value is not None}
        for word in ("processing", "storage"):
            if word in found:
                found[word] = self.jurisdictions.expand(found[word], f"{where}: {word}")
        if not found.get("processing", True):
            raise CatalogError(f"{where}: processing names no country; leave it out where it is not known")
        if "headquarters" in found:
            found["headquarters"] = self.jurisdictions.country(found["headquarters"], f"{where}: headquarters")
        if found.get("quantization", "unknown") not in QUANTIZATIONS:
            raise CatalogError(
                f"{where}: quantization is {found['quantization']!r}, not one of {', '.join(QUANTIZATIONS)}"
            )
        for word in ("parameters", "modalities"):
            if word in found:
                found[word] = frozenset(found[word])
        return found


def read_regions(folder: Path) -> list[RegionFact]:
    """The lines of a folder's `provider_regions.csv`, none where it is missing."""
    lines = read_lines(folder / "provider_regions.csv", REGION_COLUMNS)
    return [RegionFact(*line.split(",")[:5]) for line in lines]


def facts_book(catalog: Catalog, local_country: str = "", folders: Sequence[Path] = ()) -> FactsBook:
    """The shipped facts, and those of an installation's catalog folders, which are looked at first."""
    countries = ((country.country, country.name) for country in catalog.countries.values())
    regions = [fact for folder in (*folders, DATA) for fact in read_regions(folder)]
    return FactsBook(catalog, regions, read_jurisdictions(DATA, countries), local_country)


def known_endpoints(
    endpoints: Iterable[Endpoint],
    providers: Mapping[str, Provider],
    book: FactsBook,
    of_providers: Mapping[str, SaidOfProvider],
    of_endpoints: Iterable[SaidOfEndpoint],
) -> list[EndpointFacts]:
    """Endpoints with all that is known of them, in their order. providers: as they are in use."""
    said: dict[str, FactsConfig] = {}
    for entry in of_endpoints:
        provider = of_providers.get(entry.provider)
        region = entry.region or (provider.region if provider else "")
        said.setdefault(endpoint_id_of(entry.model, entry.provider, region), entry.facts)
    found = []
    for endpoint in endpoints:
        wide, own = of_providers.get(endpoint.provider), said.get(endpoint.endpoint_id)
        words = [*([wide.facts] if wide else ()), *([own] if own else ())]
        found.append(book.facts(endpoint, providers[endpoint.provider], words))
    return found
