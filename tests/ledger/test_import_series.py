"""Public lists by author, category, provider and app; and the traps that these files are known for."""

import datetime as dt
import json
from pathlib import Path

import pytest
from import_samples import series_of, told, write_text

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports import Options, run_import
from tidegate.ledger.store import Ledger

AUTHORS = "Date,Author,Tokens,Share\n"
BOTH_WEEKS = AUTHORS + (
    "2026-03-15,deepseek,1.5,0.75\n2026-03-15,others,0.5,0.25\n"
    "2026-03-16,deepseek,3,0.75\n2026-03-16,others,1,0.25\n"
    "2026-03-22,qwen,2,0.5\n2026-03-22,others,2,0.5\n"
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def test_overlapping_weeks_are_kept_apart_by_their_first_day(ledger: Ledger, tmp_path: Path) -> None:
    """The week from Sunday the 15th and the week from Monday the 16th share six days: added up they count twice."""
    report = run_import("openrouter-authors", [write_text(tmp_path, BOTH_WEEKS)], ledger)
    assert series_of(ledger, "week_anchor, day, author, total_tokens") == [
        ("monday", dt.date(2026, 3, 16), "deepseek", 3_000_000_000),
        ("monday", dt.date(2026, 3, 16), "others", 1_000_000_000),
        ("sunday", dt.date(2026, 3, 15), "deepseek", 1_500_000_000),
        ("sunday", dt.date(2026, 3, 15), "others", 500_000_000),
        ("sunday", dt.date(2026, 3, 22), "others", 2_000_000_000),
        ("sunday", dt.date(2026, 3, 22), "qwen", 2_000_000_000),
    ]
    assert "2 weekly series that overlap (2 beginning on Sunday and 1 beginning on Monday)" in told(report)
    assert "each list names 1 authors and sums the rest as `others`; 2 authors are named at some time" in told(report)


def test_a_restated_file_is_a_new_vintage_and_said(ledger: Ledger, tmp_path: Path) -> None:
    run_import("openrouter-authors", [write_text(tmp_path, BOTH_WEEKS)], ledger)
    changed = write_text(tmp_path, BOTH_WEEKS.replace("03-16,deepseek,3,0.75", "03-16,deepseek,7,0.875"), "later.csv")
    report = run_import("openrouter-authors", [changed], ledger)
    assert (report.added, report.known, report.restated) == (2, 4, 1)
    assert "1 lists were restated by the source: both vintages are kept, the newest is used" in report.notes
    monday = "week_anchor = 'monday' AND author = 'deepseek'"
    assert series_of(ledger, "total_tokens", where=monday) == [(7_000_000_000,)]
    assert series_of(ledger, "vintage, total_tokens", "series_vintages", monday) == [
        (1, 3_000_000_000),
        (2, 7_000_000_000),
    ]
    again = run_import("openrouter-authors", [tmp_path / "log.csv"], ledger)
    assert (again.added, again.known) == (0, 6)  # the first file, as old as it was: nothing is undone
    older = Options(as_of=dt.datetime(2026, 4, 1))
    late = write_text(tmp_path, BOTH_WEEKS.replace("03-16,deepseek,3,0.75", "03-16,deepseek,2,0.75"), "old.csv")
    assert "1 lists are older than what the ledger holds" in told(
        run_import("openrouter-authors", [late], ledger, options=older)
    )
    assert series_of(ledger, "total_tokens", where=monday) == [(7_000_000_000,)]


def test_a_share_that_is_not_that_of_the_tokens_is_said(ledger: Ledger, tmp_path: Path) -> None:
    wrong = write_text(tmp_path, BOTH_WEEKS.replace("2026-03-22,qwen,2,0.5", "2026-03-22,qwen,2,0.9"))
    assert "the printed share is not that of the tokens; the tokens were kept (1 record)" in told(
        run_import("openrouter-authors", [wrong], ledger)
    )


def test_categories_beside_their_parts_stay_as_published(ledger: Ledger, tmp_path: Path) -> None:
    text = "Date,Category,Author,Tokens\n2026-03-16,marketing,qwen,1\n2026-03-16,marketing/seo,qwen,2\n"
    report = run_import("openrouter-categories", [write_text(tmp_path, text)], ledger)
    assert series_of(ledger, "kind, category, author, total_tokens") == [
        ("category_author", "marketing", "qwen", 1_000_000_000),
        ("category_author", "marketing/seo", "qwen", 2_000_000_000),
    ]
    assert "marketing/seo stands beside marketing: categories of their own" in told(report)


def test_apps_by_model_by_day_and_over_a_window_are_three_kinds(ledger: Ledger, tmp_path: Path) -> None:
    """The ranking with the apps' age sums an unstated span: 10 trillion tokens are no day's."""
    by_model = "Date,App_ID,App_Title,App_Slug,Model,Tokens\n2026-03-22,1,Some App,some-app,a/b-20260101:free,0.5\n"
    by_day = "capture_date,rank,slug,total_tokens,total_requests\n2026-07-31,1,some-app,970493416983,11050156\n"
    window = "Date,App_Slug,Total_Tokens,Total_Requests,Created_At\n2026-05-06,some-app,10351693458643,192,2026-01-30\n"
    files = [write_text(tmp_path, text, f"{n}.csv") for n, text in enumerate((by_model, by_day, window))]
    report = run_import("openrouter-apps", files, ledger)
    assert series_of(ledger, "kind, grain, app, response_model, model_variant, calls, total_tokens") == [
        ("app", "day", "some-app", "", "", 11_050_156, 970_493_416_983),
        ("app", "window", "some-app", "", "", 192, 10_351_693_458_643),
        ("app_model", "day", "some-app", "a/b-20260101", "free", None, 500_000_000),
    ]
    assert "does not say how many days it sums" in told(report)
    assert "the file counts single tokens, not billions (2 records)" in told(report)


def test_a_week_that_is_not_over_is_left_out(ledger: Ledger, tmp_path: Path) -> None:
    """The ranking page shows the running week too: three days of it would be taken for a week of low demand."""
    points = [{"x": "2026-03-09", "ys": {"qwen": 5, "others": 7}}, {"x": "2026-03-16", "ys": {"qwen": 2, "others": 3}}]
    file = write_text(tmp_path, json.dumps({"data": points}), "market-share.json")
    report = run_import("openrouter-authors", [file], ledger, options=Options(as_of=dt.datetime(2026, 3, 19)))
    assert series_of(ledger, "day, author, total_tokens") == [
        (dt.date(2026, 3, 9), "others", 7),
        (dt.date(2026, 3, 9), "qwen", 5),
    ]
    assert "the week of 2026-03-16 was not over on 2026-03-19: left out" in told(report)
    later = run_import("openrouter-authors", [file], ledger, options=Options(as_of=dt.datetime(2026, 3, 23)))
    assert (later.added, later.known) == (2, 2)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (AUTHORS + "2026-03-16,qwen,1.5,\n2026-03-16,deepseek,5000000000,\n", "line 3: 5000000000 can only be single"),
        (AUTHORS + "2026-03-16,qwen,1,\n2026-03-16,qwen,2,\n", "line 3: 2026-03-16 qwen stands here again"),
        (AUTHORS + "2026-03-16,,1,\n", "line 2: the author is empty"),
        (AUTHORS + "2026-03-16,qwen,-1,\n", "line 2: tokens is -1, outside"),
        (AUTHORS + "16/03/2026,qwen,1,\n", "line 2: the date is"),
        (AUTHORS + "2026-03-16,qwen,1,150%\n", "line 2: the share is"),
        (AUTHORS, "line 1: the file has a header and no line"),
        (AUTHORS + "".join(f"2026-03-{d},qwen,1,\n" for d in (16, 17, 18)), "3 different weekdays"),
        ("Date,Tokens\n2026-03-16,1\n", "no column for the author"),
    ],
)
def test_a_bad_line_refuses_the_file(text: str, seen: str, ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=seen):
        run_import("openrouter-authors", [write_text(tmp_path, text)], ledger)
    assert ledger.entries() == []


def test_the_public_files_come_in_whole(ledger: Ledger, shared_data: Path) -> None:
    """980 lines are 50 Sunday and 48 Monday weeks of ten names; the lists by category begin on Mondays."""
    folder = shared_data / "openrouter"
    authors = run_import("openrouter-authors", [folder / "author_weekly_share.csv"], ledger)
    assert authors.added == 980
    weeks = series_of(ledger, "DISTINCT week_anchor, day")
    assert [sum(anchor == name for anchor, _ in weeks) for name in ("sunday", "monday")] == [50, 48]
    assert run_import("openrouter-categories", [folder / "category_author_weekly.csv"], ledger).added == 3277
    assert run_import("openrouter-providers", [folder / "provider_daily_usage.csv"], ledger).added == 4258
    assert run_import("openrouter-apps", [folder / "app_model_daily_usage.csv"], ledger).added == 9640
