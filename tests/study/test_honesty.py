"""What a figure must say, or refuse, so that nobody reads into it what the source does not hold."""

import datetime as dt
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from study_series import Volumes, days, draw, values

from tidegate.catalog import load_catalog
from tidegate.core.ids import generation_id
from tidegate.core.row import Row
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger
from tidegate.study.authors import read_author_country
from tidegate.study.facts import Facts, open_facts
from tidegate.study.params import Params
from tidegate.study.periods import Window
from tidegate.study.result import NotComputable, Result, StudyError

MONDAY = dt.date(2026, 3, 2)
_serial = count()


def call(day: dt.date, **usage: int | None) -> Row:
    ts = int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) * 1_000_000
    made = generation_id(ts // 1000, 0, 0, 0, next(_serial))
    return Row(generation_id=made, ts=ts, source_id="own", response_model="openai/gpt-4o", **usage)


def facts_of_calls(folder: Path, rows: list[Row]) -> Facts:
    ledger = Ledger.create(folder / "calls")
    ledger.add_rows(rows, [], unit="u", origin="test")
    return open_facts(ledger, load_catalog())


def test_calls_without_usage_are_counted_in_the_notes(tmp_path: Path) -> None:
    """They add nothing to the tokens; a total that hid them would pass for complete."""
    rows = [call(MONDAY, usage_input_tokens=5, usage_output_tokens=1), call(MONDAY), call(MONDAY)]
    notes = draw(facts_of_calls(tmp_path, rows), "oss_split").notes
    assert "2 calls have no usage (refused, failed or cut off) and add no tokens." in notes


@pytest.mark.parametrize("figure", ["country_lead", "oss_split"])
def test_a_week_without_data_has_no_value(figure: str, facts_of: Callable[[Volumes], Facts]) -> None:
    """A collector that was down saw nothing; zero would say that nobody called."""
    seen = {(day, "us/a"): 1.0 for day in (*days("2026-03-02", 7), *days("2026-03-16", 7))}
    result = draw(facts_of(seen), figure)
    gap = {cell.value for cell in result.rows if cell.period == "2026-03-09"}
    assert gap == {None}
    assert "Week 2026-03-09 has data on 0 of its 7 days." in result.notes


def test_a_week_without_own_calls_is_zero(tmp_path: Path) -> None:
    """A gateway records every call: a week without any is a quiet one."""
    two = {"usage_input_tokens": 1, "usage_output_tokens": 1}
    rows = [call(day, **two) for day in (*days("2026-03-02", 7), *days("2026-03-16", 7))]
    assert values(draw(facts_of_calls(tmp_path, rows), "country_lead"), "US")["2026-03-09"] == 0


def test_lengths_of_a_part_of_a_week_are_refused(tmp_path: Path) -> None:
    """They are kept by week: a window inside one would show its other days too."""
    two = {"usage_input_tokens": 1, "usage_output_tokens": 1}
    facts = facts_of_calls(tmp_path, [call(day, **two) for day in days("2026-03-03", 3)])
    with pytest.raises(NotComputable, match="cuts the week of 2026-03-02"):
        draw(facts, "prompt_length", Params(window=Window(dt.date(2026, 3, 3), dt.date(2026, 3, 3))))
    assert draw(facts, "prompt_length", Params(window=Window(MONDAY, dt.date(2026, 3, 8)))).n == 3


def test_a_trace_of_relative_times_says_so(tmp_path: Path) -> None:
    """Its figures stand at 1970; nobody may take that for a date."""
    file = tmp_path / "t.jsonl"
    file.write_text('{"timestamp": 0, "input_length": 5, "output_length": 1}\n', "utf-8")
    ledger = Ledger.create(tmp_path / "l")
    run_import("trace", [file], ledger)
    assert "a start that it does not name" in draw(open_facts(ledger, load_catalog()), "prompt_length").notes[0]


@pytest.mark.parametrize("line", ["acme,CNH", "acme,China", "acme,中国", 'acme,"CHN', "acme,156"])
def test_a_country_that_is_none_is_refused(line: str, tmp_path: Path) -> None:
    """A misspelt code would file its author under all other countries, in silence."""
    file = tmp_path / "authors.csv"
    file.write_text(f"author,iso3\n{line}\n", "utf-8")
    with pytest.raises(StudyError, match=r"authors\.csv"):
        read_author_country(file, load_catalog())


def test_countries_may_be_written_in_either_code_and_any_case(tmp_path: Path) -> None:
    file = tmp_path / "authors.csv"
    file.write_text("\ufeffnote,ISO3,Author\n,cn,Acme\n,twn,other\n", "utf-8")
    assert {name: entry.iso3 for name, entry in read_author_country(file, load_catalog()).items()} == {
        "acme": "CN",
        "other": "TWN",
    }


def test_every_source_has_a_file_name_of_its_own() -> None:
    """A source may have any name; a file of it stays in the folder and overwrites no other."""

    def stem(source_id: str) -> str:
        return Result(
            figure="f", definition="", source_id=source_id, window=":", rows=(), n=0, missing_share=0.0
        ).file_stem

    names = ["a-b", "a:b", "a/b", "../../a", "数据", "来源", "x" * 500]
    assert len({stem(name) for name in names}) == len(names)
    assert all(len(stem(name)) < 100 and "/" not in stem(name) for name in names)
