"""Facts that an index is built on, one row a figure with source, period and licence; and maps of places to regions.

A place is an ISO 3166-1 alpha-3 code, several joined by `+` where the source gives only their sum, a bloc that the maps
know (EU27), or `region:NAME` where the source speaks of a whole region. Any other `kind:NAME` (such as `itu:Africa`) is
kept as context and belongs to no region of ours.
"""

import csv
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from tidegate.index.table import IndexRefusal

FACTS: Final = Path(__file__).parent.parent / "data" / "index"
OTHER: Final = "Other"
"""The region of places that are in none of the regions asked for: named, never dropped in silence."""
BASES: Final = frozenset(
    (
        *("measured", "sampled", "reported", "derived", "modelled", "secondary_copy"),
        *("shared_estimate", "assumed", "bound", "floor", "range"),
    )
)


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One published figure. value: None where only bounds are known; low, high: None where the figure is exact.

    basis: how the source, or we, came by it (BASES). period: as the source names it (2024, 2025-H2, 2014-2023).
    """

    indicator: str
    place: str
    period: str
    value: float | None
    low: float | None
    high: float | None
    basis: str
    source: str
    licence: str
    checked: str
    note: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where figures come from. published: a day, a month or a year, as far as known."""

    source: str
    publisher: str
    title: str
    address: str
    licence: str
    published: str
    note: str = ""


class RegionMap(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Which region a place is in. Versioned by name: a changed map is a new file."""

    name: str
    regions: dict[str, str]

    def region_of(self, place: str) -> str | None:
        """Region of a place; None for one of another kind (`itu:Africa`).

        Raises IndexRefusal for a place that the map leaves out, and for a sum over places of two regions.
        """
        if place.startswith("region:"):
            return place.removeprefix("region:")
        if ":" in place:
            return None
        found = {part: self.regions.get(part) for part in place.split("+")}
        for part, region in found.items():
            if region is None:
                raise IndexRefusal(f"map {self.name} leaves out {part}; add a row {part},REGION (or {OTHER}) to it")
        if len(set(found.values())) > 1:
            said = ", ".join(f"{part} in {region}" for part, region in found.items())
            raise IndexRefusal(f"{place} lies in two regions of map {self.name} ({said}); a sum cannot be split")
        return next(iter(found.values()))


class Evidence(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All facts and their sources."""

    facts: tuple[Fact, ...]
    sources: dict[str, Source]

    @cached_property
    def _by_indicator(self) -> dict[str, dict[str, list[Fact]]]:
        found: dict[str, dict[str, list[Fact]]] = {}
        for fact in self.facts:
            found.setdefault(fact.indicator, {}).setdefault(fact.period, []).append(fact)
        return found

    def of(self, indicator: str, period: str) -> tuple[Fact, ...]:
        """Facts of one indicator and period. Raises IndexRefusal naming the periods that there are."""
        periods = self._by_indicator.get(indicator)
        if periods is None:
            raise IndexRefusal(f"no facts for {indicator!r}; there are {', '.join(sorted(self._by_indicator))}")
        if period not in periods:
            raise IndexRefusal(f"{indicator} has no facts for {period!r}; there are {', '.join(sorted(periods))}")
        return tuple(periods[period])

    def by_place(self, indicator: str, period: str) -> dict[str, float]:
        """Values by place; places with bounds only are left out."""
        return {fact.place: fact.value for fact in self.of(indicator, period) if fact.value is not None}


def read_evidence(folder: Path = FACTS) -> Evidence:
    """`facts.csv` and `sources.csv` of a folder, checked. Raises IndexRefusal naming file, line and mend."""
    sources = {row["source"]: Source(**row) for _, row in _rows(folder / "sources.csv", Source.__struct_fields__)}
    facts = []
    seen: dict[tuple[str, str, str], int] = {}
    for line, row in _rows(folder / "facts.csv", Fact.__struct_fields__):
        fact = _fact(row, f"{folder / 'facts.csv'}, line {line}")
        key = (fact.indicator, fact.place, fact.period)
        if key in seen:
            raise IndexRefusal(f"facts.csv, line {line}: {' '.join(key)} stands on line {seen[key]} too; keep one")
        if fact.source not in sources:
            raise IndexRefusal(f"facts.csv, line {line}: source {fact.source!r} is not in sources.csv; add it there")
        seen[key] = line
        facts.append(fact)
    return Evidence(facts=tuple(facts), sources=sources)


def read_map(name: str, folder: Path = FACTS) -> RegionMap:
    """The map `regions-NAME.csv`. Raises IndexRefusal naming the maps that there are."""
    file = folder / f"regions-{name}.csv"
    if not file.exists():
        known = ", ".join(map_names(folder))
        raise IndexRefusal(f"no region map {name!r}; there are {known}")
    found: dict[str, str] = {}
    for line, row in _rows(file, ("place", "region", "name")):
        if row["place"] in found or not row["region"]:
            why = "is there twice" if row["place"] in found else f"has no region; write {OTHER} where none fits"
            raise IndexRefusal(f"{file.name}, line {line}: {row['place']} {why}")
        found[row["place"]] = row["region"]
    return RegionMap(name=name, regions=found)


def map_names(folder: Path = FACTS) -> list[str]:
    """Names of the maps in a folder, sorted."""
    return sorted(path.stem.removeprefix("regions-") for path in folder.glob("regions-*.csv"))


def _fact(row: dict[str, str], at: str) -> Fact:
    numbers: dict[str, float | None] = {}
    for name in ("value", "low", "high"):
        try:
            numbers[name] = float(row[name]) if row[name] else None
        except ValueError:
            raise IndexRefusal(
                f"{at}: {name} {row[name]!r} is no number; leave it empty where nothing is known"
            ) from None
    low, high = numbers["low"], numbers["high"]
    if (low is None) != (high is None):
        raise IndexRefusal(f"{at}: a bound needs both low and high")
    if low is not None and high is not None and low > high:
        raise IndexRefusal(f"{at}: low {low:g} is above high {high:g}; swap the two")
    if numbers["value"] is None and low is None:
        raise IndexRefusal(f"{at}: neither value nor bounds; leave the row out where nothing is known")
    if row["basis"] not in BASES:
        raise IndexRefusal(f"{at}: basis {row['basis']!r} is none of {', '.join(sorted(BASES))}")
    for name in ("period", "source", "licence", "checked"):
        if not row[name]:
            raise IndexRefusal(f"{at}: {name} is empty; a figure without it cannot be checked")
    return msgspec.convert({**row, **numbers}, Fact)


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number (the header is 1) and fields of each row."""
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise IndexRefusal(f"{file} cannot be read: {error.strerror}") from error
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != columns:
        raise IndexRefusal(f"{file}: columns {', '.join(reader.fieldnames or ())}; they must be {', '.join(columns)}")
    for row in reader:
        if None in row or None in row.values():
            raise IndexRefusal(f"{file}, line {reader.line_num}: not {len(columns)} fields; quote those with a comma")
        yield reader.line_num, row
