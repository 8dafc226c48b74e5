"""Recovery: what a dead writer left becomes whole, once, whatever the moment of its death."""

import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_calls import NOW_US, call_id, die, make_intent, make_outcome, open_writer, write_calls

from tidegate.core.row import Intent, Outcome
from tidegate.ledger.journal import Damaged, read_journal
from tidegate.ledger.recover import recover


def interleaved() -> bytes:
    """Six calls, some under way at the end, some with two attempts."""
    with tempfile.TemporaryDirectory() as folder:
        writer = open_writer(Path(folder))
        for number in range(6):
            writer.append(make_intent(number))
            if number % 2:
                writer.append(make_intent(number, attempt_no=2))
            if number >= 2:
                writer.append(make_outcome(number - 2, writer))
        writer.flush()
        content = writer.path.read_bytes()
        die(writer)
        return content


SEGMENT = f"gw-0000-{NOW_US:016x}"
CONTENT = interleaved()


def outcomes_of(path: Path) -> list[Outcome]:
    return [item for item in read_journal(path) if isinstance(item, Outcome)]


@settings(deadline=None, max_examples=200)
@given(st.integers(1, len(CONTENT)))
def test_a_journal_cut_at_any_byte_becomes_whole(cut):
    """A crash of the machine may keep any prefix of what was written."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / f"{SEGMENT}.open.jsonl").write_bytes(CONTENT[:cut])
        before = [item for item in read_journal(directory / f"{SEGMENT}.open.jsonl") if not isinstance(item, Damaged)]
        (report,) = recover(directory)

        closed = directory / f"{SEGMENT}.jsonl"
        after = outcomes_of(closed)
        acknowledged = [item for item in before if isinstance(item, Outcome)]
        assert after[: len(acknowledged)] == acknowledged
        calls = [outcome.row.generation_id for outcome in after]
        dispatched = {item.generation_id for item in before if isinstance(item, Intent)}
        assert len(set(calls)) == len(calls)
        assert set(calls) == dispatched | {outcome.row.generation_id for outcome in acknowledged}
        assert [outcome.row.segment_seq for outcome in after] == list(range(len(after)))
        assert len(report.calls_settled) == len(after) - len(acknowledged)
        for outcome in after[len(acknowledged) :]:
            seen = [item for item in before if isinstance(item, Intent)]
            numbers = [intent.attempt_no for intent in seen if intent.generation_id == outcome.row.generation_id]
            assert [attempt.attempt_no for attempt in outcome.attempts] == numbers

        content = closed.read_bytes()
        assert recover(directory) == []
        assert closed.read_bytes() == content


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_a_recovery_that_dies_itself_is_finished_by_the_next(data):
    """Cut the file that recovery wrote, as its own death would, and recover again."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        path, closed = directory / f"{SEGMENT}.open.jsonl", directory / f"{SEGMENT}.jsonl"
        path.write_bytes(CONTENT)
        recover(directory)
        whole = closed.read_bytes()
        expected = outcomes_of(closed)
        cut = data.draw(st.integers(len(CONTENT), len(whole)))
        closed.unlink()
        path.write_bytes(whole[:cut])
        recover(directory)
        assert outcomes_of(closed) == expected


def test_a_recovered_row_says_that_its_cost_is_unknown(tmp_path):
    """Unknown is not zero usage; but nobody is charged for it."""
    writer = open_writer(tmp_path)
    for attempt_no in (1, 2):
        writer.append(make_intent(4, attempt_no))
    writer.flush()
    die(writer)
    recover(tmp_path)
    (outcome,) = outcomes_of(tmp_path / f"{writer.segment_id}.jsonl")
    assert outcome.row == msgspec.structs.replace(
        make_intent(4).row,
        segment_id=writer.segment_id,
        segment_seq=0,
        attempt_count=2,
        error_type="gateway_died",
        cost_basis="unknown",
        cost_nano_usd=0,
        upstream_cost_nano_usd=None,
    )
    assert [(attempt.attempt_no, attempt.endpoint_id, attempt.error_type) for attempt in outcome.attempts] == [
        (1, "e1", "gateway_died"),
        (2, "e2", "gateway_died"),
    ]


def test_a_living_writer_is_left_alone(tmp_path):
    writer = open_writer(tmp_path)
    write_calls(writer, range(2))
    writer.append(make_intent(2))
    writer.flush()
    assert recover(tmp_path) == []
    writer.append(make_outcome(2, writer))
    assert writer.close() is not None


def test_an_empty_segment_of_a_dead_writer_goes(tmp_path):
    die(open_writer(tmp_path))
    (report,) = recover(tmp_path)
    assert report.outcomes == 0
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_call_carried_into_the_next_segment_is_settled_there_once(tmp_path):
    """The writer died between opening the next segment and closing this one: the intents are in both."""
    writer = open_writer(tmp_path)
    writer.append(make_intent(0))
    writer.append(make_intent(1))
    writer.append(make_outcome(2, writer))
    following = writer.rotate(NOW_US + 1)
    following.append(make_outcome(1, following))
    following.flush()
    die(writer)
    die(following)
    recover(tmp_path)
    first = outcomes_of(tmp_path / f"{writer.segment_id}.jsonl")
    second = outcomes_of(tmp_path / f"{following.segment_id}.jsonl")
    assert [outcome.row.generation_id for outcome in first] == [call_id(2)]
    assert [(outcome.row.generation_id, outcome.row.error_type) for outcome in second] == [
        (call_id(1), None),
        (call_id(0), "gateway_died"),
    ]


def test_attempts_torn_out_of_the_next_segment_are_taken_from_the_one_before(tmp_path):
    """Death while the waiting intents were copied: the copy has attempt 1, only the original has attempt 2."""
    writer = open_writer(tmp_path)
    writer.append(make_intent(0))
    writer.append(make_intent(0, attempt_no=2))
    following = writer.rotate(NOW_US + 1)
    die(writer)
    die(following)
    copy = following.path.read_bytes()
    following.path.write_bytes(copy[: copy.index(b"\n") + 40])
    recover(tmp_path)
    assert outcomes_of(tmp_path / f"{writer.segment_id}.jsonl") == []
    (outcome,) = outcomes_of(tmp_path / f"{following.segment_id}.jsonl")
    assert [attempt.attempt_no for attempt in outcome.attempts] == [1, 2]
