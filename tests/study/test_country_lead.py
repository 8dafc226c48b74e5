"""Who leads, when first: honest on every shape of data, not only on the file it was built on."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from study_series import BILLION, Volumes, days, draw, values

from tidegate.catalog import load_catalog
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger
from tidegate.study.authors import read_author_country
from tidegate.study.country_lead import answers
from tidegate.study.facts import Facts, open_facts
from tidegate.study.params import Params
from tidegate.study.periods import parse_window
from tidegate.study.result import NotComputable

Build = Callable[[Volumes], Facts]
FIVE_WEEKS = days("2025-12-15", 35)  # Mondays 15, 22, 29 December, 5 and 12 January: weeks cross the year


def weekly(**models: list[float]) -> Volumes:
    """Volumes that give each model (author_name, `_` for `/`) these totals in the five weeks, one unit a day."""
    return {
        (day, name.replace("_", "/", 1)): totals[number // 7]
        for name, totals in models.items()
        for number, day in enumerate(FIVE_WEEKS)
        if totals[number // 7]
    }


def notes(facts: Facts, params: Params | None = None) -> str:
    return "\n".join(draw(facts, "country_lead", params).notes)


def test_the_first_lead_is_the_first_week_with_strictly_more(facts_of: Build) -> None:
    """A tie leads nobody, a lead may be lost again, and a week may begin in one year and end in the next."""
    facts = facts_of(weekly(cn_a=[1, 3, 5, 2, 6], us_b=[3, 3, 4, 4, 4]))
    result = draw(facts, "country_lead")
    assert values(result, "CN") == {
        "2025-12-15": 7 * BILLION,
        "2025-12-22": 21 * BILLION,
        "2025-12-29": 35 * BILLION,
        "2026-01-05": 14 * BILLION,
        "2026-01-12": 42 * BILLION,
    }
    told = "\n".join(result.notes)
    assert (
        "cloaked apart, Monday weeks: first lead 2025-12-29 (35.00 B against 28.00 B); lost again in 2026-01-05" in told
    )
    assert "A tie in 2025-12-22" in told
    assert result.window == "2025-12-15:2026-01-18"
    assert "since" not in told


def test_taiwan_and_hong_kong_count_as_chinese(facts_of: Build) -> None:
    """As "State of AI" counts; other countries are their own group."""
    facts = facts_of(weekly(cn_a=[1] * 5, tw_b=[2] * 5, us_c=[1] * 5, fr_d=[4] * 5))
    result = draw(facts, "country_lead")
    assert set(values(result, "CN").values()) == {21 * BILLION}
    assert set(values(result, "rest").values()) == {28 * BILLION}
    assert "already in the first complete week: the true first may lie before the data" in "\n".join(result.notes)


def test_the_answer_is_a_set_over_cloaked_models_and_week_anchors(facts_of: Build) -> None:
    """Nine ways of counting; cloaked models may move the date both ways."""
    facts = facts_of(weekly(cn_a=[1, 1, 3, 5, 8], us_b=[4, 4, 4, 4, 4], ghost_c=[0, 0, 2, 2, 2]))
    found = answers(facts, facts.sources[0], Params())
    first = {(answer.cloaked, answer.anchor): str(answer.first.period) for answer in found if answer.first}
    assert len(found) == 9
    assert first["apart", "monday"] == "2026-01-05"
    assert first["counted Chinese", "monday"] == "2025-12-29"
    assert first["counted US", "monday"] == "2026-01-12"
    assert first["apart", "sunday"] == "2026-01-04"


def test_no_lead_at_all_is_an_answer(facts_of: Build) -> None:
    told = notes(facts_of(weekly(cn_a=[1] * 5, us_b=[2] * 5)))
    assert "However one counts (9 ways), there is no Chinese lead in the window." in told
    assert "No cloaked models in the window" in told


def test_one_country_alone_leads_over_nobody(facts_of: Build) -> None:
    assert "nothing from US models in the window" in notes(facts_of(weekly(cn_a=[1] * 5)))


def test_an_author_of_unknown_country_is_missing_not_guessed(facts_of: Build) -> None:
    result = draw(facts_of(weekly(cn_a=[1] * 5, us_b=[2] * 5, nobody_c=[1] * 5, stranger_d=[1] * 5)), "country_lead")
    assert result.missing_share == pytest.approx(0.4)
    assert "40.0 % of the measure has an author of no known country" in "\n".join(result.notes)


def test_a_window_that_cuts_weeks_drops_and_names_them(facts_of: Build) -> None:
    facts = facts_of(weekly(cn_a=[1, 1, 1, 3, 3], us_b=[2] * 5))
    result = draw(facts, "country_lead", Params(window=parse_window("2025-12-17:2026-01-13")))
    assert sorted({cell.period for cell in result.rows}) == ["2025-12-22", "2025-12-29", "2026-01-05"]
    assert "Incomplete week 2025-12-15 dropped: 5 of 7 days." in result.notes
    assert "Incomplete week 2026-01-12 dropped: 2 of 7 days." in result.notes


def test_a_window_of_no_whole_week_states_no_lead(facts_of: Build) -> None:
    """What there is is shown, called partial, and no date is given."""
    told = notes(facts_of(weekly(cn_a=[3] * 5, us_b=[2] * 5)), Params(window=parse_window("2025-12-16:2025-12-20")))
    assert "No complete week in the window, so no lead is stated." in told
    assert "first lead" not in told


def test_days_without_data_are_named(facts_of: Build) -> None:
    """A gap inside the range is kept and told; it is not zero demand."""
    volumes = {
        key: value for key, value in weekly(cn_a=[1] * 5, us_b=[2] * 5).items() if key[0] != dt.date(2025, 12, 30)
    }
    assert "Week 2025-12-29 has data on 6 of its 7 days." in notes(facts_of(volumes))


def test_a_collector_that_was_starting_does_not_make_a_complete_week(facts_of: Build) -> None:
    """The scraper's ramp-up: a few models for some days, dozens from then on. Found by the count, not by the date."""
    volumes = weekly(**{f"us_m{number}": [1.0] * 5 for number in range(20)}, cn_a=[1.0] * 5)
    thin = set(days("2025-12-15", 3))
    volumes = {key: value for key, value in volumes.items() if key[0] not in thin or key[1] in ("cn/a", "us/m1")}
    result = draw(facts_of(volumes), "country_lead")
    told = "\n".join(result.notes)
    assert "On 2025-12-15..2025-12-17 the source has only 2 models a day" in told
    assert "Incomplete week 2025-12-15 dropped: 4 of 7 days." in told
    assert min(cell.period for cell in result.rows) == "2025-12-22"


def test_the_leaderboard_view_counts_the_largest_only(facts_of: Build) -> None:
    """Variants are ranked apart, the source's row for all others is no model, and the note says what is left out."""
    facts = facts_of(
        {
            (day, model): volume
            for day in FIVE_WEEKS
            for model, volume in {"cn/a": 5, "us/b": 4, "us/b:free": 3, "us/c": 2.5, "other": 50, "us/d": 2}.items()
        }
    )
    everything = draw(facts, "country_lead")
    assert values(everything, "US")["2025-12-15"] == 80.5 * BILLION
    assert values(everything, "unknown")["2025-12-15"] == 350 * BILLION
    top = draw(facts, "country_lead", Params(top=2))
    assert values(top, "CN")["2025-12-15"] == 35 * BILLION
    assert values(top, "US")["2025-12-15"] == 28 * BILLION
    assert any("a leaderboard's view, not the market's" in note for note in top.notes)


def test_switches_leave_models_out_and_say_so(facts_of: Build) -> None:
    facts = facts_of({(day, model): 1.0 for day in FIVE_WEEKS for model in ("cn/a:free", "us/b", "ghost/c")})
    result = draw(facts, "country_lead", Params(include_free=False, include_cloaked=False))
    assert set(values(result, "CN").values()) == {0}
    assert values(result, "cloaked") == {}
    assert any("free variants out; cloaked models out" in note for note in result.notes)


def test_calls_and_spend_are_not_guessed_from_tokens(facts_of: Build) -> None:
    with pytest.raises(NotComputable, match=r"no costs \(cost_nano_usd\)"):
        draw(facts_of(weekly(cn_a=[1] * 5)), "country_lead", Params(measure="spend"))


def test_months_are_months(facts_of: Build) -> None:
    """The 17 days of December and 18 of January are incomplete months: partial, so no lead."""
    result = draw(facts_of(weekly(cn_a=[1] * 5, us_b=[2] * 5)), "country_lead", Params(grain="month"))
    assert sorted({cell.period for cell in result.rows}) == ["2025-12-01", "2026-01-01"]
    assert any("No complete month" in note for note in result.notes)


@pytest.fixture(scope="module")
def public(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Facts]:
    """The public daily series, with its own author file or with our catalog."""
    ledger = Ledger.create(tmp_path_factory.mktemp("public") / "ledger")
    run_import("openrouter-daily", [shared_data / "openrouter" / "model_daily_usage.csv"], ledger)
    overrides = read_author_country(shared_data / "openrouter" / "author_country.csv", load_catalog())

    def build(with_file: bool) -> Facts:
        return open_facts(ledger, load_catalog(), overrides=overrides if with_file else {})

    return build


@pytest.mark.parametrize("with_file", [True, False], ids=["author_country.csv", "our catalog"])
def test_on_all_models_the_first_chinese_lead_is_the_week_of_23_march_2026(
    public: Callable[[bool], Facts], with_file: bool
) -> None:
    """The oracle: a week earlier 9.28 T against 9.74 T, with 0.72 T cloaked on which the answer hangs."""
    facts = public(with_file)
    result = draw(facts, "country_lead")
    trillions = {name: round((values(result, name)["2026-03-16"] or 0) / 10**12, 2) for name in ("CN", "US", "cloaked")}
    assert trillions == {"CN": 9.28, "US": 9.74, "cloaked": 0.72}
    found = answers(facts, facts.sources[0], Params())
    assert {(answer.cloaked, answer.anchor): str(answer.first.period) for answer in found if answer.first} == {
        ("apart", "monday"): "2026-03-23",
        ("counted Chinese", "monday"): "2026-03-16",
        ("counted US", "monday"): "2026-03-23",
        ("apart", "sunday"): "2026-03-22",
        ("counted Chinese", "sunday"): "2026-03-22",
        ("counted US", "sunday"): "2026-03-22",
        ("apart", "tuesday"): "2026-03-17",
        ("counted Chinese", "tuesday"): "2026-03-17",
        ("counted US", "tuesday"): "2026-03-24",
    }
    assert "Incomplete week 2025-11-10 dropped: 2 of 7 days." in result.notes
    assert "Incomplete week 2026-03-30 dropped: 2 of 7 days." in result.notes
    assert any(note.startswith("On 2025-11-11..2025-11-14 the source has only 4 to 6 models") for note in result.notes)


def test_on_the_leaderboard_the_press_saw_a_lead_in_february_that_was_lost_again(
    public: Callable[[bool], Facts],
) -> None:
    """4.12 T against 2.93 T in the week of 2026-02-09: the nine largest models of the week, variants apart."""
    result = draw(public(True), "country_lead", Params(top=9))
    assert round((values(result, "CN")["2026-02-09"] or 0) / 10**12, 2) == 4.12
    assert round((values(result, "US")["2026-02-09"] or 0) / 10**12, 2) == 2.93
    told = "cloaked apart, Monday weeks: first lead 2026-02-09 (4.12 T against 2.93 T); lost again in 2026-02-23"
    assert any(told in note for note in result.notes)
