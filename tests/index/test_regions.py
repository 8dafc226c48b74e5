"""Countries become regions by kind of indicator, with coverage, under a map that leaves nobody out."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.index.evidence import RegionMap, map_names, read_map
from tidegate.index.framework import Framework, Group, Indicator, Size
from tidegate.index.regions import average, check_map, concentration, to_regions
from tidegate.index.table import BOUNDED, ESTIMATED, IndexRefusal, Table, bounded

NAN = math.nan
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "region_index" / "country_indicators.csv"
COUNTRIES = Path(__file__).resolve().parents[2] / "src" / "tidegate" / "data" / "countries.csv"
needs_shared = pytest.mark.skipif(not SHARED.is_file(), reason="the reference set is not on this machine")

MAP = RegionMap(name="made up", regions={"a": "North", "b": "North", "c": "South", "d": "South", "e": "Other"})
KINDS = Framework(
    name="kinds",
    groups=(Group(code="top"),),
    indicators=(
        Indicator(code="herds", parent="top", unit="count", kind="extensive", base="people"),
        Indicator(code="health", parent="top", unit="score", kind="intensive", base="people"),
        Indicator(code="trade", parent="top", unit="count", kind="share", denominator="all_trade"),
    ),
    sizes=(Size(code="people", unit="persons"), Size(code="all_trade", unit="count")),
)
ROWS = Table.of(
    list("abcde"),
    ["herds", "health", "trade"],
    [[1, 0.5, 10], [2, 0.9, 20], [NAN, 0.4, NAN], [7, NAN, 30], [100, 1.0, 40]],
)
SIZES = Table.of(
    [*"abcde", "unclassified"],
    ["people", "all_trade"],
    [[10, 10], [30, 20], [5, NAN], [15, 30], [1, 40], [NAN, 100]],
)


def test_amounts_add_up_scores_are_averaged_and_shares_name_their_whole() -> None:
    found = to_regions(ROWS, KINDS, MAP, SIZES)
    assert found.table.units == ("North", "South")
    np.testing.assert_allclose(found.table.column("herds"), [3, 7])
    np.testing.assert_allclose(found.table.column("health"), [(10 * 0.5 + 30 * 0.9) / 40, 0.4])
    np.testing.assert_allclose(found.table.column("trade"), [30 / 200, 30 / 200])
    assert found.outside == ("e",)


def test_a_share_depends_on_what_its_whole_holds() -> None:
    """With unclassified rows a country has 21.6 percent, without 25.6: so the whole is named, and its rows are data."""
    known = SIZES.pick(units=list("abcde"))
    np.testing.assert_allclose(to_regions(ROWS, KINDS, MAP, known).table.column("trade"), [0.3, 0.3])


def test_coverage_is_the_part_of_the_base_that_has_data() -> None:
    found = to_regions(ROWS, KINDS, MAP, SIZES)
    np.testing.assert_allclose(found.coverage[:, 0], [1, 15 / 20])
    np.testing.assert_allclose(found.coverage[:, 1], [1, 5 / 20])
    assert np.isnan(found.coverage[:, 2]).all()  # no base is named
    fewer = to_regions(ROWS.pick(units=["a", "c", "d"]), KINDS, MAP, SIZES)
    assert fewer.coverage[0, 0] == pytest.approx(10 / 40)  # b has no row in the table, and is a country all the same


def test_a_region_without_data_is_missing_not_zero() -> None:
    found = to_regions(ROWS.pick(units=["a", "c"]), KINDS, MAP, SIZES)
    assert np.isnan(found.table.column("herds")[1])
    assert np.isnan(found.table.column("trade")[1])


def test_a_score_without_a_base_counts_nowhere_and_is_named() -> None:
    some = Table.of(list("abcd"), ["people", "all_trade"], [[10, 1], [NAN, 1], [5, 1], [15, 1]])
    found = to_regions(ROWS.pick(units=list("abcd")), KINDS, MAP, some)
    assert found.table.column("health")[0] == 0.5
    assert found.unweighed == {"health": ("b",)}


def test_bounds_become_bounds_of_the_region() -> None:
    made = bounded(ROWS, {("c", "herds"): (0, 2)})
    found = to_regions(made, KINDS, MAP, SIZES).table
    assert found.low is not None
    assert found.high is not None
    assert (found.low[1, 0], found.values[1, 0], found.high[1, 0]) == (7, 8, 9)
    assert found.marks[1, 0] & BOUNDED
    assert not found.marks[0, 0] & BOUNDED


def test_marks_of_countries_reach_their_region() -> None:
    made = Table.of(list("abcde"), ROWS.indicators, ROWS.values)
    made.marks[0, 0] = ESTIMATED
    marks = to_regions(made, KINDS, MAP, SIZES).table.marks
    assert marks[0, 0] == ESTIMATED
    assert not marks[1].any()


def refused(match: str, rows: Table = ROWS, region_map: RegionMap = MAP, sizes: Table | None = SIZES) -> None:
    with pytest.raises(IndexRefusal, match=match):
        to_regions(rows, KINDS, region_map, sizes)


def test_what_is_missing_is_named_with_the_mend() -> None:
    refused(
        "map holey leaves out b, d; add a row", region_map=RegionMap(name="holey", regions=dict.fromkeys("ace", "N"))
    )
    refused(
        "health is a score or rate, and base 'people' is not among the sizes",
        sizes=SIZES.pick(indicators=["all_trade"]),
    )
    refused("trade: denominator 'all_trade' is not among the sizes", sizes=SIZES.pick(indicators=["people"]))
    below = Table.of(list("abcde"), ["people", "all_trade"], [[-1, 1], *[[1, 1]] * 4])
    refused("unit a has people below 0", sizes=below)
    with pytest.raises(IndexRefusal, match="has no region 'West'"):
        to_regions(ROWS, KINDS, MAP, SIZES, ["West"])


@given(
    cells=st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 1), st.integers(1, 1000)), min_size=5, max_size=5),
    order=st.permutations("abcde"),
)
def test_the_whole_is_its_parts_in_any_order(cells: list[tuple[int, float, int]], order: list[str]) -> None:
    """Sums over regions are sums over countries; means lie within their countries' values."""
    everyone = RegionMap(name="all", regions={**MAP.regions, "e": "East"})
    rows = Table.of(list("abcde"), ["herds", "health"], [[x, y] for x, y, _ in cells])
    sizes = Table.of(list("abcde"), ["people"], [size for *_, size in cells])
    found = to_regions(rows.pick(units=order), KINDS, everyone, sizes).table
    assert found.column("herds").sum() == pytest.approx(sum(x for x, *_ in cells))
    for unit, region in everyone.regions.items():
        members = [cells["abcde".index(u)][1] for u, r in everyone.regions.items() if r == region]
        mean = found.row(region)["health"]
        assert mean is not None
        assert min(members) - 1e-9 <= mean <= max(members) + 1e-9, unit


def test_scores_of_countries_can_be_averaged_instead() -> None:
    scores = Table.of(["a", "b", "c"], ["x"], [0, 100, 50])
    found = average(scores, MAP, {"a": 3, "b": 1, "c": 9})
    np.testing.assert_allclose(found.table.column("x"), [25, 50])


def test_concentration_is_one_where_use_is_in_proportion() -> None:
    base = {"a": 10, "b": 30, "c": 60}
    assert concentration({"a": 1, "b": 3, "c": 6}, base) == pytest.approx({"a": 1, "b": 1, "c": 1})
    found = concentration({"a": 400, "b": 300, "c": 50}, base, at_least=200)
    assert found == pytest.approx({"a": (400 / 700) / (10 / 40), "b": (300 / 700) / (30 / 40)})
    # b is offered and unused: it is part of the base
    assert concentration({"a": 5}, base, offered=["a", "b"]) == pytest.approx({"a": 4, "b": 0})
    with pytest.raises(IndexRefusal, match="unit z has usage but no base"):
        concentration({"z": 1}, base)


@pytest.mark.parametrize("name", map_names())
def test_the_shipped_maps_place_every_country(name: str) -> None:
    with COUNTRIES.open(encoding="utf-8") as file:
        codes = [row["alpha3"] for row in csv.DictReader(file)]
    check_map(read_map(name), codes)


def shared_rows() -> list[dict[str, str]]:
    with SHARED.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text: str) -> float:
    return float(text) if text else NAN


@needs_shared
def test_the_known_regional_figures_come_out() -> None:
    """INDEX method, 4.1: users in millions, Claude conversations, AIPI; under the map that the brief's author used."""
    rows = shared_rows()
    codes = [row["iso3"] for row in rows]
    seed = RegionMap(name="seed", regions={row["iso3"]: row["region_seed"] or "Other" for row in rows})
    other = RegionMap(name="alt", regions={row["iso3"]: row["region_alt_nafr_in_mena"] or "Other" for row in rows})
    base = [[number(row["population_2024"]), number(row["working_age_pop_2024"])] for row in rows]
    sizes = Table.of(codes, ["people", "workers"], base)
    made = Framework(
        name="known",
        groups=(Group(code="top"),),
        indicators=(
            Indicator(code="users", parent="top", unit="persons", kind="extensive", base="workers"),
            Indicator(code="user_share", parent="top", unit="percent", base="workers"),
            Indicator(code="claude", parent="top", unit="conversations", kind="extensive"),
            Indicator(code="aipi", parent="top", unit="score 0-1", base="people"),
            Indicator(code="workers", parent="top", unit="persons", kind="extensive"),
        ),
    )
    values = [
        [
            number(row["ms_user_share_2025h2_pct"]) / 100 * number(row["working_age_pop_2024"]),
            number(row["ms_user_share_2025h2_pct"]),
            number(row["aei_usage_count_2025_08"]),
            number(row["imf_aipi_2023"]),
            number(row["working_age_pop_2024"]),
        ]
        for row in rows
    ]
    order = ["East Asia", "North America", "Europe", "South Asia", "Southeast Asia", "Latin America", "MENA", "Africa"]
    order.append("Oceania")
    table = Table.of(codes, made.codes, values)
    found = to_regions(table, made, seed, sizes, order).table
    assert [round(x / 1e6) for x in found.column("users")] == [188, 72, 124, 184, 72, 75, 40, 84, 8]
    assert [round(x, 1) for x in found.column("user_share")] == [17.1, 29.0, 26.3, 14.0, 15.3, 17.0, 17.5, 9.8, 30.2]
    conversations = [80263, 228626, 172799, 87464, 61345, 79229, 32924, 39514, 22400]
    assert found.column("claude").tolist() == conversations
    assert [round(x, 2) for x in found.column("aipi")] == [0.65, 0.76, 0.64, 0.46, 0.50, 0.48, 0.43, 0.34, 0.62]
    moved = to_regions(table, made, other, sizes, order).table
    assert round(moved.row("MENA")["workers"] / 1e6) == 395  # type: ignore[operator]
    assert round(found.row("MENA")["workers"] / 1e6) == 254  # type: ignore[operator]
