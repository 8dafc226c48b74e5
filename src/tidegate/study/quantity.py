"""Quantities as people read them: 9.28 T tokens, 12.5 M calls, 1,204.50 USD."""

from tidegate.core.money import format_usd
from tidegate.study.params import Measure

_SCALES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def quantity(value: int, measure: Measure = "tokens") -> str:
    """Two decimals of the largest fitting unit; exact below a thousand. Spend in USD, in cents from 1 USD on."""
    if measure == "spend":
        return f"{value / 10**9:,.2f} USD" if abs(value) >= 10**9 else f"{format_usd(value)} USD"
    for scale, letter in _SCALES:
        if abs(value) >= scale:
            return f"{value / scale:.2f} {letter}"
    return str(value)


def percent(share: float) -> str:
    """A fraction of 1 as a percentage; what is there but rounds to nothing says so."""
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"
