"""The public series that comes with the product: small, sourced, and equal to what it was made from."""

import datetime as dt
import importlib.resources
from pathlib import Path

import pytest
from study_series import draw, values

from tidegate.catalog import load_catalog
from tidegate.core.errors import CatalogError
from tidegate.study.country_lead import answers
from tidegate.study.facts import open_facts
from tidegate.study.figures import run_figures
from tidegate.study.params import Params
from tidegate.study.result import NotComputable
from tidegate.study.series import build, parse_series, read_shipped


def shipped_text() -> str:
    return (importlib.resources.files("tidegate") / "data" / "author_weekly.csv").read_text("utf-8")


def test_it_is_small_sourced_and_names_its_traps() -> None:
    series = read_shipped()
    assert len(shipped_text()) < 150_000
    assert "OpenRouter (openrouter.ai/rankings)" in series.source
    assert dt.date.fromisoformat(series.checked)
    assert any("2025-11-11..2025-11-14" in trap for trap in series.traps)
    weeks = sorted({fact.week for fact in series.facts})
    assert (weeks[0], weeks[-1], len(weeks)) == (dt.date(2025, 11, 17), dt.date(2026, 3, 23), 19)


def test_it_carries_the_first_page_without_a_ledger() -> None:
    """No network, no traffic, real figures; what whole weeks by author cannot say is refused by name."""
    facts = open_facts(None, load_catalog(), shipped=True)
    result = draw(facts, "country_lead")
    assert round((values(result, "CN")["2026-03-23"] or 0) / 10**12, 2) == 12.63
    found = {
        answer.cloaked: str(answer.first.period)
        for answer in answers(facts, facts.sources[0], Params())
        if answer.first
    }
    assert found == {"apart": "2026-03-23", "counted Chinese": "2026-03-16", "counted US": "2026-03-23"}
    outcome = run_figures(facts, (), Params())
    assert {"country_lead", "oss_split", "author_totals"} <= {result.figure for result in outcome.results}
    assert any("length_histogram" in reason for reason in outcome.refused)
    for params, missing in ((Params(top=9), "response_model"), (Params(anchor="sunday"), "Monday weeks")):
        with pytest.raises(NotComputable, match=missing):
            draw(facts, "country_lead", params)


def test_it_is_what_its_builder_makes_of_the_source(shared_data: Path) -> None:
    """Rebuilt from the public file, the tokens by week and author agree to the last one."""
    rebuilt = parse_series(build([shared_data / "openrouter" / "model_daily_usage.csv"], "2026-01-01"), "rebuilt")

    def totals(facts: tuple[object, ...]) -> dict[tuple[object, ...], int]:
        found: dict[tuple[object, ...], int] = {}
        for fact in facts:
            key = (fact.week, fact.is_free)
            found[key] = found.get(key, 0) + fact.tokens
        return found

    assert totals(rebuilt.facts) == totals(read_shipped().facts)


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("2026-03-24,a,open,0,1", "not a Monday"),
        ("2026-03-23,a,ajar,0,1", "weights"),
        ("2026-03-23,a,open,0,x", "line 5"),
    ],
)
def test_a_damaged_series_is_named_by_line(line: str, seen: str) -> None:
    head = "# source_id: x\n# source: y\n# checked: 2026-01-01\nweek,author,weights,is_free,tokens\n"
    with pytest.raises(CatalogError, match=seen):
        parse_series(head + line + "\n", "x.csv")
