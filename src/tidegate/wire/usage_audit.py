"""What bodies of usage come to, and where an expectation says otherwise: `tidegate usage`. Pure; prices are passed in.

A line of input holds a `body` (a provider's reply, or as much of it as bears usage), perhaps a `model`, and perhaps
what is expected of it: under `extracted`, `usage` counts and the `extractors` (provider, flavour, prices) that find
them.
"""

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.core.errors import TidegateError
from tidegate.core.money import UNITS_PER_RATE
from tidegate.core.price import Price, cost_parts, round_half_even
from tidegate.core.usage import Usage
from tidegate.wire.usage import reported_cost
from tidegate.wire.usage_fields import Reading, UsageFields, member, read_counts, read_model, usage_of

UNSAID: Final = "-"  # the provider, or flavour, that nobody named

Prices = Callable[[str, str], Sequence[Price]]  # of a provider's model: today's first


class Extractor(Struct, kw_only=True):
    """Who is expected to find the counts, and at what price, in USD."""

    provider_id: str = UNSAID
    api_flavor: str = "default"
    input_price: str | None = None
    output_price: str | None = None
    total_price: str | None = None


class Extracted(Struct, kw_only=True):
    usage: dict[str, int] = msgspec.field(default_factory=dict)
    extractors: list[Extractor] = msgspec.field(default_factory=list)


class Line(Struct, kw_only=True):
    body: Any = None
    model: str | None = None
    extracted: list[Extracted] = msgspec.field(default_factory=list)


class Charge(Struct, frozen=True):
    """A price applied: nano-USD of input, output and all."""

    input_nano_usd: int
    output_nano_usd: int
    cost_nano_usd: int
    price_id: str


class Finding(Struct, frozen=True, kw_only=True):
    """What one body comes to when read as one provider's flavour.

    `counts` None: it is no body of this flavour. `reported_nano_usd`: what the body itself says was charged.
    `differences`: where an expectation says otherwise, empty where it agrees or says nothing.
    """

    provider: str
    flavour: str
    model: str
    counts: dict[str, int] | None
    usage: Usage | None = None
    charge: Charge | None = None
    reported_nano_usd: int | None = None
    is_expected: bool = False
    differences: tuple[str, ...] = ()
    note: str = ""


_line_decoder = msgspec.json.Decoder(Line)


def decode_line(text: bytes) -> Line:
    """A line of input; one without `body` is itself the body. Raises msgspec.DecodeError, naming the place."""
    line = _line_decoder.decode(text)
    return line if line.body is not None else Line(body=msgspec.json.decode(text))


def audit(line: Line, fields: UsageFields, prices: Prices, provider: str = "", flavour: str = "") -> list[Finding]:
    """A finding for each provider and flavour that is expected, or named; else one, by the look of the body.

    Raises TidegateError for a provider or flavour that nobody knows.
    """
    wanted = [
        (extractor, extracted.usage)
        for extracted in line.extracted
        for extractor in extracted.extractors
        if provider in ("", extractor.provider_id) and flavour in ("", extractor.api_flavor)
    ]
    if wanted:
        return [_judged(line, fields, prices, extractor, counts) for extractor, counts in wanted]
    if not provider and not flavour:
        told = fields.told_from(line.body)
        return [_found(line, prices, (UNSAID, UNSAID), [told] if told else [])]
    if not flavour and provider not in fields.providers:
        known = ", ".join(sorted(fields.providers))
        raise TidegateError(f"no flavour of {provider!r} is listed: name one with --flavour. Listed are: {known}")
    names = [flavour] if flavour else sorted(fields.providers[provider])
    pairs = [(provider or UNSAID, name) for name in names]
    return [_found(line, prices, pair, known_readings(fields, *pair)) for pair in pairs]


def known_readings(fields: UsageFields, provider: str, flavour: str) -> list[Reading]:
    """Raises TidegateError where neither the provider nor the flavour says how to read."""
    readings = fields.of(provider, flavour)
    if not readings:
        known = sorted({*fields.providers.get(provider, {}), *fields.flavours})
        raise TidegateError(f"nobody knows how {provider}'s flavour {flavour!r} is read; known: {', '.join(known)}")
    return readings


def _found(line: Line, prices: Prices, pair: tuple[str, str], readings: Sequence[Reading]) -> Finding:
    """The first reading that reads the body, at today's price."""
    for reading in readings:
        counts = read_counts(line.body, reading)
        if counts is not None:
            model, usage = line.model or read_model(line.body, reading), usage_of(counts)
            dated = prices(pair[0], model)
            return Finding(
                provider=pair[0],
                flavour=pair[1],
                model=model,
                counts=counts,
                usage=usage,
                charge=charge(usage, dated[0]) if dated else None,
                reported_nano_usd=_reported(line.body, reading),
            )
    return Finding(provider=pair[0], flavour=pair[1], model=line.model or "", counts=None)


def _judged(line: Line, fields: UsageFields, prices: Prices, expected: Extractor, counts: dict[str, int]) -> Finding:
    """The reading and the dated price that meet the expectation; where none does, today's, with the differences."""
    pair = (expected.provider_id, expected.api_flavor)
    best = None
    for number, reading in enumerate(known_readings(fields, *pair)):
        found = _found(line, prices, pair, [reading])
        notes = ["as this flavour was read before"] if number else []
        for place, price in enumerate(prices(pair[0], found.model) or (None,)):
            applied = charge(found.usage, price) if price and found.usage else None
            differences = (*_count_differences(found.counts, counts), *_price_differences(applied, expected))
            dated = [f"at the price {price.price_id}, not today's"] if price and place and not differences else []
            judged = msgspec.structs.replace(
                found, charge=applied, is_expected=True, differences=differences, note="; ".join(notes + dated)
            )
            best = best or judged
            if not differences:
                return judged
    assert best is not None
    return best


def charge(usage: Usage, price: Price) -> Charge:
    parts = cost_parts(usage, price)
    entered, left, total = (round_half_even(part, UNITS_PER_RATE) for part in (parts.input, parts.output, parts.total))
    return Charge(entered, left, total, price.price_id)


def _reported(body: object, reading: Reading) -> int | None:
    usage = member(body, reading.root)
    return reported_cost(usage) if isinstance(usage, dict) else None


def _count_differences(counts: dict[str, int] | None, expected: dict[str, int]) -> tuple[str, ...]:
    if counts is None:
        return ("the body cannot be read as this flavour",)
    names = sorted({*counts, *expected})
    return tuple(
        f"{name}: {counts.get(name, 0)}, expected {expected.get(name, 0)}"
        for name in names
        if counts.get(name, 0) != expected.get(name, 0)
    )


def _price_differences(applied: Charge | None, expected: Extractor) -> tuple[str, ...]:
    """Only what the expectation states is compared, in whole nano-USD."""
    stated = {"input": expected.input_price, "output": expected.output_price, "total": expected.total_price}
    found = (
        {"input": applied.input_nano_usd, "output": applied.output_nano_usd, "total": applied.cost_nano_usd}
        if applied
        else {}
    )
    differences = []
    for name, text in stated.items():
        if text is not None and found.get(name) != (wanted := _nano(text)):
            seen = f"{found[name]} nano-USD" if name in found else "no price known"
            differences.append(f"{name} price: {seen}, expected {wanted}")
    return tuple(differences)


def _nano(text: str) -> int:
    """Raises TidegateError for what is no amount."""
    try:
        return int(Decimal(text).scaleb(9).to_integral_value(ROUND_HALF_EVEN))
    except InvalidOperation:
        raise TidegateError(f"{text!r} is no price; write USD as a decimal, for example '0.000102'") from None
