"""Rollups merge: the summary of two ledgers is the merged summary of each, to the last integer."""

import datetime as dt
from collections.abc import Callable
from itertools import count
from pathlib import Path

import duckdb
import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.core.errors import LedgerError
from tidegate.core.ids import generation_id
from tidegate.core.row import Row, TaskTag
from tidegate.ledger.rollup import attach, canonical_csv, load_rollup, merge_sql, parse_rollup, rollup_names
from tidegate.ledger.rollup_rows import RELATIONS
from tidegate.ledger.store import Ledger

NAMES = rollup_names()
MONDAY_US = int(dt.datetime(2026, 3, 23, tzinfo=dt.UTC).timestamp()) * 1_000_000
DAY_US = 86_400_000_000
RATES = {"p1": (3_000_000_000, 15_000_000_000)}
ENGINE = duckdb.connect()
_serial = count()


def row(ts: int = MONDAY_US, source_id: str = "own", **values: object) -> Row:
    return Row(generation_id=generation_id(ts // 1000, 0, 0, 0, next(_serial)), ts=ts, source_id=source_id, **values)


tokens = st.none() | st.integers(0, 300) | st.integers(0, 2**41)
rows = st.builds(
    row,
    ts=st.integers(0, 20).map(lambda days: MONDAY_US + days * DAY_US // 2),
    source_id=st.sampled_from(["own", "other"]),
    response_model=st.sampled_from([None, "a/x", "b/y"]),
    model_variant=st.sampled_from([None, "", "free"]),
    is_byok=st.sampled_from([None, False, True]),
    finish_reason=st.sampled_from([None, "stop", "tool_calls", "eos"]),
    error_type=st.sampled_from([None, "upstream_error"]),
    usage_input_tokens=tokens,
    usage_output_tokens=tokens,
    cost_nano_usd=st.none() | st.integers(0, 10**15),
    price_id=st.sampled_from([None, "p1", "p2"]),
    task_tags=st.none()
    | st.just([TaskTag(path="/a", confidence_ppm=400_000), TaskTag(path="/b", confidence_ppm=600_000)]),
    tag_sample_weight=st.sampled_from([None, 4]),
    tenant_id=st.sampled_from([None, "t", "u"]),
    user_hash=st.sampled_from([None, "h"]),
    language=st.sampled_from([None, "en", "zh-Hans"]),
    billing_country=st.sampled_from([None, "FR"]),
    app=st.sampled_from([None, "editor"]),
    time_to_first_chunk_us=tokens,
)


def ledger_of(folder: Path, *units: list[Row]) -> Ledger:
    """A ledger with one sealed unit for each list of rows."""
    ledger = Ledger.create(folder)
    for number, unit in enumerate(units):
        if unit:
            ledger.add_rows(unit, [], unit=f"unit-{number}", origin="test")
    return ledger


def rolled_up(ledger: Ledger, name: str) -> str:
    attach(ledger, ENGINE, name, list_rates=RATES)
    return canonical_csv(ENGINE, load_rollup(name), name)


def fetch(ledger: Ledger, name: str, columns: str) -> list[tuple[object, ...]]:
    connection = ledger.connect()
    attach(ledger, connection, name, list_rates=RATES)
    return connection.execute(f"SELECT {columns} FROM {name} ORDER BY ALL").fetchall()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=st.lists(rows, max_size=12), two=st.lists(rows, max_size=12))
def test_a_rollup_of_a_union_is_the_merge_of_the_rollups(
    one: list[Row], two: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """rollup(a) + rollup(b) = rollup(a and b): what lets new data cost only itself, on any number of machines."""
    folder = tmp_path_factory.mktemp("merge")
    as_one, apart = ledger_of(folder / "as_one", one + two), ledger_of(folder / "apart", one, two)
    for name in NAMES:
        whole = rolled_up(as_one, name)
        assert rolled_up(apart, name) == whole
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tidegate.ledger.rollup_runs.RUN_FILES_MAX", 1)
            for unit in (apart.path / "cache").rglob("*.cache"):
                unit.unlink()
            assert rolled_up(apart, name) == whole


@pytest.mark.parametrize("name", NAMES)
def test_merging_again_changes_nothing(name: str, tmp_path: Path) -> None:
    """A merged rollup is itself a unit: clusters may merge in any number of steps."""
    ledger = ledger_of(tmp_path / "l", [row(usage_input_tokens=5, usage_output_tokens=7, response_model="a/x")] * 1)
    connection = ledger.connect()
    attach(ledger, connection, name)
    rollup = load_rollup(name)
    once = canonical_csv(connection, rollup, name)
    connection.execute(f"CREATE TABLE again AS {merge_sql(rollup, name)}")
    assert canonical_csv(connection, rollup, "again") == once


@pytest.mark.parametrize("dialect", ["spark", "clickhouse"])
@pytest.mark.parametrize("name", NAMES)
def test_the_sql_translates_to_other_engines(name: str, dialect: str) -> None:
    """A rollup runs where the rows are: one statement, understood in both directions, nothing approximate."""
    sql = load_rollup(name).sql
    (translated,) = sqlglot.transpile(sql, read="duckdb", write=dialect)
    assert sqlglot.parse_one(translated, read=dialect).find(sqlglot.exp.Select)
    assert "approx" not in sql.lower()
    assert "median" not in sql.lower()


@pytest.mark.parametrize("name", NAMES)
def test_the_header_names_exactly_the_columns(name: str) -> None:
    """The contract in the comment is what the code reads: it may not drift from the SELECT below it."""
    rollup = load_rollup(name)
    selected = sqlglot.parse_one(rollup.sql, read="duckdb").named_selects
    assert tuple(selected) == rollup.columns
    assert rollup.key[0] == "source_id"
    assert rollup.relation in RELATIONS


def test_a_rollup_without_its_contract_is_refused() -> None:
    with pytest.raises(LedgerError, match="-- key:"):
        parse_rollup("-- rollup: x\n-- text: x\n-- from: rows\nSELECT 1")


def test_what_a_source_lacks_is_null_not_zero(tmp_path: Path) -> None:
    """A sum over nothing known is unknown; the calls of unknown usage are counted beside it."""
    ledger = ledger_of(tmp_path / "l", [row(), row(usage_input_tokens=3, usage_output_tokens=4)])
    columns = "calls, unmetered_calls, total_tokens, cost_nano_usd"
    assert fetch(ledger, "daily_usage", columns) == [(2, 1, 7, None)]


def test_list_cost_is_usage_at_the_list_rates_of_the_price(tmp_path: Path) -> None:
    """3 USD and 15 USD a million: 1,000 in and 100 out cost 0.0045 USD; a price nobody lists gives no list cost."""
    known = row(usage_input_tokens=1000, usage_output_tokens=100, price_id="p1", response_model="a/x")
    other = row(usage_input_tokens=1000, usage_output_tokens=100, price_id="gone", response_model="b/y")
    ledger = ledger_of(tmp_path / "l", [known, other])
    assert fetch(ledger, "daily_usage", "list_cost_nano_usd") == [(4_500_000,), (None,)]


@given(length=st.integers(0, 2**40 - 1))
@settings(max_examples=60, deadline=None)
def test_buckets_keep_seven_significant_bits(length: int) -> None:
    """The SQL ladder against the definition: shift away all but seven bits."""
    drop = max(0, length.bit_length() - 7)
    ladder = load_rollup("length_histogram").sql
    case = ladder[ladder.index("CASE") : ladder.index("END AS bucket") + 3]
    found = ENGINE.execute(f"SELECT {case} FROM (SELECT CAST(? AS BIGINT) AS tokens)", [length]).fetchone()
    assert found == (length >> drop << drop,)


def test_labelled_calls_count_by_their_sampling_weight(tmp_path: Path) -> None:
    """All calls once under the empty path; under its best label, as many as the sample stands for."""
    tags = [TaskTag(path="/weak", confidence_ppm=499_999), TaskTag(path="/strong", confidence_ppm=700_000)]
    labelled = row(usage_input_tokens=10, usage_output_tokens=1, task_tags=tags, tag_sample_weight=400)
    ledger = ledger_of(tmp_path / "l", [labelled, row(usage_input_tokens=10, usage_output_tokens=1)])
    found = fetch(ledger, "length_histogram", "tag_path, length_of, bucket, calls, tokens")
    assert ("", "input", 10, 2, 20) in found
    assert ("/strong", "input", 10, 400, 4000) in found
    assert not [entry for entry in found if entry[0] == "/weak"]


def cached(ledger: Ledger) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in (ledger.path / "cache").rglob("*") if file.is_file()}


def test_a_sealed_file_is_summarised_once(tmp_path: Path) -> None:
    """The second study reads units, not rows; a new file is a unit of its own and leaves the others alone."""
    ledger = ledger_of(tmp_path / "l", [row(response_model="a/x")])
    first = rolled_up(ledger, "daily_usage")
    units = cached(ledger)
    assert len(units) == 1
    ledger.add_rows([row(MONDAY_US + DAY_US, response_model="a/x")], [], unit="later", origin="test")
    assert rolled_up(ledger, "daily_usage") != first
    assert len(cached(ledger)) == 2
    assert units.items() <= cached(ledger).items()


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-9], lambda data: b"\xff" * len(data)])
def test_a_damaged_summary_is_made_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """It is no evidence: the sealed files are, and they are still there."""
    ledger = ledger_of(tmp_path / "l", [row(response_model="a/x")])
    first = rolled_up(ledger, "daily_usage")
    (unit,) = cached(ledger)
    unit.write_bytes(damage(unit.read_bytes()))
    assert rolled_up(ledger, "daily_usage") == first


def test_an_outdated_unit_goes_when_its_successor_comes(tmp_path: Path) -> None:
    """A catalog that changes its prices every day must not fill the disk with old summaries."""
    ledger = ledger_of(tmp_path / "l", [row(response_model="a/x", price_id="p1")])
    rolled_up(ledger, "daily_usage")
    (old,) = cached(ledger)
    attach(ledger, ledger.connect(), "daily_usage", list_rates={"p1": (1, 1)})
    (new,) = cached(ledger)
    assert new != old


@pytest.mark.parametrize("name", NAMES)
def test_absurd_counts_add_up_all_the_same(name: str, tmp_path: Path) -> None:
    """A provider may report any number; one that does must not stop every study of the ledger."""
    huge = 2**63 - 1
    absurd = {"usage_input_tokens": huge, "usage_output_tokens": huge, "images": huge, "duration_us": huge}
    tags = [TaskTag(path="/a", confidence_ppm=600_000), TaskTag(path="/b", confidence_ppm=600_000)]
    absurd |= {"task_tags": tags, "tag_sample_weight": huge, "cost_nano_usd": huge, "tool_calls": huge}
    ledger = ledger_of(
        tmp_path / "l", [row(response_model="a/x", price_id="p1", tenant_id="t", **absurd) for _ in range(3)]
    )
    total = {"length_histogram": "tokens", "latency_histogram": "latency_us * 2", "active_months": f"{6 * huge}"}
    assert max(fetch(ledger, name, total.get(name, "total_tokens"))) == (6 * huge,)


def test_a_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l", [row(response_model=f"a/{number}") for number in range(2000)])
    (file,) = ledger.row_files()
    content = bytearray(file.read_bytes())
    content[len(content) // 4 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 4)
    file.write_bytes(content)
    with pytest.raises(LedgerError, match="ledger verify"):
        rolled_up(ledger, "daily_usage")


def test_there_is_no_rollup_by_an_unknown_name() -> None:
    with pytest.raises(LedgerError, match="there are active_months, daily_app"):
        load_rollup("weekly_usage")
