"""The Ledger as other rooms use it: open, create, views, imported rows and rollups."""

import msgspec
import pytest
from ledger_calls import DAY_US, NOW_US, call_id, make_attempt, make_row

from tidegate.core.errors import LedgerError
from tidegate.ledger.schema import columns
from tidegate.ledger.store import Ledger


@pytest.fixture
def ledger(tmp_path):
    return Ledger.create(tmp_path / "ledger")


def query(ledger, sql):
    connection = ledger.connect()
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_a_missing_ledger_says_how_to_make_one(tmp_path):
    with pytest.raises(LedgerError, match=r"no ledger at .*nowhere; `tidegate ledger import \.\.\. --into"):
        Ledger.open(tmp_path / "nowhere")


def test_a_damaged_or_newer_ledger_file_is_named(ledger):
    path = ledger.path / "ledger.json"
    about = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**about, "format": 99}))
    with pytest.raises(LedgerError, match="has format 99"):
        Ledger.open(ledger.path)
    path.write_bytes(b"{")
    with pytest.raises(LedgerError, match=r"ledger\.json is damaged"):
        Ledger.open(ledger.path)


def test_create_opens_what_is_there(ledger):
    again = Ledger.create(ledger.path)
    assert again.ledger_id == ledger.ledger_id


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be made"):
        Ledger.create(tmp_path / "file")


def test_an_empty_ledger_has_typed_views(ledger):
    """A figure on an empty ledger is an empty table, not an SQL error."""
    assert query(ledger, "SELECT count(*), sum(cost_nano_usd) FROM rows") == [(0, None)]
    described = query(ledger, "DESCRIBE SELECT * FROM attempts")
    assert [(name, kind) for name, kind, *_ in described] == [
        (column.name, column.sql_type) for column in columns("attempts")
    ]
    assert ledger.row_files() == ledger.attempt_files() == ledger.rollup_files("daily_usage") == []


def test_imported_rows_lie_under_their_day(ledger):
    rows = [make_row(number, ts=NOW_US + number % 3 * DAY_US) for number in range(9)]
    entry = ledger.add_rows(iter(rows), iter([make_attempt(0)]), unit="trace-1", origin="a trace")
    assert [(file.table, file.day, file.rows) for file in sorted(entry.files, key=lambda file: file.path)] == [
        ("attempts", "2026-03-23", 1),
        ("rows", "2026-03-23", 3),
        ("rows", "2026-03-24", 3),
        ("rows", "2026-03-25", 3),
    ]
    assert [path.parent.name for path in ledger.row_files()] == ["dt=2026-03-23", "dt=2026-03-24", "dt=2026-03-25"]
    assert query(ledger, "SELECT count(*), min(ts), max(ts) FROM rows") == [
        (9, min(row.ts for row in rows), max(row.ts for row in rows))
    ]
    assert (entry.kind, entry.unit, entry.origin) == ("import", "trace-1", "a trace")


def test_the_same_unit_again_changes_nothing(ledger):
    rows = [make_row(number) for number in range(5)]
    first = ledger.add_rows(rows, (), unit="u", origin="x")
    assert ledger.add_rows(reversed(rows), (), unit="u", origin="x") == first
    assert len(ledger.entries()) == 1
    assert not [path for path in ledger.path.rglob(".*") if path.suffix in (".tmp", ".ndjson")]


def test_other_rows_under_a_known_unit_are_refused(ledger):
    ledger.add_rows([make_row(1)], (), unit="u", origin="x")
    with pytest.raises(LedgerError, match=r"'u' is in the ledger already .* Import under another unit name"):
        ledger.add_rows([make_row(1, app="edited")], (), unit="u", origin="x")
    assert query(ledger, "SELECT count(*), count(app) FROM rows") == [(1, 0)]


def test_a_call_is_never_in_the_ledger_twice(ledger):
    with pytest.raises(LedgerError, match="comes twice"):
        ledger.add_rows([make_row(1), make_row(1)], (), unit="u", origin="x")
    ledger.add_rows([make_row(number) for number in range(3)], (), unit="u", origin="x")
    with pytest.raises(LedgerError, match=f"1 of its calls are in the ledger already, e.g. {call_id(2)}"):
        ledger.add_rows([make_row(2), make_row(3)], (), unit="v", origin="x")
    assert query(ledger, "SELECT count(*) FROM rows") == [(3,)]


@pytest.mark.parametrize("ts", [-1, 10**18])
def test_a_time_that_is_no_day_is_refused(ledger, ts):
    """Seconds taken for microseconds land in 1970; nanoseconds land here."""
    with pytest.raises(LedgerError, match=r"u: .* microseconds since 1970"):
        ledger.add_rows([make_row(1, ts=NOW_US), msgspec.structs.replace(make_row(2), ts=ts)], (), unit="u", origin="x")
    assert ledger.entries() == []


def test_a_unit_must_be_a_file_name(ledger):
    with pytest.raises(LedgerError, match="cannot be a file name"):
        ledger.add_rows([], (), unit="../up", origin="x")


def test_rollup_units_are_sealed_once(ledger):
    connection = ledger.connect()
    select = (
        "SELECT * FROM (VALUES (DATE '2026-03-23', 'a/b', 5), (DATE '2026-03-24', 'a/b', 7)) AS t(day, model, calls)"
    )
    entry = ledger.add_rollup("daily_usage", select, connection, unit="openrouter", origin="csv")
    assert (
        ledger.add_rollup("daily_usage", f"{select} ORDER BY day DESC", connection, unit="openrouter", origin="csv")
        == entry
    )
    with pytest.raises(LedgerError, match="other rows"):
        ledger.add_rollup("daily_usage", f"{select} WHERE calls > 5", connection, unit="openrouter", origin="csv")
    with pytest.raises(LedgerError, match="other rows"):
        ledger.add_rollup("daily_usage", select.replace("calls)", "n)"), connection, unit="openrouter", origin="csv")
    with pytest.raises(LedgerError, match="no_such_table"):
        ledger.add_rollup("daily_usage", "SELECT * FROM no_such_table", connection, unit="other", origin="csv")
    ledger.add_rollup("series", select, connection, unit="openrouter", origin="csv")
    connection.close()
    (path,) = ledger.rollup_files("daily_usage")
    assert path == ledger.path / "rollups" / "daily_usage" / "openrouter.parquet"
    assert query(ledger, f"SELECT sum(calls) FROM read_parquet(['{path}'])") == [(12,)]
    assert [entry.kind for entry in ledger.entries()] == ["rollup", "rollup"]


def test_another_process_sees_new_entries_at_once(ledger):
    """A Ledger that is kept open (the console's) reads on in the manifest."""
    other = Ledger.open(ledger.path)
    assert other.entries() == []
    ledger.add_rows([make_row(1)], (), unit="u", origin="x")
    assert [entry.unit for entry in other.entries()] == ["u"]


def test_a_missing_sealed_file_is_an_error_that_names_the_mend(ledger):
    """Sums over what happens to be left would be wrong in silence."""
    ledger.add_rows([make_row(1)], (), unit="u", origin="x")
    ledger.row_files()[0].unlink()
    with pytest.raises(LedgerError, match="tidegate ledger verify"):
        ledger.connect()
