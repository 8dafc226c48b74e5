"""Money: integers of nano-USD, parsed and printed exactly.

A float never holds money. One nano-USD is 1e-9 USD; a rate is nano-USD per million units, so that the
smallest published token price (a few 1e-10 USD) is still an integer.
"""

import re
from typing import NewType

NanoUSD = NewType("NanoUSD", int)

NANO_PER_USD = 1_000_000_000
UNITS_PER_RATE = 1_000_000  # a rate is the price of this many units

_DECIMAL = re.compile(r"([+-]?)(\d{0,15})(?:\.(\d{0,40}))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)


class InvalidMoney(ValueError):
    """A text that is not an exact decimal amount, or one finer than the unit can hold."""


def parse_decimal(text: str, fraction_digits: int) -> int:
    """The decimal `text` times 10**fraction_digits, exactly.

    Accepts `12`, `-0.5`, `.25`, `1.5e-7`. Raises InvalidMoney for anything else, and for more digits than
    `fraction_digits` can hold: money is refused, never rounded, on its way in.
    """
    match = _DECIMAL.fullmatch(text.strip())
    if match is None or not (match[2] or match[3]):
        raise InvalidMoney(f"{text!r} is not a decimal amount; write for example '0.15', '12' or '1.5e-7'")
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    digits = int((whole + fraction) or "0")
    shift = fraction_digits - len(fraction) + exponent
    if shift < 0:
        digits, lost = divmod(digits, int(10**-shift))
        if lost:
            raise InvalidMoney(f"{text!r} has more than {fraction_digits} decimal places, the finest amount held here")
    else:
        digits *= int(10**shift)
    return -digits if sign == "-" else digits


def parse_usd(text: str) -> NanoUSD:
    """An amount of USD as text, in nano-USD: `parse_usd("0.000000001") == 1`. Raises InvalidMoney."""
    return NanoUSD(parse_decimal(text, 9))


def format_usd(amount: int, *, places_min: int = 2) -> str:
    """Print nano-USD as USD, exactly: trailing zeros are cut down to `places_min` decimals, digits never.

    `parse_usd(format_usd(x)) == x` for every x.
    """
    whole, fraction = divmod(abs(amount), NANO_PER_USD)
    decimals = f"{fraction:09d}".rstrip("0").ljust(places_min, "0")
    return f"{'-' if amount < 0 else ''}{whole}{'.' if decimals else ''}{decimals}"


def parse_rate(text: str) -> int:
    """USD per million units (as price pages print it: "0.15") to nano-USD per million units. Raises InvalidMoney."""
    return parse_decimal(text, 9)


def parse_unit_price(text: str) -> int:
    """USD per single unit (as OpenRouter's API prints it: "0.00000015") to nano-USD per million units.

    Raises InvalidMoney below 1e-15 USD a unit.
    """
    return parse_decimal(text, 15)


def format_rate(rate: int) -> str:
    """Nano-USD per million units as USD per million units, exactly: the inverse of `parse_rate`."""
    return format_usd(rate, places_min=2)


def format_unit_price(rate: int) -> str:
    """Nano-USD per million units as USD per single unit, exactly: the inverse of `parse_unit_price`."""
    whole, fraction = divmod(rate, NANO_PER_USD * UNITS_PER_RATE)
    decimals = f"{fraction:015d}".rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)
