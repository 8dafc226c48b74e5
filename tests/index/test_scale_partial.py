"""The scale people read, ranks with ties, and an index of which a part is absent."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.index.partial import partial_index
from tidegate.index.scale import leader_scale, ranks
from tidegate.index.table import IndexRefusal


def test_the_leader_stands_at_100_and_proportions_stay():
    scaled = leader_scale(np.array([10.0, 40.0, math.nan, 20.0]))
    assert scaled.scores.tolist() == pytest.approx([25.0, 100.0, math.nan, 50.0], nan_ok=True)
    assert (scaled.factor, scaled.leader) == (2.5, 1)


def test_a_leader_at_zero_or_below_has_no_ratio():
    with pytest.raises(IndexRefusal, match="best score is -1"):
        leader_scale(np.array([-1.0, -4.0]))


@given(st.lists(st.one_of(st.integers(0, 5).map(float), st.just(math.nan)), min_size=1, max_size=12))
def test_a_rank_is_one_more_than_the_number_above(scores):
    expected = [math.nan if math.isnan(x) else 1.0 + sum(y > x for y in scores) for x in scores]
    assert ranks(np.array(scores)).tolist() == pytest.approx(expected, nan_ok=True)


def test_an_absent_group_is_named_and_bounds_the_index():
    values = np.array([[80.0, math.nan, 40.0], [20.0, math.nan, 60.0]])
    found = partial_index(("A", "T", "C"), values, np.array([0.5, 0.25, 0.25]))
    assert found.absent == {"T": 0.25}
    assert found.absent_weight == 0.25
    assert found.scores.tolist() == pytest.approx([(40 + 10) / 0.75, (10 + 15) / 0.75])
    assert found.low.tolist() == pytest.approx([50.0, 25.0])
    assert found.high.tolist() == pytest.approx([75.0, 50.0])


@given(st.floats(0, 100), st.floats(0, 100))
def test_whatever_the_absent_group_is_the_index_lies_inside_the_bounds(filled, other):
    values = np.array([[other, math.nan, 40.0]])
    found = partial_index(("A", "T", "C"), values, np.array([3.0, 2.0, 1.0]))
    whole = (3 * other + 2 * filled + 40) / 6
    assert found.low[0] - 1e-9 <= whole <= found.high[0] + 1e-9


def test_no_group_at_all_is_refused():
    with pytest.raises(IndexRefusal, match=r"All groups are absent \(A, T\)"):
        partial_index(("A", "T"), np.full((2, 2), math.nan), np.ones(2))
