"""Weeks and months: one definition in Python and in SQL, and windows as people write them."""

import datetime as dt

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.study.periods import ANCHORS, Window, cover, parse_window, period_end, period_of, period_sql
from tidegate.study.result import StudyError

grains = st.sampled_from(["week", "month"])
anchors = st.sampled_from(sorted(ANCHORS))
dates = st.dates(dt.date(1999, 1, 1), dt.date(2050, 12, 31))


@given(day=dates, grain=grains, anchor=anchors)
def test_a_day_lies_in_its_period_and_the_sql_agrees(day: dt.date, grain: str, anchor: str) -> None:
    start = period_of(day, grain, anchor)
    assert start <= day <= period_end(start, grain)
    assert period_of(start, grain, anchor) == start
    if grain == "week":
        assert start.isoweekday() == ANCHORS[anchor]
    with duckdb.connect() as connection:
        sql = f"SELECT {period_sql('day', grain, anchor)} FROM (SELECT CAST(? AS DATE) AS day)"
        assert connection.execute(sql, [day]).fetchone() == (start,)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-01-05:2026-02-01", "2026-01-05", "2026-02-01"),
        ("2026-01:2026-02", "2026-01-01", "2026-02-28"),
        (":2024-02", None, "2024-02-29"),
        ("2026-01-05:", "2026-01-05", None),
    ],
)
def test_a_window_has_both_its_ends_in_it(text: str, first: str | None, last: str | None) -> None:
    ends = [dt.date.fromisoformat(end) if end else None for end in (first, last)]
    assert parse_window(text) == Window(*ends)


@pytest.mark.parametrize("text", ["2026-01-05", "2026-13:2026-14", "2026-02-01:2026-01-01", "then:now"])
def test_an_unreadable_window_says_how_to_write_one(text: str) -> None:
    with pytest.raises(StudyError, match="window"):
        parse_window(text)


@given(days=st.sets(st.integers(0, 60)), continuous=st.booleans(), grain=grains, anchor=anchors)
def test_what_is_kept_begins_and_ends_with_complete_periods(
    days: set[int], continuous: bool, grain: str, anchor: str
) -> None:
    """Whatever the gaps: nothing incomplete stands at an end, unless nothing complete exists, and that is said."""
    present = {dt.date(2025, 12, 1) + dt.timedelta(days=day): 3 for day in days}
    found = cover(present, Window(), grain, anchor, continuous=continuous)
    gaps = {period for period, _, _ in found.gaps}
    if found.kept and not found.partial:
        assert found.kept[0] not in gaps
        assert found.kept[-1] not in gaps
    assert bool(found.kept) == bool(days)
    touched = {period_of(day, grain, anchor) for day in present}
    assert touched <= {*found.kept, *(period for period, _, _ in found.dropped)}
    if continuous:
        assert not gaps or found.partial
