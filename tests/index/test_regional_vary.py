"""The regional index under other choices: the multiverse of the method's section 4.3, and what every run must keep."""

import time

import msgspec
import numpy as np
import pytest

from tidegate.index.regional import DEFAULT_MAP, Index, Spec, build
from tidegate.index.regional_backtest import regional_backtest
from tidegate.index.regional_sensitivity import dropped, sensitivity
from tidegate.index.regional_vary import Space, every_choice, factor_names, multiverse, vary, worlds
from tidegate.index.table import IndexRefusal

PUBLISHED = [100, 95, 72, 62, 48, 42, 32, 24, 18]  # the brief's table: only to measure a distance that 4.3 states


@pytest.fixture(scope="module")
def index() -> Index:
    return build(Spec(runs=2000))


def test_the_multiverse_of_20000_draws_is_that_of_the_method(index: Index) -> None:
    """First place goes to North America in 61 % of the choices and to East Asia in 37 %: data do not settle it.

    Each tolerance is half a unit of the last digit that the method states, and two standard errors of the difference
    of two runs of 20,000 draws (0.043, 0.052, 0.139 and 0.0021; 0.0033 for first places: 30 seeds).
    """
    runs = vary(index.evidence, index.framework, multiverse(DEFAULT_MAP), runs=20_000, seed=1)
    first = (runs.ranks == 1).mean(axis=0)
    assert first[1] == pytest.approx(0.61, abs=0.0143)
    assert first[0] == pytest.approx(0.37, abs=0.0143)
    miss = np.sqrt(np.square(runs.scores - np.array(PUBLISHED)).mean(axis=1))
    for at, stated, error in ((0.05, 8.3, 0.17), (0.5, 15.0, 0.2), (0.95, 30.5, 0.44)):
        assert np.quantile(miss, at) == pytest.approx(stated, abs=error)
    assert (miss < 10).mean() == pytest.approx(0.14, abs=0.011)
    triples = [(1, 2, 3), (1, 1, 4), (2, 3, 3), (3, 4, 5), (5, 6, 7), (5, 5, 7), (5, 8, 9), (6, 8, 9), (5, 9, 9)]
    assert runs.rank_quantiles().T.tolist() == [list(triple) for triple in triples]


def test_one_world_is_the_index_that_its_row_describes(index: Index) -> None:
    """A row of zeros chooses the first of everything: the index as built, by both readings of China."""
    space = Space(maps=(DEFAULT_MAP,), weighing="fixed", errors=False)
    cube = np.zeros((2, len(factor_names(index.framework))))
    cube[1, 1] = 0.99
    found = worlds(index.evidence, index.framework, space, cube)
    assert found[0] == pytest.approx(index.scores, rel=1e-12)
    assert found[1] == pytest.approx(index.other.scores, rel=1e-12)


def test_every_run_has_a_leader_at_100_and_every_region_a_rank(index: Index) -> None:
    runs = index.runs
    assert runs.scores.max(axis=1) == pytest.approx(100)
    assert runs.rank_probabilities.sum(axis=1) == pytest.approx(1)
    assert runs.above + runs.above.T == pytest.approx(np.ones((9, 9)))
    assert (runs.scores >= 0).all()


def test_the_same_seed_gives_the_same_runs_and_another_does_not(index: Index) -> None:
    again = build(index.spec).runs
    assert (again.scores == index.runs.scores).all()
    other = build(msgspec.structs.replace(index.spec, seed=7)).runs
    assert (other.scores != index.runs.scores).any()


def test_fewer_choices_give_narrower_intervals_on_the_whole(index: Index) -> None:
    """What is fixed cannot spread; a single region may still gain where the leader of a run changes."""
    wide = every_choice()
    narrow = msgspec.structs.replace(wide, normalisations=("ratio",), means=("arithmetic",), china=("telemetry",))
    spread = [np.diff(index.varied(space).quantiles((0.05, 0.95)), axis=0)[0] for space in (wide, narrow)]
    assert spread[1].sum() < spread[0].sum() / 2


def test_bounded_figures_stay_inside_their_bounds(index: Index) -> None:
    from tidegate.index.regional_columns import columns_of

    columns = columns_of(index.evidence, index.framework, index.map, "telemetry")
    gw = next(column for column in columns if column.code == "data_centre_gw")
    drawn = gw.drawn(500, np.random.default_rng(3))[:, gw.bounded]
    assert (drawn >= gw.low[gw.bounded]).all() and (drawn <= gw.high[gw.bounded]).all()
    assert drawn.std(axis=0).min() > 0


def test_a_choice_that_is_fixed_explains_nothing(index: Index) -> None:
    space = msgspec.structs.replace(every_choice(), maps=(DEFAULT_MAP,), errors=False)
    found = sensitivity(index, space, base=256, draws=50)
    at = {name: number for number, name in enumerate(found.shift.factors)}
    assert found.shift.total[at["map"]] == 0 == found.shift.total[at["data error"]]
    assert found.shift.total[at["normalisation"]] > found.shift.total[at["weight G"]]


def test_too_few_runs_and_empty_choices_are_refused(index: Index) -> None:
    with pytest.raises(IndexRefusal, match="5 runs; ask for 100"):
        vary(index.evidence, index.framework, every_choice(), runs=5)
    with pytest.raises(IndexRefusal, match="nothing to choose from for map"):
        vary(index.evidence, index.framework, Space(maps=()), runs=100)


def test_absent_groups_keep_their_weight_and_bound_the_index(index: Index) -> None:
    """0.25 for traffic and 0.05 for the correction go to nobody: the bounds are 30 points apart."""
    assert index.absent == pytest.approx({"T": 0.25, "Q": 0.05})
    assert index.partial.high - index.partial.low == pytest.approx(np.full(9, 30.0))
    a, c, s, g = (index.z[0, place] for place in range(4))
    assert index.partial.low[0] == pytest.approx(100 * (0.30 * a + 0.15 * c + 0.15 * s + 0.10 * g))


def test_every_output_says_vintage_reading_map_absence_and_interval(index: Index) -> None:
    said = " ".join(index.notes())
    for word in ("2025-H2", "telemetry", DEFAULT_MAP, "traffic (T) 25%", "expert correction (Q) 5%", "90% intervals"):
        assert word in said
    assert "survey" in " ".join(index.other.notes()) and "China 2025-12" in index.other.vintages["ai_users"]


def test_the_back_test_counts_distance_between_shares(index: Index) -> None:
    """Total variation by hand: half the sum of absolute differences."""
    found = regional_backtest(index)
    shares, truth = found.shares["index"], found.shares["truth"]
    assert sum(shares.values()) == pytest.approx(1) and sum(truth.values()) == pytest.approx(1)
    by_hand = sum(abs(shares[region] - truth[region]) for region in shares) / 2
    assert found.lines[0].distance == pytest.approx(by_hand)
    last = next(line for line in found.lines if line.predictor.startswith("last"))
    assert last.skill == pytest.approx(1 - found.lines[0].distance / last.distance)
    assert "not offered in China" in found.bias


def test_users_half_a_year_later_are_foretold_with_the_users_before(index: Index) -> None:
    """The users that the index is tested on must not be in it."""
    found = regional_backtest(index, "users")
    of = index.evidence.by_place
    share, people = of("ai_user_share", "2025-H1"), of("working_age_population", "2024")
    users: dict[str, float] = {}
    for place, percent in share.items():
        if place in people:
            region = str(index.map.region_of(place))
            users[region] = users.get(region, 0.0) + percent * people[place]
    total = sum(users[region] for region in index.regions)
    by_hand = {region: users[region] / total for region in index.regions}
    assert found.shares["last share (users, 2025-H1)"] == pytest.approx(by_hand)
    with_users_of_h2 = dict(zip(index.regions, index.scores / index.scores.sum(), strict=True))
    assert found.shares["index"] != pytest.approx(with_users_of_h2, abs=1e-4)


def test_a_ledger_can_be_the_truth(index: Index) -> None:
    """All tokens from India: the share of South Asia is 1, and the index is far from it."""
    found = regional_backtest(index, "ledger", {"IND": 5.0})
    assert found.shares["truth"]["South Asia"] == 1
    assert found.lines[0].distance == pytest.approx(1 - found.shares["index"]["South Asia"])
    with pytest.raises(IndexRefusal, match="none of the regions has any use"):
        regional_backtest(index, "ledger", {})


def test_without_claude_nothing_but_the_weights_changes(index: Index) -> None:
    found = dropped(index)["C"][0]
    raw = [0.30 * z[0] + 0.15 * z[2] + 0.10 * z[3] for z in index.z]
    assert found == pytest.approx([100 * value / max(raw) for value in raw])


def test_ten_thousand_runs_take_less_than_five_seconds(index: Index) -> None:
    """The promise for two cores; measured at 0.3 s."""
    start = time.process_time()
    vary(index.evidence, index.framework, every_choice(), runs=10_000)
    assert time.process_time() - start < 5
