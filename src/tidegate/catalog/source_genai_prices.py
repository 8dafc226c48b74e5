"""genai-prices (Pydantic, MIT): dated first-party and aggregator prices, bundled in the package."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tidegate.catalog.price_table import hours_of, rates_above, source, tier_bounds
from tidegate.catalog.source_fact import (
    SourceFact,
    SourceHours,
    SourcePrice,
    SourceTier,
    is_other_kind,
    of_other_kind,
    tier_of,
)


def read_genai_prices(providers: Mapping[str, str]) -> Iterator[SourceFact]:
    """Facts of the installed package. providers: their provider id -> our slug; others are left out.

    Raises ImportError where the package is missing (extra `prices`).
    """
    from genai_prices.data import providers as listed

    for provider in listed:
        if ours := providers.get(provider.id):
            for model in provider.models:
                yield SourceFact(
                    source=source(),
                    provider=ours,
                    name=model.id,
                    title=model.name or "",
                    prices=_prices(model),
                    context_tokens=model.context_window or 0,
                )


def _prices(model: Any) -> tuple[SourcePrice, ...]:
    """A model's prices by start; the last one with its hours, of which the package states no dates."""
    is_chat, draws = not is_other_kind(model.id), "image" in model.id
    if not isinstance(model.prices, list):
        tiers = _tiers(model.prices, is_chat=is_chat, draws=draws)
        return (SourcePrice(valid_from="", tiers=tiers),) if tiers else ()
    by_start = {_start(one): one.prices for one in model.prices if not hasattr(one.constraint, "start_time")}
    prices = []
    for start in sorted(by_start):
        tiers = _tiers(by_start[start], is_chat=is_chat, draws=draws)
        if tiers:
            prices.append(SourcePrice(valid_from=start, tiers=tiers))
    hours: list[tuple[tuple[SourceTier, ...], list[str]]] = []
    for one in reversed(model.prices):  # theirs: of hours that overlap the later counts
        tiers = _tiers(one.prices, is_chat=is_chat, draws=draws)
        if hasattr(one.constraint, "start_time") and tiers:
            if not any(alike == tiers for alike, _ in hours):
                hours.append((tiers, []))
            next(when for alike, when in hours if alike == tiers).append(hours_of(one.constraint))
    if prices and hours:
        windows = tuple(SourceHours(hours=" ".join(sorted(when)), tiers=tiers) for tiers, when in hours)
        prices[-1] = msgspec.structs.replace(prices[-1], windows=windows)
    return tuple(prices)


def _start(conditional: Any) -> str:
    start = getattr(conditional.constraint, "start_date", None)
    return start.isoformat() if start else ""


def _tiers(price: Any, *, is_chat: bool, draws: bool) -> tuple[SourceTier, ...]:
    """Base first; empty where neither tokens nor a unit that we count are what is paid for."""
    stated = {name: value for name, value in vars(price).items() if value is not None}
    if is_chat:
        if "input_mtok" not in stated or "output_mtok" not in stated:
            return ()
        return tuple(tier_of(bound, rates_above(stated, bound)) for bound in (0, *tier_bounds(stated)))
    rates = rates_above(stated, 0)
    if draws and not {"image_input", "image_output"} & rates.keys():
        return ()  # the price of its text alone
    found = of_other_kind(rates)
    return () if found is None or tier_bounds(stated) else (tier_of(0, found),)
