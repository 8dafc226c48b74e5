"""What every reader of published files needs: days, units of tokens, columns that are there and empty, thin days."""

import datetime as dt
import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.ledger.imports.text import NUMBER, refuse

if TYPE_CHECKING:
    from tidegate.ledger.store import Ledger

BILLION: Final = 1_000_000_000
TOO_MANY_BILLIONS: Final = Decimal(1_000_000)
"""A value that would be 10^15 tokens of one name in one period: the file counts single tokens, not billions."""
UNFILLED_RECORDS_MIN: Final = 50
"""Records from which on a column that is zero throughout is taken for unfilled, not for a measurement."""
THIN_DAY: Final = 0.25
"""A day with less than this part of the usual number of names is said: sources ramp up, and scrapers fail."""
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T]00:00(?::00(?:\.0+)?)?(?:Z|\+00:00)?)?")


def fingerprint(source_id: str, file: Path) -> str:
    """Of a file's bytes as this source; stands in the origin of what it added, so that it is known again."""
    return hashlib.sha256(source_id.encode() + b"\n" + file.read_bytes()).hexdigest()[:16]


def when_published(ledger: "Ledger", mark: str, given: dt.datetime | None) -> dt.datetime:
    """When a file's values were published, where it does not say: as given, else when it first came in, else now.

    A file that comes in again is as old as it was: it must not restate what a newer one has restated since.
    """
    if given is not None:
        return given
    for entry in ledger.entries():
        if entry.kind == "rollup" and entry.origin.endswith(f"; {mark}"):
            return published(entry.origin, entry.created)
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def origin_text(as_of: dt.datetime, name: str, mark: str) -> str:
    """The origin of a unit of published values, which `published` reads."""
    return f"as of {as_of.isoformat()}; {name}; {mark}"


def published(origin: str, created: str) -> dt.datetime:
    """When a unit's values were published, by its origin; else when it was imported. UTC, no zone."""
    text = origin.removeprefix("as of ").partition(";")[0] if origin.startswith("as of ") else created
    try:
        return dt.datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return dt.datetime.fromisoformat(created).replace(tzinfo=None)


def read_day(file: Path, line: int, text: str) -> dt.date:
    """A UTC day. Refuses anything but an ISO date, midnight allowed."""
    match = _DAY.fullmatch(text.strip())
    try:
        return dt.date.fromisoformat(match[1] if match else "")
    except ValueError:
        refuse(file, line, f"the date is {text[:40]!r}; a day is written 2026-03-23")


def tokens_per_unit(file: Path, cells: Iterable[tuple[int, str]]) -> int:
    """How many tokens a 1 in these cells (line, text) stands for: BILLION, or 1 where the file counts single tokens.

    A fraction means billions, a number that cannot be billions means tokens; refuses a file that has both.
    """
    fraction: int | None = None
    huge: tuple[int, str] | None = None
    for line, text in cells:
        if not NUMBER.fullmatch(text):
            continue  # refused with its own words when it is read
        number = Decimal(text)
        if number != number.to_integral_value():
            fraction = fraction or line
        if number >= TOO_MANY_BILLIONS:
            huge = huge or (line, text)
    if huge and fraction:
        refuse(
            file,
            huge[0],
            f"{huge[1]} can only be single tokens, but line {fraction} has a fraction, so billions: the file mixes "
            "two units; make it one",
        )
    return 1 if huge else BILLION


def unfilled(columns: Mapping[str, Sequence[int | None]]) -> set[str]:
    """Columns that are there and zero throughout a file of some size: not measured, so null and not zero."""
    return {
        name
        for name, values in columns.items()
        if len(values) >= UNFILLED_RECORDS_MIN and any(v is not None for v in values) and not any(values)
    }


def thin_days(names: Mapping[dt.date, int]) -> dict[dt.date, int]:
    """Days that name far fewer than usual, with how many."""
    if len(names) < 7 or statistics.median(names.values()) < 8:
        return {}
    usual = statistics.median(names.values())
    return {day: count for day, count in sorted(names.items()) if count < THIN_DAY * usual}


def counted_notes(told: Counter[str]) -> tuple[str, ...]:
    """Sentences with how many records each is about."""
    return tuple(f"{text} ({count} record{'s' * (count != 1)})" for text, count in told.items() if count)
