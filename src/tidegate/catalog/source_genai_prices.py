"""genai-prices (Pydantic, MIT): dated first-party and aggregator prices, bundled in the package."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from typing import Any, Final

from tidegate.catalog.source_fact import SourceFact, SourcePrice, SourceTier, rate_per_million

PACKAGE: Final = "genai-prices"
FIELDS: Final = {  # ours -> theirs, USD per million tokens
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_creation": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
}
REQUESTS: Final = "requests_kcount"  # USD per thousand requests
OTHER_OUTPUT: Final = ("output_image_mtok", "output_audio_mtok", "output_video_mtok")  # rates our tables cannot hold
SAMPLES_PER_DAY: Final = 48


def read_genai_prices(providers: Mapping[str, str]) -> Iterator[SourceFact]:
    """Facts of the installed package. providers: their provider id -> our slug; others are left out.

    Raises ImportError where the package is missing (extra `prices`).
    """
    from genai_prices.data import providers as listed

    source = f"{PACKAGE} {version(PACKAGE)}"
    for provider in listed:
        if ours := providers.get(provider.id):
            for model in provider.models:
                prices, note = _prices(model)
                yield SourceFact(
                    source=source,
                    provider=ours,
                    name=model.id,
                    title=model.name or "",
                    prices=prices,
                    context_tokens=model.context_window or 0,
                    note=note,
                )


def _prices(model: Any) -> tuple[tuple[SourcePrice, ...], str]:
    """A model's prices by start, and a note where they vary by the hour."""
    if not isinstance(model.prices, list):
        tiers = _tiers(model.prices)
        return ((SourcePrice(valid_from="", tiers=tiers),) if tiers else ()), ""
    starts = sorted({c.constraint.start_date for c in model.prices if hasattr(c.constraint, "start_date")})
    before = (starts[0] if starts else date(2000, 1, 2)) - timedelta(days=1)
    prices, note = [], ""
    for valid_from, day in [("", before), *((start.isoformat(), start) for start in starts)]:
        rates, varies = _of_the_day(model, day)
        tiers = _tiers(rates)
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


def _tiers(price: Any) -> tuple[SourceTier, ...]:
    """Base first; empty where text is not all that is paid for (embeddings, images, audio)."""
    if any(getattr(price, field) is not None for field in OTHER_OUTPUT):
        return ()
    stated = {ours: value for ours, theirs in FIELDS.items() if (value := getattr(price, theirs)) is not None}
    if "input" not in stated or "output" not in stated:
        return ()
    request = getattr(price, REQUESTS)
    bounds = sorted({0, *(tier.start for value in stated.values() for tier in getattr(value, "tiers", ()))})
    return tuple(
        SourceTier(
            input_tokens_above=bound,
            request=None if request is None else rate_per_million(Decimal(request) * 1000),
            **{ours: rate_per_million(_at(value, bound)) for ours, value in stated.items()},
        )
        for bound in bounds
    )


def _at(value: Any, bound: int) -> Decimal:
    """A rate for calls above `bound` input tokens."""
    if not hasattr(value, "tiers"):
        return Decimal(value)
    rate = value.base
    for tier in value.tiers:
        if tier.start <= bound and bound:
            rate = tier.price
    return Decimal(rate)
