"""Sobol indices against the known ones of the Ishigami function and against the reference design."""

import math

import numpy as np
import pytest
from asem_files import needs_asem, rows
from test_uncertainty import small_model

from tidegate.index.sensitivity import estimate, options, saltelli, sensitivity
from tidegate.index.table import IndexRefusal

NAMES = ("x1", "x2", "x3")


def ishigami(points: np.ndarray) -> np.ndarray:
    """a = 7, b = 0.1 on (-pi, pi)."""
    x = (points * 2 - 1) * math.pi
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ishigami_to_a_hundredth(seed):
    found = estimate(ishigami(saltelli(3, 32768, seed)), NAMES)
    assert found.first == pytest.approx([0.3139, 0.4424, 0.0], abs=0.01)
    assert found.total == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.01)


def test_the_mean_of_the_output_does_not_move_the_indices():
    """The reference package's first-order estimator is not centred: adding a constant changes its answer."""
    outputs = ishigami(saltelli(3, 256, 1))
    low, high = estimate(outputs, NAMES), estimate(outputs + 1e4, NAMES)
    assert low.first == pytest.approx(high.first, abs=1e-6)


def design() -> np.ndarray:
    return np.array([float(row["mean_abs_rank_change"]) for row in rows("sa_design_and_output")])


@needs_asem
def test_total_order_equals_the_reference_and_first_order_is_centred():
    names = tuple(row["Variable"] for row in rows("sa_indices"))
    found = estimate(design(), names)
    assert found.total == pytest.approx([float(row["STi"]) for row in rows("sa_indices")], abs=1e-12)
    assert found.first == pytest.approx([0.07, 0.05, 0.08, 0.66], abs=0.005)
    assert found.first.sum() < 1


@needs_asem
def test_first_order_by_a_loop_over_the_runs():
    y = design()
    a, b = y[:64], y[64:128]
    mean = sum(y[:128]) / 128
    variance = sum((x - mean) ** 2 for x in y[:128]) / 127
    found = estimate(y, ("w", "n", "s", "a"))
    for factor in range(4):
        mixed = y[128 + 64 * factor : 192 + 64 * factor]
        first = sum((b[j] - mean) * (mixed[j] - a[j]) for j in range(64)) / 64 / variance
        assert found.first[factor] == pytest.approx(first, abs=1e-12)


def test_the_bootstrap_interval_holds_the_known_values():
    found = estimate(ishigami(saltelli(3, 1024, 5)), NAMES, draws=300, seed=1)
    known = np.array([0.3139, 0.4424, 0.0])
    assert (found.first_low < known + 0.02).all()
    assert (found.first_high > known - 0.02).all()
    assert (found.first_high - found.first_low < 0.3).all()


def test_several_outputs_at_once_are_each_by_itself():
    points = saltelli(3, 128, 2)
    outputs = np.stack([ishigami(points), points[:, 0], np.ones(len(points))], axis=1)
    found = estimate(outputs, NAMES)
    assert found.first[:, 0] == pytest.approx(estimate(outputs[:, 0], NAMES).first)
    assert found.first[0, 1] == pytest.approx(1.0, abs=0.1)
    assert np.isnan(found.first[:, 2]).all()


def test_the_design_changes_one_column_at_a_time():
    points = saltelli(3, 8, 1).reshape(5, 8, 3)
    for factor in range(3):
        for column in range(3):
            source = points[1] if factor == column else points[0]
            assert (points[2 + factor][:, column] == source[:, column]).all()


def test_options_own_equal_parts_whatever_the_sample():
    """The reference package cuts the observed range instead."""
    points = np.array([[0.0], [0.24], [0.26], [0.5], [0.99]])
    assert options(points, (4,)).ravel().tolist() == [0, 0, 1, 2, 3]


def test_a_factor_without_effect_has_none_and_every_unit_has_indices():
    model = small_model(stages=(("normalisation", {"same": lambda x: x, "same too": lambda x: x}),))
    found = sensitivity(model, 64, seed=1, draws=20)
    assert found.rank_shift.factors == ("source", "normalisation", "aggregation", "weights")
    assert found.score.total[1] == pytest.approx(np.zeros(4))
    assert found.score.first.shape == found.rank.first.shape == (4, 4)


def test_a_base_that_is_no_power_of_two_is_refused():
    with pytest.raises(IndexRefusal, match="not 100; take 128"):
        saltelli(3, 100, 1)
    with pytest.raises(IndexRefusal, match="7 outputs do not fit"):
        estimate(np.ones(7), NAMES)
