"""What one price package says about one model at one provider: the common form that `sync` merges."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import msgspec

from tidegate.catalog.tables import MORE_RATES
from tidegate.core.facts import Weights

NANO_PER_USD: Final = Decimal(10**9)
BY_THE_PIECE: Final = frozenset({"web_search", "image", "audio_input_s", "audio_output_s", "video_output_s"})
OTHER_KINDS: Final = re.compile(r"embed|transcribe|whisper|-tts|tts-|rerank|image|dall-e")
"""In a model's name: it is called for vectors, text of sound, sound, an order or a picture."""
PER_MILLION: Final = Decimal(10**6)


class SourceTier(msgspec.Struct, frozen=True, kw_only=True):
    """Rates above a number of input tokens, nano-USD per million units; the base has `input_tokens_above` 0.

    `more`: those of `tables.MORE_RATES` that the package states, by name.
    """

    input_tokens_above: int
    input: int
    output: int
    cache_read: int | None = None
    cache_creation: int | None = None
    reasoning: int | None = None
    request: int | None = None
    more: dict[str, int] = {}


class SourceHours(msgspec.Struct, frozen=True, kw_only=True):
    """Rates within hours, as `core.hours.parse_window` reads them. The base tier comes first."""

    hours: str
    tiers: tuple[SourceTier, ...]


class SourcePrice(msgspec.Struct, frozen=True, kw_only=True):
    """Rates from a day on; `valid_from` is empty where the package states no start. The base tier comes first.

    `windows`: hours at which the price is another.
    """

    valid_from: str
    tiers: tuple[SourceTier, ...]
    windows: tuple[SourceHours, ...] = ()


class SourceFact(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider as one package lists it.

    `provider`: our slug; empty for facts about a model wherever it is served. `name`: the package's own name, which is
    also what the provider's API expects. `source`: package and version. `prices` by start, empty where none is stated.
    `is_other`: the package itself says that the model does not chat. `note`: what it says and our tables cannot hold.
    """

    source: str
    provider: str
    name: str
    title: str = ""
    prices: tuple[SourcePrice, ...] = ()
    context_tokens: int = 0
    weights: Weights = "unknown"
    is_reasoning: bool | None = None
    is_other: bool = False
    released: str = ""
    note: str = ""


def tier_of(input_tokens_above: int, rates: Mapping[str, int]) -> SourceTier:
    """A tier of rates by name; `input` and `output` are among them, and the names are those of RATE_COLUMNS and
    MORE_RATES."""
    return SourceTier(
        input_tokens_above=input_tokens_above,
        input=rates["input"],
        output=rates["output"],
        cache_read=rates.get("cache_read"),
        cache_creation=rates.get("cache_creation"),
        reasoning=rates.get("reasoning"),
        request=rates.get("request"),
        more={name: rates[name] for name in sorted(MORE_RATES & rates.keys())},
    )


def is_other_kind(name: str) -> bool:
    """Whether a model's name says that it answers with something else than a chat's text."""
    return OTHER_KINDS.search(name.lower()) is not None


def of_other_kind(rates: Mapping[str, int]) -> dict[str, int] | None:
    """The rates of a model that may have none for tokens in or out, as for `tier_of`; None where none is left.

    A model that draws, and states no other rate for what comes out, has that one for all that does. Where a package
    has one price twice, by the token and by the piece, the tokens are what providers bill by.
    """
    found = {"input": 0, "output": 0, **rates}
    if not rates.get("output") and "image_output" in found:
        found["output"] = found.pop("image_output")
    if found["input"] or found["output"]:
        found = {name: rate for name, rate in found.items() if name not in BY_THE_PIECE or name == "web_search"}
    return found if any(found.values()) else None


def inherited(base: Mapping[str, int]) -> dict[str, int]:
    """What a tier that states no rate of its own has of the base: not rates of a kind of token, which rise with the
    tier's text. A token whose rate nobody states then costs what text, or a shorter cache write, does there."""
    return {name: rate for name, rate in base.items() if name not in MORE_RATES or name in BY_THE_PIECE}


def without_blanks(rates: Mapping[str, int], *, is_paid: bool) -> dict[str, int]:
    """Rates of a package that writes 0 for "no rate of its own", which of a paid model only input and output mean."""
    return {name: rate for name, rate in rates.items() if rate or not is_paid or name in ("input", "output")}


def rate_per_million(usd: Decimal) -> int:
    """USD per million units to nano-USD per million units; what is finer is rounded half to even.

    Packages hold some prices as divided floats (0.13499999999999998): rounding mends those, and no published rate is
    finer than a nano-USD per million.
    """
    return int((usd * NANO_PER_USD).quantize(Decimal(1), ROUND_HALF_EVEN))


def rate_per_unit(usd: Decimal) -> int:
    """USD per single unit to nano-USD per million units."""
    return rate_per_million(usd * PER_MILLION)
