"""The indicators of the regional framework, from facts by place to figures by region.

Aggregation is on raw values: extensive figures add up, intensive ones are averaged by their base over the places that
have both. China's users have two readings that differ by a factor of about four: telemetry of desktop computers scaled
up by a model, and the national survey. Which one is used is a choice of the reader and part of every output.
"""

from typing import Final, Literal

import msgspec
import numpy as np

from tidegate.index.evidence import Evidence, Fact, RegionMap
from tidegate.index.framework import Framework, Indicator
from tidegate.index.table import ASSUMED, BOUNDED, ESTIMATED, IndexRefusal, Mask, Matrix, Table, Vector

China = Literal["telemetry", "national"]

USERS: Final = "ai_users"
USER_SHARE: Final = "ai_user_share"
NATIONAL_USERS: Final = "ai_product_users"
NATIONAL_PERIOD: Final = "2025-12"
NATIONAL_CV: Final = 0.05  # a survey of ours to judge: nobody states its error
SIZE_PERIOD: Final = "2024"
ESTIMATE_FACTOR: Final = 2.0  # an estimate shared by several countries errs more than one of their own
BASIS_MARKS: Final = {"floor": ASSUMED, "bound": BOUNDED, "range": BOUNDED, "shared_estimate": ESTIMATED}
COVERED_BY: Final = {
    "ai_users": "working_age_population",
    "claude_conversations": "working_age_population",
    "ai_preparedness": "population",
}


class Column(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One indicator by place.

    values, low, high, cv: (n_places,); low equals high where the figure is exact; cv: standard error over value.
    regions: (n_places,) number of the place's region, -1 outside all. base: (n_places,) what weighs a mean, or None
    for a sum. marks: (n_places,) as in `Table`.
    """

    code: str
    places: tuple[str, ...]
    values: Vector
    low: Vector
    high: Vector
    cv: Vector
    regions: np.ndarray[tuple[int], np.dtype[np.int64]]
    base: Vector | None
    marks: np.ndarray[tuple[int], np.dtype[np.uint8]]

    @property
    def bounded(self) -> Mask:
        """(n_places,): True where only bounds are known."""
        return self.low < self.high

    def by_region(self, values: Matrix, n_regions: int) -> Matrix:
        """(..., n_places) to (..., n_regions): sums, or means by base; NaN for a region without a place."""
        member = (self.regions[:, None] == np.arange(n_regions)).astype(np.float64)
        have = member.any(axis=0)
        if self.base is None:
            return np.where(have, values @ member, np.nan)
        weight = self.base @ member
        return np.where(have, (values * self.base) @ member / np.where(have, weight, 1.0), np.nan)

    def drawn(self, runs: int, rng: np.random.Generator) -> Matrix:
        """(runs, n_places) the figures with their errors: lognormal of mean 1 around a value, uniform within bounds."""
        spread = np.sqrt(np.log1p(np.square(self.cv)))
        error = np.exp(rng.standard_normal((runs, len(self.values))) * spread - np.square(spread) / 2)
        found = self.values * error
        if self.bounded.any():
            inside = rng.uniform(self.low[self.bounded], self.high[self.bounded], (runs, int(self.bounded.sum())))
            found[:, self.bounded] = inside
        return found


def columns_of(evidence: Evidence, framework: Framework, region_map: RegionMap, china: China) -> tuple[Column, ...]:
    """Every indicator of the framework as a column of places.

    Raises IndexRefusal for a place that the map leaves out, naming it, and for an indicator without facts.
    """
    if china not in ("telemetry", "national"):
        raise IndexRefusal(f"no reading {china!r} of China's users; there are telemetry and national")
    return tuple(_column(evidence, framework, region_map, indicator, china) for indicator in framework.indicators)


def _column(
    evidence: Evidence, framework: Framework, region_map: RegionMap, indicator: Indicator, china: China
) -> Column:
    facts = users(evidence, indicator.vintage.period, china) if indicator.code == USERS else ()
    facts = facts or evidence.of(indicator.code, indicator.vintage.period)
    placed = [(fact, region_map.region_of(fact.place)) for fact in facts]
    base = _bases(evidence, region_map, indicator.base, [fact.place for fact in facts]) if indicator.base else None
    kept = [
        (fact, region) for fact, region in placed if region in framework.units and (base is None or fact.place in base)
    ]
    low, high = zip(*(_ends(fact) for fact, _ in kept), strict=True)
    ends = np.array([low, high])
    values = [ends[:, row].mean() if fact.value is None else fact.value for row, (fact, _) in enumerate(kept)]
    return Column(
        code=indicator.code,
        places=tuple(fact.place for fact, _ in kept),
        values=np.array(values),
        low=ends[0],
        high=ends[1],
        cv=np.array([_cv(fact, indicator) for fact, _ in kept]),
        regions=np.array([framework.units.index(str(region)) for _, region in kept]),
        base=None if base is None else np.array([base[fact.place] for fact, _ in kept]),
        marks=np.array([BASIS_MARKS.get(fact.basis, 0) for fact, _ in kept], dtype=np.uint8),
    )


def _bases(evidence: Evidence, region_map: RegionMap, size: str, places: list[str]) -> dict[str, float]:
    """What weighs each place in a mean: its own size, that of a sum's parts together, or that of the whole region."""
    sizes = evidence.by_place(size, SIZE_PERIOD)
    whole: dict[str, float] = {}
    for country, value in sizes.items():
        region = f"region:{region_map.region_of(country)}"
        whole[region] = whole.get(region, 0.0) + value
    parts = {place: place.split("+") for place in places}
    sums = {
        place: sum(sizes[one] for one in ones) for place, ones in parts.items() if all(one in sizes for one in ones)
    }
    return {**whole, **sums}


def users(evidence: Evidence, period: str, china: China) -> tuple[Fact, ...]:
    """Persons who used a generative AI product: working-age population x share, and China as it is to be read."""
    people = evidence.by_place("working_age_population", SIZE_PERIOD)
    found = []
    for fact in evidence.of(USER_SHARE, period):
        if fact.place in people and fact.value is not None and not (china == "national" and fact.place == "CHN"):
            persons = people[fact.place] * fact.value / 100
            found.append(msgspec.structs.replace(fact, indicator=USERS, value=persons))
    if china == "national":
        surveyed = next(fact for fact in evidence.of(NATIONAL_USERS, NATIONAL_PERIOD) if fact.place == "CHN")
        found.append(msgspec.structs.replace(surveyed, indicator=USERS))
    return tuple(found)


def _ends(fact: Fact) -> tuple[float, float]:
    if fact.low is not None and fact.high is not None:
        return fact.low, fact.high
    assert fact.value is not None  # read_evidence lets no row through without either
    return fact.value, fact.value


def _cv(fact: Fact, indicator: Indicator) -> float:
    if fact.source == "cnnic-57":
        return NATIONAL_CV
    return (indicator.error_cv or 0.0) * (ESTIMATE_FACTOR if fact.basis == "shared_estimate" else 1.0)


def region_table(columns: tuple[Column, ...], units: tuple[str, ...]) -> Table:
    """(regions, indicators), marked: a cell has the marks of all its places, and bounds where one of them has."""
    ends = [np.column_stack([c.by_region(part(c), len(units)) for c in columns]) for part in (_low, _value, _high)]
    marks = np.zeros(ends[1].shape, dtype=np.uint8)
    for place, column in enumerate(columns):
        for region, mark in zip(column.regions, column.marks, strict=True):
            marks[region, place] |= mark
    codes = tuple(column.code for column in columns)
    return Table(units=units, indicators=codes, values=ends[1], marks=marks, low=ends[0], high=ends[2])


def _low(column: Column) -> Vector:
    return column.low


def _value(column: Column) -> Vector:
    return column.values


def _high(column: Column) -> Vector:
    return column.high


def coverage(evidence: Evidence, columns: tuple[Column, ...], units: tuple[str, ...], region_map: RegionMap) -> Table:
    """(regions, indicators) part of the people whose country has a figure, a fraction of 1; NaN where it is not known.

    Not known for sums of named countries (supply): their sources do not say how much the rest holds.
    """
    found = np.full((len(units), len(columns)), np.nan)
    for place, column in enumerate(columns):
        if (size := COVERED_BY.get(column.code)) is None:
            continue
        people = evidence.by_place(size, SIZE_PERIOD)
        whole, have = np.zeros(len(units)), np.zeros(len(units))
        for country, persons in people.items():
            if (region := region_map.region_of(country)) in units:
                whole[units.index(str(region))] += persons
                have[units.index(str(region))] += persons * (country in column.places)
        found[:, place] = have / np.where(whole > 0, whole, np.nan)
    return Table.of(units, tuple(column.code for column in columns), found)
