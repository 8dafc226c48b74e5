"""Least squares by hand, by dummies, and by numbers on which statsmodels and pyfixest agreed (tests/oracles)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from regression_data import cross_section, lifetimes, unbalanced_panel

from tidegate.study.regression import (
    Estimate,
    NotIdentified,
    least_squares,
    mean_estimate,
    panel,
    wilson,
    without_singletons,
)
from tidegate.study.survival import kaplan_meier


def test_a_line_through_three_points_by_hand() -> None:
    """y = 1, 2, 4 at x = 0, 1, 2: slope 3/2, intercept 5/6, residuals 1/6, -1/3, 1/6."""
    x = np.column_stack([np.ones(3), np.array([0.0, 1.0, 2.0])])
    fit = least_squares(np.array([1.0, 2.0, 4.0]), x, robust="HC1")

    assert fit.coefficients == pytest.approx([5 / 6, 3 / 2])
    # slope = sum((x - 1) y) / 2, so its robust variance is sum((x - 1)^2 e^2) / 4, times n / (n - k) = 3
    assert fit.estimate(1).se == pytest.approx(math.sqrt((1 / 36 + 1 / 36) / 4 * 3))
    assert fit.r2 == pytest.approx(1 - (1 / 36 + 1 / 9 + 1 / 36) / (14 / 3))


@pytest.mark.parametrize(
    ("robust", "weighted", "slope", "se", "low", "high", "p", "r2"),
    [
        ("HC1", False, -0.6926972243, 0.1570245783, -1.010576864, -0.3748175845, 8.184876949e-05, 0.5195901182),
        ("HC1", True, -0.6119438572, 0.1613345127, -0.9385485032, -0.2853392113, 0.0005191671074, 0.4679615755),
        ("HC3", False, -0.6926972243, 0.1740655099, -1.045074427, -0.3403200219, 0.0003000676718, 0.5195901182),
        ("HC3", True, -0.6119438572, 0.182686087, -0.9817725056, -0.2421152088, 0.001836874121, 0.4679615755),
    ],
)  # fmt: skip
def test_robust_errors_are_as_statsmodels_has_them(
    robust: str, weighted: bool, slope: float, se: float, low: float, high: float, p: float, r2: float
) -> None:
    """Numbers pinned on 2026-11-22 with statsmodels 0.14; `make oracles` compares anew."""
    y, x, weights = cross_section()
    fit = least_squares(y, x, weights=weights if weighted else None, robust=robust)  # type: ignore[arg-type]
    found = fit.estimate(1)

    assert (found.value, found.se, *found.interval, fit.r2) == pytest.approx((slope, se, low, high, r2), rel=1e-8)
    assert found.p_value == pytest.approx(p, rel=1e-8)


def test_the_panel_is_as_pyfixest_has_it() -> None:
    """Numbers pinned on 2026-11-22 with pyfixest; `make oracles` compares anew."""
    fit = panel(*unbalanced_panel())

    assert fit.coefficients == pytest.approx([-0.5992421067343747, 0.3965767656686727], rel=1e-10)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx([0.06797484894250, 0.06503490711580], rel=1e-10)
    assert fit.estimate(0).interval == pytest.approx((-0.7402133152510803, -0.4582708982176692), rel=1e-10)
    assert (fit.n, fit.df, fit.clusters) == (172, 22, 23)


def test_the_panel_is_least_squares_with_a_dummy_for_every_unit_and_time() -> None:
    """The two ways of removing effects agree on coefficients."""
    y, x, units, times = unbalanced_panel()
    dummies = [(units == unit).astype(float) for unit in range(units.max() + 1)]
    dummies += [(times == time).astype(float) for time in range(1, times.max() + 1)]
    by_dummies = np.linalg.lstsq(np.column_stack([x, *dummies]), y, rcond=None)[0][:2]

    assert panel(y, x, units, times).coefficients == pytest.approx(by_dummies, rel=1e-10)


def test_the_curve_of_survival_is_as_lifelines_has_it() -> None:
    """Numbers pinned on 2026-11-22 with lifelines 0.30; `make oracles` compares anew."""
    curve = {step.month: (step.survival, step.low, step.high) for step in kaplan_meier(*lifetimes())}

    assert curve[1] == pytest.approx((0.84666666666667, 0.77833777204442, 0.89533526546404), rel=1e-10)
    assert curve[5] == pytest.approx((0.51421058091853, 0.41747978249002, 0.60263524023374), rel=1e-10)
    assert curve[14] == pytest.approx((0.12093702635322, 0.04576396866951, 0.23530003427120), rel=1e-10)


def test_survival_by_hand() -> None:
    """Five users: gone after 1, 2, 2 months, still there after 2 and 3."""
    curve = kaplan_meier(np.array([1, 2, 2, 2, 3]), np.array([True, True, True, False, False]))

    assert [(step.month, step.at_risk, step.gone) for step in curve] == [(1, 5, 1), (2, 4, 2), (3, 1, 0)]
    assert [step.survival for step in curve] == pytest.approx([4 / 5, 4 / 5 * 2 / 4, 4 / 5 * 2 / 4])


def test_units_and_times_seen_once_are_left_out_until_none_is_left() -> None:
    """Unit 2 is seen once; without it time 3 is; without that unit 1 is too."""
    units, times = np.array([0, 0, 1, 1, 2, 3, 3]), np.array([0, 1, 1, 3, 3, 0, 1])

    assert without_singletons(units, times).tolist() == [True, True, False, False, False, True, True]


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.column_stack([np.ones(4), np.full(4, 3.0)]), "does not vary"),
        (np.column_stack([np.ones(4), np.arange(4), 2 * np.arange(4) + 1]), "combination of others"),
        (np.ones((4, 4)), "4 observations cannot carry 4 coefficients"),
        (np.column_stack([np.ones(4), np.array([0.0, 0, 0, 1])]), "one observation alone fixes"),
    ],
)
def test_what_the_data_cannot_tell_is_said(x: np.ndarray, says: str) -> None:
    """No number comes out where none is identified."""
    with pytest.raises(NotIdentified, match=says):
        least_squares(np.array([1.0, 2, 4, 3]), x)


def test_a_regressor_common_to_all_units_is_not_identified_in_a_panel() -> None:
    """A price that changes for everybody at once is a time effect."""
    units, times = np.repeat(np.arange(5), 4), np.tile(np.arange(4), 5)

    with pytest.raises(NotIdentified, match="nothing varies within units"):
        panel(np.arange(20.0) ** 1.5, times[:, None] * 2.0, units, times)


def test_one_unit_is_no_panel() -> None:
    """Clusters need company."""
    with pytest.raises(NotIdentified, match="two are needed"):
        panel(np.arange(4.0), np.arange(4.0)[:, None] ** 2, np.zeros(4, dtype=np.intp), np.arange(4))


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=30), st.floats(-5, 5), st.floats(0.1, 9))
def test_shifting_and_scaling_y_shifts_and_scales_the_mean(values: list[float], shift: float, scale: float) -> None:
    """Estimate and error keep their units."""
    plain = mean_estimate(np.array(values))
    moved = mean_estimate(np.array(values) * scale + shift)

    assert moved.value == pytest.approx(plain.value * scale + shift, abs=1e-9)
    assert moved.se == pytest.approx(plain.se * scale, rel=1e-6, abs=1e-9)


@given(st.integers(1, 500), st.data())
def test_an_interval_of_a_share_holds_the_share_and_stays_within_zero_and_one(n: int, data: st.DataObject) -> None:
    """Also where all or none succeed."""
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)

    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1


def test_an_estimate_without_error_has_no_doubt() -> None:
    """Its interval is a point; zero is zero for certain, anything else is not."""
    assert Estimate(value=2.0, se=0.0, df=3, n=4).interval == (2.0, 2.0)
    assert Estimate(value=2.0, se=0.0, df=3, n=4).p_value == 0.0
    assert Estimate(value=0.0, se=0.0, df=3, n=4).p_value == 1.0
