"""Rates that the package which is believed does not state, and another one does."""

from collections.abc import Sequence

import msgspec

from tidegate.catalog.source_fact import SourceFact, SourceTier
from tidegate.catalog.tables import RATE_COLUMNS


def rate_of(tier: SourceTier, name: str) -> int | None:
    """A rate by its name, in a column of its own or not; None where the package states none."""
    return tier.more.get(name) if name not in RATE_COLUMNS else getattr(tier, name)


def with_rates_of_others(facts: Sequence[SourceFact]) -> SourceFact:
    """The first fact with those of `more` that only the others state. facts: of one model, or of it and its snapshot,
    at one provider, the believed one first; each has prices.

    One-hour cache writes, searches and tokens of other kinds are missing in many a package. They are taken from another
    one only where its latest price has the same tiers and contradicts no rate of the believed one: then both speak of
    one price. `source` names both.
    """
    first, *others = facts
    *past, latest = first.prices
    tiers, sources = latest.tiers, [first.source]
    for other in others:
        theirs = other.prices[-1].tiers
        if len(theirs) != len(tiers) or not all(map(_is_same_price, tiers, theirs)):
            continue
        filled = tuple(map(_filled, tiers, theirs))
        if filled != tiers:
            tiers = filled
            sources.append(other.source)
    if tiers == latest.tiers:
        return first
    prices = (*past, msgspec.structs.replace(latest, tiers=tiers))
    return msgspec.structs.replace(first, prices=prices, source="; ".join(dict.fromkeys(sources)))


def _is_same_price(ours: SourceTier, theirs: SourceTier) -> bool:
    if (ours.input_tokens_above, ours.input, ours.output) != (theirs.input_tokens_above, theirs.input, theirs.output):
        return False
    names = {*RATE_COLUMNS[2:-1], *ours.more}
    pairs = [(rate_of(ours, name), rate_of(theirs, name)) for name in names]
    return all(one is None or other is None or one == other for one, other in pairs)


def _filled(ours: SourceTier, theirs: SourceTier) -> SourceTier:
    return msgspec.structs.replace(ours, more=theirs.more | ours.more)


def told_apart(tier: SourceTier) -> tuple[tuple[str, int], ...]:
    """The rates of `more` that say something: one that repeats what such a token costs anyway is left out."""
    anyway = {
        "cache_creation_1h": tier.input if tier.cache_creation is None else tier.cache_creation,
        **dict.fromkeys(("audio_input", "image_input", "video_input"), tier.input),
        **dict.fromkeys(("audio_output", "image_output", "video_output", "citation_output"), tier.output),
    }
    return tuple(sorted((name, rate) for name, rate in tier.more.items() if rate != anyway.get(name)))
