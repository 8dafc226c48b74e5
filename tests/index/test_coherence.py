"""Correlations, Cronbach's alpha and leaving out, against the reference set and against scipy or hand sums."""

import math

import numpy as np
import pytest
from asem_files import asem_tree, frame, needs_asem, rows
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from tidegate.index.aggregate import aggregate, method
from tidegate.index.backtest import backtest
from tidegate.index.coherence import coherence, cronbach_alpha, pairs_in_groups, pairs_with_parent, with_denominators
from tidegate.index.correlate import correlation_matrix, kendall, pearson, spearman
from tidegate.index.dropone import drop_each, drop_units, sources, without
from tidegate.index.framework import Framework, Group, Indicator
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import tree_from_parents, weight_vector

COLUMN = arrays(np.float64, 12, elements=st.integers(0, 5).map(float))


@given(COLUMN, COLUMN)
def test_correlations_equal_scipys(x, y):
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert math.isnan(pearson(x, y))
        return
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_a_gap_leaves_the_pair_out_and_two_pairs_are_no_correlation():
    x = np.array([1.0, 2.0, math.nan, 4.0, 9.0])
    assert pearson(x, np.array([2.0, 4.0, 100.0, 8.0, 18.0])) == pytest.approx(1.0)
    assert math.isnan(pearson(x[:4], np.array([1.0, 2.0, 3.0, math.nan])))


@needs_asem
def test_each_indicator_with_its_parent_as_in_the_reference():
    tree, weights = asem_tree()
    table = aggregate(frame("step5_normalised_minmax_0_100")[2], tree, weights, [method("arithmetic")])
    found = {(pair.group, pair.first): pair.value for pair in pairs_with_parent(table, tree)}
    for row in rows("corr_indicator_parent_pearson"):
        assert found[row["Var1"], row["Var2"]] == pytest.approx(float(row["Correlation"]), abs=1e-9)


@needs_asem
@pytest.mark.parametrize(
    ("file", "limit"), [("corr_flags_high_0.75", lambda r: r > 0.75), ("corr_flags_low_-0.5", lambda r: r < -0.5)]
)
def test_flagged_pairs_of_the_reference(file, limit):
    tree, weights = asem_tree()
    table = aggregate(frame("step5_normalised_minmax_0_100")[2], tree, weights, [method("arithmetic")])
    found = {
        (pair.group, frozenset((pair.first, pair.second))): pair.value
        for pair in pairs_in_groups(table, tree)
        if pair.first in tree.indicators and limit(pair.value)
    }
    expected = {(row["Group"], frozenset((row["Ind1"], row["Ind2"]))): float(row["Corr"]) for row in rows(file)}
    assert found == {key: pytest.approx(value, abs=1e-9) for key, value in expected.items()}


@needs_asem
def test_cronbachs_alpha_of_every_group_of_the_reference():
    tree, _ = asem_tree()
    raw, normalised = frame("step0_raw_indicators")[2], frame("step5_normalised_minmax_0_100")[2]
    _, codes, scores = frame("step6_aggregated_amean")
    composites = {node.code: node for node in tree.nodes}
    for row in rows("cronbach_alpha"):
        children = composites[row["Group"]].children
        if row["Level"] == "pillars in sub-index":
            values = scores[:, [codes.index(tree.codes[child]) for child in children]]
        else:
            values = normalised if row["Group"] == "Index" else normalised[:, list(children)]
            alpha = cronbach_alpha(raw if row["Group"] == "Index" else raw[:, list(children)])
            assert alpha == pytest.approx(float(row["alpha_raw"]), abs=1e-9)
        assert cronbach_alpha(values) == pytest.approx(float(row["alpha_normalised"]), abs=1e-9)


def test_alpha_of_identical_columns_is_one_and_of_one_column_is_refused():
    column = np.array([1.0, 3.0, 2.0, 8.0])
    assert cronbach_alpha(np.stack([column, column, column], axis=1)) == pytest.approx(1.0)
    with pytest.raises(IndexRefusal, match="two columns or more"):
        cronbach_alpha(column[:, None])


def test_findings_name_the_pair_and_how_many_units_they_rest_on():
    tree = tree_from_parents(list("abc"), {"a": "i", "b": "i", "c": "i"})
    a = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    table = np.stack([a, a * 2 + 1, -a, a], axis=1)
    found = {(f.kind, f.first, f.second): f.n for f in coherence(table, tree)}
    assert found["near duplicate", "a", "b"] == 5
    assert found["negative in group", "a", "c"] == 5
    assert found["weak with parent", "c", "i"] == 5
    size = with_denominators(table, tree, (a * 7)[:, None], ("population",))
    assert [(f.first, f.second) for f in size] == [("a", "population"), ("b", "population"), ("c", "population")]


def test_a_correlation_matrix_is_symmetric_with_ones():
    random = np.random.default_rng(2).random((20, 3))
    assert correlation_matrix(random) == pytest.approx(np.corrcoef(random.T))


@needs_asem
def test_leaving_out_each_pillar_as_in_the_reference():
    tree, weights = asem_tree()
    values = frame("step5_normalised_minmax_0_100")[2]
    told = {row["Element"]: float(row["MeanAbsRankDiff"]) for row in rows("drop_pillar_mean_abs_rank_diff")}
    _, columns, scores = frame("drop_pillar_scores")
    names = [name for name in told if name != "Nominal"]
    for found in drop_each(values, tree, weights, [method("arithmetic")], {name: [name] for name in names}):
        assert found.scores == pytest.approx(scores[:, columns.index(found.what)], rel=1e-9)
        assert found.rank_shift == told[found.what]


def test_a_source_takes_all_of_its_indicators_and_an_empty_group_goes_with_them():
    tree = tree_from_parents(list("abcd"), {"a": "g", "b": "g", "c": "h", "d": "h", "g": "i", "h": "i"})
    weights = weight_vector(tree, {"a": 1, "b": 3, "c": 1, "d": 1, "g": 2, "h": 1})
    smaller, kept_weights, kept = without(tree, weights, ["a", "b"])
    assert (smaller.codes, kept) == (("c", "d", "h", "i"), [2, 3])
    assert kept_weights.tolist() == [1, 1, 1, 1]
    values = np.array([[1.0, 2.0, 3.0, 5.0], [9.0, 9.0, 1.0, 1.0]])
    (found,) = drop_each(values, tree, weights, [method("arithmetic")], {"one source": ["a", "c"]})
    assert found.scores.tolist() == pytest.approx([(2 * 2 + 5) / 3, (2 * 9 + 1) / 3])
    with pytest.raises(IndexRefusal, match="nothing of i is left"):
        without(tree, weights, ["g", "h"])


def test_indicators_are_gathered_by_provider():
    framework = Framework(
        name="t",
        groups=(Group(code="i"),),
        indicators=tuple(
            Indicator(code=code, parent="i", unit="score", source=source)
            for code, source in (("a", "ITU"), ("b", "IMF"), ("c", "ITU"), ("d", ""))
        ),
    )
    assert sources(framework) == {"ITU": ("a", "c"), "IMF": ("b",)}


def test_without_a_unit_the_others_are_normalised_anew():
    def to_leader(values):
        return (100 * values / values.max(axis=0)).mean(axis=1)

    values = np.array([[10.0], [5.0], [1.0]])
    found = drop_units(values, ["x", "y", "z"], to_leader)
    assert found[0].scores.tolist() == pytest.approx([math.nan, 100.0, 20.0], nan_ok=True)
    assert found[0].rank_shift == 0.0


def test_backtest_by_hand():
    found = backtest(
        np.array([60.0, 30.0, 10.0, 0.0]),
        np.array([5.0, 3.0, 2.0, math.nan]),
        {"last share": np.array([0.5, 0.3, 0.2, 1.0]), "population": np.array([1.0, 1.0, 8.0, 3.0])},
        "usage",
    )
    assert found.index.distance == pytest.approx(0.1)
    assert found.index.spearman == pytest.approx(1.0)
    assert found.index.n == 3
    assert found.skill == {"last share": None, "population": pytest.approx(1 - 0.1 / 0.6)}


def test_backtest_refuses_two_units_and_negative_shares():
    with pytest.raises(IndexRefusal, match="Only 2 units"):
        backtest(np.ones(3), np.array([1.0, 2.0, math.nan]), {}, "usage")
    with pytest.raises(IndexRefusal, match="a value of -1"):
        backtest(np.array([-1.0, 2.0, 3.0]), np.ones(3), {}, "usage")
