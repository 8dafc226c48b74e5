"""Published series that are no calls: which sources they make, what they may stand for, and what is never added up."""

import datetime as dt
from pathlib import Path

import pytest
from study_series import AUTHORS

from tidegate.catalog import load_catalog
from tidegate.core.errors import LedgerError
from tidegate.ledger.series import About, Point, add_series
from tidegate.ledger.store import Ledger
from tidegate.study.facts import Facts, open_facts
from tidegate.study.figures import run_figures
from tidegate.study.params import Params
from tidegate.study.result import NotComputable

MONDAY = dt.datetime(2026, 3, 23)
SUNDAY = dt.datetime(2026, 3, 22)
WEEK = dt.timedelta(days=7)
AUTHORS_BY_WEEK = {"deepseek": 40, "openai": 50, "others": 10}


def add(ledger: Ledger, unit: str, starts: dt.datetime, tokens: dict[str, int], **about: object) -> None:
    """One list of authors; `as_of` a day after its period begins."""
    values = {"source_id": "ranking", "kind": "author", "grain": "week", "week_anchor": "monday", **about}
    points = [Point(starts=starts, author=name, total_tokens=count) for name, count in tokens.items()]
    as_of = starts + dt.timedelta(days=len(unit))  # longer names are fetched later
    add_series(ledger, About(**values), points, unit=unit, origin="test", as_of=as_of)  # type: ignore[arg-type]


def facts_of(ledger: Ledger) -> Facts:
    return open_facts(ledger, load_catalog(), overrides=AUTHORS)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def test_authors_by_week_are_facts_of_a_source(ledger: Ledger) -> None:
    add(ledger, "a", MONDAY, AUTHORS_BY_WEEK)
    facts = facts_of(ledger)
    (source,) = facts.sources
    assert (source.kind, source.series, source.names_models, source.names_authors) == ("weekly", "author", False, True)
    assert (source.first, source.last) == (MONDAY.date(), MONDAY.date() + dt.timedelta(days=6))
    assert source.measures == ("tokens",)
    found = facts.query("SELECT author, origin, tokens FROM facts ORDER BY author")
    assert found == [("deepseek", "CN", 40), ("openai", "US", 50), ("others", "unknown", 10)]
    (lead,) = run_figures(facts, ["country_lead"], Params()).results
    assert {next(iter(cell.groups.values())): cell.value for cell in lead.rows if cell.value} == {
        "CN": 40,
        "US": 50,
        "unknown": 10,
    }


def test_weeks_that_overlap_are_two_sources(ledger: Ledger) -> None:
    """One file may label the same weeks by Sunday and by Monday: together they would count every token twice."""
    add(ledger, "monday", MONDAY, AUTHORS_BY_WEEK)
    add(ledger, "sunday", SUNDAY, AUTHORS_BY_WEEK, week_anchor="sunday")
    facts = facts_of(ledger)
    assert [source.source_id for source in facts.sources] == ["ranking~monday", "ranking~sunday"]
    assert facts.query("SELECT source_id, sum(tokens) FROM facts GROUP BY ALL ORDER BY ALL") == [
        ("ranking~monday", 100),
        ("ranking~sunday", 100),
    ]
    sunday = facts.sources[1]
    with pytest.raises(NotComputable, match="whole Sunday weeks"):
        facts.coverage(sunday, Params())
    refused = run_figures(facts, ["country_lead"], Params()).refused
    assert [text.partition(":")[0] for text in refused] == [
        "country_lead is not computable from source 'ranking~sunday'"
    ]
    assert facts.coverage(sunday, Params(anchor="sunday")).kept == (SUNDAY.date(),)


def test_a_restated_list_replaces_the_old_one_and_is_said(ledger: Ledger) -> None:
    """A name that left the named few is in `others` now: what it had before may not be added to that."""
    add(ledger, "old", MONDAY, AUTHORS_BY_WEEK)
    add(ledger, "newer", MONDAY, {"openai": 55, "others": 45})
    facts = facts_of(ledger)
    assert facts.query("SELECT author, tokens FROM facts ORDER BY author") == [("openai", 55), ("others", 45)]
    assert "1 of them were restated" in facts.sources[0].describe()


def test_a_series_by_category_stands_for_no_market(ledger: Ledger) -> None:
    """Category lists name some authors of some calls: no figure of all use may be drawn from their sum."""
    about = About(source_id="tasks", kind="category_author", grain="week", week_anchor="monday")
    points = [
        Point(starts=MONDAY + number * WEEK, category=category, author="openai", total_tokens=7)
        for number in range(2)
        for category in ("programming", "legal")
    ]
    add_series(ledger, about, points, unit="t", origin="test", as_of=MONDAY)
    facts = facts_of(ledger)
    (source,) = facts.sources
    assert (source.series, source.names_authors) == ("category_author", False)
    assert facts.query("SELECT count(*) FROM facts") == [(0,)]
    assert facts.query("SELECT category, sum(total_tokens) FROM series GROUP BY ALL ORDER BY ALL") == [
        ("legal", 14),
        ("programming", 14),
    ]
    assert facts.coverage(source, Params()).kept == (MONDAY.date(), (MONDAY + WEEK).date())
    with pytest.raises(NotComputable, match="response_model"):
        run_figures(facts, ["country_lead"], Params())


def test_a_span_that_is_not_stated_has_no_periods(ledger: Ledger) -> None:
    add(ledger, "a", MONDAY, AUTHORS_BY_WEEK, grain="window", week_anchor="")
    facts = facts_of(ledger)
    with pytest.raises(NotComputable, match="span that it does not state"):
        facts.coverage(facts.sources[0], Params())


def test_a_rollup_is_summed_when_it_is_first_named(ledger: Ledger) -> None:
    """A study of one figure does not pay for the nine rollups of a large ledger."""
    facts = facts_of(ledger)
    tables = {name for (name,) in facts.query("SELECT view_name FROM duckdb_views() WHERE NOT internal")}
    assert "weekly_account" not in tables
    assert facts.query("SELECT count(*) FROM weekly_account AS accounts JOIN daily_tags USING (source_id)") == [(0,)]


def test_sums_with_counts_of_requests_are_still_no_rows_of_calls(ledger: Ledger) -> None:
    """A public series may count requests: a day it lacks is a gap in it, not a quiet day."""
    connection = ledger.connect()
    ledger.add_rollup(
        "daily_usage",
        "SELECT 'public' AS source_id, DATE '2026-03-23' AS day, 'openai/x' AS response_model, 5::BIGINT AS calls, "
        "70::DECIMAL(38,0) AS total_tokens",
        connection,
        unit="u",
        origin="test",
    )
    (source,) = facts_of(ledger).sources
    assert (source.kind, source.measures) == ("daily", ("tokens", "calls"))


def test_a_damaged_series_is_one_clear_error(ledger: Ledger) -> None:
    add(ledger, "a", MONDAY, AUTHORS_BY_WEEK)
    (file,) = ledger.rollup_files("series")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(LedgerError, match=f"published series.*{file.name}.*ledger verify"):
        facts_of(ledger)
