"""What the index means for a gateway: per region, which endpoints may serve it, at what price against income, and gaps.

Everything rests on what providers publish of themselves and on list prices of one day. A provider that names no place
serves from nowhere known, and so counts as local nowhere.
"""

import csv
import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from tidegate.catalog import Catalog
from tidegate.core.facts import Provider
from tidegate.core.price import Price
from tidegate.index.evidence import FACTS, RegionMap
from tidegate.index.regional import Index
from tidegate.index.regional_columns import SIZE_PERIOD
from tidegate.index.table import IndexRefusal

MONTHS: Final = 12
TOKENS_PER_RATE: Final = 1_000_000


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions on an endpoint; None asks nothing."""

    policy: str
    says: str
    trains: bool | None = None
    retention_days_max: int | None = None
    local: bool = False


class Basket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A month's tokens of one person. income_share_max: the part of a month's income above which it is a gap."""

    input_tokens: int
    output_tokens: int
    income_share_max: float
    source: str
    checked: datetime.date


class Policies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    policies: tuple[Policy, ...]
    basket: Basket


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Endpoints of one policy in one region. Prices in nano-USD for the basket; None where there is no endpoint.

    models: different models among them. cheapest: of all; median: over models, each at its cheapest endpoint.
    """

    policy: str
    endpoints: int
    models: int
    providers: int
    cheapest_nano_usd: int | None
    median_nano_usd: int | None


class Implication(msgspec.Struct, frozen=True, kw_only=True):
    """One region. income_usd_month: GDP per person of working age and month, over countries where both are known.

    income_coverage: part of those people who live in such countries. basket_share: median price over that income.
    local_providers: those that name a place in the region and have a price.
    """

    region: str
    index: float
    low: float
    high: float
    offers: tuple[Offer, ...]
    income_usd_month: float | None
    income_coverage: float
    basket_share: float | None
    local_providers: tuple[str, ...]
    local_without_price: tuple[str, ...]
    gaps: tuple[str, ...]


def read_policies(folder: Path = FACTS) -> Policies:
    """`policies.yml`. Raises IndexRefusal naming the entry that cannot be read."""
    try:
        return msgspec.yaml.decode((folder / "policies.yml").read_bytes(), type=Policies)
    except msgspec.MsgspecError as error:
        raise IndexRefusal(f"{folder / 'policies.yml'}: {error}") from error


def implications(index: Index, catalog: Catalog, day: str, policies: Policies | None = None) -> list[Implication]:
    """One entry a region, in the index's order. day: ISO day of the prices."""
    chosen = policies or read_policies()
    places = serving_places(catalog, index.map)
    endpoints = [
        (provider, endpoint.model, basket_price(endpoint.price, chosen.basket))
        for provider in catalog.providers.values()
        for endpoint in catalog.endpoints_of(provider.provider, day)
        if endpoint.price is not None
    ]
    endpoints = [entry for entry in endpoints if entry[2] > 0]
    low, high = index.runs.quantiles((0.05, 0.95))
    found = []
    for number, region in enumerate(index.regions):
        offers = tuple(_offer(policy, region, endpoints, places) for policy in chosen.policies)
        income, covered = _income(index, region)
        priced = {provider.provider for provider, _, _ in endpoints}
        local = {name for name, regions in places.items() if region in regions}
        median = offers[0].median_nano_usd
        share = median / 1e9 / income if median is not None and income else None
        found.append(
            Implication(
                region=region,
                index=float(index.scores[number]),
                low=float(low[number]),
                high=float(high[number]),
                offers=offers,
                income_usd_month=income,
                income_coverage=covered,
                basket_share=share,
                local_providers=tuple(sorted(local & priced)),
                local_without_price=tuple(sorted(local - priced)),
                gaps=tuple(_gaps(catalog, chosen, local & priced, share, covered)),
            )
        )
    return found


def columns_of(policies: Policies) -> list[str]:
    """Names of the columns of `table_of`."""
    counts = [f"endpoints {policy.policy}" for policy in policies.policies]
    prices = ["cheapest_usd", "median_usd", "income_usd_month", "basket_share"]
    return ["region", "index", "low", "high", *counts, *prices, "local_providers", "gaps"]


def table_of(found: Iterable[Implication]) -> list[list[Any]]:
    """One row a region: endpoints by policy, prices of the basket in USD under the first of them, income, gaps."""
    rows = []
    for one in found:
        first = one.offers[0]
        prices = [None if x is None else x / 1e9 for x in (first.cheapest_nano_usd, first.median_nano_usd)]
        counts = [offer.endpoints for offer in one.offers]
        local, gaps = "; ".join(one.local_providers), "; ".join(one.gaps)
        known = [one.region, one.index, one.low, one.high, *counts, *prices]
        rows.append([*known, one.income_usd_month, one.basket_share, local, gaps])
    return rows


def serving_places(catalog: Catalog, region_map: RegionMap) -> dict[str, frozenset[str]]:
    """Regions from which each provider says that it serves; empty where it names no place.

    Its words are ISO codes, or stand in serving_places.csv. Raises IndexRefusal for a word that nobody explains.
    """
    with (FACTS / "serving_places.csv").open(encoding="utf-8") as file:
        words = {row["word"]: row["place"] for row in csv.DictReader(file)}
    found = {}
    for provider in catalog.providers.values():
        regions = set()
        for word in (*provider.regions, *provider.hosts):
            if word == "global":
                continue
            country = catalog.countries.get(word)
            place = country.alpha3 if country else words.get(word)
            if place is None:
                raise IndexRefusal(
                    f"{provider.provider} serves from {word!r}, which is no country; add it to serving_places.csv"
                )
            regions.add(str(region_map.region_of(place)))
        found[provider.provider] = frozenset(regions)
    return found


def basket_price(price: Price, basket: Basket) -> int:
    """Nano-USD of a month's tokens at list price without caching, each call in the lowest tier, rounded down."""
    total = price.rates.input * basket.input_tokens + price.rates.output * basket.output_tokens
    return total // TOKENS_PER_RATE


def allowed(policy: Policy, provider: Provider, is_local: bool) -> bool:
    """Whether what the provider publishes meets the policy; what it does not say does not."""
    said = provider.data_policy
    if policy.trains is not None and said.trains is not policy.trains:
        return False
    limit = policy.retention_days_max
    if limit is not None and (said.retention_days is None or said.retention_days > limit):
        return False
    return is_local or not policy.local


def _offer(
    policy: Policy,
    region: str,
    endpoints: Iterable[tuple[Provider, str, int]],
    places: dict[str, frozenset[str]],
) -> Offer:
    kept = [entry for entry in endpoints if allowed(policy, entry[0], region in places[entry[0].provider])]
    by_model: dict[str, int] = {}
    for _, model, price in kept:
        by_model[model] = min(price, by_model.get(model, price))
    prices = list(by_model.values())
    return Offer(
        policy=policy.policy,
        endpoints=len(kept),
        models=len(by_model),
        providers=len({provider.provider for provider, _, _ in kept}),
        cheapest_nano_usd=min(prices) if prices else None,
        median_nano_usd=int(np.median(prices)) if prices else None,
    )


def _income(index: Index, region: str) -> tuple[float | None, float]:
    """USD a month per person of working age, and the part of these people that it covers."""
    people = index.evidence.by_place("working_age_population", SIZE_PERIOD)
    product = index.evidence.by_place("gdp_usd", SIZE_PERIOD)
    here = [country for country in people if index.map.region_of(country) == region]
    both = [country for country in here if country in product]
    if not both:
        return None, 0.0
    covered = sum(people[country] for country in both)
    return sum(product[c] for c in both) / covered / MONTHS, covered / sum(people[country] for country in here)


def _gaps(catalog: Catalog, chosen: Policies, local: set[str], share: float | None, covered: float) -> Iterable[str]:
    if not local:
        yield "no local endpoint: no provider with a price names a place here"
    elif not any(catalog.providers[name].data_policy.trains is False for name in local):
        yield "no local endpoint whose provider publishes that it does not train"
    if not any(catalog.providers[name].data_policy.retention_days == 0 for name in local):
        yield "content leaves or is kept: no local provider publishes that it keeps none, or where"
    limit = chosen.basket.income_share_max
    if share is None:
        yield "price against income not computable: no country here has both GDP and population"
    elif share > limit:
        yield f"price above threshold: the basket takes {share:.1%} of a month's income, more than {limit:.0%}"
    if share is not None and covered < 0.8:
        yield f"income known for {covered:.0%} of people only"
