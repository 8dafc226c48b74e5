"""The journal: what is written, what a reader makes of it, and what a full disk does to it."""

import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_calls import NOW_US, call_id, die, make_intent, make_outcome, open_writer, write_calls

from tidegate.core.errors import LedgerError
from tidegate.core.row import Intent, Outcome
from tidegate.ledger.journal import Damaged, encode_line, read_journal


def journal_bytes(calls: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        writer = open_writer(Path(folder))
        write_calls(writer, range(calls))
        closed = writer.close()
        assert closed is not None
        return closed.read_bytes()


FIVE_CALLS = journal_bytes(5)


def read_back(content: bytes) -> list[Intent | Outcome | Damaged]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gw-0000-1.jsonl"
        path.write_bytes(content)
        return list(read_journal(path))


RECORDS = read_back(FIVE_CALLS)


def test_a_line_is_json_with_its_checksum_first(tmp_path):
    """Anyone can read the journal with standard tools, and check it."""
    writer = open_writer(tmp_path)
    write_calls(writer, range(2))
    for line in writer.path.read_bytes().splitlines():
        object_ = json.loads(line)
        assert next(iter(object_)) == "crc"
        assert object_["crc"] == format(zlib.crc32(line[len(b'{"crc":"00000000",') :]), "08x")
        assert object_["t"] in ("intent", "outcome")
    writer.close()


def test_records_come_back_in_order(tmp_path):
    writer = open_writer(tmp_path)
    outcome = make_outcome(7, writer)
    for record in (make_intent(7), outcome):
        writer.append(record)
    assert list(read_journal(writer.path)) == []  # nothing reaches the kernel before flush
    assert writer.pending_bytes == writer.size_bytes > 0
    writer.flush(fsync=True)
    assert list(read_journal(writer.path)) == [make_intent(7), outcome]
    assert writer.pending_bytes == 0
    closed = writer.close()
    assert closed == tmp_path / f"{writer.segment_id}.jsonl"
    assert list(read_journal(closed)) == [make_intent(7), outcome]


def test_an_outcome_must_know_its_place(tmp_path):
    """segment_id and segment_seq are how a missing row is found later."""
    writer = open_writer(tmp_path)
    late = make_outcome(1, writer)
    writer.append(make_outcome(0, writer))
    with pytest.raises(ValueError, match=r"next one here is .* seq 1"):
        writer.append(late)
    writer.append(make_outcome(1, writer))
    assert writer.next_seq == 2
    writer.close()


def test_an_empty_segment_leaves_no_file(tmp_path):
    assert open_writer(tmp_path).close() is None
    assert list(tmp_path.iterdir()) == []


def test_a_segment_is_written_by_one_writer_only(tmp_path):
    writer = open_writer(tmp_path)
    with pytest.raises(LedgerError, match="exists"):
        open_writer(tmp_path)
    write_calls(writer, range(1))
    writer.close()
    with pytest.raises(LedgerError, match="exists"):
        open_writer(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]


def test_a_gateway_id_must_be_a_file_name(tmp_path):
    from tidegate.ledger.journal import JournalWriter

    with pytest.raises(LedgerError, match=r"gateway\.gateway_id"):
        JournalWriter(tmp_path, "../elsewhere", 0, now_us=NOW_US)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "journal").write_text("a file in the way")
    with pytest.raises(LedgerError, match=r"journal.* cannot be created"):
        open_writer(tmp_path / "journal")


def test_a_full_disk_damages_no_line(tmp_path):
    """The write stops in the middle of a line; when there is room again the rest follows from that very byte."""
    writer = open_writer(tmp_path)
    write_calls(writer, range(3))
    room = writer.size_bytes + 100
    for number in range(3, 6):
        writer.append(make_outcome(number, writer))
    pending = writer.pending_bytes
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        for _ in range(2):
            with pytest.raises(LedgerError, match=r"cannot be written.*kept"):
                writer.flush()
            assert writer.pending_bytes == pending - 100
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    *_, last = read_journal(writer.path)
    assert isinstance(last, Damaged) and last.torn
    writer.append(make_outcome(6, writer))
    writer.flush()
    outcomes = [item.row.segment_seq for item in read_journal(writer.path) if isinstance(item, Outcome)]
    assert outcomes == list(range(7))
    assert not [item for item in read_journal(writer.path) if isinstance(item, Damaged)]
    writer._waiting.clear()
    writer.close()


def test_rotation_takes_waiting_intents_along(tmp_path):
    """A call may outlive its segment; its intents must be where its outcome will be."""
    writer = open_writer(tmp_path)
    write_calls(writer, range(2))
    writer.append(make_intent(2))
    writer.append(make_intent(2, attempt_no=2))
    following = writer.rotate(NOW_US)  # a clock that stands still still gives another segment
    assert following.segment_id > writer.segment_id
    assert following.next_seq == 0 and following.waiting_calls == 1
    closed = writer.close()
    assert closed is not None and len(list(read_journal(closed))) == 6
    assert list(read_journal(following.path)) == [make_intent(2), make_intent(2, attempt_no=2)]
    following.append(make_outcome(2, following))
    assert following.close() is not None


def test_closing_with_calls_under_way_leaves_them_to_recovery(tmp_path):
    writer = open_writer(tmp_path)
    writer.append(make_intent(0))
    assert writer.close() is None
    assert writer.path.exists()


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(FIVE_CALLS) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_found_and_the_rest_is_read(offset, mask):
    """At most the two lines beside a flipped newline are lost, and they are said."""
    content = bytearray(FIVE_CALLS)
    content[offset] ^= mask
    items = read_back(bytes(content))
    damaged = [item for item in items if isinstance(item, Damaged)]
    assert damaged and damaged[0].byte_offset <= offset
    good = [item for item in items if not isinstance(item, Damaged)]
    assert len(good) >= len(RECORDS) - 2
    assert [item for item in RECORDS if item in good] == good


@settings(deadline=None)
@given(st.integers(0, len(FIVE_CALLS)))
def test_a_torn_last_line_is_found_and_the_rest_is_read(cut):
    items = read_back(FIVE_CALLS[:cut])
    whole = [item for item in items if not isinstance(item, Damaged)]
    assert whole == RECORDS[: len(whole)]
    assert len(whole) >= FIVE_CALLS[:cut].count(b"\n")
    assert [item.torn for item in items if isinstance(item, Damaged)] in ([], [True])


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(content):
    """Garbage is said line by line; it never raises."""
    assert all(isinstance(item, Damaged) for item in read_back(content))


def test_a_record_of_a_newer_version_is_said(tmp_path):
    rest = b'"t":"refund","row":{}}'
    line = b'{"crc":"%08x",%b\n' % (zlib.crc32(rest), rest)
    (item,) = read_back(line)
    assert isinstance(item, Damaged)
    assert "newer" in item.reason


def test_the_worker_process_never_loads_duckdb():
    """The journal is imported by every gateway worker, whose memory is budgeted."""
    code = "import sys, tidegate.ledger.journal; assert not {'duckdb', 'asyncio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_encode_line_is_what_append_writes(tmp_path):
    """The fast path and its plain twin."""
    writer = open_writer(tmp_path)
    outcome = make_outcome(0, writer)
    writer.append(outcome)
    writer.flush()
    assert writer.path.read_bytes() == encode_line(outcome)
    assert msgspec.json.decode(encode_line(outcome))["row"]["generation_id"] == call_id(0)
    with contextlib.suppress(OSError):
        die(writer)
