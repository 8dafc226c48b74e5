"""TCP may cut a stream anywhere; nobody who reads it may notice."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import UpstreamError
from tidegate.wire.sse import Framer, _event_data_slowly, event_data

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:x",
        b"data",
        b": ping",
        b"event: m",
        b"id: 1",
        b"",
        b"data: \xc3\xa9",
        b"data: a\tb",
        b"retry:1",
    ]
)
STREAMS = st.lists(st.tuples(LINES, LINE_ENDS), max_size=30).map(lambda parts: b"".join(a + b for a, b in parts))


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


def payloads(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    """Every payload, and all bytes that came out or remain."""
    framer = Framer(1_000_000)
    events = [event for piece in pieces for event in framer.feed(piece)]
    return [data for event in events if (data := event_data(event)) is not None], b"".join(events) + framer.rest


def read_obviously(stream: bytes) -> list[bytes]:
    """The slow twin: the standard's line loop, over the whole stream at once."""
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    found, data = [], []
    for line in lines:
        if not line:
            if data:
                found.append(b"\n".join(data))
            data = []
        elif line == b"data" or line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
    return found


@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=8))
def test_events_do_not_depend_on_where_the_stream_is_cut(stream: bytes, places: list[int]) -> None:
    """Any cut gives the same payloads as the standard's own algorithm, and not a byte is lost or made."""
    events, all_bytes = payloads(cut(stream, places))
    assert all_bytes == stream
    if not stream.endswith(b"\r"):  # a last CR may yet turn out to be half of CR LF
        assert events == read_obviously(stream)


@given(STREAMS)
def test_one_byte_at_a_time_is_just_another_cut(stream: bytes) -> None:
    """The cruellest cut."""
    assert payloads([stream[i : i + 1] for i in range(len(stream))])[1] == stream
    assert payloads([stream[i : i + 1] for i in range(len(stream))])[0] == payloads([stream])[0]


def test_a_whole_event_is_forwarded_as_the_object_it_came_in() -> None:
    """The usual read costs no copy."""
    data = b'data: {"a":1}\n\n'
    assert Framer(100).feed(data)[0] is data


def test_an_event_above_the_limit_is_an_error_that_names_the_limit() -> None:
    """A provider that never ends its event may not eat the gateway's memory."""
    framer = Framer(1000)
    with pytest.raises(UpstreamError, match=r"1000 bytes \(limits.event_bytes_max\)"):
        for _ in range(20):
            framer.feed(b"data: " + b"x" * 100)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\r\n\r\n", b"a"),
        (b"event: x\ndata: a\ndata: b\n\n", b"a\nb"),
        (b": comment\n\n", None),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
        (b"data\n\n", b""),
        (b"data:  two spaces\n\n", b" two spaces"),
    ],
)
def test_payloads_are_read_as_the_standard_says(event: bytes, data: bytes | None) -> None:
    """One leading space goes, several data lines are one payload, comments are none."""
    assert event_data(event) == data


@given(st.lists(st.sampled_from([b"data: a", b": c", b"data: [DONE]"]), min_size=1), st.lists(st.integers(0, 999)))
def test_a_cr_lf_event_is_the_same_bytes_wherever_it_is_cut(lines: list[bytes], places: list[int]) -> None:
    """The last LF belongs to its event: a reader that waits for CR LF CR LF must not wait for the next event."""
    expected = [line + b"\r\n\r\n" for line in lines]
    framer = Framer(1000)
    assert [event for piece in cut(b"".join(expected), places) for event in framer.feed(piece)] == expected


@given(st.lists(LINES, max_size=4), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_the_short_ways_to_a_payload_read_what_the_long_one_reads(lines: list[bytes], end: bytes) -> None:
    """Nearly every event is one line of data, or a name and one line of data."""
    event = end.join(lines) + end + end
    assert event_data(event) == _event_data_slowly(event)
