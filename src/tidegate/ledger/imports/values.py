"""Values as other systems write them: counts, money, times and truths, each exact or refused with its reason."""

import datetime as dt
import re
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final, Literal

COUNT_MAX: Final = 2**63 - 1
NANO_PER_USD: Final = 1_000_000_000
USD_PER_CALL_MAX: Final = 1_000_000
"""Above this a value is no price of one call but another unit or a sum."""
LOGS_BEGIN_US: Final = 1_420_070_400_000_000
"""2015-01-01: no call to a language model was logged before; an earlier time is missing, or in another unit."""
LOGS_END_US: Final = 4_102_444_800_000_000
"""2100-01-01."""

TimeUnit = Literal["auto", "s", "ms", "us", "ns"]
_US_PER: Final[dict[str, Decimal]] = {
    "s": Decimal(1_000_000),
    "ms": Decimal(1000),
    "us": Decimal(1),
    "ns": Decimal("0.001"),
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,12}))?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TRUE = frozenset({"true", "t", "1", "yes"})
_FALSE = frozenset({"false", "f", "0", "no"})


class Unusable(ValueError):
    """A record cannot be a row of the ledger; the text says why, without the file and the line."""


def as_number(name: str, value: Any) -> Decimal:  # value: whatever JSON, CSV or Parquet held
    """A number, exactly: floats by their shortest spelling. Raises Unusable for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
        raise Unusable(f"{name} is {_shown(value)}, not a number")
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise Unusable(f"{name} is {_shown(value)}, not a number")
    try:
        return Decimal(text)
    except InvalidOperation:  # pragma: no cover - the pattern admits nothing that Decimal does not read
        raise Unusable(f"{name} is {_shown(value)}, not a number") from None


def as_count(name: str, value: Any) -> int:  # as above
    """A whole number from 0 to 2^63 - 1. Raises Unusable."""
    number = as_number(name, value)
    if number < 0:
        raise Unusable(f"{name} is {_shown(value)}, below zero")
    if number > COUNT_MAX or number != number.to_integral_value():
        raise Unusable(f"{name} is {_shown(value)}, not a whole number that fits 64 bits")
    return int(number)


def as_nano_usd(name: str, value: Any) -> tuple[int, bool]:  # as above
    """USD in nano-USD: (amount, whether it had to be rounded). Raises Unusable below zero and above a million USD."""
    number = as_number(name, value)
    if not 0 <= number <= USD_PER_CALL_MAX:
        raise Unusable(f"{name} is {_shown(value)} USD, outside 0 to {USD_PER_CALL_MAX}")
    scaled = number * NANO_PER_USD
    whole = scaled.to_integral_value(ROUND_HALF_EVEN)
    return int(whole), whole != scaled


def as_duration_us(name: str, value: Any, unit: TimeUnit) -> int:  # as above
    """A length of time in microseconds, rounded. Raises Unusable below zero."""
    number = as_number(name, value) * _US_PER[unit]
    if not 0 <= number <= COUNT_MAX:
        raise Unusable(f"{name} is {_shown(value)}, no length of time")
    return int(number.to_integral_value(ROUND_HALF_EVEN))


def as_truth(name: str, value: Any) -> bool:  # as above
    """true or false, as words or as 1 and 0. Raises Unusable."""
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise Unusable(f"{name} is {_shown(value)}, neither true nor false")


def as_time_us(name: str, value: Any, unit: TimeUnit = "auto") -> tuple[int, str]:  # as above
    """A moment in microseconds since 1970 UTC, and how its zone was given.

    The zone: `Z`, an offset such as `+08:00`, `none` (read as UTC) or `number`. `auto` tells seconds, milli-, micro-
    and nanoseconds apart by size, which is unambiguous between 2001 and 2100. Raises Unusable outside 2015 to 2100.
    """
    text = str(value).strip()
    if match := _TIME.fullmatch(text):
        day, clock, fraction, zone = match.groups()
        offset = "+00:00" if zone in (None, "Z", "UTC") else zone
        try:
            whole = dt.datetime.fromisoformat(f"{day}T{clock or '00:00'}{offset}")
            micros = (whole - _EPOCH) // dt.timedelta(seconds=1) * 1_000_000
        except (ValueError, OverflowError) as error:
            raise Unusable(f"{name} is {_shown(value)}: {error}") from error
        micros += int((fraction or "0").ljust(6, "0")[:6])
        return _within(name, value, micros), {None: "none", "UTC": "Z"}.get(zone, str(zone))
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        raise Unusable(f"{name} is {_shown(value)}, not a time such as 2026-03-23T10:00:00Z")
    number = Decimal(text)
    if unit == "auto":
        size = abs(number)
        unit = "s" if size < 10**11 else "ms" if size < 10**14 else "us" if size < 10**17 else "ns"
    return _within(name, value, int(number * _US_PER[unit])), "number"


def _within(name: str, value: Any, micros: int) -> int:
    if not LOGS_BEGIN_US <= micros < LOGS_END_US:
        raise Unusable(f"{name} is {_shown(value)}, not a time between 2015 and 2100")
    return micros


def _shown(value: Any) -> str:
    return repr(str(value)[:60]) if isinstance(value, str) else str(value)[:60]
