"""Bad records of call logs: counted, named with their place, and left out or kept as documented; never in silence."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_samples import rows_of, told, write_lines, write_text

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports import Options, read_reports, run_import
from tidegate.ledger.imports.values import Unusable, as_count, as_nano_usd, as_time_us
from tidegate.ledger.store import Ledger

MAPPING = """
identity: id
columns:
  ts: created
  response_model: model
  usage_input_tokens: tokens_in
  usage_output_tokens: tokens_out
  usage_cache_read_input_tokens: cached
  cost_nano_usd: {from: cost, unit: usd}
constants: {provider_name: acme}
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(mapping=write_text(tmp_path, MAPPING, "ours.yml"))


def call(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"c{number}",
        "created": "2026-03-23T10:00:00Z",
        "model": "openai/gpt-4o",
        "tokens_in": 100,
        "tokens_out": 10,
        "cached": 40,
        "cost": "0.25",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tokens_in": -5}, "tokens_in: below zero"),
        ({"tokens_in": "many"}, "tokens_in: not a number"),
        ({"tokens_in": 1.5}, "tokens_in: not a whole number that fits 64 bits"),
        ({"tokens_in": 2**63}, "tokens_in: not a whole number that fits 64 bits"),
        ({"tokens_in": [1]}, "tokens_in: not a number"),
        ({"cost": "-0.1"}, "cost: outside 0 to 1000000"),
        ({"cost": "1e9"}, "cost: outside 0 to 1000000"),
        ({"created": ""}, "the time is missing"),
        ({"created": "yesterday"}, "created: not a time such as 2026-03-23T10:00:00Z"),
        ({"created": "1970-01-01T00:00:00Z"}, "created: not a time between 2015 and 2100"),
        ({"created": 0}, "created: not a time between 2015 and 2100"),
        ({"id": "c1"}, "a call stands there again; the first was kept"),
        ({"id": "c1", "tokens_out": 11}, "an id stands there again with other values; the first was kept"),
    ],
)
def test_what_cannot_be_a_row_is_counted_and_left_out(
    changes: dict[str, Any], reason: str, ledger: Ledger, options: Options, tmp_path: Path
) -> None:
    """The good call beside it comes in; the report names the reason, how often, and where first."""
    file = write_lines(tmp_path, [call(1), call(2, **changes)])
    report = run_import("table", [file], ledger, options=options)
    assert (report.read, report.added) == (2, 1)
    assert [(item.reason, item.count, item.first.partition(":")[0]) for item in report.rejected] == [
        (reason, 1, "log.jsonl, line 2")
    ]


def test_a_cached_count_above_its_total_becomes_null(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    report = run_import("table", [write_lines(tmp_path, [call(cached=101)])], ledger, options=options)
    assert rows_of(ledger, "usage_input_tokens, usage_cache_read_input_tokens") == [(100, None)]
    assert "usage_cache_read_input_tokens above usage_input_tokens: the part was set to null" in told(report)


def test_mixed_time_zones_meet_in_utc(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    """Four spellings of one moment; the one without a zone is taken for UTC, and both facts are said."""
    moments = ["2026-03-23T10:00:00Z", "2026-03-23T18:00:00+08:00", "2026-03-23 10:00:00", 1_774_260_000]
    file = write_lines(tmp_path, [call(number, created=moment) for number, moment in enumerate(moments)])
    report = run_import("table", [file], ledger, options=options)
    assert {ts for (ts,) in rows_of(ledger, "ts")} == {1_774_260_000_000_000}
    assert "a time without a zone was read as UTC (1 record)" in told(report)
    assert "times stand in several zones, all turned into UTC: +08:00 1, Z 1, none 1, number 1" in told(report)


def test_a_model_nobody_knows_is_kept_and_named(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    file = write_lines(tmp_path, [call(1), call(2, model="nobody/knows-this")])
    report = run_import("table", [file], ledger, options=options)
    assert report.added == 2
    assert "1 models are not in the catalog, their author and weights are unknown: nobody/knows-this" in told(report)


def test_a_half_written_file_of_lines_loses_only_its_torn_line(
    ledger: Ledger, options: Options, tmp_path: Path
) -> None:
    text = json.dumps(call(1)) + "\n" + json.dumps(call(2)) + "\n" + json.dumps(call(3))[:40]
    report = run_import("table", [write_text(tmp_path, text, "log.jsonl")], ledger, options=options)
    assert (report.read, report.added) == (3, 2)
    assert [item.reason for item in report.rejected] == ["the last line is torn: the file was half-written"]


def test_a_ragged_line_of_a_csv_is_left_out(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    text = "id,created,tokens_in\nc1,2026-03-23T10:00:00Z,5\nc2,2026-03-23T10:00:00Z\nc3,2026-03-23T10:00:01Z,7\n"
    report = run_import("table", [write_text(tmp_path, text)], ledger, options=options)
    assert rows_of(ledger, "request_id, usage_input_tokens") == [("c1", 5), ("c3", 7)]
    assert report.rejected[0].first == "log.csv, line 3: 2 cells where the header has 3"


def test_parquet_comes_in_and_half_of_one_is_refused(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    """A cut Parquet file has no footer: nothing of it can be trusted, so nothing comes in."""
    file = tmp_path / "calls.parquet"
    duckdb.sql(
        "SELECT 'c' || i AS id, TIMESTAMPTZ '2026-03-23 10:00:00+00' AS created, 'openai/gpt-4o' AS model, "
        "100 AS tokens_in, i AS tokens_out FROM range(3) AS r(i)"
    ).write_parquet(str(file))
    assert run_import("table", [file], ledger, options=options).added == 3
    half = tmp_path / "half.parquet"
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    before = ledger.entries()
    with pytest.raises(LedgerError, match="a Parquet file that cannot be read"):
        run_import("table", [half], ledger, options=options)
    assert ledger.entries() == before


def test_a_file_of_another_kind_is_one_clear_error(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    file = write_lines(tmp_path, [{"weather": "fine"}, {"weather": "rain"}])
    with pytest.raises(LedgerError, match=r"none of 2 records can be a row: the time is missing \(log.jsonl, line 1"):
        run_import("table", [file], ledger, options=options)
    assert ledger.entries() == []


def test_a_page_saved_in_the_place_of_an_export_is_named(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="it is HTML or XML"):
        run_import("table", [write_text(tmp_path, "<html>login</html>")], ledger, options=options)


def test_an_empty_export_is_said_to_be_empty(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    report = run_import("table", [write_text(tmp_path, "id,created\n")], ledger, options=options)
    assert "there is no record in the files" in report.notes
    assert ledger.entries() == []


def test_semicolons_and_tabs_part_cells_too(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    texts = [f"id{mark}created\nc{number}{mark}2026-03-23T10:00:00Z\n" for number, mark in enumerate(";\t")]
    files = [write_text(tmp_path, text, f"{number}.csv") for number, text in enumerate(texts)]
    assert run_import("table", files, ledger, options=options).added == 2


def test_a_grown_file_adds_what_is_new_and_says_what_was_restated(
    ledger: Ledger, options: Options, tmp_path: Path
) -> None:
    """Rows are sealed for good: a call that has another cost today keeps the first, and the report says so."""
    run_import("table", [write_lines(tmp_path, [call(1), call(2)])], ledger, options=options)
    grown = write_lines(tmp_path, [call(1), call(2, cost="0.5"), call(3)], "grown.jsonl")
    report = run_import("table", [grown], ledger, options=options)
    assert (report.added, report.known) == (1, 2)
    assert "1 calls have other values than the ledger holds" in told(report)
    assert rows_of(ledger, "request_id, cost_nano_usd", "request_id") == [
        (f"c{number}", 250_000_000) for number in (1, 2, 3)
    ]
    assert run_import("table", [grown], ledger, options=options).added == 0


def test_reports_can_be_read_again(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    """What was rejected and flagged stays beside the ledger, under the name of the unit in the manifest."""
    report = run_import("table", [write_lines(tmp_path, [call(1), call(2, tokens_in=-1)])], ledger, options=options)
    assert read_reports(ledger) == {ledger.entries()[0].unit: report}


def test_members_nobody_maps_are_named(ledger: Ledger, options: Options, tmp_path: Path) -> None:
    report = run_import("table", [write_lines(tmp_path, [call(1, colour="red", empty="")])], ledger, options=options)
    assert "'colour' was not mapped (1 record)" in report.notes
    assert not any("empty" in note for note in report.notes)


@pytest.mark.parametrize(
    ("mapping", "seen"),
    [
        ("columns: {usage_input_tokens: x}", "no column for ts"),
        ("columns: {ts: x, colour: y}", "'colour' is none of our columns that can be set"),
        ("columns: {ts: x, generation_id: y}", "'generation_id' is none of our columns that can be set"),
        ("columns: {ts: x, cost_nano_usd: y}", "cost_nano_usd has the unit 'none'; it may be usd, cent, nano_usd"),
        ("columns: {ts: x, duration_us: {from: y, unit: usd}}", "it may be s, ms, us"),
        ("columns: {ts: x, app: y}\nconstants: {app: z}", "app is both a column and a constant"),
        ("colums: {ts: x}", "unknown field"),
        ("- ts", "Expected `object`"),
        ("{", "is not YAML"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_why(mapping: str, seen: str, ledger: Ledger, tmp_path: Path) -> None:
    options = Options(mapping=write_text(tmp_path, mapping, "bad.yml"))
    with pytest.raises(LedgerError, match=seen):
        run_import("table", [write_lines(tmp_path, [call()])], ledger, options=options)


def test_units_of_money_and_time_are_the_mappings(ledger: Ledger, tmp_path: Path) -> None:
    text = "columns: {ts: {from: t, unit: s}, cost_nano_usd: {from: c, unit: cent}, duration_us: {from: d, unit: ms}}"
    options = Options(mapping=write_text(tmp_path, text, "m.yml"))
    file = write_lines(tmp_path, [{"t": 1_774_260_000.5, "c": 0.1, "d": 2.5}])
    run_import("table", [file], ledger, options=options)
    assert rows_of(ledger, "ts, cost_nano_usd, duration_us") == [(1_774_260_000_500_000, 1_000_000, 2500)]


@given(st.integers(0, 10**15))
def test_any_amount_of_nano_usd_is_read_exactly(nano: int) -> None:
    assert as_nano_usd("cost", f"{nano // 10**9}.{nano % 10**9:09d}") == (nano, False)


@given(st.text(max_size=12) | st.integers() | st.floats() | st.none() | st.booleans() | st.lists(st.integers()))
def test_a_count_is_a_whole_number_or_unusable(value: Any) -> None:
    try:
        count = as_count("x", value)
    except Unusable:
        return
    assert 0 <= count < 2**63 and float(str(value)) == pytest.approx(count)


@settings(max_examples=50)
@given(st.datetimes(dt.datetime(2015, 1, 2), dt.datetime(2099, 1, 1)), st.integers(-12, 14))
def test_a_moment_does_not_depend_on_its_zone(moment: dt.datetime, hours: int) -> None:
    there = moment.replace(tzinfo=dt.UTC).astimezone(dt.timezone(dt.timedelta(hours=hours)))
    expected = (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
    assert as_time_us("ts", there.isoformat())[0] == expected
