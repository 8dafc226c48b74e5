"""Our estimates against statsmodels, linearmodels and pyfixest, to 1e-8. They are installed by `make oracles` only."""

import warnings

import numpy as np
import pytest

from study.regression_data import cross_section, unbalanced_panel
from tidegate.study.regression import least_squares, mean_estimate, panel, wilson, without_singletons

CLOSE = 1e-8


@pytest.mark.parametrize("robust", ["HC1", "HC3"])
@pytest.mark.parametrize("weighted", [False, True])
def test_least_squares_is_statsmodels(robust: str, weighted: bool) -> None:
    """Coefficients, covariance, intervals, p-values and R2, unweighted and weighted."""
    statsmodels = pytest.importorskip("statsmodels.api")
    y, x, weights = cross_section()
    model = statsmodels.WLS(y, x, weights=weights) if weighted else statsmodels.OLS(y, x)
    theirs = model.fit(cov_type=robust, use_t=True)

    ours = least_squares(y, x, weights=weights if weighted else None, robust=robust)  # type: ignore[arg-type]

    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=CLOSE)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=CLOSE, atol=1e-14)
    for place in (0, 1):
        found = ours.estimate(place)
        np.testing.assert_allclose(found.interval, theirs.conf_int()[place], rtol=CLOSE)
        assert found.p_value == pytest.approx(theirs.pvalues[place], rel=1e-6, abs=1e-14)
    assert ours.r2 == pytest.approx(theirs.rsquared, rel=CLOSE)


def test_the_panel_is_pyfixest() -> None:
    """Two-way effects, singletons dropped, errors clustered by unit, with fixest's small-sample factors."""
    pyfixest = pytest.importorskip("pyfixest")
    pandas = pytest.importorskip("pandas")
    y, x, units, times = unbalanced_panel()
    data = pandas.DataFrame({"y": y, "a": x[:, 0], "b": x[:, 1], "unit": units, "time": times})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says which singletons it drops
        theirs = pyfixest.feols("y ~ a + b | unit + time", data, vcov={"CRV1": "unit"})

    ours = panel(y, x, units, times)

    np.testing.assert_allclose(ours.coefficients, theirs.coef().to_numpy(), rtol=CLOSE)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.covariance)), theirs.se().to_numpy(), rtol=CLOSE)
    np.testing.assert_allclose([ours.estimate(k).interval for k in (0, 1)], theirs.confint().to_numpy(), rtol=1e-7)
    assert ours.n == theirs._N


def test_the_panel_is_linearmodels() -> None:
    """The same coefficients; its covariance differs by its own factor, which counts every effect."""
    linearmodels = pytest.importorskip("linearmodels")
    pandas = pytest.importorskip("pandas")
    y, x, units, times = unbalanced_panel()
    keep = without_singletons(units, times)
    y, x, units, times = y[keep], x[keep], units[keep], times[keep]
    data = pandas.DataFrame({"y": y, "a": x[:, 0], "b": x[:, 1], "unit": units, "time": times})
    indexed = data.set_index(["unit", "time"])
    model = linearmodels.PanelOLS(indexed.y, indexed[["a", "b"]], entity_effects=True, time_effects=True)
    theirs = model.fit(cov_type="clustered", cluster_entity=True, debiased=False)

    ours = panel(y, x, units, times)

    np.testing.assert_allclose(ours.coefficients, theirs.params.to_numpy(), rtol=CLOSE)
    n, n_units, n_times = len(y), len(set(units)), len(set(times))
    our_factor = (n - 1) / (n - 2 - n_times) * n_units / (n_units - 1)
    their_factor = n / (n - n_units - n_times + 1)
    np.testing.assert_allclose(ours.covariance / our_factor, theirs.cov.to_numpy() / their_factor, rtol=CLOSE)
    assert ours.r2 == pytest.approx(theirs.rsquared, rel=CLOSE)


def test_the_mean_is_a_regression_on_a_constant() -> None:
    """statsmodels' plain standard error of a mean."""
    statsmodels = pytest.importorskip("statsmodels.api")
    y, _, _ = cross_section()
    theirs = statsmodels.OLS(y, np.ones(len(y))).fit()

    ours = mean_estimate(y)

    assert (ours.value, ours.se) == pytest.approx((theirs.params[0], theirs.bse[0]), rel=CLOSE)
    assert ours.interval == pytest.approx(tuple(theirs.conf_int()[0]), rel=CLOSE)


@pytest.mark.parametrize(("successes", "n"), [(0, 8), (3, 8), (8, 8), (120, 1000)])
def test_the_interval_of_a_share_is_statsmodels_wilson(successes: int, n: int) -> None:
    """At the ends too, where the plain interval would have no width."""
    proportion = pytest.importorskip("statsmodels.stats.proportion")

    assert wilson(successes, n) == pytest.approx(
        proportion.proportion_confint(successes, n, method="wilson"), rel=CLOSE, abs=1e-12
    )
