"""Acceptance and cost per accepted task on a hand-made ledger with judgements, worked out call by call."""

import datetime as dt
from pathlib import Path

import pytest
from cohort_ledger import make_call

from tidegate.catalog import load_catalog
from tidegate.core.row import Row, TaskTag
from tidegate.ledger.outcomes import Judgement, append
from tidegate.ledger.store import Ledger
from tidegate.study.acceptance import acceptance
from tidegate.study.cost_per_accepted import cost_per_accepted
from tidegate.study.facts import Facts, open_facts
from tidegate.study.params import Params
from tidegate.study.periods import parse_window
from tidegate.study.result import NotComputable, Result

CODE = "/Computers & Electronics/Programming/Java (Programming Language)"
GAMES = "/Games/Roleplaying Games"
GPT, QWEN = "openai/gpt-4o-mini", "qwen/qwen3-32b"
# (model, label, cost in nano-USD, accepted, score in ppm); None: not said, or not known
CALLS: list[tuple[str, str | None, int | None, bool | None, int | None]] = [
    (GPT, CODE, 400, True, 900_000),
    (GPT, CODE, 600, False, 100_000),
    (GPT, GAMES, 500, True, None),
    (GPT, None, 300, True, None),
    (QWEN, CODE, 50, False, None),
    (QWEN, CODE, 70, True, None),
    (QWEN, GAMES, None, True, None),
    (QWEN, GAMES, 90, None, 500_000),
    (QWEN, GAMES, 80, None, None),
]


def call(number: int, model: str, label: str | None, cost: int | None) -> Row:
    when = dt.datetime(2026, 3, 2 + number, 12, tzinfo=dt.UTC)
    tags = [TaskTag(path=label, confidence_ppm=800_000)] if label else None
    return make_call(number, when, response_model=model, cost_nano_usd=cost, task_tags=tags, tenant_id="a")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    ledger = Ledger.create(tmp_path_factory.mktemp("value") / "ledger")
    rows = [call(number, model, label, cost) for number, (model, label, cost, _, _) in enumerate(CALLS)]
    ledger.add_rows(rows, [], unit="hand", origin="a test")
    for row, (*_, accepted, score) in zip(rows, CALLS, strict=True):
        if accepted is not None or score is not None:
            said = Judgement(
                generation_id=row.generation_id, ts=row.ts + 5, tenant_id="a", accepted=accepted, score_ppm=score
            )
            append(ledger, Judgement(generation_id=row.generation_id, ts=row.ts + 1, tenant_id="a", accepted=False))
            append(ledger, said)  # the newest counts
    append(ledger, Judgement(generation_id="of-no-call-here", ts=1_700_000_000_000_000, tenant_id="a", accepted=True))
    return open_facts(ledger, load_catalog())


def cells(result: Result) -> dict[tuple[str, str, str], float | None]:
    return {
        (cell.groups["model"], cell.groups["category"], cell.groups["statistic"]): cell.value for cell in result.rows
    }


def test_acceptance_is_of_calls_with_a_verdict(facts: Facts) -> None:
    """A score alone is no verdict; a call that nobody judged is in no number but the missing share."""
    result = acceptance(facts, facts.sources[0], Params())

    found = cells(result)
    for key, accepted, verdicts in (
        (("all", "all"), 5, 7),
        ((GPT, "all"), 3, 4),
        ((QWEN, "all"), 2, 3),
        (("all", "programming"), 2, 4),
        (("all", "roleplay"), 2, 2),
        (("all", "(no label)"), 1, 1),
        ((QWEN, "roleplay"), 1, 1),
    ):
        assert (found[*key, "accepted"], found[*key, "verdicts"]) == (accepted, verdicts)
        assert found[*key, "rate"] == pytest.approx(accepted / verdicts)
    assert found["all", "all", "score"] == pytest.approx((0.9 + 0.1 + 0.5) / 3)
    assert found[GPT, "programming", "score"] == pytest.approx(0.5)
    z = 1.959963984540054  # Wilson's interval of 5 in 7: (p + z2/2n -+ z sqrt(pq/n + z2/4n2)) / (1 + z2/n)
    reach = z * (5 / 7 * 2 / 7 / 7 + z * z / 4 / 49) ** 0.5
    assert found["all", "all", "low"] == pytest.approx((5 / 7 + z * z / 14 - reach) / (1 + z * z / 7))
    assert found["all", "all", "high"] == pytest.approx((5 / 7 + z * z / 14 + reach) / (1 + z * z / 7))
    assert (result.n, result.missing_share) == (8, pytest.approx(1 / 9))
    assert any("1 judged calls are not sealed yet" in note for note in result.notes)


def test_rejected_work_is_paid_for_too(facts: Facts) -> None:
    """All cost of calls with a verdict and a known cost, over the accepted ones among them."""
    found = cells(cost_per_accepted(facts, facts.sources[0], Params()))

    gpt, qwen = 400 + 600 + 500 + 300, 50 + 70
    assert found["all", "all", "an accepted call"] == round((gpt + qwen) / 4)
    assert found[GPT, "all", "an accepted call"] == round(gpt / 3)
    assert found[QWEN, "all", "an accepted call"] == qwen, "the accepted call of unknown cost is in neither sum"
    assert found["all", "programming", "an accepted call"] == (400 + 600 + 50 + 70) // 2
    assert found[QWEN, "roleplay", "an accepted call"] is None, "no call with verdict and cost: nothing, not zero"
    assert found["all", "all", "a call"] == round((gpt + qwen) / 6)


def test_the_interval_is_that_of_a_ratio_of_sums(facts: Facts) -> None:
    """Linearised: the spread of cost - ratio x accepted over calls, by n / (n - 1), t with n - 1."""
    costs = [(400, 1), (600, 0), (500, 1), (300, 1)]
    ratio = 1800 / 3
    error = (sum((cost - ratio * taken) ** 2 for cost, taken in costs) * 4 / 3) ** 0.5 / 3
    found = cells(cost_per_accepted(facts, facts.sources[0], Params()))

    t_of_3 = 3.182446305284263
    assert found[GPT, "all", "low"] == max(0, round(ratio - t_of_3 * error))
    assert found[GPT, "all", "high"] == round(ratio + t_of_3 * error)


def test_a_window_takes_the_calls_of_its_days(facts: Facts) -> None:
    """The day of the call, not of the judgement."""
    window = parse_window("2026-03-02:2026-03-03")
    result = acceptance(facts, facts.sources[0], Params(window=window))

    assert cells(result)["all", "all", "verdicts"] == 2
    assert result.window == "2026-03-02:2026-03-03"


def test_a_ledger_that_nobody_judged_says_how_to(tmp_path: Path) -> None:
    """Not zero acceptance: no figure."""
    ledger = Ledger.create(tmp_path / "ledger")
    ledger.add_rows([call(1, GPT, None, 5)], [], unit="hand", origin="a test")
    facts = open_facts(ledger, load_catalog())

    with pytest.raises(NotComputable, match="/api/v1/feedback"):
        acceptance(facts, facts.sources[0], Params())


def test_views_that_judged_calls_cannot_take_are_refused(facts: Facts) -> None:
    """By name of what is missing."""
    for params in (Params(top=3), Params(without_accounts=("a",))):
        with pytest.raises(NotComputable):
            acceptance(facts, facts.sources[0], params)
