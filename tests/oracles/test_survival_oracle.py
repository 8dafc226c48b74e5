"""Our survival curve against lifelines. It is installed by `make oracles` only."""

import numpy as np
import pytest

from study.regression_data import lifetimes
from tidegate.study.survival import kaplan_meier


def test_the_curve_and_its_band_are_lifelines() -> None:
    """Survival at each month, and the log-log interval from Greenwood's variance."""
    lifelines = pytest.importorskip("lifelines")
    months, gone = lifetimes()
    theirs = lifelines.KaplanMeierFitter(alpha=0.05).fit(months, gone)
    curve, band = theirs.survival_function_, theirs.confidence_interval_

    ours = kaplan_meier(months, gone)

    assert [step.month for step in ours] == list(range(1, int(months.max()) + 1))
    for step in ours:
        assert step.survival == pytest.approx(float(curve.loc[: step.month].iloc[-1, 0]), rel=1e-8)
        low, high = (float(value) for value in band.loc[: step.month].iloc[-1])
        np.testing.assert_allclose((step.low, step.high), (low, high), rtol=1e-8)
        assert step.at_risk == int((months >= step.month).sum())
