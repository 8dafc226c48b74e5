"""genai-prices (Pydantic, MIT): dated first-party and aggregator prices, bundled in the package."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from tidegate.catalog.price_table import rates_above, source, tier_bounds
from tidegate.catalog.source_fact import SourceFact, SourcePrice, SourceTier, is_other_kind, of_other_kind, tier_of

SAMPLES_PER_DAY: Final = 48


def read_genai_prices(providers: Mapping[str, str]) -> Iterator[SourceFact]:
    """Facts of the installed package. providers: their provider id -> our slug; others are left out.

    Raises ImportError where the package is missing (extra `prices`).
    """
    from genai_prices.data import providers as listed

    for provider in listed:
        if ours := providers.get(provider.id):
            for model in provider.models:
                prices, note = _prices(model)
                yield SourceFact(
                    source=source(),
                    provider=ours,
                    name=model.id,
                    title=model.name or "",
                    prices=prices,
                    context_tokens=model.context_window or 0,
                    note=note,
                )


def _prices(model: Any) -> tuple[tuple[SourcePrice, ...], str]:
    """A model's prices by start, and a note where they vary by the hour."""
    is_chat, draws = not is_other_kind(model.id), "image" in model.id
    if not isinstance(model.prices, list):
        tiers = _tiers(model.prices, is_chat=is_chat, draws=draws)
        return ((SourcePrice(valid_from="", tiers=tiers),) if tiers else ()), ""
    starts = sorted({c.constraint.start_date for c in model.prices if hasattr(c.constraint, "start_date")})
    before = (starts[0] if starts else date(2000, 1, 2)) - timedelta(days=1)
    prices, note = [], ""
    for valid_from, day in [("", before), *((start.isoformat(), start) for start in starts)]:
        rates, varies = _of_the_day(model, day)
        tiers = _tiers(rates, is_chat=is_chat, draws=draws)
        if varies:
            note = "price varies by the hour; the one that holds longest is kept"
        if tiers:
            prices.append(SourcePrice(valid_from=valid_from, tiers=tiers))
    return tuple(prices), note


def _of_the_day(model: Any, day: date) -> tuple[Any, bool]:
    """The price that holds for most of a day (UTC), asked of the package itself, and whether there is another."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    step = timedelta(days=1) / SAMPLES_PER_DAY
    seen = [model.get_prices(midnight + step * number) for number in range(SAMPLES_PER_DAY)]
    counts = Counter(repr(price) for price in seen)
    longest = max(counts.values())
    return next(price for price in seen if counts[repr(price)] == longest), len(counts) > 1


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
