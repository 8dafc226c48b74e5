"""Outlier treatment: the reference set point by point, and what the steps do at their limits."""

import math
from fractions import Fraction

import numpy as np
import pytest
from asem_files import FOLDER, needs_asem, rows
from asem_tables import table as asem_table
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_normalise import numbers

from tidegate.index import outliers as o
from tidegate.index.outliers import Limits, Treatment, treat
from tidegate.index.table import TREATED, IndexRefusal, Table

NAMES = ("skew", "kurt", "winsorise", "log_CT", "log_CT_plus", "log_CT_orig", "boxcox")


def function_cases() -> list[dict[str, str]]:
    return [row for row in rows("function_cases") if row["fn"] in NAMES] if FOLDER.is_dir() else []


@needs_asem
@pytest.mark.parametrize("case", function_cases(), ids=lambda row: f"{row['fn']} {row['params']} {row['x'][:8]}")
def test_each_function_gives_the_reference_value(case: dict[str, str]) -> None:
    x = numbers(case["x"])
    settings = dict(part.split("=") for part in case["params"].replace(";", ",").split(",") if part)
    if case["fn"] == "winsorise":
        moved = o.winsorise(x, int(settings["winmax"]))
        assert f"nwin={moved.points}" == case["extra"]
        found: object = moved.values
    elif case["fn"] == "boxcox":
        found = o.box_cox(x, float(settings["lambda"]))
    else:
        function = {"kurt": o.kurtosis}.get(case["fn"]) or getattr(o, case["fn"].lower())
        found = np.atleast_1d(function(x))
    np.testing.assert_allclose(found, numbers(case["expected"]), rtol=1e-9, atol=1e-9)  # type: ignore[arg-type]


@needs_asem
def test_the_reference_set_is_treated_point_by_point() -> None:
    expected = asem_table("step4_treated")
    found, records = treat(asem_table("step2_imputed_groupmean"))
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9, atol=1e-9)
    points = {(r.indicator, unit, "winhi") for r in records for unit in r.high}
    points |= {(r.indicator, unit, "winlo") for r in records for unit in r.low}
    # the file lists points that changed; a tie's lowest member is where the others were moved to
    listed = {(row["iCode"], row["uCode"], row["treatment"]) for row in rows("step4_treated_points")}
    assert points == listed
    assert not any(record.fails for record in records)
    assert ((found.marks & TREATED) > 0).sum() == (found.values != asem_table("step2_imputed_groupmean").values).sum()


@needs_asem
def test_the_reference_details_agree() -> None:
    _, records = treat(asem_table("step2_imputed_groupmean"))
    for record, row in zip(records, rows("step4_treatment_details"), strict=True):
        assert record.indicator == row["iCode"]
        assert record.before.passes == (row["check_SkewKurt0.Pass"] == "TRUE")
        assert record.before.skew == pytest.approx(float(row["check_SkewKurt0.Skew"]), rel=1e-9, abs=1e-9)
        assert record.before.kurtosis == pytest.approx(float(row["check_SkewKurt0.Kurt"]), rel=1e-9, abs=1e-9)
        if record.after is not None:
            assert len(record.high) + len(record.low) == int(row["winsorise.nwin"])
            assert record.after.skew == pytest.approx(float(row["check_SkewKurt1.Skew"]), rel=1e-9, abs=1e-9)
            assert record.after.kurtosis == pytest.approx(float(row["check_SkewKurt1.Kurt"]), rel=1e-9, abs=1e-9)


def column(values: list[float]) -> Table:
    return Table.of([f"u{number}" for number in range(len(values))], ["x"], values)


LONG_TAIL = [*map(float, range(1, 20)), 100.0, 10000.0, 1000000.0]


def test_a_column_that_still_fails_is_transformed_from_its_original_values() -> None:
    found, (record,) = treat(column(LONG_TAIL), Treatment(winsorise_max=1, then="log_ct"))
    assert record.done == ("log_ct",)
    assert record.high == ()
    span = 1000000.0 - 1.0
    np.testing.assert_allclose(found.values[:, 0], [math.log(x - 1 + 0.01 * span) for x in LONG_TAIL])
    assert record.fails


def test_the_two_steps_can_be_combined() -> None:
    found, (record,) = treat(column(LONG_TAIL), Treatment(winsorise_max=1, then="log_ct", combine=True))
    assert record.done == ("winsorise", "log_ct")
    assert found.values[-1, 0] == found.values[-2, 0] == pytest.approx(math.log(9999 + 0.01 * 9999))


def test_equal_extremes_move_together_and_count_as_they_stand() -> None:
    x = np.array([1.0] * 20 + [2.0, 50.0, 50.0])
    moved = o.winsorise(x, 1, Limits(skew=0.1, kurtosis=-9))
    assert moved.points == 2
    assert sorted(moved.values)[-3:] == [2.0, 2.0, 2.0]


def test_a_low_tail_is_mirrored() -> None:
    moved = o.winsorise(np.array([-1000.0, *range(1, 20)]), 5)
    assert list(np.flatnonzero(moved.low)) == [0]
    assert moved.values[0] == 1
    assert not moved.high.any()


def test_gii_logarithm_is_computed_and_returned() -> None:
    """COINr 1.1.14 computes the transform and returns its input."""
    x = np.array([2.0, 4.0, 10.0])
    np.testing.assert_allclose(o.log_gii(x), [0.0, math.log(9 * 2 / 8 + 1), math.log(10)])
    with pytest.raises(IndexRefusal, match=r"largest value is 0\.9; scale it up"):
        o.log_gii(np.array([0.1, 0.5, 0.9]))


@pytest.mark.parametrize("then", ["log_ct_plus", "log_ct", "log_ct_orig", "log_gii", "box_cox"])
@given(xs=st.lists(st.integers(-50, 1000), min_size=4, max_size=15, unique=True).filter(lambda xs: max(xs) > 1))
def test_a_transform_keeps_the_order(then: str, xs: list[int]) -> None:
    x = np.array(xs, dtype=float)
    y = o.transform(x, Treatment(then=then, box_cox_lambda=0.5))  # type: ignore[arg-type]
    assert list(np.argsort(x)) == list(np.argsort(y))


def exact_moments(xs: list[int]) -> tuple[float, float]:
    """G1 and G2 over exact fractions, by the textbook's sums."""
    n = len(xs)
    mean = Fraction(sum(xs), n)
    m2, m3, m4 = (sum((x - mean) ** power for x in xs) / n for power in (2, 3, 4))
    g1 = float(m3) / float(m2) ** 1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    g2 = float(Fraction(n - 1, (n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6))
    return g1, g2


@given(xs=st.lists(st.integers(-100, 100), min_size=4, max_size=12).filter(lambda xs: len(set(xs)) > 1))
def test_skewness_and_kurtosis_are_the_sample_forms(xs: list[int]) -> None:
    x: NDArray[np.float64] = np.array([*xs, math.nan], dtype=float)
    g1, g2 = exact_moments(xs)
    assert o.skew(x) == pytest.approx(g1, rel=1e-7, abs=1e-9)
    assert o.kurtosis(x) == pytest.approx(g2, rel=1e-7, abs=1e-9)


@given(xs=st.lists(st.integers(0, 10000), min_size=10, max_size=30), most=st.integers(0, 6))
def test_winsorising_moves_only_points_at_the_ends_inward(xs: list[int], most: int) -> None:
    x = np.array(xs, dtype=float)
    moved = o.winsorise(x, most)
    changed = moved.values != x
    assert not (changed & ~(moved.high | moved.low)).any()
    assert moved.values.min() >= x.min()
    assert moved.values.max() <= x.max()
    if most == 0:
        assert not changed.any()


def test_few_units_are_not_winsorised() -> None:
    """Among nine regions the leader is no outlier."""
    nine = column([1.0] * 8 + [1000.0])
    with pytest.raises(IndexRefusal, match="indicator x: 9 units are too few to winsorise"):
        treat(nine)
    found, (record,) = treat(nine, Treatment(then="root", always=True))
    assert record.done == ("root",)
    assert found.values[-1, 0] == pytest.approx(math.sqrt(1000))


def test_a_column_can_be_left_alone_and_a_constant_one_has_no_test() -> None:
    table = Table.of([f"u{n}" for n in range(22)], ["x", "c"], [[x, 3.0] for x in LONG_TAIL])
    found, records = treat(table, by_indicator={"x": None})
    assert (found.values == table.values).all()
    assert records[1].before.passes is None
    assert records[0].fails
