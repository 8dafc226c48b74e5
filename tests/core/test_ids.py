"""Generation ids: valid UUIDv7 that know where they were made."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.ids import IdParts, gateway_tag, generation_id, parse_generation_id


@given(
    st.integers(0, 2**48 - 1), st.integers(0, 2**40), st.text(max_size=8), st.integers(0, 1023), st.integers(0, 2**40)
)
def test_an_id_is_a_uuid7_and_tells_its_parts(ms: int, sequence: int, gateway: str, worker: int, random: int) -> None:
    """The standard library agrees on version and variant; we read back what we put in."""
    text = generation_id(ms, sequence, gateway_tag(gateway), worker, random)
    value = uuid.UUID(text)
    assert (value.version, value.variant, str(value)) == (7, uuid.RFC_4122, text)
    assert parse_generation_id(text) == IdParts(ms, gateway_tag(gateway), worker)


def test_ids_of_one_worker_sort_by_time_and_then_by_sequence() -> None:
    """So that a ledger sorted by id is sorted by time."""
    made = [generation_id(ms, n, 7, 1, 2**36 - n) for ms in (1, 2) for n in range(100)]
    assert made == sorted(made)


@pytest.mark.parametrize("text", ["", "x", "00000000-0000-4000-8000-000000000000", "0" * 36, "../../etc/passwd"])
def test_anything_else_is_refused(text: str) -> None:
    """Ids come from callers too."""
    with pytest.raises(ValueError):
        parse_generation_id(text)
