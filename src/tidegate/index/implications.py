"""What the index means for a gateway: per region, which endpoints may serve it, at what price against income, and gaps.

The caller says what is served, where calls are processed, and which of an installation's policies permit it; nothing
here knows how policies decide. An endpoint of which nobody knows where it works is local nowhere. Prices are list
prices of one day.
"""

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from tidegate.core.price import Price
from tidegate.index.evidence import FACTS, RegionMap
from tidegate.index.regional import Index
from tidegate.index.regional_columns import SIZE_PERIOD
from tidegate.index.table import IndexRefusal

MONTHS: Final = 12
TOKENS_PER_RATE: Final = 1_000_000
ANY: Final = "any"


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that may bind a caller. `says`: its rules in words.

    `countries`: where it lets calls be processed (ISO 3166-1 alpha-3); None: anywhere.
    """

    policy: str
    says: str
    countries: frozenset[str] | None = None


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A model at a provider in one of its regions. `price` None: it cannot be called.

    `processing`: countries where calls are processed (ISO 3166-1 alpha-3); empty where nobody knows them all. `trains`,
    `retention_days`: as published; None: not said. `permitted_by`: the policies that let it serve.
    """

    provider: str
    model: str
    price: Price | None
    processing: frozenset[str] = frozenset()
    trains: bool | None = None
    retention_days: int | None = None
    permitted_by: frozenset[str] = frozenset()


class Basket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A month's tokens of one person. income_share_max: the part of a month's income above which it is a gap."""

    input_tokens: int
    output_tokens: int
    income_share_max: float
    source: str
    checked: datetime.date


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Endpoints that one policy permits to callers of one region. Prices in nano-USD for the basket; None: no endpoint.

    local: those that process in the region alone. models: different models among all. cheapest: of all; median: over
    models, each at its cheapest endpoint.
    """

    policy: str
    endpoints: int
    local: int
    models: int
    providers: int
    cheapest_nano_usd: int | None
    median_nano_usd: int | None


class Implication(msgspec.Struct, frozen=True, kw_only=True):
    """One region. income_usd_month: GDP per person of working age and month, over countries where both are known.

    income_coverage: part of those people who live in such countries. basket_share: median price over that income.
    local_providers: those that process in the region alone, and have a price.
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


def read_basket(folder: Path = FACTS) -> Basket:
    """`basket.yml`. Raises IndexRefusal naming what cannot be read."""
    try:
        return msgspec.yaml.decode((folder / "basket.yml").read_bytes(), type=Basket)
    except msgspec.MsgspecError as error:
        raise IndexRefusal(f"{folder / 'basket.yml'}: {error}") from error


def implications(
    index: Index, served: Iterable[Served], permits: Sequence[Permit], basket: Basket | None = None
) -> list[Implication]:
    """One entry a region, in the index's order. Its first offer is of all endpoints, the others of each policy."""
    chosen = basket or read_basket()
    entries = list(served)
    places = [_region_of(entry, index.map) for entry in entries]
    low, high = index.runs.quantiles((0.05, 0.95))
    found = []
    for number, region in enumerate(index.regions):
        here = [entry for entry, place in zip(entries, places, strict=True) if place == region]
        offers = tuple(_offer(policy, entries, here, chosen) for policy in (ANY, *(one.policy for one in permits)))
        income, covered = _income(index, region)
        priced = {entry.provider for entry in here if _costs(entry, chosen)}
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
                local_providers=tuple(sorted(priced)),
                local_without_price=tuple(sorted({entry.provider for entry in here} - priced)),
                gaps=tuple(_gaps([one for one in here if one.provider in priced], chosen, share, covered)),
            )
        )
    return found


def columns_of(permits: Sequence[Permit]) -> list[str]:
    """Names of the columns of `table_of`."""
    names = (ANY, *(one.policy for one in permits))
    counts = [f"{what} {name}" for name in names for what in ("endpoints", "local")]
    prices = ["cheapest_usd", "median_usd", "income_usd_month", "basket_share"]
    return ["region", "index", "low", "high", *counts, *prices, "local_providers", "gaps"]


def table_of(found: Iterable[Implication]) -> list[list[Any]]:
    """One row a region: endpoints by policy, prices of the basket in USD among all of them, income, gaps."""
    rows = []
    for one in found:
        first = one.offers[0]
        prices = [None if x is None else x / 1e9 for x in (first.cheapest_nano_usd, first.median_nano_usd)]
        counts = [count for offer in one.offers for count in (offer.endpoints, offer.local)]
        local, gaps = "; ".join(one.local_providers), "; ".join(one.gaps)
        known = [one.region, one.index, one.low, one.high, *counts, *prices]
        rows.append([*known, one.income_usd_month, one.basket_share, local, gaps])
    return rows


def concerns(permit: Permit, region: str, region_map: RegionMap) -> bool:
    """Whether callers of a region can be meant by a policy: it asks for no place, or for one of theirs."""
    return permit.countries is None or any(_region(place, region_map) == region for place in permit.countries)


def _region_of(entry: Served, region_map: RegionMap) -> str | None:
    """The region in which alone it processes; None where there is none, or nobody knows."""
    regions = {_region(place, region_map) for place in entry.processing}
    return regions.pop() if len(regions) == 1 else None


def _region(place: str, region_map: RegionMap) -> str | None:
    """None for a territory that the map leaves out, as it may those without people of working age."""
    return region_map.region_of(place) if place in region_map.regions else None


def basket_price(price: Price, basket: Basket) -> int:
    """Nano-USD of a month's tokens at list price without caching, each call in the lowest tier, rounded down."""
    total = price.rates.input * basket.input_tokens + price.rates.output * basket.output_tokens
    return total // TOKENS_PER_RATE


def _costs(entry: Served, basket: Basket) -> int:
    """What the basket costs there; 0 where nothing can be bought, or is given away."""
    return 0 if entry.price is None else basket_price(entry.price, basket)


def _offer(policy: str, entries: Iterable[Served], here: Iterable[Served], basket: Basket) -> Offer:
    kept = [one for one in entries if (policy == ANY or policy in one.permitted_by) and _costs(one, basket)]
    local = [one for one in here if (policy == ANY or policy in one.permitted_by) and _costs(one, basket)]
    by_model: dict[str, int] = {}
    for one in kept:
        price = _costs(one, basket)
        by_model[one.model] = min(price, by_model.get(one.model, price))
    prices = list(by_model.values())
    return Offer(
        policy=policy,
        endpoints=len({(one.provider, one.model) for one in kept}),
        local=len({(one.provider, one.model) for one in local}),
        models=len(by_model),
        providers=len({one.provider for one in kept}),
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


def _gaps(local: Sequence[Served], basket: Basket, share: float | None, covered: float) -> Iterable[str]:
    if not local:
        yield "no local endpoint: no provider with a price is known to process here alone"
    elif not any(one.trains is False for one in local):
        yield "no local endpoint whose provider publishes that it does not train"
    if not any(one.retention_days == 0 for one in local):
        yield "content leaves or is kept: no local provider publishes that it keeps none, or where"
    limit = basket.income_share_max
    if share is None:
        yield "price against income not computable: no country here has both GDP and population"
    elif share > limit:
        yield f"price above threshold: the basket takes {share:.1%} of a month's income, more than {limit:.0%}"
    if share is not None and covered < 0.8:
        yield f"income known for {covered:.0%} of people only"
