"""Which weights could give a published table: bounds against a fine grid of all weights, never a fitted estimate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.index.polytope import consistent_weights, leave_one_out, nearest_weights
from tidegate.index.table import IndexRefusal

SCORES = np.array(
    [[100.0, 20.0, 60.0], [40.0, 100.0, 70.0], [30.0, 60.0, 100.0], [10.0, 5.0, 30.0], [60.0, 50.0, 20.0]]
)
TRUE = np.array([0.5, 0.3, 0.2])
PUBLISHED = 100 * (SCORES @ TRUE) / (SCORES @ TRUE).max()


def grid(steps: int = 100) -> np.ndarray:
    """All weights in hundredths."""
    pairs = [(a, b) for a in range(steps + 1) for b in range(steps + 1 - a)]
    return np.array([[a, b, steps - a - b] for a, b in pairs]) / steps


@pytest.mark.parametrize("tolerance", [5.0, 10.0, 20.0])
def test_bounds_hold_every_weight_set_of_a_fine_grid_that_fits(tolerance):
    weights = grid()
    index = weights @ SCORES.T
    fits = weights[(np.abs(100 * index / index.max(axis=1, keepdims=True) - PUBLISHED) <= tolerance).all(axis=1)]
    found = consistent_weights(SCORES, PUBLISHED, tolerance)
    assert found.low == pytest.approx(fits.min(axis=0), abs=0.02)
    assert found.high == pytest.approx(fits.max(axis=0), abs=0.02)
    assert (found.low <= fits.min(axis=0) + 1e-9).all()
    assert (found.high >= fits.max(axis=0) - 1e-9).all()
    assert found.part == pytest.approx(len(fits) / len(weights), abs=0.02)
    assert f"within {tolerance:g} points" in found.reading


def test_the_weights_that_made_the_table_come_nearest_and_are_inside():
    nearest = nearest_weights(SCORES, PUBLISHED)
    assert nearest.deviation == pytest.approx(0.0, abs=1e-9)
    assert nearest.weights == pytest.approx(TRUE)
    assert nearest.factor == pytest.approx(100 / (SCORES @ TRUE).max())
    found = consistent_weights(SCORES, PUBLISHED, 0.0)
    assert found.low == pytest.approx(TRUE, abs=1e-6)
    assert found.high == pytest.approx(TRUE, abs=1e-6)


def test_below_the_nearest_deviation_nothing_fits_and_bounds_are_missing():
    table = np.array([100.0, 10.0, 90.0, 80.0, 5.0])
    least = nearest_weights(SCORES, table).deviation
    assert least > 5
    found = consistent_weights(SCORES, table, least * 0.9, leader=False)
    assert np.isnan(found.low).all()
    assert found.part == 0.0
    assert not np.isnan(consistent_weights(SCORES, table, least * 1.01, leader=False).low).any()


@settings(max_examples=20, deadline=None)
@given(arrays(np.float64, (5, 3), elements=st.floats(1, 100)), st.floats(1, 30))
def test_a_free_scale_allows_whatever_the_leaders_scale_allows(scores, tolerance):
    table = 100 * scores.mean(axis=1) / scores.mean(axis=1).max()
    tied = consistent_weights(scores, table, tolerance, samples=200)
    free = consistent_weights(scores, table, tolerance, leader=False, samples=200)
    assert (free.low <= tied.low + 1e-6).all()
    assert (free.high >= tied.high - 1e-6).all()
    assert free.part >= tied.part


def test_a_fit_is_worse_outside_than_inside_when_the_table_is_a_judgement():
    judged = PUBLISHED + np.array([0.0, 9.0, -12.0, 14.0, -8.0])
    found = leave_one_out(SCORES, judged)
    assert found.rmse_outside > found.rmse_inside
    assert found.worst_miss == pytest.approx(abs(found.predicted[found.worst] - judged[found.worst]))
    exact = leave_one_out(SCORES, PUBLISHED)
    assert exact.rmse_outside == pytest.approx(0.0, abs=1e-6)


def test_refusals():
    with pytest.raises(IndexRefusal, match="tolerance is 0 or more"):
        consistent_weights(SCORES, PUBLISHED, -1.0)
    with pytest.raises(IndexRefusal, match="Unit 2 has no published number"):
        nearest_weights(SCORES, np.array([1.0, 2.0, np.nan, 3.0, 4.0]))
    with pytest.raises(IndexRefusal, match="Unit 0, group 1 holds nan"):
        leave_one_out(np.where(SCORES == 20.0, np.nan, SCORES), PUBLISHED)
