"""The tables of docs/explanation/routing.md are rendered from the results as they stand, and hold what is promised."""

from pathlib import Path

import msgspec

import borders
import plan_cost

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "explanation" / "routing.md").read_text("utf-8")


def test_the_table_of_outcomes_shows_the_result() -> None:
    record = msgspec.json.decode(borders.RESULT.read_bytes(), type=borders.Record)
    assert borders.page(PAGE, borders.render(record)) == PAGE, "`python bench/borders.py --render` writes it"


def test_while_a_permitted_endpoint_lives_999_of_1000_calls_are_answered_and_none_leaves_its_border() -> None:
    record = msgspec.json.decode(borders.RESULT.read_bytes(), type=borders.Record)
    assert {one.name for one in record.outcomes} == {case.name for case in borders.CASES}
    for one in record.outcomes:
        if "dead" not in one.name:
            assert one.answered >= 0.999 * (one.calls - one.broken_off), one.name
        assert not (one.outside or one.vain_nano_usd or one.unbalanced_nano_usd or one.wrongly_charged), one.name
        assert one.attempts == sum(one.asked.values()), one.name


def test_the_table_of_planning_costs_shows_the_result_and_meets_its_targets() -> None:
    record = msgspec.json.decode(plan_cost.RESULT.read_bytes(), type=plan_cost.Record)
    assert plan_cost.page(PAGE, plan_cost.render(record)) == PAGE, "`python bench/plan_cost.py --render` writes it"
    assert all(one.median_us <= one.target_us for one in record.rows if one.target_us is not None)
