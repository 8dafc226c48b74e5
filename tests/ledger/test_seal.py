"""Sealing: journal segments become Parquet exactly once, whatever happens on the way."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from ledger_calls import DAY_US, NOW_US, call_id, die, make_intent, make_outcome, make_row, open_writer, write_calls

from tidegate.ledger import parquet
from tidegate.ledger.journal import encode_line
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger
from tidegate.ledger.verify import verify

HERE = Path(__file__).parent


@pytest.fixture
def ledger(tmp_path):
    return Ledger.create(tmp_path / "ledger")


def calls_of(ledger):
    connection = ledger.connect()
    try:
        return [call for (call,) in connection.execute("SELECT generation_id FROM rows ORDER BY ALL").fetchall()]
    finally:
        connection.close()


def test_a_segment_becomes_a_file_a_day_and_one_entry(ledger):
    """A segment may touch several days; its rows and attempts lie under the row's UTC day."""
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(3))
    write_calls(writer, range(3, 5), ts=NOW_US + DAY_US)
    closed = writer.close()
    assert [outcome.row.segment_seq for outcome in ledger.unsealed_outcomes()] == [0, 1, 2, 3, 4]

    (sealed,) = seal(ledger).sealed

    assert (sealed.rows, sealed.attempts) == (5, 5)
    name = f"{writer.segment_id}.parquet"
    assert sorted(sealed.files) == [
        f"{table}/dt={day}/{name}" for table in ("attempts", "rows") for day in ("2026-03-23", "2026-03-24")
    ]
    (entry,) = ledger.entries()
    assert (entry.kind, entry.unit, entry.damaged_lines, entry.duplicates) == ("segment", writer.segment_id, 0, 0)
    assert {file.path for file in entry.files} == set(sealed.files)
    assert not closed.exists() and list(ledger.unsealed_outcomes()) == []
    connection = ledger.connect()
    assert connection.execute("SELECT count(*), sum(cost_nano_usd) FROM rows").fetchone() == (5, 5 * 330_000 + 10)
    assert connection.execute("SELECT count(*) FROM attempts JOIN rows USING (generation_id)").fetchone() == (5,)
    connection.close()
    assert verify(ledger).findings == []


def test_sealing_twice_changes_nothing(ledger):
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(3))
    writer.close()
    seal(ledger)
    before = {path: path.read_bytes() for path in ledger.path.rglob("*") if path.is_file()}
    assert seal(ledger).sealed == ()
    assert {path: path.read_bytes() for path in ledger.path.rglob("*") if path.is_file()} == before


def test_an_open_segment_of_a_living_writer_waits(ledger):
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(3))
    assert seal(ledger).sealed == ()
    assert len(list(ledger.unsealed_outcomes())) == 3
    writer.close()
    assert len(seal(ledger).sealed) == 1


def test_a_crash_at_any_step_is_finished_by_the_next_seal(ledger, tmp_path):
    """Each call exactly once, from a closed segment and a dead writer's, wherever sealing died."""
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(3))
    writer.close()
    dead = open_writer(ledger.journal_path, now_us=NOW_US + 10, worker=1)
    write_calls(dead, range(6, 7))
    dead.append(make_intent(7))
    dead.append(make_intent(8))
    dead.flush()
    with dead.path.open("ab") as file:
        file.write(b'{"crc":"00000000","t":"outc')  # a torn line: kept aside, not lost
    die(dead)
    expected = [call_id(number) for number in (0, 1, 2, 6, 7, 8)]

    command = [sys.executable, str(HERE / "crash_driver.py"), str(ledger.path), str(tmp_path / "work")]
    steps = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert steps > 30
    for step in range(1, steps + 1):
        crashed = Ledger.open(tmp_path / "work" / str(step))
        seal(crashed)
        assert calls_of(crashed) == expected, f"after a crash at step {step}"
        assert [entry.unit for entry in crashed.entries()] == [writer.segment_id, dead.segment_id]
        assert verify(crashed, quick=True).findings == [], f"after a crash at step {step}"
        left = [path.name for path in crashed.journal_path.rglob("*.jsonl")]
        assert left == [f"{dead.segment_id}.jsonl"]  # under damaged/
        hidden = [path for path in crashed.path.rglob(".*") if path.name != ".recover.lock"]
        assert not [path for path in hidden if path.parent.name != "manifest" and path.parent.name != "journal"]


def test_two_sealers_at_once_seal_each_segment_once(ledger):
    for worker in range(4):
        writer = open_writer(ledger.journal_path, worker=worker)
        write_calls(writer, range(worker * 10, worker * 10 + 10))
        writer.close()
    code = "import sys; from pathlib import Path; from tidegate.ledger.seal import seal; " \
           "from tidegate.ledger.store import Ledger; seal(Ledger.open(Path(sys.argv[1])))"  # fmt: skip
    sealers = [subprocess.Popen([sys.executable, "-c", code, str(ledger.path)]) for _ in range(3)]
    assert [sealer.wait() for sealer in sealers] == [0, 0, 0]
    assert calls_of(ledger) == [call_id(number) for number in range(40)]
    assert len(ledger.entries()) == 4
    assert verify(ledger).findings == []


def test_a_call_recorded_twice_in_a_segment_is_sealed_once_and_said(ledger):
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(2))
    writer.append(make_outcome(1, writer, cost_nano_usd=5))
    writer.close()
    (sealed,) = seal(ledger).sealed
    assert sealed.duplicates == (call_id(1),)
    assert calls_of(ledger) == [call_id(0), call_id(1)]
    assert ledger.entries()[0].duplicates == 1


def test_a_call_that_is_sealed_already_is_not_sealed_again(ledger):
    for now_us in (NOW_US, NOW_US + 1):
        writer = open_writer(ledger.journal_path, now_us=now_us)
        write_calls(writer, range(now_us - NOW_US, 3))
        writer.close()
        (sealed,) = seal(ledger).sealed
    assert (sealed.rows, sealed.attempts) == (0, 0)
    assert sealed.duplicates == (call_id(1), call_id(2))
    assert calls_of(ledger) == [call_id(0), call_id(1), call_id(2)]


def test_a_damaged_outcome_becomes_a_row_of_unknown_cost(ledger):
    """Its intent is still there: the call was made, and that is said; the damaged bytes are kept."""
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(3))
    closed = writer.close()
    lines = closed.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"331", b"932").replace(b"330001", b"030001")
    closed.write_bytes(b"".join(lines))

    (sealed,) = seal(ledger).sealed

    assert sealed.calls_settled == (call_id(1),)
    assert [(damaged.line_no, "checksum" in damaged.reason) for damaged in sealed.damaged] == [(4, True)]
    connection = ledger.connect()
    found = connection.execute(
        "SELECT error_type, cost_basis, cost_nano_usd FROM rows ORDER BY generation_id"
    ).fetchall()
    connection.close()
    assert found == [(None, "metered", 330_000), ("gateway_died", "unknown", 0), (None, "metered", 330_002)]
    assert ledger.entries()[0].damaged_lines == 1
    assert (ledger.journal_path / "damaged" / closed.name).exists()
    assert verify(ledger).damaged_lines == 1


def test_an_intent_carried_on_is_no_row_of_its_own(ledger):
    """The closed segment holds the intent, a living writer's next segment will hold the outcome."""
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(2))
    writer.append(make_intent(2))
    following = writer.rotate(NOW_US + 1)
    writer.close()
    (sealed,) = seal(ledger).sealed
    assert (sealed.rows, sealed.calls_settled) == (2, ())
    following.append(make_outcome(2, following))
    following.close()
    seal(ledger)
    assert calls_of(ledger) == [call_id(0), call_id(1), call_id(2)]


def test_an_absurd_count_is_nulled_and_counted_not_fatal(ledger):
    """A provider may report anything; one integer beyond 64 bits must not keep a segment from being sealed."""
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(2))
    writer.append(make_outcome(2, writer, usage_input_tokens=10**25))
    writer.close()
    seal(ledger)
    connection = ledger.connect()
    found = connection.execute("SELECT usage_input_tokens FROM rows ORDER BY generation_id").fetchall()
    connection.close()
    assert found == [(1000,), (1001,), (None,)]
    assert ledger.entries()[0].nulled_values == 1
    assert verify(ledger).findings == []


def test_a_segment_of_garbage_is_sealed_as_such(ledger):
    """It names no call, but it must not come back every minute."""
    (ledger.journal_path / f"gw-0000-{NOW_US:016x}.open.jsonl").write_bytes(b"\0" * 1000)
    (sealed,) = seal(ledger).sealed
    assert (sealed.rows, len(sealed.damaged)) == (0, 1)
    assert seal(ledger).sealed == ()
    assert verify(ledger).findings == []


def test_one_bad_segment_does_not_hold_up_the_others(ledger, monkeypatch):
    """A file stands where the first segment's folder should be made."""
    for worker in range(2):
        writer = open_writer(ledger.journal_path, worker=worker)
        write_calls(writer, range(worker, worker + 1), ts=NOW_US - worker * DAY_US)
        writer.close()
    (ledger.path / "rows").mkdir()
    (ledger.path / "rows" / "dt=2026-03-23").write_text("in the way")
    with pytest.raises(Exception, match="1 of 2 segments stay"):
        seal(ledger)
    assert len(ledger.entries()) == 1
    (ledger.path / "rows" / "dt=2026-03-23").unlink()
    seal(ledger)
    assert len(calls_of(ledger)) == 2


def test_a_large_unit_becomes_several_files_and_is_the_same_again(ledger, monkeypatch):
    """Memory is bounded by records held, not by the unit's size."""
    monkeypatch.setattr(parquet, "RECORDS_HELD_MAX", 100)
    rows = [make_row(number, ts=NOW_US + number % 2 * DAY_US) for number in range(450)]
    entry = ledger.add_rows(rows, (), unit="trace", origin="test")
    assert len(entry.files) > 4 and sum(file.rows for file in entry.files) == 450
    assert calls_of(ledger) == sorted(row.generation_id for row in rows)
    assert ledger.add_rows(rows, (), unit="trace", origin="test").number == entry.number
    assert verify(ledger).findings == []


def test_journals_of_an_older_copy_come_to_the_same(ledger, tmp_path):
    """A journal file restored from a backup after it was sealed is recognised and put away."""
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(3))
    closed = writer.close()
    shutil.copy(closed, tmp_path / "copy")
    seal(ledger)
    shutil.copy(tmp_path / "copy", closed)
    assert list(ledger.unsealed_outcomes()) == []
    (sealed,) = seal(ledger).sealed
    assert sealed.was_sealed
    assert len(ledger.entries()) == 1 and not closed.exists()


def test_a_time_that_is_no_day_is_said_not_fatal(ledger):
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(1))
    outcome = make_outcome(1, writer)
    bad = msgspec.structs.replace(outcome, row=msgspec.structs.replace(outcome.row, ts=-5))
    closed = writer.close()
    with closed.open("ab") as file:
        file.write(encode_line(bad))
    (sealed,) = seal(ledger).sealed
    assert sealed.rows == 1
    assert "before 1970" in sealed.damaged[0].reason
