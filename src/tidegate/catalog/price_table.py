"""The dated prices of a price package, whole: for checking what a body cost against the package's own rates.

The catalog's `prices.csv` keeps what a call is charged by, from whichever source is believed; an audit asks one source
alone, and needs the rates of before too, since an expectation bears no date.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import Any, Final

import msgspec

from tidegate.core.money import NANO_PER_USD, UNITS_PER_RATE, parse_rate
from tidegate.core.price import KindRates, Price, Rates, Tier

PACKAGE: Final = "genai-prices"
RATE_OF: Final = {  # theirs -> our rate, and the units that their price is for
    "input_mtok": ("input", 10**6),
    "output_mtok": ("output", 10**6),
    "cache_read_mtok": ("cache_read", 10**6),
    "cache_write_mtok": ("cache_creation", 10**6),
    "cache_write_1h_mtok": ("cache_creation_1h", 10**6),
    "output_reasoning_mtok": ("reasoning", 10**6),
    "web_searches_kcount": ("web_search", 10**3),
    "requests_kcount": ("request", 10**3),
    "audio_hours": ("audio_input_s", 3600),
}
KIND_RATE_OF: Final = {
    **{f"input_{kind}_mtok": f"{kind}_input" for kind in ("audio", "image", "video")},
    **{f"cache_{kind}_read_mtok": f"{kind}_cache_read" for kind in ("audio", "image", "video")},
    **{f"output_{kind}_mtok": f"{kind}_output" for kind in ("audio", "image", "video", "citation")},
}


@cache
def dated_prices(provider: str, model: str, day: datetime) -> tuple[Price, ...]:
    """Prices of a model at a provider, by the package's names: the one of `day`, which is a moment, first; then the
    others it knows, of other days and hours; then those that it has withdrawn.

    Empty where the package does not know the model. Raises ImportError where the package is missing (extra `prices`).
    """
    from genai_prices.data import providers

    theirs = next((one for one in providers if one.id == provider), None)
    found = theirs.find_model(model, all_providers=providers) if theirs is not None and model else None
    if found is None:
        return ()
    current = found.get_prices(day)
    dated = [("", found.prices)] if not isinstance(found.prices, list) else [(_when(c), c.prices) for c in found.prices]
    dated.sort(key=lambda one: one[1] is not current)
    stated = tuple(_price(f"{found.id}@{provider}#{when}", when, prices) for when, prices in dated)
    return stated + withdrawn_prices().get((provider, found.id), ())


class WithdrawnPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `data/withdrawn_prices.yml`. `input`, `output`: USD per million tokens."""

    provider: str
    model: str
    input: str
    output: str
    source: str
    checked: str


@cache
def withdrawn_prices() -> dict[tuple[str, str], tuple[Price, ...]]:
    """Prices that were once stated and are now called wrong, by provider and model."""
    text = resources.files("tidegate.data").joinpath("withdrawn_prices.yml").read_bytes()
    found: dict[tuple[str, str], tuple[Price, ...]] = {}
    for entry in msgspec.yaml.decode(text, type=list[WithdrawnPrice]):
        rates = Rates(input=parse_rate(entry.input), output=parse_rate(entry.output))
        price = Price(price_id=f"{entry.model}@{entry.provider}#withdrawn", rates=rates, source=entry.source)
        found[entry.provider, entry.model] = (*found.get((entry.provider, entry.model), ()), price)
    return found


def source() -> str:
    """The package and its version. Raises PackageNotFoundError where it is missing."""
    return f"{PACKAGE} {version(PACKAGE)}"


def _when(conditional: Any) -> str:
    """The day a price holds from; empty for the first; of one that holds at some hours of a day `~` and those (UTC)."""
    constraint = conditional.constraint
    if hasattr(constraint, "start_time"):
        return f"~{hours_of(constraint)}"
    start = getattr(constraint, "start_date", None)
    return start.isoformat() if start else ""


def hours_of(constraint: Any) -> str:
    """The hours of the package's daily constraint in UTC, as `core.hours.parse_window` reads them."""
    minutes = []
    for time in (constraint.start_time, constraint.end_time):
        offset = time.utcoffset() or timedelta(0)
        minutes.append((time.hour * 60 + time.minute - offset // timedelta(minutes=1)) % 1440)
    return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in minutes)


def _price(price_id: str, when: str, prices: Any) -> Price:
    stated = {name: value for name, value in vars(prices).items() if value is not None}
    start = "" if when.startswith("~") else when
    tiers = [Tier(input_tokens_above=bound, rates=_rates(stated, bound)) for bound in tier_bounds(stated)]
    return Price(price_id=price_id, rates=_rates(stated, 0), tiers=tuple(tiers), valid_from=start, source=PACKAGE)


def _rates(stated: Mapping[str, Any], bound: int) -> Rates:
    """What is not stated of input and output costs nothing."""
    rates = {"input": 0, "output": 0} | rates_above(stated, bound)
    kinds = {name: rates.pop(name) for name in KIND_RATE_OF.values() if name in rates}
    return Rates(**rates, kinds=KindRates(**kinds) if kinds else None)


def tier_bounds(stated: Mapping[str, Any]) -> list[int]:
    """The numbers of input tokens above which any price of the package changes, ascending."""
    return sorted({tier.start for value in stated.values() for tier in getattr(value, "tiers", ()) if tier.start > 0})


def rates_above(stated: Mapping[str, Any], bound: int) -> dict[str, int]:
    """Our rates of the package's prices, for calls above `bound` input tokens."""
    own = {ours: _rate(stated[name], bound, units) for name, (ours, units) in RATE_OF.items() if name in stated}
    return own | {ours: _rate(stated[name], bound, 10**6) for name, ours in KIND_RATE_OF.items() if name in stated}


def _rate(value: Any, bound: int, units: int) -> int:
    """A price for so many units, as nano-USD per million of them."""
    if hasattr(value, "tiers"):
        prices = [value.base, *(tier.price for tier in value.tiers if tier.start <= bound and bound)]
        value = prices[-1]
    return round(Fraction(Decimal(value)) * NANO_PER_USD * UNITS_PER_RATE / units)
