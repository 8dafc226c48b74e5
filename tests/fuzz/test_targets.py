"""The fuzz targets without a fuzzer: their seeds, edited at random for a while, and every input that ever failed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.run import NAMES
from fuzz.targets import TARGETS

FOUND = Path(__file__).parent / "found"
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"0", b"HTTP/1.1", b"\r\n\r\n", b"chunked", b"Content-Length: 3\r\n",
    b'"', b"{", b"}", b"[", b",", b"null", b"\xff", b"\xed\xa0\x80", b"data: ", b"[DONE]", b"1e999", b"-1", b"\\ud800",
]  # fmt: skip
unhurried = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def edited(seed: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """A seed with a few pieces put in the place of others."""
    data = seed
    for place, length, piece in edits:
        at = place % (len(data) + 1)
        data = data[:at] + piece + data[at + length :]
    return data


EDITS = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=4)), max_size=4
)


def test_the_runner_knows_every_target() -> None:
    """`make fuzz` names them without importing them, for atheris must see their imports."""
    assert list(NAMES) == list(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_hold(name: str) -> None:
    """What fuzzing begins with."""
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
@unhurried
@given(data=st.data())
def test_what_is_close_to_a_seed_holds(name: str, data: st.DataObject) -> None:
    """A short run; `make fuzz` makes the long one."""
    target = TARGETS[name]
    target.run(edited(data.draw(st.sampled_from(target.seeds())), data.draw(EDITS)))


@pytest.mark.parametrize("name", TARGETS)
@unhurried
@given(data=st.binary(max_size=80))
def test_any_bytes_hold(name: str, data: bytes) -> None:
    """Decisions that no seed has made."""
    TARGETS[name].run(data)


@pytest.mark.parametrize("path", sorted(FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_failed_holds(path: Path) -> None:
    """Inputs that a fuzzer found, kept for ever."""
    TARGETS[path.parent.name].run(path.read_bytes())
