"""The page's section on published values: beside measured ones, and never more than the comparison says."""

import pytest

from tidegate.catalog import load_catalog
from tidegate.report.comparison import section
from tidegate.report.page import compose, render
from tidegate.study.compare import Comparison, compare
from tidegate.study.facts import open_facts
from tidegate.study.published import read_published


@pytest.fixture(scope="module")
def found() -> Comparison:
    """Against the shipped series: what a new installation can say."""
    facts = open_facts(None, load_catalog(), shipped=True)
    return compare(facts, facts.sources, read_published())


def test_every_published_value_is_on_the_page_with_its_number_or_its_reason(found: Comparison) -> None:
    page = section(found)
    measured = sum(line.measured is not None for line in found.lines)
    assert sum(len(claim.rows) for claim in page.told) == measured > 20
    assert len(page.told) + len(page.silent) == len(read_published().claims)
    assert all(claim.absent for claim in page.silent), "what has no number says why"
    assert [entry.id for entry in page.contradictions] == [f"C{number}" for number in range(1, 17)]


def test_the_chart_has_a_dot_for_every_measured_share(found: Comparison) -> None:
    """Only single published numbers in percent: a bound or a range is no dot."""
    chart = section(found).chart
    assert chart is not None
    dots = chart["layer"][1]["data"]["values"]
    dated = next(dot for dot in dots if "2025-11-17" in dot["what"])
    assert dated["published"] == 17.1 and dated["measured"] == pytest.approx(17.1, abs=1.0)
    assert dated["verdict"] == "agrees"
    assert all(0 <= dot["published"] <= 100 for dot in dots)


def test_the_page_shows_summary_verdicts_and_contradictions(found: Comparison) -> None:
    text = render(compose(open_facts(None, load_catalog(), shipped=True), ""))
    for words in ("Published values beside measured ones", "C14 · When Chinese models passed US models", "1 agrees"):
        assert words in text, words
    assert 'data-chart="published-values"' in text and '"published-values":{' in text
