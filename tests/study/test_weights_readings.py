"""Where sources disagree on a model's weights, the open share is told both ways."""

from collections.abc import Callable

from study_series import Volumes, days, draw

from tidegate.catalog import load_catalog
from tidegate.study.facts import Facts
from tidegate.study.params import Params
from tidegate.study.weights_readings import readings

Build = Callable[[Volumes], Facts]


def month_of(first: str, number: int, models: dict[str, float]) -> Volumes:
    return {(day, model): volume for day in days(first, number) for model, volume in models.items()}


def open_notes(facts: Facts, params: Params) -> list[str]:
    notes = draw(facts, "oss_split", params).notes
    return [note for note in notes if note.startswith("- ")]


def test_each_reading_that_changes_a_period_is_told_with_its_share(facts_of: Build) -> None:
    """One of four tokens is of an open model, one of a model that some count as open: 25 % and 50 %."""
    models = {"deepseek/deepseek-r1": 1.0, "xiaomi/mimo-v2-pro": 1.0, "anthropic/claude-sonnet-4": 2.0}
    told = open_notes(facts_of(month_of("2026-03-01", 31, models)), Params(grain="month"))
    assert told[0] == "- open weights as the catalog has them: 2026-03 25.0 %"
    assert any(note.startswith("- MiMo-V2-Pro and MiMo-V2-Omni counted as open: 2026-03 50.0 % (") for note in told)
    assert not any(note.startswith("- Trinity") for note in told), "what changes nothing is not told"


def test_a_first_month_of_half_its_days_has_a_share_but_no_row(facts_of: Build) -> None:
    """Its sum would be too low, its share need not be: it is told with its days. A month of fewer days is not."""
    models = {"deepseek/deepseek-r1": 1.0, "anthropic/claude-sonnet-4": 3.0}
    volumes = {
        **month_of("2025-11-15", 16, {**models, "deepseek/deepseek-r1": 3.0}),
        **month_of("2025-12-01", 31, models),
    }
    result = draw(facts_of(volumes), "oss_split", Params(grain="month"))
    assert {cell.period for cell in result.rows} == {"2025-12-01"}
    assert "- open weights as the catalog has them: 2025-11 (16 of 30 days) 50.0 %, 2025-12 25.0 %" in result.notes


def test_a_first_month_of_a_few_days_is_not_told(facts_of: Build) -> None:
    models = {"deepseek/deepseek-r1": 1.0, "anthropic/claude-sonnet-4": 3.0}
    volumes = {**month_of("2025-11-25", 6, models), **month_of("2025-12-01", 31, models)}
    assert "2025-11" not in "".join(open_notes(facts_of(volumes), Params(grain="month")))


def test_readings_name_models_that_the_catalog_knows_and_differ_from_it() -> None:
    """A reading that says what the catalog says is none; each has a source and the day it was looked at."""
    catalog = load_catalog()
    for reading in readings():
        assert reading.why and reading.source.startswith("https://") and reading.checked
        for model, weights in reading.weights.items():
            assert catalog.model_of(model).weights not in (weights, "unknown"), model


def test_price_lists_of_the_time_are_a_reading_of_their_own(facts_of: Build) -> None:
    """They do not list embeddings: one of four tokens is open to them, two of four to the catalog."""
    models = {"deepseek/deepseek-r1": 1.0, "qwen/qwen3-embedding-8b": 1.0, "anthropic/claude-sonnet-4": 2.0}
    told = open_notes(facts_of(month_of("2026-03-01", 31, models)), Params(grain="month"))
    assert told[0] == "- open weights as the catalog has them: 2026-03 50.0 %"
    assert any("as the price lists of the time had it: 2026-03 25.0 % (" in note for note in told)
