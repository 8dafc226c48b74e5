"""Imputation: gaps only, marked, by the stated rule; several draws where one number would pretend to know."""

import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from asem_files import needs_asem
from asem_tables import labels, table
from hypothesis import given
from hypothesis import strategies as st

from tidegate.index.framework import Framework, Group, Indicator
from tidegate.index.impute import (
    impute_column,
    impute_group,
    impute_regression,
    impute_row,
    mark_shared,
    multiple,
    shared_profiles,
)
from tidegate.index.panel import impute_panel
from tidegate.index.table import ESTIMATED, IMPUTED, IndexRefusal, Table, bounded

NAN = math.nan
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "regional" / "regional_evidence.csv"

SMALL = Table.of(["a", "b", "c", "d"], ["x", "y", "z"], [[1, 10, 5], [2, NAN, 6], [NAN, 30, 9], [6, 50, NAN]])
TWO_GROUPS = Framework(
    name="two",
    groups=(Group(code="top"), Group(code="p", parent="top"), Group(code="q", parent="top")),
    indicators=(
        Indicator(code="x", parent="p", unit="ratio"),
        Indicator(code="y", parent="p", unit="ratio", direction=-1),
        Indicator(code="z", parent="q", unit="ratio"),
    ),
)


@needs_asem
def test_group_means_give_the_reference_table() -> None:
    expected = table("step2_imputed_groupmean")
    found = impute_group(table("step1_denominated"), labels("EurAsia_group"))
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9, atol=1e-9)
    assert ((found.marks == IMPUTED) == table("step1_denominated").missing).all()


def test_column_mean_and_median() -> None:
    assert impute_column(SMALL).column("y")[1] == pytest.approx((10 + 30 + 50) / 3)
    assert impute_column(SMALL, "median").column("x")[2] == 2
    assert impute_column(SMALL).marks.sum() == 3 * IMPUTED


def test_group_median_leaves_a_group_without_values_missing() -> None:
    found = impute_group(SMALL, {"a": "g", "b": "g", "c": "h"}, "median")
    assert found.column("y")[1] == 10
    assert np.isnan(found.column("x")[2])  # c is alone in h
    assert np.isnan(found.column("z")[3])  # d has no label
    with pytest.raises(IndexRefusal, match="'e' has a label but no row"):
        impute_group(SMALL, {"e": "g"})


def test_a_row_is_filled_from_the_same_group_with_directions() -> None:
    """b stands at (2-1)/(6-1) = 0.2 in x; y counts downward, so 0.2 of the way from 50 to 10 is 42."""
    found = impute_row(SMALL, TWO_GROUPS)
    assert found.column("y")[1] == pytest.approx(42)
    # c in y: 30 is halfway from 50 to 10, so x is halfway from 1 to 6
    assert found.column("x")[2] == pytest.approx(3.5)
    assert np.isnan(found.column("z")[3])  # nothing else in q to go by
    everywhere = impute_row(SMALL, TWO_GROUPS, level=None)
    # d: x at 1, y (50, the worst) at 0, mean 0.5 of z's 5 .. 9
    assert everywhere.column("z")[3] == pytest.approx(7)
    assert impute_row(SMALL, TWO_GROUPS, "median", level=None).column("z")[3] == pytest.approx(7)


def test_a_row_fill_names_a_constant_column_and_a_level_that_is_not() -> None:
    flat = Table.of(["a", "b"], ["x", "y", "z"], [[1, 2, 3], [1, 3, NAN]])
    with pytest.raises(IndexRefusal, match="indicator x is constant"):
        impute_row(flat, TWO_GROUPS)
    with pytest.raises(IndexRefusal, match="no groups at level 9; its levels are"):
        impute_row(SMALL, TWO_GROUPS, level=9)


gappy = st.lists(
    st.lists(st.one_of(st.just(NAN), st.integers(-100, 100).map(float)), min_size=3, max_size=3), min_size=3, max_size=8
)


@given(cells=gappy, seed=st.integers(0, 9))
def test_no_present_value_is_ever_changed(cells: list[list[float]], seed: int) -> None:
    made = Table.of([f"u{n}" for n in range(len(cells))], ["x", "y", "z"], cells)
    labels_of = {unit: str(number % 2) for number, unit in enumerate(made.units)}
    for found in (impute_column(made), impute_group(made, labels_of, "median"), impute_regression(made)):
        assert (found.values[~made.missing] == made.values[~made.missing]).all()
        assert (found.marks[~made.missing] == 0).all()
    for draw in multiple(made, 2, seed):
        assert (draw[~made.missing] == made.values[~made.missing]).all()


@given(cells=gappy, seed=st.integers(0, 9))
def test_a_drawn_value_is_one_that_some_unit_has(cells: list[list[float]], seed: int) -> None:
    made = Table.of([f"u{n}" for n in range(len(cells))], ["x", "y", "z"], cells)
    for draw in multiple(made, 2, seed):
        for number in range(3):
            present = made.values[~made.missing[:, number], number]
            if len(present) >= 2:
                assert set(draw[:, number]) <= set(present)
            else:
                assert np.isnan(draw[made.missing[:, number], number]).all()


def lined(gaps: int) -> Table:
    """y = 3x with noise, some y unknown."""
    rng = np.random.default_rng(4)
    x = np.arange(60.0)
    y = 3 * x + rng.normal(0, 2, 60)
    y[:: 60 // gaps] = NAN
    return Table.of([f"u{n}" for n in range(60)], ["x", "y"], np.column_stack([x, y]))


def test_regression_and_draws_follow_the_other_columns() -> None:
    made = lined(6)
    truth = 3 * np.arange(60.0)
    gaps = made.missing[:, 1]
    assert np.abs(impute_regression(made).column("y")[gaps] - truth[gaps]).max() < 15
    draws = multiple(made, 30, seed=7)[:, gaps, 1]
    assert np.abs(draws.mean(axis=0) - truth[gaps]).max() < 15
    assert (draws.std(axis=0) > 0).all()


def test_the_same_seed_draws_the_same_tables() -> None:
    made = lined(6)
    np.testing.assert_array_equal(multiple(made, 3, seed=1), multiple(made, 3, seed=1))
    assert (multiple(made, 3, seed=1) != multiple(made, 3, seed=2)).any()


def test_bounds_are_drawn_inside() -> None:
    made = bounded(Table.of(["a", "b", "c"], ["x"], [5, NAN, NAN]), {("b", "x"): (0, 2)})
    draws = multiple(made, 200, seed=3)[:, 1, 0]
    assert (multiple(made, 9, seed=3)[:, 2, 0] <= 5).all()  # c is a gap beside it
    assert 0 <= draws.min() < 0.2
    assert 1.8 < draws.max() <= 2


def test_estimates_of_the_source_are_found_by_their_sameness() -> None:
    made = Table.of(list("abcdef"), ["x", "y"], [[1, 2], [1, 2], [1, 2], [1, 3], [NAN, 2], [NAN, 2]])
    assert shared_profiles(made, ["x", "y"]) == (("a", "b", "c"),)
    assert shared_profiles(made, ["x", "y"], at_least=4) == ()
    marks = mark_shared(made, ["x", "y"]).marks
    assert (marks[:3] == ESTIMATED).all()
    assert not marks[3:].any()


PANEL = {
    2020.0: Table.of(["a", "b"], ["x"], [1, NAN]),
    2021.0: Table.of(["a", "b"], ["x"], [NAN, 4]),
    2023.0: Table.of(["b", "a"], ["x"], [NAN, NAN]),
    2024.0: Table.of(["a"], ["x"], [9]),
}


@pytest.mark.parametrize(
    ("how", "most", "expected"),
    [
        ("last", None, {(2020, "b"): NAN, (2021, "a"): 1, (2023, "a"): 1, (2023, "b"): 4}),
        ("last", 1, {(2020, "b"): NAN, (2021, "a"): 1, (2023, "a"): NAN, (2023, "b"): 4}),
        ("linear", None, {(2020, "b"): NAN, (2021, "a"): 3, (2023, "a"): 7, (2023, "b"): NAN}),
        ("linear_constant", None, {(2020, "b"): 4, (2021, "a"): 3, (2023, "a"): 7, (2023, "b"): 4}),
        ("constant", None, {(2020, "b"): 4, (2021, "a"): 1, (2023, "a"): 1, (2023, "b"): 4}),
    ],
)
def test_a_panel_fills_from_the_same_unit(how: str, most: int | None, expected: dict[tuple[int, str], float]) -> None:
    """Whatever the order of units; years need not be evenly spaced."""
    found = impute_panel(PANEL, how, most)  # type: ignore[arg-type]
    for (year, unit), value in expected.items():
        np.testing.assert_equal(found[float(year)].row(unit)["x"], None if math.isnan(value) else value)
    assert found[2024.0].row("a")["x"] == 9
    assert found[2021.0].marks[0, 0] == IMPUTED
    assert found[2020.0].marks[0, 0] == 0


def test_a_panel_says_what_it_cannot_do() -> None:
    with pytest.raises(IndexRefusal, match="at least two"):
        impute_panel({2020.0: PANEL[2020.0]})
    with pytest.raises(IndexRefusal, match="most_back is of `last`"):
        impute_panel(PANEL, "linear", 1)


@pytest.mark.skipif(not SHARED.is_file(), reason="the reference set is not on this machine")
def test_the_shared_estimates_of_microsofts_table_are_found() -> None:
    """36 of 147 economies carry the same figures as two or more others."""
    import csv

    shares: dict[str, dict[str, float]] = {}
    with (SHARED.parent.parent / "region_index" / "country_indicators.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["ms_user_share_2025h1_pct"]:
                shares[row["iso3"]] = {
                    "h1": float(row["ms_user_share_2025h1_pct"]),
                    "h2": float(row["ms_user_share_2025h2_pct"]),
                    "said": float(row["ms_shared_estimate"]),
                }
    made = Table.of(list(shares), ["h1", "h2"], [[row["h1"], row["h2"]] for row in shares.values()])
    found = {unit for units in shared_profiles(made, ["h1", "h2"]) for unit in units}
    said = {unit for unit, row in shares.items() if row["said"]}
    assert statistics.fmean([unit in found for unit in said]) == 1
    assert len(said) == 36
