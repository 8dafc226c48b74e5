"""Many runs at once against the recorded runs of the reference design, and against one run after another."""

import itertools
import math
import time

import msgspec
import numpy as np
import pytest
from asem_files import asem_tree, frame, needs_asem, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.index.aggregate import method
from tidegate.index.choices import (
    Choice,
    Input,
    Model,
    dirichlet_weights,
    nominal,
    perturbed_weights,
    random_draws,
    scores,
    with_errors,
)
from tidegate.index.normalise import min_max, percentile, ratio, z_score
from tidegate.index.outliers import Treatment, treat_column
from tidegate.index.scale import ranks
from tidegate.index.stack import leader, log_ratio, minmax, rank_share, winsorise, zscore
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import tree_from_parents
from tidegate.index.uncertainty import above, mean_rank_shift, rank_probability, summarise, vary

TREE = tree_from_parents(list("abc"), {"a": "g", "b": "g", "c": "i", "g": "i"})
WEIGHTS = np.array([1.0, 3.0, 1.0, 1.0, 1.0])
TABLE = np.array([[1.0, 5.0, 2.0], [4.0, 1.0, 3.0], [2.0, 2.0, 9.0], [8.0, 3.0, 1.0]])
SMALL = arrays(np.float64, (9, 4), elements=st.integers(0, 6).map(float))


def reference_model() -> tuple[Model, np.ndarray]:
    """The design of the reference set as a model, and its recorded option numbers."""
    tree, weights = asem_tree()
    meta = {row["iCode"]: row for row in rows("iMeta")}
    direction = np.array([float(meta[code]["Direction"]) for code in tree.indicators])
    sets = np.repeat(weights[None], 101, axis=0)
    for row in rows("sa_weight_sets"):
        sets[int(row["weight_set"]), tree.column(row["iCode"])] = float(row["Weight"])
    winmax, norms, means = ["5", "1", "2", "3", "4"], ["minmax_1_100", "zscore_10_2"], ["a_amean", "a_gmean"]
    model = Model(
        tree=tree,
        starts=(Choice("imputation", ("group mean",)),),
        inputs={("group mean",): Input(values=frame("step2_imputed_groupmean")[2])},
        stages=(
            ("treatment", {points: winsorise(int(points)) for points in winmax}),
            ("normalisation", dict(zip(norms, [minmax(1, 100, direction), zscore(10, 2, direction)], strict=True))),
        ),
        aggregations={"a_amean": (method("arithmetic"),), "a_gmean": (method("geometric"),)},
        weight_sets=sets,
    )
    draws = [
        [
            0,
            winmax.index(row["winmax"]),
            norms.index(row["normalisation"]),
            means.index(row["aggregation"]),
            int(row["weight_set"]),
        ]
        for row in rows("sa_design_and_output")
    ]
    return model, np.array(draws)


@needs_asem
def test_all_384_recorded_runs_come_out_exactly():
    model, draws = reference_model()
    found = scores(model, draws)
    units, columns, told = frame("sa_scores_runs_1_12")
    assert pytest.approx(told[:, 1:], rel=1e-9) == found[:12].T
    start = told[:, columns.index("Nominal")]
    shifts = mean_rank_shift(found, start)
    assert shifts.tolist() == [float(row["mean_abs_rank_change"]) for row in rows("sa_design_and_output")]
    summary = summarise(found[:128], start).rank  # the reference sums up samples A and B only
    _, stats, expected = frame("sa_rank_stats")
    for name, values in zip(stats, summary_columns(summary), strict=True):
        assert values == pytest.approx(expected[:, stats.index(name)], rel=1e-9), name
    assert len(units) == 51


def summary_columns(summary):
    return summary.nominal, summary.mean, summary.median, summary.low, summary.high


@needs_asem
def test_treatment_and_normalisation_of_a_stack_equal_the_reference_steps():
    _, _, imputed = frame("step2_imputed_groupmean")
    _, _, treated = frame("step4_treated")
    stack = winsorise(5, 2.0, 3.5)(np.stack([imputed, imputed]))
    assert stack[1] == pytest.approx(treated, rel=1e-9)


def test_the_log_that_follows_failed_winsorising_is_applied():
    """Whatever the step computes must be in what it returns."""
    column = np.array([[1.0], [1.1], [1.2], [1.3], [1.4], [1.5], [1.6], [400.0], [900.0], [5000.0], [90000.0], [1e8]])
    found = winsorise(0)(column)
    shift = 0.01 * (1e8 - 1.0)
    assert found[:, 0] == pytest.approx([math.log(x - 1.0 + shift) for x in column[:, 0]])


@given(SMALL)
def test_a_stack_of_runs_is_each_run_by_itself(values):
    stack = np.stack([values, values[::-1], values * 2 + 1])
    for step in (winsorise(3), rank_share()):
        for run in range(3):
            np.testing.assert_allclose(step(stack)[run], step(stack[run : run + 1])[0])


@given(SMALL)
def test_winsorising_moves_points_inwards_only_or_keeps_their_order(values):
    treated = winsorise(2)(values)
    for before, after in zip(values.T, treated.T, strict=True):
        order = np.argsort(before, kind="stable")
        assert (np.diff(after[order]) >= -1e-12).all()


def test_normalisations_by_hand():
    column = np.array([[2.0], [8.0], [4.0]])
    assert leader()(column)[:, 0].tolist() == [25.0, 100.0, 50.0]
    assert leader(0.5)(column)[:, 0].tolist() == pytest.approx([50.0, 100.0, 100 * math.sqrt(0.5)])
    assert log_ratio(1.0)(column)[:, 0].tolist() == pytest.approx([100 / 3, 100.0, 200 / 3])
    assert rank_share()(column)[:, 0].tolist() == [0.0, 100.0, 50.0]
    assert rank_share(np.array([-1.0]))(column)[:, 0].tolist() == [100.0, 0.0, 50.0]
    assert minmax(0, 1, np.array([-1.0]))(column)[:, 0].tolist() == pytest.approx([1.0, 0.0, 2 / 3])
    assert zscore(0, 1)(np.array([[1.0], [2.0], [3.0]]))[:, 0].tolist() == [-1.0, 0.0, 1.0]


def test_a_constant_column_is_refused_not_divided_by_zero():
    with pytest.raises(IndexRefusal, match="column 1 is constant"):
        minmax()(np.array([[1.0, 2.0], [3.0, 2.0]]))


def small_model(**changes) -> Model:
    given_ = {
        "tree": TREE,
        "starts": (Choice("source", ("one", "two")),),
        "inputs": {("one",): Input(values=TABLE), ("two",): Input(values=TABLE**2)},
        "stages": (("normalisation", {"leader": leader(), "root": leader(0.5)}),),
        "aggregations": {"arithmetic": (method("arithmetic"),), "geometric": (method("geometric"),)},
        "weight_sets": perturbed_weights(TREE, WEIGHTS, 20, seed=4),
    }
    return Model(**{**given_, **changes})


def test_a_run_is_what_its_options_say_computed_by_hand():
    model = small_model(leader=True)
    draws = np.array([[1, 1, 1, 7]])
    weights = model.weight_sets[7]
    index = []
    for row in TABLE**2:
        z = [100 * math.sqrt(x / top) for x, top in zip(row, (TABLE**2).max(axis=0), strict=True)]
        group = (weights[0] * math.log(z[0]) + weights[1] * math.log(z[1])) / (weights[0] + weights[1])
        index.append(math.exp((weights[2] * math.log(z[2]) + weights[3] * group) / (weights[2] + weights[3])))
    expected = [100 * x / max(index) for x in index]
    assert scores(model, draws)[0] == pytest.approx(expected)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    model = small_model(
        inputs=dict.fromkeys([("one",), ("two",)], Input(values=TABLE, cv=TABLE * 0.05)), error_draws=50
    )
    one, again, other = vary(model, 300, 1), vary(model, 300, 1), vary(model, 300, 2)
    assert (one.score.mean == again.score.mean).all()
    assert (one.score.mean != other.score.mean).any()


def test_the_nominal_index_is_the_first_option_of_everything():
    model = small_model()
    z = TABLE / TABLE.max(axis=0) * 100
    assert nominal(model) == pytest.approx(0.5 * (0.25 * z[:, 0] + 0.75 * z[:, 1]) + 0.5 * z[:, 2])


def test_every_option_is_drawn_equally_often():
    draws = random_draws(small_model(), 8000, seed=9)
    assert abs((draws[:, 0] == 0).mean() - 0.5) < 0.02
    assert abs((draws[:, 3] == 5).mean() - 1 / 20) < 0.01


def test_data_errors_keep_the_mean_and_have_the_stated_spread():
    start = Input(values=np.full((1, 1), 10.0), cv=np.full((1, 1), 0.3))
    drawn = with_errors(start, np.arange(20000), seed=3).ravel()
    assert drawn.mean() == pytest.approx(10.0, abs=0.08)
    assert drawn.std() / drawn.mean() == pytest.approx(0.3, abs=0.01)
    assert (with_errors(start, np.array([7]), 3) == drawn[7]).all()


def test_errors_of_one_provider_go_together_and_those_of_two_do_not():
    cv = np.full((1, 3), 0.2)
    start = Input(values=np.full((1, 3), 10.0), cv=cv, source=np.array([0, 0, 1]), dependence=0.6)
    drawn = np.log(with_errors(start, np.arange(20000), seed=1)[:, 0])
    r = np.corrcoef(drawn.T)
    assert r[0, 1] == pytest.approx(0.6, abs=0.02)
    assert r[0, 2] == pytest.approx(0.0, abs=0.02)
    with pytest.raises(IndexRefusal, match="no provider is given"):
        Input(values=cv, cv=cv, dependence=0.5)


def test_a_bound_is_drawn_evenly_inside_and_an_exact_cell_stays():
    start = Input(values=np.array([[1.0, 5.0]]), low=np.array([[0.0, 5.0]]), high=np.array([[2.0, 5.0]]))
    drawn = with_errors(start, np.arange(5000), seed=1)
    assert (drawn[:, 0, 1] == 5.0).all()
    assert 0 <= drawn[:, 0, 0].min() < 0.02 < 1.98 < drawn[:, 0, 0].max() <= 2
    assert np.quantile(drawn[:, 0, 0], 0.25) == pytest.approx(0.5, abs=0.04)


def test_weights_vary_within_their_part_and_a_dirichlet_sums_to_one():
    quarter = perturbed_weights(TREE, WEIGHTS, 500, seed=1)
    assert ((quarter >= 0.75 * WEIGHTS) & (quarter <= 1.25 * WEIGHTS)).all()
    assert (quarter[0] == WEIGHTS).all()
    near = dirichlet_weights(TREE, WEIGHTS, 4000, seed=1, concentration=100)
    assert near[1:, :2].sum(axis=1) == pytest.approx(1.0)
    assert near[1:, 1].mean() == pytest.approx(0.75, abs=0.01)
    even = dirichlet_weights(TREE, WEIGHTS, 4000, seed=1)
    assert even[1:, 1].mean() == pytest.approx(0.5, abs=0.02)


def test_rank_probabilities_and_who_is_above_whom_by_counting():
    found = np.array([[3.0, 2.0, 1.0], [3.0, 3.0, 1.0], [1.0, 2.0, 3.0], [math.nan, 2.0, 1.0]])
    assert rank_probability(ranks(found)).tolist() == [[0.5, 0.0, 0.25], [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]]
    assert above(found)[0, 1] == pytest.approx((1 + 0.5 + 0) / 3)
    assert above(found)[1, 2] == pytest.approx(3 / 4)


def test_a_unit_without_a_score_has_no_interval_and_disturbs_no_other():
    gap = TABLE.copy()
    gap[1, 2] = math.nan
    inputs = dict.fromkeys([("one",), ("two",)], Input(values=gap, cv=np.full(gap.shape, 0.1)))
    model = small_model(inputs=inputs, error_draws=20, threshold=1.0, leader=True)
    found = vary(model, 50, seed=1)
    assert np.isnan(found.score.mean).tolist() == [False, True, False, False]
    assert np.isnan(found.rank.high).tolist() == [False, True, False, False]
    assert found.rank_probability.sum(axis=1).tolist() == pytest.approx([1, 0, 1, 1])
    assert not np.isnan(mean_rank_shift(np.array([[3.0, math.nan, 1.0]]), np.array([1.0, 2.0, math.nan]))).any()


@given(arrays(np.float64, (30, 5), elements=st.integers(0, 9).map(float)))
def test_one_of_two_units_is_above(found):
    share = above(found)
    assert share + share.T == pytest.approx(np.ones((5, 5)))
    assert rank_probability(ranks(found)).sum(axis=1) == pytest.approx(np.ones(5))


def test_a_weight_below_zero_and_an_empty_experiment_are_refused():
    with pytest.raises(IndexRefusal, match="Weight set 1 has a weight below 0 for 'b'"):
        small_model(weight_sets=np.array([WEIGHTS, [1.0, -1.0, 1.0, 1.0, 1.0]]))
    with pytest.raises(IndexRefusal, match="0 runs"):
        vary(small_model(), 0, 1)


@settings(max_examples=40)
@given(arrays(np.float64, (12, 3), elements=st.one_of(st.integers(0, 9).map(float), st.floats(1, 1e6))))
def test_steps_on_a_stack_equal_the_steps_on_one_table(values):
    """Two implementations of the same formulas: one column at a time, and all columns of all runs at once."""
    for points, name in itertools.product((0, 2, 5), ("log_ct", "log_ct_plus")):
        spec = Treatment(winsorise_max=points, then=name)
        expected = np.stack([treat_column(column, spec)[0] for column in values.T], axis=1)
        found = winsorise(points, mirror=name == "log_ct_plus")(values[None])[0]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    if (np.ptp(values, axis=0) > 0).all():
        np.testing.assert_allclose(minmax(1, 100)(values), min_max(values, 1, 100), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(zscore(10, 2)(values), z_score(values, 10, 2), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(rank_share()(values) / 100, percentile(values), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(leader()(values) / 100, ratio(values), rtol=1e-9, atol=1e-9)


@needs_asem
@pytest.mark.slow
def test_ten_thousand_runs_with_an_error_on_every_figure_take_under_twenty_seconds():
    """51 countries, 49 indicators; treatment and normalisation are redone in every run. Measured: 4.5 s."""
    model, _ = reference_model()
    start = Input(values=model.inputs[("group mean",)].values, cv=np.full((51, 49), 0.1))
    sets = perturbed_weights(model.tree, model.weight_sets[0], 10000, seed=1)
    varied = msgspec.structs.replace(
        model, inputs={("group mean",): start}, weight_sets=sets, error_draws=10000, seed=2
    )
    begun = time.perf_counter()
    found = vary(varied, 10000, seed=3)
    assert time.perf_counter() - begun < 20
    assert found.rank_probability.sum(axis=1) == pytest.approx(np.ones(51))
