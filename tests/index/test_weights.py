"""Weight sets: what people decide, what data suggest, and when a method refuses to call its numbers weights."""

import itertools
import math

import numpy as np
import pytest
from asem_files import frame, needs_asem
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.index.importance import importances, main_effect
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import effective_weights, tree_from_parents
from tidegate.index.weights import Expert, budget_weights, count_weights, equal_weights, with_weights
from tidegate.index.weights_balance import balance_weights
from tidegate.index.weights_bod import benefit_of_doubt
from tidegate.index.weights_data import DATA_WEIGHTS, data_weights
from tidegate.index.weights_pca import factor_weights, pca_weights, principal_components, varimax

TREE = tree_from_parents(list("abc"), {"a": "g", "b": "g", "c": "h", "g": "i", "h": "i"})
CONN = ["Physical", "ConEcFin", "Political", "Instit", "P2P"]
SUST = ["Environ", "Social", "SusEcFin"]


def pillars(names: list[str]) -> np.ndarray:
    _, codes, scores = frame("step6_aggregated_amean")
    return scores[:, [codes.index(name) for name in names]]


def test_by_count_every_indicator_weighs_the_same_and_by_equal_every_group():
    assert effective_weights(TREE, count_weights(TREE))[:3] == pytest.approx([1 / 3] * 3)
    assert effective_weights(TREE, equal_weights(TREE))[:3] == pytest.approx([0.25, 0.25, 0.5])


def test_budgets_of_different_size_count_the_same():
    assert budget_weights(np.array([[1.0, 3.0], [50.0, 50.0]])).tolist() == pytest.approx([0.375, 0.625])
    with pytest.raises(IndexRefusal, match="Person 1 gives nothing"):
        budget_weights(np.array([[1.0, 3.0], [0.0, 0.0]]))


def test_a_changed_weight_is_checked():
    assert with_weights(TREE, equal_weights(TREE), {"a": 2.5})[0] == 2.5
    with pytest.raises(IndexRefusal, match=r"Weight of 'a' is -0\.5"):
        with_weights(TREE, equal_weights(TREE), {"a": -0.5})


def test_experts_intervals_hold_every_draw_and_fill_the_whole_set():
    expert = Expert(low=np.array([0.1, 0.2, 0.0]), high=np.array([0.6, 0.7, 0.3]))
    assert expert.central().sum() == pytest.approx(1.0)
    drawn = expert.draw(3000, seed=1)
    assert drawn.sum(axis=1) == pytest.approx(1.0)
    assert (drawn >= expert.low - 1e-9).all()
    assert (drawn <= expert.high + 1e-9).all()
    even = np.random.default_rng(0).dirichlet(np.ones(3), 200000)  # rejection: slow, obviously right
    even = even[((even >= expert.low) & (even <= expert.high)).all(axis=1)]
    assert drawn.mean(axis=0) == pytest.approx(even.mean(axis=0), abs=0.01)
    assert drawn.std(axis=0) == pytest.approx(even.std(axis=0), abs=0.01)


def test_intervals_that_no_shares_meet_are_refused():
    with pytest.raises(IndexRefusal, match=r"lower ends sum to 1\.2"):
        Expert(low=np.array([0.6, 0.6]), high=np.array([0.9, 0.9]))


@needs_asem
@pytest.mark.parametrize(
    ("names", "loadings"),
    [(CONN, [0.5118, 0.3050, 0.3548, 0.5082, 0.5108]), (SUST, [0.6513, -0.7444, 0.1473])],
)
def test_first_loadings_published_for_the_reference_set(names, loadings):
    found = principal_components(pillars(names)).loadings[:, 0]
    assert found * np.sign(found[0]) == pytest.approx(loadings, abs=5e-5)


@needs_asem
def test_loadings_of_both_signs_are_reported_not_used():
    assert pca_weights(pillars(CONN), tuple(CONN)).sum() == pytest.approx(1.0)
    with pytest.raises(IndexRefusal, match=r"Environ -0\.651.*no weights"):
        pca_weights(pillars(SUST), tuple(SUST))


def test_components_are_eigenvectors_and_explain_everything_together():
    values = np.random.default_rng(1).random((30, 4)) @ np.diag([1, 5, 20, 3])
    found = principal_components(values)
    matrix = np.corrcoef(values.T)
    for column, size in enumerate(found.eigenvalues):
        assert matrix @ found.loadings[:, column] == pytest.approx(size * found.loadings[:, column])
    assert found.explained.sum() == pytest.approx(1.0)


def test_varimax_keeps_what_each_column_shares_and_sharpens_two_clear_factors():
    mixed = np.array([[0.9, 0.0], [0.8, 0.0], [0.0, 0.7], [0.0, 0.9]])
    angle = 0.6
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    found = varimax(mixed @ turn)
    assert np.square(found).sum(axis=1) == pytest.approx(np.square(mixed).sum(axis=1))
    assert np.sort(np.abs(found), axis=1)[:, 0] == pytest.approx(np.zeros(4), abs=1e-6)


def test_factor_weights_of_two_equal_blocks_are_equal():
    random = np.random.default_rng(3)
    one, two = random.standard_normal((2, 400))
    values = np.stack([one, one, two, two], axis=1) + 0.05 * random.standard_normal((400, 4))
    assert factor_weights(values) == pytest.approx([0.25] * 4, abs=0.02)


@needs_asem
def test_balance_converges_where_the_reference_stops_early():
    """Published there: 0.390 and 0.610, and 0.3853 and 0.6147 when it is run to the end."""
    found = balance_weights(pillars(["Conn", "Sust"]), np.ones(2))
    assert found.weights == pytest.approx([0.3853, 0.6147], abs=1e-4)
    assert found.obtained == pytest.approx([0.5, 0.5], abs=1e-4)


@needs_asem
def test_balance_weights_are_never_negative_and_their_correlations_are_their_own():
    """The reference package searches without constraint (-0.22 to 0.54 here) and reports its last trial."""
    values = pillars(CONN + SUST)
    found = balance_weights(values, np.ones(8))
    assert (found.weights >= 0).all()
    assert found.weights.sum() == pytest.approx(1.0)
    index = values @ found.weights
    again = np.array([np.corrcoef(values[:, g], index)[0, 1] for g in range(8)])
    assert found.correlations == pytest.approx(again)
    assert found.distance == pytest.approx(((again / again.sum() - 1 / 8) ** 2).sum())
    for other in np.random.default_rng(1).dirichlet(np.ones(8), 300):
        r = np.array([np.corrcoef(values[:, g], values @ other)[0, 1] for g in range(8)])
        assert ((r / r.sum() - 1 / 8) ** 2).sum() >= found.distance - 1e-9


def test_benefit_of_the_doubt_by_hand():
    values = np.array([[1.0, 1.0], [2.0, 0.5], [1.0, 2.0]])
    found = benefit_of_doubt(values, None, None)
    # Frontier from (2, 0.5) to (1, 2): the line w1 = 3/7, w2 = 2/7 goes through both.
    assert found.scores == pytest.approx([5 / 7, 1.0, 1.0])
    fixed = benefit_of_doubt(values, np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    for row, score in zip(values, fixed.scores, strict=True):
        inner = 0.5 / row  # half of the score from each column: w = score * 0.5 / x
        assert score == pytest.approx(1 / max(other @ inner for other in values))


@needs_asem
def test_without_limits_twenty_of_51_countries_reach_one():
    values = pillars(CONN + SUST)
    assert (benefit_of_doubt(values, None, None).scores > 1 - 1e-9).sum() == 20
    limited = benefit_of_doubt(values, np.full(8, 0.05), np.full(8, 0.3))
    assert (limited.scores > 1 - 1e-9).sum() < 10
    share = limited.weights * values / (limited.weights * values).sum(axis=1, keepdims=True)
    assert share.min() > 0.05 - 1e-6
    assert share.max() < 0.3 + 1e-6


def test_limits_that_no_shares_meet_are_refused():
    with pytest.raises(IndexRefusal, match=r"lower ones sum to 1\.2"):
        benefit_of_doubt(np.ones((2, 2)), np.array([0.6, 0.6]), None)


def test_data_driven_weights_by_plain_loops():
    values = np.array([[0.2, 0.9, 0.5], [0.4, 0.8, 0.1], [1.0, 0.7, 0.9], [0.6, 0.6, 0.3]])
    n, m = values.shape
    total = [sum(values[:, j]) for j in range(m)]
    entropy = [1 + sum(x / total[j] * math.log(x / total[j]) for x in values[:, j]) / math.log(n) for j in range(m)]
    gini = [
        sum(abs(a - b) for a, b in itertools.product(values[:, j], repeat=2)) / (2 * n * n * total[j] / n)
        for j in range(m)
    ]
    spread = [float(np.std(values[:, j], ddof=1)) for j in range(m)]
    r = np.corrcoef(values.T)
    critic = [spread[j] * sum(1 - r[j, k] for k in range(m)) for j in range(m)]
    logs = [[abs(math.log(min(values[:, j]) / values[u, j])) for j in range(m)] for u in range(n)]
    merec = [
        sum(
            abs(math.log(1 + sum(logs[u][k] for k in range(m) if k != j) / m) - math.log(1 + sum(logs[u]) / m))
            for u in range(n)
        )
        for j in range(m)
    ]
    by_hand = {"entropy": entropy, "gini": gini, "deviation": spread, "critic": critic, "merec": merec}
    for name, raw in by_hand.items():
        assert data_weights(values, name) == pytest.approx([x / sum(raw) for x in raw]), name


@settings(max_examples=40)
@given(arrays(np.float64, (6, 3), elements=st.floats(0.05, 1.0)), st.sampled_from(sorted(DATA_WEIGHTS)))
def test_data_driven_weights_are_shares(values, name):
    if (np.ptp(values, axis=0) < 1e-6).any():
        return
    weights = data_weights(values, name)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= -1e-12).all()


def test_a_groups_effect_on_the_index_is_not_its_weight():
    random = np.random.default_rng(8)
    tree = tree_from_parents(["a", "b"], {"a": "i", "b": "i"})
    values = random.standard_normal((500, 2)) * [10.0, 1.0]
    table = np.c_[values, values.mean(axis=1)]
    found = {held.code: held for held in importances(table, tree, np.ones(3), ("a", "b"))}
    assert (found["a"].weight, found["b"].weight) == (0.5, 0.5)
    assert found["a"].effect == pytest.approx(100 / 101, abs=0.02)
    assert found["b"].effect == pytest.approx(1 / 101, abs=0.03)
    assert found["a"].n == 500


def test_an_effect_sees_a_curve_that_a_correlation_does_not():
    x = np.linspace(-1, 1, 101)
    assert abs(np.corrcoef(x, x**2)[0, 1]) < 1e-9
    assert main_effect(x, x**2) > 0.97
    with pytest.raises(IndexRefusal, match="10 units or more, not 9"):
        main_effect(x[:9], x[:9])
