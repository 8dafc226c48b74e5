"""Reading one number off a figure: which cells, over which whole, and how its periods become one value."""

import datetime as dt
import math
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from tidegate.core.errors import TidegateError
from tidegate.study.params import UNITS
from tidegate.study.published import Reading, UnitName
from tidegate.study.result import Cell, Result

ONE_MILLION = 10**6
NANO = 10**9
NAMES_SHOWN = 8


class Unread(TidegateError):
    """The figure was drawn, and this number is not in it; the text says what is."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A number read off a figure, in the claim's unit. window: the days that it speaks of, `A:B`."""

    value: float | str
    window: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a figure for one published value.

    keys: all keys of the claim; key: the one wanted, without its period; first: ISO date on which its period begins.
    """

    reading: Reading
    unit: UnitName
    keys: Collection[str] = ()
    key: str = ""
    first: str = ""


def read_off(result: Result, wanted: Wanted, whole: Result | None = None) -> Measured:
    """The number wanted. whole: the figure that `of_figure` names, drawn from the same source.

    Raises Unread where the figure has no such cells.
    """
    reading = wanted.reading
    measure = next((name for name in UNITS if reading.params.get("measure") == name), None)
    if measure and result.unit in UNITS.values() and result.unit != UNITS[measure]:
        raise Unread(f"{result.figure} is drawn in {result.unit} from this source, not by {measure}")
    groups = _groups(result, wanted)
    chosen = [cell for cell in result.rows if _observed(cell) and matches(cell, groups)]
    if not chosen:
        raise Unread(_absent(result, groups))
    others = [cell for cell in (whole or result).rows if matches(cell, reading.of)]
    if reading.take == "name":
        return Measured(value=_name(chosen, reading.column, result), window=result.window)
    if reading.over == "first_above":
        return _first_above(result, chosen, others, reading)
    numbers = by_period(chosen, others, reading)
    if reading.over == "each":
        period = (dt.date.fromisoformat(wanted.first) + dt.timedelta(days=reading.shift_days)).isoformat()
        if period not in numbers:
            have = f"the source has {min(numbers)} to {max(numbers)}" if numbers else "the source has none"
            raise Unread(f"no complete {result.grain} there: {have}")
        return Measured(value=in_unit(numbers[period], wanted, result), window=period)
    number, window = _joined(numbers, chosen, others, reading, result)
    return Measured(value=in_unit(number, wanted, result), window=window)


def _observed(cell: Cell) -> bool:
    return cell.value is not None or cell.share is not None


def _groups(result: Result, wanted: Wanted) -> dict[str, tuple[str, ...]]:
    """The groups that count for this key."""
    reading = wanted.reading
    groups = dict(reading.groups)
    if reading.key and reading.key != "period":
        if wanted.key and wanted.key == reading.rest:
            named = {*wanted.keys, *(name for names in reading.names.values() for name in names)}
            held = {cell.groups.get(reading.key, "") for cell in result.rows if matches(cell, groups)}
            groups[reading.key] = tuple(sorted(held - named))
        else:
            groups[reading.key] = reading.names.get(wanted.key, (wanted.key,))
    return groups


def matches(cell: Cell, groups: Mapping[str, Sequence[str]]) -> bool:
    """Whether the cell stands in one of the named groups of each column."""
    return all(
        column in cell.groups and any(_is(cell.groups[column], name) for name in names)
        for column, names in groups.items()
    )


def _is(held: str, name: str) -> bool:
    return held == name or (name.endswith("*") and held.startswith(name[:-1]))


def by_period(chosen: Sequence[Cell], whole: Sequence[Cell], reading: Reading) -> dict[str, float]:
    """The number of each period, ascending: the chosen cells, or their share of the whole."""
    pick: Callable[[Sequence[float]], float] = max if reading.pick == "largest" else math.fsum
    numbers: dict[str, float] = {}
    for period in sorted({cell.period for cell in chosen}):
        here = [cell for cell in chosen if cell.period == period]
        if reading.take == "share" and not reading.of and all(cell.share is not None for cell in here):
            numbers[period] = pick([cell.share or 0.0 for cell in here])
            continue
        if any(cell.value is None for cell in here):
            continue
        amount = pick([cell.value or 0 for cell in here])
        if reading.take == "value":
            numbers[period] = amount
        elif total := math.fsum(cell.value or 0 for cell in whole if cell.period == period):
            numbers[period] = amount / total
    return numbers


def _joined(
    numbers: Mapping[str, float], chosen: Sequence[Cell], whole: Sequence[Cell], reading: Reading, result: Result
) -> tuple[float, str]:
    """One number of all periods, and the days it speaks of."""
    if not numbers:
        raise Unread(f"{result.figure} has no values in {result.window}")
    if reading.over == "mean":
        return math.fsum(numbers.values()) / len(numbers), result.window
    if reading.over == "pooled":
        return _pooled(numbers, chosen, whole, reading, result), result.window
    choose: dict[str, Callable[[Mapping[str, float]], str]] = {
        "last": max,
        "first": min,
        "max": lambda found: max(found, key=lambda period: (found[period], period)),
        "min": lambda found: min(found, key=lambda period: (found[period], period)),
    }
    period = choose[reading.over](numbers)
    return numbers[period], f"{result.grain} of {period}"


def _pooled(
    numbers: Mapping[str, float], chosen: Sequence[Cell], whole: Sequence[Cell], reading: Reading, result: Result
) -> float:
    """A ratio of sums over all periods, or the sum of values."""
    if len(numbers) == 1:
        return next(iter(numbers.values()))
    if reading.take == "value":
        return math.fsum(numbers.values())
    periods = {cell.period for cell in chosen}
    total = math.fsum(cell.value or 0 for cell in whole if cell.period in periods)
    if not total:
        raise Unread(f"{result.figure} has shares without amounts, which cannot be pooled over periods")
    sums: dict[tuple[str, ...], float] = {}
    for cell in chosen:
        name = tuple(cell.groups.values())
        sums[name] = sums.get(name, 0) + (cell.value or 0)
    return (max(sums.values()) if reading.pick == "largest" else math.fsum(sums.values())) / total


def _name(chosen: Sequence[Cell], column: str, result: Result) -> str:
    names = sorted({cell.groups[column] for cell in chosen if column in cell.groups})
    if len(names) != 1:
        raise Unread(f"{result.figure} has {len(names)} names in {column!r} there, not one")
    return names[0]


def _first_above(result: Result, chosen: Sequence[Cell], other: Sequence[Cell], reading: Reading) -> Measured:
    """The first period in which the chosen cells sum to strictly more than the others."""
    for period in sorted({cell.period for cell in chosen}):
        ours = sum(cell.value or 0 for cell in chosen if cell.period == period)
        if ours > sum(cell.value or 0 for cell in other if cell.period == period):
            return Measured(value=period, window=result.window)
    raise Unread(f"in no {result.grain} of {result.window} is {_named(reading.groups)} above {_named(reading.of)}")


def in_unit(number: float, wanted: Wanted, result: Result) -> float:
    """A number of a figure in the unit of a claim. Raises Unread where one cannot be made of the other."""
    unit = wanted.unit
    if unit == "percent" and wanted.reading.take == "share":
        return 100 * number
    if unit == "trillion tokens" and result.unit == "tokens":
        return number / 10**12
    if unit == "log10 million tokens":
        if number <= 0:
            raise Unread(f"{result.figure} has no tokens there, and zero has no logarithm")
        return math.log10(number / ONE_MILLION)
    if unit == "billion calls" and result.unit == "calls":
        return number / 10**9
    if unit == "million USD" and result.unit == "nano-USD":
        return number / NANO / ONE_MILLION
    return float(number)


def _named(groups: Mapping[str, Sequence[str]]) -> str:
    """`country CN + US, model x`."""
    return (
        ", ".join(f"{column} {' + '.join(names) or '(any other)'}" for column, names in groups.items()) or "any group"
    )


def _absent(result: Result, groups: Mapping[str, Sequence[str]]) -> str:
    """Why no cell counts: none drawn, none with a value, or none of these groups, and then which there are."""
    if not result.rows:
        return f"{result.figure} has nothing in these days"
    if any(matches(cell, groups) for cell in result.rows):
        return f"{result.figure} has no value of {_named(groups)}: its notes say why"
    told = f"{result.figure} has nothing of {_named(groups)}"
    for column, names in groups.items():
        have = sorted({cell.groups[column] for cell in result.rows if column in cell.groups})
        if not have:
            return f"{told}: it has no column {column!r}"
        if not any(_is(held, name) for held in have for name in names):
            return (
                f"{told}: its {column} has {', '.join(have[:NAMES_SHOWN])}{', ...' if len(have) > NAMES_SHOWN else ''}"
            )
    return told
