"""Availability, column statistics and denominators: the reference set, hand-made rows, and what is refused."""

import math

import numpy as np
import pytest
from asem_files import needs_asem, rows
from asem_tables import framework as asem_framework
from asem_tables import sizes as asem_sizes
from asem_tables import table as asem_table
from hypothesis import given
from hypothesis import strategies as st

from tidegate.index.denominators import denominate, denominated_unit
from tidegate.index.framework import Framework, Group, Indicator, Size
from tidegate.index.screen import Screening, describe, group_availability, screen, unfit
from tidegate.index.table import IndexRefusal, Table, bounded

NAN = math.nan


@needs_asem
def test_denominators_give_the_reference_table() -> None:
    found = denominate(asem_table("step0_raw_indicators"), asem_framework(), asem_sizes())
    np.testing.assert_allclose(found.values, asem_table("step1_denominated").values, rtol=1e-9, atol=0)


@needs_asem
@pytest.mark.parametrize("step", ["step1_denominated", "step2_imputed_groupmean"])
def test_screening_gives_the_reference_summary(step: str) -> None:
    """The summary is of one of the two tables; the other one has other counts of gaps."""
    kept, records = screen(asem_table(step), Screening(data=0.9))
    summary = rows("step3_screen_summary")
    if step == "step2_imputed_groupmean":
        assert [str(record.missing) for record in records] == [row["N_missing"] for row in summary]
        assert kept.units == tuple(row["uCode"] for row in summary if row["Included"] == "TRUE")
        for record, row in zip(records, summary, strict=True):
            assert record.zeros == int(row["N_zero"])
            assert record.data == pytest.approx(float(row["Dat_Avail"]), abs=1e-12)
            assert record.nonzero == pytest.approx(float(row["Non_Zero"]), abs=1e-12)
            assert record.low_data == (row["LowData"] == "TRUE")
    else:
        gaps = np.isnan(asem_table(step).values).sum(axis=1)
        assert [record.missing for record in records] == gaps.tolist()
        assert len(kept.units) == (gaps <= 4).sum()  # 0.9 of 49 is 44.1: at most 4 may be missing


@needs_asem
def test_column_statistics_give_the_reference_table() -> None:
    names = {"Min": "low", "Max": "high", "Mean": "mean", "Median": "median", "Std": "sd", "Skew": "skew"}
    counts = {"N.Avail": "available", "N.NonZero": "nonzero", "N.Unique": "unique", "N.Same": "same"}
    flags = {"Flag.Avail": "few_values", "Flag.NonZero": "many_zeros", "Flag.Unique": "few_distinct"}
    for found, row in zip(describe(asem_table("step0_raw_indicators")), rows("stats_raw"), strict=True):
        assert found.indicator == row["iCode"]
        for theirs, ours in {**names, "Kurt": "kurtosis"}.items():
            assert getattr(found, ours) == pytest.approx(float(row[theirs]), rel=1e-9, abs=1e-9)
        for theirs, ours in counts.items():
            assert getattr(found, ours) == int(row[theirs])
        for theirs, ours in {**flags, "Flag.SkewKurt": "outliers"}.items():
            assert (ours in found.flags) == (row[theirs] != "ok"), (found.indicator, theirs)


FOUR = Table.of(["a", "b", "c"], ["w", "x", "y", "z"], [[1, 2, 3, 4], [1, NAN, 0, 0], [NAN, NAN, NAN, 5]])


def test_a_unit_with_too_little_goes_and_the_record_says_why() -> None:
    kept, records = screen(FOUR)
    assert kept.units == ("a", "b")
    assert [(r.unit, r.data, r.nonzero) for r in records] == [("a", 1, 1), ("b", 0.75, 1 / 3), ("c", 0.25, 1)]
    assert records[2].low_data
    assert not records[2].kept


def test_zeros_can_be_the_test() -> None:
    assert screen(FOUR, Screening(by="nonzero", nonzero=0.5))[0].units == ("a", "c")
    assert screen(FOUR, Screening(by="both", nonzero=0.5))[0].units == ("a",)


def test_a_forced_unit_is_recorded_as_forced() -> None:
    kept, records = screen(FOUR, Screening(keep=("c",), drop=("a",)))
    assert kept.units == ("b", "c")
    assert [record.forced for record in records] == [True, False, True]
    assert not any(record.forced for record in screen(FOUR, Screening(keep=("a",), drop=("c",)))[1])


def test_forcing_what_is_not_there_is_refused() -> None:
    with pytest.raises(IndexRefusal, match="forced unit 'q' is not in the table; there are a, b, c"):
        screen(FOUR, Screening(keep=("q",)))
    with pytest.raises(IndexRefusal, match="unit a is forced in and out"):
        screen(FOUR, Screening(keep=("a",), drop=("a",)))
    with pytest.raises(IndexRefusal, match="no unit has"):
        screen(FOUR, Screening(drop=("a", "b", "c")))


def test_groups_show_where_a_unit_is_thin() -> None:
    made = Framework(
        name="g",
        groups=(
            Group(code="top"),
            Group(code="p", parent="top"),
            Group(code="q", parent="top"),
            Group(code="n", absent=True),
        ),
        indicators=tuple(
            Indicator(code=code, parent=parent, unit="ratio") for code, parent in zip("wxyz", "ppqq", strict=True)
        ),
    )
    groups, parts = group_availability(FOUR, made)
    assert groups == ("top", "p", "q")
    np.testing.assert_allclose(parts, [[1, 1, 1], [0.75, 0.5, 1], [0.25, 0, 0.5]])


def test_constant_and_empty_columns_are_unfit() -> None:
    made = Table.of(["a", "b"], ["same", "empty", "fine"], [[1, NAN, 1], [1, NAN, 2]])
    assert unfit(made) == ("same", "empty")
    assert unfit(made, keep=("same",)) == ("empty",)
    assert describe(made)[1].mean is None


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=4, max_size=4), min_size=1, max_size=9))
def test_a_lower_limit_never_drops_more(cells: list[list[float]]) -> None:
    made = Table.of([f"u{n}" for n in range(len(cells))], ["w", "x", "y", "z"], cells)
    before = 0
    for limit in (1.0, 0.75, 0.5, 0.0):
        try:
            kept = len(screen(made, Screening(data=limit))[0].units)
        except IndexRefusal:
            kept = 0
        assert kept >= before
        before = kept
    assert before == len(cells)


BY_HEAD = Framework(
    name="by head",
    groups=(Group(code="top"),),
    indicators=(
        Indicator(code="money", parent="top", unit="USD", denominator="people"),
        Indicator(code="score", parent="top", unit="score"),
    ),
    sizes=(Size(code="people", unit="persons"),),
)
MONEY = Table.of(["a", "b", "c"], ["money", "score"], [[100, 1], [300, 2], [5, 3]])


def test_only_what_names_a_denominator_is_divided() -> None:
    people = Table.of(["c", "b", "a", "more"], ["people"], [NAN, 3, 4, 9])
    found = denominate(MONEY, BY_HEAD, people, {"money": 1000})
    np.testing.assert_allclose(found.values, [[25000, 1], [100000, 2], [NAN, 3]])
    assert denominated_unit(BY_HEAD, "money", 1000) == "USD per 1000 persons"
    assert denominated_unit(BY_HEAD, "score") == "score"


def test_bounds_are_divided_too() -> None:
    people = Table.of(["a", "b", "c"], ["people"], [1, 2, 5])
    found = denominate(bounded(MONEY, {("c", "money"): (0, 10)}), BY_HEAD, people)
    assert found.low is not None
    assert found.high is not None
    assert (found.low[2, 0], found.values[2, 0], found.high[2, 0]) == (0, 1, 2)


@pytest.mark.parametrize(
    ("people", "said"),
    [
        (Table.of(["a", "b", "c"], ["people"], [1, 0, 1]), "unit b: denominator people of money is not above 0"),
        (Table.of(["a", "b"], ["people"], [1, 1]), "unit c has no row among the denominators"),
        (Table.of(["a", "b", "c"], ["heads"], [1, 1, 1]), "no indicator 'people' in the table; there are heads"),
    ],
)
def test_a_denominator_that_cannot_divide_is_named(people: Table, said: str) -> None:
    with pytest.raises(IndexRefusal, match=said):
        denominate(MONEY, BY_HEAD, people)


def test_a_scale_of_no_indicator_is_refused() -> None:
    with pytest.raises(IndexRefusal, match="scale names 'mony'"):
        denominate(MONEY, BY_HEAD, MONEY, {"mony": 10})
