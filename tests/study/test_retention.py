"""Retention, flow, survival and cohort tests on a hand-made ledger, against plain loops over who used what when."""

import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from cohort_ledger import Uses, cohort_ledger
from hypothesis import given
from hypothesis import strategies as st

from tidegate.catalog import load_catalog
from tidegate.study.cohort_tests import cohort_tests, foundation, rises
from tidegate.study.cohorts import ANY_MODEL, Cohort, month_begin, month_number
from tidegate.study.facts import Facts, open_facts
from tidegate.study.figures import run_figures
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result
from tidegate.study.retention import retention
from tidegate.study.survival import lifetimes, survival
from tidegate.study.user_flow import flow, user_flow

MONTHS = [f"2023-{month:02d}" for month in range(9, 13)] + [f"2024-{month:02d}" for month in range(1, 5)]
MODELS = ["anthropic/claude-sonnet-4", "openai/gpt-4o-mini", "deepseek/deepseek-r1"]


def drawn(seed: int = 3) -> list[tuple[str, str, str]]:
    """Uses of three models by 60 accounts over eight months; the masks' blocks meet at the turn of the year."""
    draw = random.Random(seed)
    uses = []
    for account in range(60):
        for model in MODELS:
            begin = draw.randrange(len(MONTHS) + 3)
            for place, month in enumerate(MONTHS):
                if place == begin or (place > begin and draw.random() < 0.4):
                    uses.append((f"account-{account}", model, month))
    return uses


@pytest.fixture(scope="module")
def uses() -> list[tuple[str, str, str]]:
    return drawn()


@pytest.fixture(scope="module")
def facts(uses: Uses, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    path = tmp_path_factory.mktemp("cohorts") / "ledger"
    return open_facts(cohort_ledger(path, uses, until=MONTHS[-1]), load_catalog())


def values_of(result: Result, *names: str) -> dict[tuple[str, ...], object]:
    return {tuple(cell.groups[name] for name in names): cell.value for cell in result.rows}


def months_by_pair(uses: Uses) -> dict[tuple[str, str], set[str]]:
    """(account, model) -> months, and the same under ANY_MODEL."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for account, model, month in uses:
        found[account, model].add(month)
        found[account, ANY_MODEL].add(month)
    return found


def test_retention_counts_who_is_active_so_many_months_after_first_use(facts: Facts, uses: Uses) -> None:
    """Idle months between or not; the share is of the cohort; every cohort up to the last month is there."""
    expected: dict[tuple[str, str, str], int] = defaultdict(int)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for (_, model), months in months_by_pair(uses).items():
        first = min(months)
        sizes[model, first] += 1
        for later, month in enumerate(MONTHS[MONTHS.index(first) :]):
            expected[model, first, str(later)] += month in months

    result = retention(facts, facts.sources[0], Params())

    assert values_of(result, "model", "cohort", "months_later") == expected
    for cell in result.rows:
        assert cell.share == pytest.approx((cell.value or 0) / sizes[cell.groups["model"], cell.groups["cohort"]])
    assert result.n == len({account for account, _, _ in uses})
    assert result.window == "2023-09-01:2024-04-30"


def test_flows_add_up_to_activity(facts: Facts, uses: Uses) -> None:
    """new + stayed + returned are active; stayed + left were active the month before."""
    expected: dict[tuple[str, str, str], int] = {}
    for model in [*MODELS, ANY_MODEL]:
        for place, month in enumerate(MONTHS[1:], 1):
            counts = dict.fromkeys(("new", "stayed", "returned", "left"), 0)
            for (_, used), months in months_by_pair(uses).items():
                if used != model:
                    continue
                now, before, earlier = month in months, MONTHS[place - 1] in months, min(months) < MONTHS[place - 1]
                counts["new"] += min(months) == month
                counts["stayed"] += now and before
                counts["returned"] += now and not before and earlier
                counts["left"] += before and not now
            expected.update({(model, month, name): count for name, count in counts.items()})

    result = user_flow(facts, facts.sources[0], Params())

    assert values_of(result, "model", "month", "flow") == expected


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=30))
def test_every_active_unit_is_new_stayed_or_returned(lines: list[list[bool]]) -> None:
    """And everybody active a month ago stayed or left."""
    found = flow(np.array(lines))
    for place in range(5):
        assert found["active"][place] == found["new"][place] + found["stayed"][place] + found["returned"][place]
        if place:
            assert found["active"][place - 1] == found["stayed"][place] + found["left"][place]


def test_survival_on_the_ledger_is_the_product_of_those_who_did_not_leave(facts: Facts, uses: Uses) -> None:
    """Gone: idle in the last two months; a lifetime runs from first to last use, both months counted."""
    spans = []
    for (_, model), months in months_by_pair(uses).items():
        if model == MODELS[0]:
            first, last = MONTHS.index(min(months)), MONTHS.index(max(months))
            spans.append((last - first + 1, last < len(MONTHS) - 2))
    expected, remaining = {}, 1.0
    for month in range(1, max(span for span, _ in spans) + 1):
        at_risk = sum(span >= month for span, _ in spans)
        remaining *= 1 - sum(gone and span == month for span, gone in spans) / at_risk
        expected[str(month)] = (remaining, at_risk)

    found = values_of(survival(facts, facts.sources[0], Params()), "model", "months", "statistic")

    assert {month for model, month, _ in found if model == MODELS[0]} == set(expected)
    for month, (rate, at_risk) in expected.items():
        assert found[MODELS[0], month, "still used"] == pytest.approx(rate)
        assert found[MODELS[0], month, "at risk"] == at_risk


def test_the_last_incomplete_month_is_dropped(uses: Uses, tmp_path: Path) -> None:
    """Who has not called yet on the tenth of a month may still do so: nobody is counted as lost."""
    ledger = cohort_ledger(tmp_path / "ledger", [*uses, ("account-1", MODELS[0], "2024-05")], until="2024-04")
    facts = open_facts(ledger, load_catalog())

    result = retention(facts, facts.sources[0], Params())

    assert result.window == "2023-09-01:2024-04-30"
    assert {int(cell.groups["months_later"]) for cell in result.rows} == set(range(8))


def test_a_ledger_of_one_month_has_nobody_who_could_return(tmp_path: Path) -> None:
    """Not zero retention: no figure."""
    ledger = cohort_ledger(tmp_path / "ledger", [("a", MODELS[0], "2024-04")], until="2024-04")
    facts = open_facts(ledger, load_catalog())

    with pytest.raises(NotComputable, match="less than two complete months"):
        retention(facts, facts.sources[0], Params())


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (Params(include_free=False), "model_variant"),
        (Params(include_cloaked=False), "author"),
        (Params(include_byok=False), "is_byok"),
        (Params(top=3), "rank of models"),
        (Params(unit="user"), "user_hash"),
        (Params(without_accounts=("a",)), "accounts"),
    ],
)
def test_what_masks_of_activity_do_not_know_is_refused_by_name(facts: Facts, params: Params, says: str) -> None:
    """A switch is honoured or refused, never ignored."""
    with pytest.raises(NotComputable, match=says):
        retention(facts, facts.sources[0], params)


def cohort(begin: int, *rates: float, size: int = 100) -> Cohort:
    """A cohort of `size` whose members are active at these rates, the same first ones each month."""
    active = np.array([[member < rate * size for rate in (1.0, *rates)] for member in range(size)])
    return Cohort(model="m", begin=month_begin(begin), active=active)


def test_a_cohort_far_above_all_later_ones_is_foundational() -> None:
    """40 % after three months against 10, 20 and 30 %: at month 3, the last that two later ones reached."""
    later = [cohort(61, 0.3, 0.2, 0.1), cohort(62, 0.3, 0.25, 0.2), cohort(63, 0.35, 0.3)]
    found = foundation(cohort(60, 0.6, 0.5, 0.4, 0.4), later)

    assert found is not None
    assert (found.k, found.rate, found.later_median, found.later_cohorts) == (3, 0.4, pytest.approx(0.15), 2)
    assert found.error == pytest.approx((0.4 * 0.6 / 100) ** 0.5)
    pooled, whole = 30 / 200, 70 / 300
    assert found.z == pytest.approx((0.4 - pooled) / (whole * (1 - whole) * (1 / 100 + 1 / 200)) ** 0.5)
    assert found.holds


@pytest.mark.parametrize(
    ("rates", "why"),
    [
        ((0.6, 0.5, 0.21), "less than 1.5 times the median"),
        ((0.2, 0.5, 0.4), "below the later ones in the month after first use: it did not stay above"),
    ],
)
def test_a_cohort_that_fails_one_condition_is_not_foundational(rates: tuple[float, ...], why: str) -> None:
    """All conditions hold together, or none counts."""
    later = [cohort(61, 0.3, 0.2, 0.15), cohort(62, 0.3, 0.25, 0.15)]
    found = foundation(cohort(60, *rates), later)

    assert found is not None
    assert not found.holds, why


def test_small_or_young_cohorts_are_not_compared() -> None:
    """Twenty members prove nothing; nor does one later cohort, nor a single month."""
    later = [cohort(61, 0.1, 0.1, 0.1), cohort(62, 0.1, 0.1, 0.1)]

    assert foundation(cohort(60, 0.9, 0.9, 0.9, size=20), later) is None
    assert foundation(cohort(60, 0.9, 0.9, 0.9), later[:1]) is None
    assert foundation(cohort(60, 0.9, 0.9, 0.9), [cohort(61, 0.1), cohort(62, 0.1)]) is None
    assert foundation(cohort(60, 0.9, 0.9, 0.9), [later[0], cohort(62, 0.1, 0.1, 0.1, size=29)]) is None


def test_a_boomerang_is_a_rise_beyond_its_paired_error() -> None:
    """20 of 100 active, then 40: the same 20 and 20 who return; the error is that of 20 changes one way."""
    (rise,) = rises(cohort(60, 0.2, 0.4))

    assert (rise.k, rise.returned, rise.rise) == (2, 20, pytest.approx(0.2))
    assert rise.error == pytest.approx((20 - 20**2 / 100) ** 0.5 / 100)
    assert rise.holds


def test_a_rise_within_its_error_is_no_boomerang() -> None:
    """Ten left and twelve came back: two points up, of error 4.7."""
    active = np.zeros((100, 3), dtype=bool)
    active[:, 0] = True
    active[:10, 1] = True
    active[10:22, 2] = True
    (rise,) = rises(Cohort(model="m", begin=month_begin(60), active=active))

    assert rise.rise == pytest.approx(0.02)
    assert rise.error == pytest.approx((22 - 4 / 100) ** 0.5 / 100)
    assert not rise.holds


def test_cohort_tests_say_which_cohort_passes(tmp_path: Path) -> None:
    """Forty accounts of one month stay, the sixty of later months do not."""
    uses = [(f"first-{n}", MODELS[0], month) for n in range(40) for month in MONTHS]
    for number, month in enumerate(MONTHS[1:5]):
        uses += [(f"later-{number}-{n}", MODELS[0], month) for n in range(40)]
        uses += [(f"later-{number}-{n}", MODELS[0], other) for n in range(8) for other in MONTHS[number + 2 :]]
    facts = open_facts(cohort_ledger(tmp_path / "ledger", uses, until=MONTHS[-1]), load_catalog())

    result = cohort_tests(facts, facts.sources[0], Params())

    found = values_of(result, "model", "cohort", "statistic")
    assert found[MODELS[0], MONTHS[0], "foundational"] == 1
    assert (found[MODELS[0], MONTHS[0], "retention"], found[MODELS[0], MONTHS[0], "later median"]) == (1.0, 0.2)
    assert found[MODELS[0], MONTHS[1], "foundational"] == 0
    assert any(f"{MODELS[0]}, cohort {MONTHS[0]} (40 members): foundational" in note for note in result.notes)


def test_lifetimes_run_from_first_to_last_use() -> None:
    """Idle months between do not end them; idle in the last two months does."""
    active = np.array([[1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]], dtype=bool)
    months, gone = lifetimes(active)

    assert (months.tolist(), gone.tolist()) == ([3, 4, 1], [True, False, False])


@given(st.integers(-200, 400))
def test_months_are_numbered_both_ways(number: int) -> None:
    """Also before 2020, where numbers are negative."""
    assert month_number(month_begin(number)) == number


def test_a_ledger_of_calls_carries_all_four_figures(facts: Facts) -> None:
    """They are drawn with everything else that the ledger can carry."""
    outcome = run_figures(facts, (), Params())

    assert {"retention", "user_flow", "survival", "cohort_tests"} <= {result.figure for result in outcome.results}
