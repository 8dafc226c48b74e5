"""Open and closed, and whose models: shares are fractions of one, and what is not known is not guessed."""

from collections.abc import Callable

import pytest
from study_series import BILLION, Volumes, days, draw, values

from tidegate.study.facts import Facts
from tidegate.study.params import Params

Build = Callable[[Volumes], Facts]
WEEK = days("2026-03-02", 7)

MIX = {
    "deepseek/deepseek-r1": 3.0,  # open, CN
    "meta-llama/llama-3.3-70b-instruct": 2.0,  # open, US
    "anthropic/claude-sonnet-4": 4.0,  # closed
    "ghost/midnight": 0.5,  # cloaked
    "stranger/new-model": 0.5,  # nobody knows
}


def week_of(models: dict[str, float]) -> Volumes:
    return {(day, model): volume for day in WEEK for model, volume in models.items()}


def test_the_five_source_types_add_up_to_one(facts_of: Build) -> None:
    result = draw(facts_of(week_of(MIX)), "oss_split")
    shares = {cell.groups["source_type"]: cell.share for cell in result.rows}
    assert shares == pytest.approx({"open_cn": 0.3, "open_row": 0.2, "closed": 0.4, "cloaked": 0.05, "unknown": 0.05})
    assert result.missing_share == pytest.approx(0.05)


def test_a_variant_or_a_date_does_not_hide_a_model(facts_of: Build) -> None:
    """Names are resolved when the study reads them: the import keeps them as published."""
    result = draw(facts_of(week_of({"deepseek/deepseek-r1:free": 1, "openai/gpt-4o-2024-11-20": 1})), "oss_split")
    shares = {cell.groups["source_type"]: cell.share for cell in result.rows}
    assert shares["open_cn"] == shares["closed"] == pytest.approx(0.5)


def test_authors_are_ranked_for_open_models_and_for_all(facts_of: Build) -> None:
    """State of AI, Table 1, and the same table without its filter."""
    result = draw(facts_of(week_of(MIX)), "author_totals")
    ranked = [(cell.groups["models"], cell.groups["author"], cell.value) for cell in result.rows]
    assert ranked[:2] == [("open", "deepseek", 21 * BILLION), ("open", "meta-llama", 14 * BILLION)]
    assert ranked[2:4] == [("all", "anthropic", 28 * BILLION), ("all", "deepseek", 21 * BILLION)]
    for models in ("open", "all"):
        assert sum(cell.share or 0 for cell in result.rows if cell.groups["models"] == models) == pytest.approx(1)


def test_nothing_but_empty_days_has_no_shares(facts_of: Build) -> None:
    """Zero over zero is not zero."""
    result = draw(facts_of(week_of({"deepseek/deepseek-r1": 0.0})), "oss_split", Params())
    assert {cell.share for cell in result.rows} == {None}
    assert values(result, "open_cn") == {"2026-03-02": 0}
