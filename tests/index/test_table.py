"""The table that all steps share refuses what no step could use, and keeps what is known of a cell."""

import math

import numpy as np
import pytest

from tidegate.index.table import BOUNDED, IMPUTED, TREATED, IndexRefusal, Table, bounded

NAN = math.nan
SMALL = Table.of(["a", "b"], ["x", "y"], [[1, NAN], [3, 4]])


def test_missing_is_none_and_never_zero() -> None:
    assert SMALL.row("a") == {"x": 1, "y": None}
    assert SMALL.missing.tolist() == [[False, True], [False, False]]


def test_a_changed_cell_is_marked_and_keeps_its_earlier_marks() -> None:
    once = SMALL.with_values(np.array([[1, 7], [3, 4.0]]), mark=IMPUTED)
    twice = once.with_values(np.array([[1, 8], [5, 4.0]]), mark=TREATED)
    assert once.marks.tolist() == [[0, IMPUTED], [0, 0]]
    assert twice.marks.tolist() == [[0, IMPUTED | TREATED], [TREATED, 0]]
    assert np.isnan(SMALL.values[0, 1])  # the table it came from is as it was


def test_a_bound_is_an_interval_with_its_midpoint() -> None:
    made = bounded(SMALL, {("a", "y"): (0, 2)})
    assert made.low is not None
    assert made.high is not None
    assert made.row("a")["y"] == 1
    assert (made.low[0, 1], made.high[0, 1]) == (0, 2)
    assert made.low[1, 1] == made.high[1, 1] == 4
    assert made.marks[0, 1] == BOUNDED
    again = bounded(made, {("b", "x"): (2, 4)})
    assert again.low is not None
    assert again.low[0, 1] == 0


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({("a", "y"): (2, 0)}, "unit a, indicator y has a lower bound 2 above its upper bound 0; swap"),
        ({("a", "y"): (9, math.inf)}, "the bound 9 .. inf is open; state both ends"),
        ({("q", "y"): (0, 2)}, "unit q, indicator y: no such unit; there are a, b"),
        ({("a", "q"): (0, 2)}, "no indicator 'q' in the table; there are x, y"),
    ],
)
def test_a_bound_that_is_none_is_named(bounds: dict[tuple[str, str], tuple[float, float]], said: str) -> None:
    with pytest.raises(IndexRefusal, match=said):
        bounded(SMALL, bounds)


def test_imputing_keeps_the_bounds_of_other_cells() -> None:
    made = bounded(SMALL, {("b", "x"): (2, 4)})
    filled = made.with_values(np.array([[1, 7], [3, 4.0]]), mark=IMPUTED, keep_bounds=True)
    assert filled.low is not None
    assert filled.low.tolist() == [[1, 7], [2, 4]]
    assert made.with_values(made.values * 2).low is None  # other units: the bounds would be wrong


@pytest.mark.parametrize(
    ("units", "indicators", "values", "said"),
    [
        (["a", "a"], ["x"], [1, 2], "unit 'a' is there twice"),
        (["a"], ["x", "x"], [1, 2], "indicator 'x' is there twice"),
        (["a", "b"], ["x"], [1, math.inf], "unit b, indicator x is infinite"),
    ],
)
def test_a_table_that_is_none_is_refused(
    units: list[str], indicators: list[str], values: list[float], said: str
) -> None:
    with pytest.raises(IndexRefusal, match=said):
        Table.of(units, indicators, values)


def test_a_shape_that_does_not_fit_is_said() -> None:
    with pytest.raises(IndexRefusal, match="marks has shape"):
        Table(units=("a",), indicators=("x",), values=np.ones((1, 1)), marks=np.zeros((2, 1), dtype=np.uint8))
    with pytest.raises(IndexRefusal, match="3 values do not fill 2 units by 2 indicators"):
        Table.of(["a", "b"], ["x", "y"], [1, 2, 3])


def test_rows_and_columns_come_in_the_order_asked_for() -> None:
    picked = bounded(SMALL, {("b", "x"): (2, 4)}).pick(units=["b", "a"], indicators=["y", "x"])
    assert picked.units == ("b", "a")
    np.testing.assert_array_equal(picked.values, [[4, 3], [NAN, 1]])
    assert picked.low is not None
    assert picked.low[0, 1] == 2
    with pytest.raises(IndexRefusal, match="no unit 'q'"):
        SMALL.pick(units=["q"])
