"""The fast steps on many runs give what the plain steps give on one column: same formulas, two hands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.index import normalise as plain
from tidegate.index import stack
from tidegate.index.outliers import Treatment, treat_column

columns = st.lists(
    st.one_of(st.integers(-30, 30), st.integers(-5000, 5000), st.just(None)), min_size=5, max_size=30
).filter(lambda xs: len({x for x in xs if x is not None}) > 1)


def vector(xs: list[int | None]) -> np.ndarray:
    return np.array([np.nan if x is None else float(x) for x in xs])


@given(xs=columns, most=st.integers(0, 6))
def test_winsorising_of_many_runs_is_that_of_one(xs: list[int | None], most: int) -> None:
    x = vector(xs)
    expected, _, _ = treat_column(x, Treatment(winsorise_max=most))
    found = stack.winsorise(most)(np.stack([x, x])[:, :, None])
    np.testing.assert_allclose(found[0, :, 0], expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("direction", [1, -1])
@given(xs=columns)
def test_normalising_of_many_runs_is_that_of_one(direction: int, xs: list[int | None]) -> None:
    x = vector(xs)
    runs, turn = x[None, :, None], np.array([float(direction)])
    for step, expected in (
        (stack.minmax(1, 100, turn), plain.min_max(direction * x, 1, 100)),
        (stack.zscore(10, 2, turn), plain.z_score(direction * x, 10, 2)),
        (stack.rank_share(turn), 100 * plain.percentile(direction * x)),
    ):
        found = step(runs)[0, :, 0]
        if step.__qualname__.startswith("rank_share"):  # equal values share the better place there, the worse one here
            once = np.array([np.isnan(y) or list(x).count(y) == 1 for y in x])
            found, expected = found[once], expected[once]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@given(xs=st.lists(st.integers(1, 10_000), min_size=3, max_size=20))
def test_ratios_of_many_runs_are_those_of_one(xs: list[int]) -> None:
    x = np.array([*xs, 10_001.0])
    for step, expected in (
        (stack.leader(), plain.ratio(x)),
        (stack.leader(0.5), plain.root_ratio(x)),
        (stack.log_ratio(0.5), plain.log_ratio(x, 0.5)),
    ):
        np.testing.assert_allclose(step(x[None, :, None])[0, :, 0], 100 * expected, rtol=1e-9, atol=1e-12)
