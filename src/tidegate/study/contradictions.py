"""Published values that contradict each other, each way of counting computed from one source."""

import math
from collections.abc import Sequence

import msgspec

from tidegate.study.drawings import Drawings, reason_of
from tidegate.study.periods import Window
from tidegate.study.published import Contradiction, Published, Side, UnitName
from tidegate.study.reading import Unread, Wanted
from tidegate.study.result import NotComputable, StudyError


class SideLine(msgspec.Struct, frozen=True, kw_only=True):
    """One way of counting: what was published under it, and what the source gives under it."""

    says: str
    unit: UnitName
    published: str
    arithmetic: str
    measured: float | str | None = None
    measured_window: str = ""
    figure: str = ""
    differs: str = ""
    why_not: str = ""


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A contradiction, its sides computed from the one source that can give most of them. source_id: empty if none."""

    id: str
    title: str
    because: str
    source_id: str
    sides: tuple[SideLine, ...]


def resolve(drawings: Sequence[Drawings], published: Published, contradiction: Contradiction) -> Resolved:
    """Each side of a contradiction, all from one source, so that only the way of counting sets them apart."""
    tries = [
        (drawing.source.source_id, tuple(_side(drawing, published, side) for side in contradiction.sides))
        for drawing in drawings
    ]
    source_id, sides = max(tries, key=lambda tried: sum(side.measured is not None for side in tried[1]))
    return Resolved(
        id=contradiction.id,
        title=contradiction.title,
        because=contradiction.because,
        source_id=source_id if any(side.measured is not None for side in sides) else "",
        sides=sides,
    )


def _side(drawing: Drawings, published: Published, side: Side) -> SideLine:
    text, arithmetic = stated(published, side)
    plain = SideLine(says=side.says, unit=side.unit, published=text, arithmetic=arithmetic, why_not=side.cannot)
    reasons: list[str] = []
    for reading in side.readings:
        try:
            result, measured = drawing.read(Wanted(reading=reading, unit=side.unit), Window())
        except (NotComputable, StudyError, Unread) as error:
            reasons.append(reason_of(error))
            continue
        return msgspec.structs.replace(
            plain,
            measured=measured.value,
            measured_window=measured.window,
            figure=result.figure,
            differs=" ".join(reading.differences(drawing.source.measures)),
        )
    return msgspec.structs.replace(plain, why_not="; ".join(dict.fromkeys(reasons)) or side.cannot)


def stated(published: Published, side: Side) -> tuple[str, str]:
    """What was published on one side, and how it was made of several values (empty for a single one)."""
    amounts = [amount for name in side.published for amount in published.amounts(name)]
    if side.arithmetic == "count":
        return str(len(amounts)), f"number of {len(amounts)} published values"
    if len(amounts) <= 1:
        return (amounts[0].text if amounts else ""), ""
    numbers = [amount.number for amount in amounts]
    if any(number is None for number in numbers):
        return "; ".join(amount.text for amount in amounts), ""
    made = combine([number for number in numbers if number is not None], side.arithmetic)
    sign = {"sum": " + ", "difference": " - "}.get(side.arithmetic)
    shown = sign.join(amount.text for amount in amounts) if sign and len(amounts) <= 6 else ""
    digits = max(-math.floor(math.log10(amount.step)) for amount in amounts)
    return f"{made:.{max(digits, 0)}f}", shown or f"{side.arithmetic} of {len(amounts)} published values"


def combine(numbers: Sequence[float], arithmetic: str) -> float:
    """sum, mean, max, min, or the first minus all others."""
    if arithmetic == "mean":
        return math.fsum(numbers) / len(numbers)
    if arithmetic == "max":
        return max(numbers)
    if arithmetic == "min":
        return min(numbers)
    if arithmetic == "difference":
        return numbers[0] - math.fsum(numbers[1:])
    return math.fsum(numbers)
