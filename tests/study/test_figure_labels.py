"""Figures of tasks and languages: sampled calls, each counted as often as its weight says; worked out row by row."""

from collections.abc import Callable, Iterator
from pathlib import Path

import hand_ledger as hand
import pytest
from hand_ledger import CATEGORY, OPEN, ROWS, SAMPLE_WEIGHT, is_open, shares, strong_tags, sums, top_category, weighted
from study_series import draw

from tidegate.catalog import load_catalog
from tidegate.core.row import Row
from tidegate.study.facts import Facts, open_facts
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    ledger = hand.write(Path(tmp_path_factory.mktemp("labels")) / "ledger")
    yield open_facts(ledger, load_catalog())


def shares_of(result: Result, column: str) -> dict[tuple[str, str], float]:
    return {(cell.period, cell.groups[column]): cell.share for cell in result.rows if cell.share}


def labelled(keep: Callable[[Row], bool] = lambda row: True) -> list[Row]:
    return [row for row in ROWS if strong_tags(row) and keep(row)]


@pytest.mark.parametrize(
    ("figure", "keep"),
    [
        ("category_share", lambda row: True),
        ("open_categories", is_open),
        ("chinese_open_categories", lambda row: OPEN[row.response_model] == "open_cn"),
    ],
)
def test_categories_are_shares_of_named_labels(figure: str, keep: Callable[[Row], bool], facts: Facts) -> None:
    """Figures 6, 7 and 19: the surest label decides, what is in no category is left out and told."""
    rows = labelled(keep)
    result = draw(facts, figure)
    assert shares_of(result, "category") == pytest.approx(shares(sums(rows, top_category, weighted)))
    assert result.n == len(rows)
    left = sum(weighted(row) for row in rows if top_category(row) is None) / sum(map(weighted, rows))
    assert f"{100 * left:.1f} % of what is labelled is in none of the 12 categories and left out." in result.notes


def test_a_call_of_two_labels_may_be_split_or_count_twice(facts: Facts) -> None:
    """`split` keeps the sum; under `any` shares are of all that is labelled and overlap."""
    expected: dict[str, float] = {}
    twice: dict[str, float] = {}
    week = hand.WEEKS[0]
    rows = [row for row in labelled() if hand.week_of(row) == week]
    for row in rows:
        tags = strong_tags(row)
        for path in tags:
            if category := CATEGORY[path]:
                expected[category] = expected.get(category, 0) + weighted(row) / len(tags)
                twice[category] = twice.get(category, 0) + weighted(row)
    split = {
        c.groups["category"]: c
        for c in draw(facts, "category_share", Params(label_rule="split")).rows
        if c.period == week.isoformat() and c.value
    }
    assert {name: cell.value for name, cell in split.items()} == pytest.approx(expected, abs=len(rows))
    assert sum(cell.share or 0 for cell in split.values()) == pytest.approx(1)
    overlapping = draw(facts, "category_share", Params(label_rule="any"))
    shown = {c.groups["category"]: c.share for c in overlapping.rows if c.period == week.isoformat() and c.value}
    base = sum(map(weighted, rows))
    assert shown == pytest.approx({name: value / base for name, value in twice.items()})
    assert any("labels overlap" in note for note in overlapping.notes)


BUCKET = {  # of the study's text, section 2.2
    "/Computers & Electronics/Programming": "programming",
    "/Computers & Electronics/Programming/Development Tools": "programming",
    "/Games/Roleplaying Games": "roleplay",
}


def test_the_same_labels_sort_into_the_buckets_of_the_text(facts: Facts) -> None:
    """The charts use twelve categories, the text defines other groups: labels keep paths, so both can be drawn."""
    rows = labelled()
    result = draw(facts, "category_share", Params(taxonomy="study"))
    expected = shares(sums(rows, lambda row: BUCKET.get(strong_tags(row)[0]), weighted))
    assert shares_of(result, "category") == pytest.approx(expected)
    assert "buckets of the study's text" in result.definition


def test_a_confidence_below_one_half_is_no_label(facts: Facts) -> None:
    """/Finance stands in the ledger with 0.499999: it is in no category of any rule."""
    for rule in ("top", "split", "any"):
        result = draw(facts, "category_share", Params(label_rule=rule))  # type: ignore[arg-type]
        assert "finance" not in {cell.groups["category"] for cell in result.rows}


@pytest.mark.parametrize(
    ("figure", "category"), [("programming_by_source", "programming"), ("roleplay_by_source", "roleplay")]
)
def test_one_category_by_kind_of_model(figure: str, category: str, facts: Facts) -> None:
    """Figures 8 and 9."""
    rows = labelled(lambda row: top_category(row) == category)
    expected = shares(sums(rows, lambda row: OPEN[row.response_model or ""], weighted))
    assert shares_of(draw(facts, figure), "source_type") == pytest.approx(expected)


def test_programming_is_by_spend_where_there_is_any(facts: Facts) -> None:
    """Figure 20 is of money, whatever else is asked in tokens."""
    rows = labelled(lambda row: top_category(row) == "programming")

    def author(row: Row) -> str:
        name = (row.response_model or "").partition("/")[0]
        return "stealth" if name == "openrouter" else name

    expected = shares(sums(rows, author, lambda row: hand.spend(row) * SAMPLE_WEIGHT))
    result = draw(facts, "programming_authors")
    assert result.unit == "nano-USD"
    assert shares_of(result, "author") == pytest.approx(expected)


def test_categories_are_made_of_paths(facts: Facts) -> None:
    """Figures 21 and 22: within a category, over the whole window."""
    parts: dict[str, dict[str, int]] = {}
    for row in labelled():
        path = strong_tags(row)[0]
        if category := CATEGORY[path]:
            held = parts.setdefault(category, {})
            held[path] = held.get(path, 0) + weighted(row)
    found: dict[str, dict[str, float | None]] = {}
    for cell in draw(facts, "category_tags").rows:
        found.setdefault(cell.groups["category"], {})[cell.groups["tag"]] = cell.share
    for category, held in parts.items():
        assert found[category] == pytest.approx({path: value / sum(held.values()) for path, value in held.items()})
    assert found.keys() == parts.keys()


def test_each_author_by_category(facts: Facts) -> None:
    """Figures 23 to 28: shares within an author; authors of the report come first."""
    result = draw(facts, "author_categories")
    authors = list(dict.fromkeys(cell.groups["author"] for cell in result.rows))
    assert authors[:3] == ["anthropic", "openai", "deepseek"]
    rows = labelled(lambda row: (row.response_model or "").startswith("deepseek/"))
    expected = shares(sums(rows, top_category, weighted))
    found = {
        (cell.period, cell.groups["category"]): cell.share
        for cell in result.rows
        if cell.groups["author"] == "deepseek" and cell.share
    }
    assert found == pytest.approx(expected)


def test_languages_of_labelled_calls(facts: Facts) -> None:
    """Table 4: n is the calls that were looked at, shares count each as often as it stands for."""
    rows = [row for row in ROWS if row.language]
    total = sum(map(weighted, rows))
    result = draw(facts, "language_table")
    expected = {name: value / total for name, value in hand.totals(rows, lambda row: row.language, weighted).items()}
    assert {cell.groups["language"]: cell.share for cell in result.rows} == pytest.approx(expected)
    assert result.n == len(rows)


def test_without_labels_nothing_is_guessed(tmp_path: Path) -> None:
    """A ledger that nobody labelled has no figure of tasks or languages, and says what is missing."""
    from tidegate.ledger.store import Ledger

    ledger = Ledger.create(tmp_path / "bare")
    bare = [
        Row(
            generation_id=row.generation_id,
            ts=row.ts,
            source_id="own",
            response_model=row.response_model,
            usage_input_tokens=1,
            usage_output_tokens=1,
        )
        for row in ROWS
    ]
    ledger.add_rows(bare, [], unit="calls", origin="test")
    facts = open_facts(ledger, load_catalog())
    for figure in ("category_share", "open_categories", "programming_by_source", "category_tags", "author_categories"):
        with pytest.raises(NotComputable, match="task_tags"):
            draw(facts, figure)
    for figure, column in (
        ("language_table", "language"),
        ("country_table", "billing_country"),
        ("billing_and_ip", "ip_country"),
        ("app_share", "app"),
        ("app_models", "app"),
        ("outlier_accounts", "tenant_id"),
        ("multihoming", "tenant_id"),
        ("tool_call_share", "finish_reason"),
        ("top_tool_models", "finish_reason"),
    ):
        with pytest.raises(NotComputable, match=column):
            draw(facts, figure)
