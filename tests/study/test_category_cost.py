"""Cost and use of task categories: charged cost over tokens of labelled calls, weights counted, BYOK left out."""

import datetime as dt
from pathlib import Path

import pytest
from cohort_ledger import make_call

from tidegate.catalog import load_catalog
from tidegate.core.row import TaskTag
from tidegate.ledger.store import Ledger
from tidegate.study.category_cost import category_cost
from tidegate.study.facts import Facts, open_facts
from tidegate.study.params import Params
from tidegate.study.result import NotComputable

PATHS = {
    "programming": "/Computers & Electronics/Programming",
    "roleplay": "/Games/Roleplaying Games",
    "health": "/Health/Medical Facilities & Services",
    "nothing named": "/Sensitive Subjects",
}
# (category, input, output, cost in nano-USD, weight, BYOK)
CALLS = [
    ("programming", 1000, 200, 600_000, 3, False),
    ("programming", 500, 100, 900_000, 1, False),
    ("programming", 9000, 900, 0, 5, True),
    ("roleplay", 300, 300, 30_000, 2, False),
    ("health", 200, 50, 500_000, 2, False),
    ("nothing named", 100, 100, 100_000, 1, False),
]


def ledger_of(path: Path, *, cost: bool) -> Facts:
    rows = [
        make_call(
            number,
            dt.datetime(2026, 3, 2 + number, 12, tzinfo=dt.UTC),
            response_model="openai/gpt-4o-mini",
            usage_input_tokens=entered,
            usage_output_tokens=left,
            cost_nano_usd=charged if cost else None,
            task_tags=[TaskTag(path=PATHS[category], confidence_ppm=900_000)],
            tag_sample_weight=weight,
            is_byok=byok,
        )
        for number, (category, entered, left, charged, weight, byok) in enumerate(CALLS)
    ]
    ledger = Ledger.create(path)
    ledger.add_rows(rows, [], unit="hand", origin="a test")
    return open_facts(ledger, load_catalog())


def test_each_category_stands_at_its_cost_and_tokens(tmp_path: Path) -> None:
    """The unnamed category has no dot; the quadrants meet at the medians over those that have one."""
    facts = ledger_of(tmp_path / "ledger", cost=True)
    expected = {}
    for category in ("programming", "roleplay", "health"):
        mine = [call for call in CALLS if call[0] == category and not call[5]]
        tokens = sum((entered + left) * weight for _, entered, left, _, weight, _ in mine)
        spent = sum(charged * weight for _, _, _, charged, weight, _ in mine)
        expected[category] = (pytest.approx(spent / tokens / 1000), tokens)  # nano-USD a token is 1/1000 USD a million

    result = category_cost(facts, facts.sources[0], Params())

    found: dict[str, dict[str, float]] = {}
    segments = {}
    for cell in result.rows:
        if "category" in cell.groups:
            found.setdefault(cell.groups["category"], {})[cell.groups["axis"]] = float(cell.value or 0)
            segments[cell.groups["category"]] = cell.groups["segment"]
    assert {name: (axes["cost"], axes["usage"]) for name, axes in found.items()} == expected
    assert segments == {
        "programming": "mass-market volume drivers",  # the median cost, which is not dear
        "roleplay": "mass-market volume drivers",  # the median use, which is much
        "health": "specialised experts",
    }
    assert result.n == 3


def test_without_cost_there_is_no_figure(tmp_path: Path) -> None:
    """Free is not the same as not known."""
    facts = ledger_of(tmp_path / "ledger", cost=False)

    with pytest.raises(NotComputable, match="cost_nano_usd"):
        category_cost(facts, facts.sources[0], Params())
