"""Finding one call by its id, wherever it lies: in an open segment, a closed one, or sealed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_calls import (
    DAY_US,
    NOW_US,
    call_id,
    make_attempt,
    make_intent,
    make_outcome,
    make_row,
    open_writer,
    write_calls,
)

from tidegate.ledger.lookup import find_generation
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """Calls 0-9 sealed over two days, 20-24 in a closed segment, 30-34 and an unfinished 35 in an open one."""
    ledger = Ledger.create(tmp_path_factory.mktemp("lookup") / "ledger")
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(5))
    write_calls(writer, range(5, 10), ts=NOW_US + DAY_US)
    writer.close()
    seal(ledger)
    ledger.add_rows([make_row(0, generation_id="azure:7", ts=NOW_US)], (), unit="azure", origin="test")
    closed = open_writer(ledger.journal_path, now_us=NOW_US + 1)
    write_calls(closed, range(20, 25))
    closed.close()
    living = open_writer(ledger.journal_path, now_us=NOW_US + 2)
    write_calls(living, range(30, 35))
    living.append(make_intent(35))
    living.flush()
    yield ledger
    living._waiting.clear()
    living.close()


@pytest.mark.parametrize(
    ("number", "shift"), [(0, 0), (4, 0), (5, DAY_US), (9, DAY_US), (20, 0), (24, 0), (30, 0), (34, 0)]
)
def test_a_call_is_found_wherever_it_lies(ledger, number, shift):
    """`/api/v1/generation` answers at once and a year later, the same."""
    row, attempts = find_generation(ledger, call_id(number, NOW_US + shift))
    expected = make_row(number, ts=NOW_US + shift, segment_id=row.segment_id, segment_seq=row.segment_seq)
    assert row == expected
    assert attempts == [make_attempt(number, ts=NOW_US + shift)]


def test_a_call_under_way_has_no_row_yet(ledger):
    assert find_generation(ledger, call_id(35)) is None


def test_an_imported_call_is_found_by_its_own_id(ledger):
    row, attempts = find_generation(ledger, "azure:7")
    assert (row.generation_id, attempts) == ("azure:7", [])


@given(st.one_of(st.text(max_size=40), st.just("' OR 1=1 --"), st.just("\0"), st.just(call_id(999))))
def test_any_text_may_be_asked_for(ledger, text):
    """It comes from a URL."""
    assert find_generation(ledger, text) is None


def test_a_mention_in_another_call_is_not_the_call(tmp_path):
    """A caller may put any id into a header; the id column decides."""
    ledger = Ledger.create(tmp_path / "ledger")
    writer = open_writer(ledger.journal_path)
    outcome = make_outcome(1, writer)
    fake = f'"generation_id":"{call_id(2)}"'
    writer.append(msgspec.structs.replace(outcome, row=msgspec.structs.replace(outcome.row, session_id=fake)))
    writer.close()
    assert find_generation(ledger, call_id(2)) is None
    assert find_generation(ledger, call_id(1)).row.session_id == fake
