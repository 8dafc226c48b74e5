"""Means, outranking and penalties against hand-made sums and the reference set."""

import itertools
import math

import numpy as np
import pytest
from asem_files import asem_tree, frame, needs_asem, rows
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.index.aggregate import aggregate, ampi_scale, arithmetic, combine, method, mpi_scale
from tidegate.index.scale import ranks
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import effective_weights, tree_from_parents, weight_vector

CASES = {"a_amean": "arithmetic", "a_gmean": "geometric", "a_hmean": "harmonic"}
POSITIVE = arrays(np.float64, (4, 3), elements=st.floats(0.5, 100))


@needs_asem
def test_single_function_cases_of_the_reference_set():
    """Every mean in the list, gaps included."""
    seen = 0
    for case in rows("function_cases"):
        if not case["fn"].startswith("a_"):
            continue
        seen += 1
        given_ = dict(part.split("=") for part in case["params"].split(";"))
        values = np.array([[float(x) if x != "NA" else math.nan for x in case["x"].split(";")]])
        weights = np.array([float(w) for w in given_["w"].split(",")])
        mean = method(CASES.get(case["fn"], f"power:{given_.get('p')}"))
        assert mean(values, weights)[0] == pytest.approx(float(case["expected"]), rel=1e-12)
    assert seen >= 12


@needs_asem
@pytest.mark.parametrize(
    ("normalised", "name", "expected"),
    [
        ("step5_normalised_minmax_0_100", "arithmetic", "step6_aggregated_amean"),
        ("variant_normalised_zscore_10_2", "arithmetic", "variant_zscore_amean_aggregated"),
    ],
)
def test_every_level_of_the_reference_chain(normalised, name, expected):
    tree, weights = asem_tree()
    units, columns, values = frame(normalised)
    assert tuple(columns) == tree.indicators
    told, codes, scores = frame(expected)
    assert told == units
    found = aggregate(values, tree, weights, [method(name)])
    places = [tree.column(code) for code in codes]
    assert found[:, places] == pytest.approx(scores, rel=1e-9, abs=1e-9)


@needs_asem
def test_the_geometric_variant_of_the_reference_chain():
    """Min-max to 1..100 first: zero has no logarithm."""
    tree, weights = asem_tree()
    _, _, values = frame("step5_normalised_minmax_0_100")
    _, codes, scores = frame("variant_minmax1_100_gmean_aggregated")
    found = aggregate(1 + values * 0.99, tree, weights, [method("geometric")])
    assert found[:, [tree.column(code) for code in codes]] == pytest.approx(scores, rel=1e-9)


@needs_asem
def test_ranks_of_the_reference_results_are_exact():
    units, codes, scores = frame("step6_aggregated_amean")
    told, columns, expected = frame("step7_results_ranks")
    order = [units.index(unit) for unit in told]
    for place, column in enumerate(columns):
        assert (ranks(scores[:, codes.index(column)])[order] == expected[:, place]).all()


@needs_asem
def test_effective_weights_multiply_down_the_tree():
    tree, weights = asem_tree()
    found = effective_weights(tree, weights)
    for row in rows("effective_weights"):
        assert found[tree.column(row["iCode"])] == pytest.approx(float(row["EffWeight"]), rel=1e-12)


def naive_copeland(values, weights):
    """Pair by pair, indicator by indicator."""
    n = len(values)
    score = []
    for u in range(n):
        total = 0
        for v in range(n):
            if u == v:
                continue
            share = sum(
                w * (1.0 if a > b else 0.5 if a == b else 0.0)
                for a, b, w in zip(values[u], values[v], weights, strict=True)
            ) / sum(weights)
            total += (share > 0.5 + 1e-9) - (share < 0.5 - 1e-9)
        score.append(total)
    return score


@given(arrays(np.float64, (6, 4), elements=st.integers(0, 3).map(float)), st.permutations([1.0, 2.0, 3.0, 2.0]))
def test_copeland_is_the_count_of_duels_won_less_lost(values, weights):
    """On a whole table with weights: the reference package cannot do this (it passes the table under a wrong name)."""
    assert method("copeland")(values, np.array(weights)).tolist() == naive_copeland(values, weights)


def test_copeland_with_thirds_sees_a_tie_as_a_tie():
    values = np.array([[1.0, 0, 1, 0, 1, 0], [0.0, 1, 0, 1, 0, 1]])
    assert method("copeland")(values, np.full(6, 1 / 6)).tolist() == [0.0, 0.0]


def test_the_power_mean_leaves_gaps_out_like_every_other_mean():
    """The reference package returns missing as soon as one value is."""
    found = method("power:2")(np.array([[3.0, math.nan, 4.0]]), np.array([1.0, 5.0, 1.0]))
    assert found[0] == pytest.approx(math.sqrt((9 + 16) / 2))


@given(POSITIVE)
def test_means_are_ordered_and_inside_their_values(values):
    weights = np.array([1.0, 2.0, 0.5])
    steps = ["harmonic", "geometric", "power:0.5", "arithmetic", "power:2"]
    means = [method(name)(values, weights) for name in steps]
    for low, high in itertools.pairwise(means):
        assert (low <= high + 1e-9).all()
    assert (means[0] >= values.min(axis=1) - 1e-9).all()
    assert (means[-1] <= values.max(axis=1) + 1e-9).all()


@given(POSITIVE, st.floats(0.1, 10))
def test_only_the_relation_of_weights_matters(values, factor):
    weights = np.array([1.0, 2.0, 0.5])
    for name in ("arithmetic", "geometric", "harmonic", "power:-2", "copeland"):
        assert method(name)(values, weights * factor) == pytest.approx(method(name)(values, weights))


def test_mpi_takes_the_penalty_of_the_spread_off_the_mean():
    values = np.array([[1.0, 10.0], [2.0, 30.0], [3.0, 20.0]])
    scaled = mpi_scale(values)  # both columns: mean 2 (20), sd 1 (10)
    assert scaled.tolist() == [[90.0, 90.0], [100.0, 110.0], [110.0, 100.0]]
    mpi = method("mpi")(scaled, np.ones(2))
    assert mpi.tolist() == pytest.approx([90.0, 105 - 25 / 105, 105 - 25 / 105])
    assert method("mpi-negative")(scaled, np.ones(2))[1] == pytest.approx(105 + 25 / 105)


def test_ampi_scale_turns_a_negative_indicator_round():
    scaled = ampi_scale(np.array([[0.0, 0.0], [5.0, 10.0]]), np.zeros(2), np.full(2, 10.0), np.array([1.0, -1.0]))
    assert scaled.tolist() == [[70.0, 130.0], [100.0, 70.0]]


def test_a_unit_below_the_threshold_has_no_score():
    values = np.array([[1.0, math.nan, math.nan], [1.0, 3.0, math.nan], [math.nan, math.nan, math.nan]])
    weights = np.array([2.0, 1.0, 1.0])
    assert combine(values, weights, arithmetic, 2 / 3).tolist() == pytest.approx(
        [math.nan, 5 / 3, math.nan], nan_ok=True
    )
    by_weight = combine(values, weights, arithmetic, 0.5, "weight")
    assert by_weight.tolist() == pytest.approx([1.0, 5 / 3, math.nan], nan_ok=True)
    assert np.isnan(combine(values, weights, arithmetic)[2])


def test_a_method_may_differ_by_level():
    tree = tree_from_parents(["a", "b", "c"], {"a": "g", "b": "g", "c": "h", "g": "top", "h": "top"})
    weights = weight_vector(tree, {"a": 1, "b": 1, "c": 1, "g": 3, "h": 1})
    values = np.array([[2.0, 4.0, 16.0]])
    found = aggregate(values, tree, weights, [method("arithmetic"), method("geometric")])
    assert found[0, tree.root.column] == pytest.approx((3.0**3 * 16.0) ** 0.25)


def test_runs_stacked_give_what_each_gives_alone():
    tree, random = tree_from_parents(list("abc"), {"a": "g", "b": "g", "g": "i", "c": "i"}), np.random.default_rng(5)
    values, weights = random.random((7, 5, 3)) + 0.1, random.random((7, 5))
    stacked = aggregate(values, tree, weights, [method("geometric")])
    for run in range(7):
        assert stacked[run] == pytest.approx(aggregate(values[run], tree, weights[run], [method("geometric")]))


def test_refusals_name_the_value_and_the_mend():
    with pytest.raises(IndexRefusal, match=r"row 1, column 0 holds 0.*1-100"):
        method("geometric")(np.array([[1.0, 2.0], [0.0, 1.0]]), np.ones(2))
    with pytest.raises(IndexRefusal, match="circle through g, h"):
        tree_from_parents(["a"], {"a": "g", "g": "h", "h": "g"})
    with pytest.raises(IndexRefusal, match="Weight of 'a' is -1"):
        weight_vector(tree_from_parents(["a", "b"], {"a": "i", "b": "i"}), {"a": -1.0, "b": 1.0})
    with pytest.raises(IndexRefusal, match="No aggregation 'median'; there are arithmetic"):
        method("median")
