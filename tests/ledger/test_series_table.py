"""The table of published series: lists are replaced as a whole, every vintage stays, the newest is shown."""

import datetime as dt
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_samples import series_of

from tidegate.core.errors import LedgerError
from tidegate.ledger.series import About, Point, add_series
from tidegate.ledger.store import Ledger
from tidegate.ledger.verify import verify

WEEK = dt.datetime(2026, 3, 16)
ABOUT = About(source_id="rankings", kind="author", grain="week", week_anchor="monday")


def day(number: int) -> dt.datetime:
    return dt.datetime(2026, 4, number)


def points(**tokens: int) -> list[Point]:
    return [Point(starts=WEEK, author=name, total_tokens=count) for name, count in tokens.items()]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def add(ledger: Ledger, unit: str, as_of: dt.datetime, **tokens: int) -> tuple[int, int, int, int]:
    done = add_series(ledger, ABOUT, points(**tokens), unit=unit, origin="test", as_of=as_of)
    return done.points, done.known, done.restated, done.outdated


def test_a_restated_list_replaces_the_old_one_whole(ledger: Ledger) -> None:
    """An author who fell out of the named nine is in `others` now; adding the old value would count it twice."""
    assert add(ledger, "one", day(1), deepseek=5, qwen=4, others=9) == (3, 0, 0, 0)
    assert add(ledger, "two", day(2), deepseek=6, minimax=5, others=8) == (3, 0, 1, 0)
    assert series_of(ledger, "author, total_tokens, is_rest, vintage") == [
        ("deepseek", 6, False, 2),
        ("minimax", 5, False, 2),
        ("others", 8, True, 2),
    ]
    assert series_of(ledger, "count(*)", "series_vintages") == [(6,)]
    assert not verify(ledger).findings


def test_the_same_list_again_is_known(ledger: Ledger) -> None:
    add(ledger, "one", day(1), deepseek=5, others=9)
    assert add(ledger, "two", day(2), deepseek=5, others=9) == (0, 2, 0, 0)
    assert len(ledger.entries()) == 1


def test_more_names_of_a_list_join_it(ledger: Ledger) -> None:
    """A second file of the same week names other authors and contradicts nothing: one list, one vintage."""
    add(ledger, "one", day(1), deepseek=5)
    assert add(ledger, "two", day(2), qwen=4) == (1, 0, 0, 0)
    assert series_of(ledger, "author, vintage") == [("deepseek", 1), ("qwen", 1)]


def test_an_older_download_that_arrives_late_is_kept_and_not_used(ledger: Ledger) -> None:
    add(ledger, "one", day(5), deepseek=6, others=8)
    assert add(ledger, "two", day(1), deepseek=5, others=9) == (2, 0, 0, 1)
    assert series_of(ledger, "author, total_tokens, vintage") == [("deepseek", 6, 1), ("others", 8, 1)]
    assert add(ledger, "three", day(1), deepseek=5, others=9) == (0, 2, 0, 0)


def test_a_name_that_stands_twice_in_a_list_is_refused(ledger: Ledger) -> None:
    twice = points(deepseek=1) + points(deepseek=2)
    with pytest.raises(LedgerError, match="deepseek stands twice in the list of 2026-03-16"):
        add_series(ledger, ABOUT, twice, unit="one", origin="test", as_of=day(1))
    assert ledger.entries() == []


def test_lists_of_categories_are_restated_one_by_one(ledger: Ledger) -> None:
    about = About(source_id="rankings", kind="category_author", grain="week", week_anchor="monday")

    def listed(category: str, tokens: int) -> Point:
        return Point(starts=WEEK, category=category, author="qwen", total_tokens=tokens)

    add_series(ledger, about, [listed("legal", 1), listed("health", 2)], unit="one", origin="t", as_of=day(1))
    add_series(ledger, about, [listed("legal", 3), listed("health", 2)], unit="two", origin="t", as_of=day(2))
    assert series_of(ledger, "category, total_tokens, vintage") == [("health", 2, 1), ("legal", 3, 2)]


LISTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3), min_size=1)


@settings(max_examples=25, deadline=None)
@given(st.lists(LISTS, min_size=1, max_size=5))
def test_the_newest_view_is_what_was_published_last(published: list[dict[str, int]]) -> None:
    """Told in order: a list that contradicts what is held replaces it, another adds its names. A naive dict says so."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.create(Path(folder) / "ledger")
        expected: dict[str, int] = {}
        for number, tokens in enumerate(published):
            add(ledger, f"unit-{number}", day(number + 1), **tokens)
            contradicts = any(expected.get(name, count) != count for name, count in tokens.items())
            expected = dict(tokens) if contradicts else {**expected, **tokens}
        assert dict(series_of(ledger, "author, CAST(total_tokens AS BIGINT)")) == expected
