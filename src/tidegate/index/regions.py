"""Countries to regions: amounts add up, scores are averaged, shares name their whole, and coverage is said of each.

Aggregation is of raw values, before normalisation: among nine regions min-max is fragile. The other order, scores of
countries averaged over regions, is `average`. The map is data with a name; a country that it leaves out is an error.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from tidegate.index.evidence import OTHER, RegionMap
from tidegate.index.framework import Framework, Indicator
from tidegate.index.table import BOUNDED, IndexRefusal, Mask, Matrix, Table, Vector


class Regional(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """table: regions in rows. coverage: (n_regions, n_indicators) the covered part of the base, NaN where no base says.

    region_map: its name. outside: countries of the table in no region of it. unweighed: countries whose score counts
    nowhere because they have no base, by indicator.
    """

    table: Table
    coverage: Matrix
    region_map: str
    outside: tuple[str, ...]
    unweighed: Mapping[str, tuple[str, ...]]


def check_map(region_map: RegionMap, countries: Iterable[str]) -> None:
    """Raises IndexRefusal naming the first countries that the map leaves out."""
    if left_out := sorted(set(countries) - set(region_map.regions)):
        more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
        raise IndexRefusal(
            f"map {region_map.name} leaves out {', '.join(left_out[:3])}{more}; add a row for each, "
            f"with region {OTHER} where none fits"
        )


def to_regions(
    table: Table,
    framework: Framework,
    region_map: RegionMap,
    sizes: Table | None = None,
    regions: Sequence[str] = (),
) -> Regional:
    """A table of countries as a table of regions, each indicator by its kind.

    extensive: the sum of the present values. intensive: their mean weighed by the indicator's base, over countries that
    have both. share: the sum of the present values over the sum of the denominator in all its rows, those of no
    region too; so an "unclassified" row belongs among the sizes, or does not, by decision.
    sizes: bases and denominators, by country; may have more rows than the table. regions: rows of the result; empty for
    those of the map, in its order, without `Other`. Bounds become bounds of the sum or mean. A region without any
    value is missing. Raises IndexRefusal for a country that the map leaves out, an intensive indicator without
    base, a share without denominator, and a base below 0.
    """
    check_map(region_map, table.units)
    wanted = tuple(regions) or tuple(dict.fromkeys(r for r in region_map.regions.values() if r != OTHER))
    if unknown := set(wanted) - set(region_map.regions.values()):
        raise IndexRefusal(f"map {region_map.name} has no region {min(unknown)!r}; look at its spelling")
    member = np.array([[region_map.regions[unit] == region for unit in table.units] for region in wanted])
    shape = (len(wanted), len(table.indicators))
    values, low, high, coverage = (np.full(shape, np.nan) for _ in range(4))
    marks = np.zeros(shape, dtype=np.uint8)
    unweighed: dict[str, tuple[str, ...]] = {}
    for number, code in enumerate(table.indicators):
        indicator = framework.indicator(code)
        base = _size(sizes, indicator.base, table.units)
        columns = [table.values[:, number]] + [b[:, number] for b in (table.low, table.high) if b is not None]
        covered = ~np.isnan(columns[0])
        if indicator.kind == "intensive":
            base = _base(indicator, base)
            covered &= ~np.isnan(base)
            gone = ~np.isnan(columns[0]) & ~covered
            if gone.any():
                unweighed[code] = tuple(np.array(table.units)[gone].tolist())
        inside = member & covered
        found = [_combined(column, inside, indicator, base, sizes) for column in columns]
        values[:, number] = found[0]
        low[:, number], high[:, number] = (found[1], found[2]) if len(found) == 3 else (found[0], found[0])
        coverage[:, number] = _coverage(base, sizes, indicator, (member, inside), (wanted, region_map))
        marks[:, number] = np.bitwise_or.reduce(np.where(inside, table.marks[:, number], 0), axis=1)
    marks |= np.where(low < high, np.uint8(BOUNDED), np.uint8(0))
    bounds = (low, high) if table.low is not None else (None, None)
    made = Table(units=wanted, indicators=table.indicators, values=values, marks=marks, low=bounds[0], high=bounds[1])
    outside = tuple(unit for unit in table.units if region_map.regions[unit] not in wanted)
    return Regional(table=made, coverage=coverage, region_map=region_map.name, outside=outside, unweighed=unweighed)


def average(table: Table, region_map: RegionMap, base: Mapping[str, float], regions: Sequence[str] = ()) -> Regional:
    """Every column averaged over regions by one base, as for scores that were normalised among countries."""
    sizes = Table.of(tuple(base), ["base"], list(base.values()))
    indicators = tuple(Indicator(code=code, parent="index", unit="score", base="base") for code in table.indicators)
    scores = Framework(name="scores", groups=(), indicators=indicators)
    return to_regions(table, scores, region_map, sizes, regions)


def concentration(
    usage: Mapping[str, float],
    base: Mapping[str, float],
    *,
    offered: Iterable[str] | None = None,
    at_least: float = 0.0,
) -> dict[str, float]:
    """Part of the usage over part of the base, by unit: 1 is use in proportion, 2 twice as much.

    base: such as working-age population. offered: where the product can be had, empty uses included; both wholes are of
    these alone, and None means the units that have usage. Units with less usage than `at_least` are left out of
    both. Source: Anthropic Economic Index, AI usage index (at_least 200 conversations).
    """
    members = list(usage) if offered is None else list(offered)
    if missing := [unit for unit in members if unit not in base]:
        raise IndexRefusal(f"unit {missing[0]} has usage but no base; give it one or leave it out of `offered`")
    counted = {unit: usage.get(unit, 0.0) for unit in members if usage.get(unit, 0.0) >= at_least}
    total, whole = sum(counted.values()), sum(base[unit] for unit in counted)
    if total <= 0 or whole <= 0:
        raise IndexRefusal(f"usage sums to {total:g} and the base to {whole:g}; both must be above 0")
    return {unit: (value / total) / (base[unit] / whole) for unit, value in counted.items() if base[unit] > 0}


def _size(sizes: Table | None, code: str, units: Sequence[str]) -> Vector | None:
    """(n_units,) a size column in the order of units, NaN for a unit without a row; None where it is no column."""
    if sizes is None or not code or code not in sizes.indicators:
        return None
    rows = {unit: number for number, unit in enumerate(sizes.units)}
    column = sizes.column(code)
    if (column < 0).any():
        raise IndexRefusal(f"unit {sizes.units[int(np.argmax(column < 0))]} has {code} below 0; a size is 0 or more")
    return np.array([column[rows[unit]] if unit in rows else np.nan for unit in units])


def _base(indicator: Indicator, base: Vector | None) -> Vector:
    if base is None:
        seen = f"base {indicator.base!r} is not among the sizes" if indicator.base else "it names no base"
        raise IndexRefusal(f"{indicator.code} is a score or rate, and {seen}; a region's mean needs one, as population")
    return base


def _combined(x: Vector, inside: Mask, indicator: Indicator, base: Vector | None, sizes: Table | None) -> Vector:
    """(n_regions,) of one column; NaN for a region without a covered country."""
    some = inside.any(axis=1)
    present = np.nan_to_num(x)
    if indicator.kind == "intensive" and base is not None:
        weights = inside * np.nan_to_num(base)
        total = weights.sum(axis=1)
        mean: Vector = np.where(total > 0, weights @ present / np.where(total > 0, total, 1.0), np.nan)
        return mean
    amount: Vector = np.where(some, inside @ present, np.nan)
    return amount if indicator.kind == "extensive" else amount / _whole(indicator, sizes)


def _whole(indicator: Indicator, sizes: Table | None) -> float:
    """The sum of a share's denominator over all rows that it has."""
    if not indicator.denominator:
        raise IndexRefusal(f"{indicator.code} is a share without a denominator; name the column that is its whole")
    if sizes is None or indicator.denominator not in sizes.indicators:
        raise IndexRefusal(f"{indicator.code}: denominator {indicator.denominator!r} is not among the sizes; add it")
    whole = float(np.nansum(sizes.column(indicator.denominator)))
    if whole <= 0:
        raise IndexRefusal(f"{indicator.code}: {indicator.denominator} sums to {whole:g}; a whole is above 0")
    return whole


def _coverage(
    base: Vector | None,
    sizes: Table | None,
    indicator: Indicator,
    masks: tuple[Mask, Mask],
    where: tuple[Sequence[str], RegionMap],
) -> Vector:
    """(n_regions,) base of the covered countries over that of all of the region's, those not in the table too."""
    member, inside = masks
    wanted, region_map = where
    if base is None or sizes is None:
        return np.full(len(member), np.nan)
    column = np.nan_to_num(sizes.column(indicator.base))
    whole = np.zeros(len(wanted))
    for unit, size in zip(sizes.units, column, strict=True):
        region = region_map.regions.get(unit)
        if region in wanted:
            whole[wanted.index(region)] += size
    covered = inside @ np.nan_to_num(base)
    found: Vector = np.where(whole > 0, covered / np.where(whole > 0, whole, 1.0), np.nan)
    return found
