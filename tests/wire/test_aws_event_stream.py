"""AWS's binary event stream: whole messages come out wherever the bytes were cut, and damage is told."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.aws_frames import event, frame, message
from tidegate.core.errors import UpstreamError
from tidegate.wire.aws_event_stream import Message, MessageFramer

BYTES_MAX = 1024
HELLO = bytes.fromhex(  # AWS's published vector "payload_no_headers"
    "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936"
)


def read(data: bytes, size: int = 0, bytes_max: int = BYTES_MAX) -> list[Message]:
    framer = MessageFramer(bytes_max)
    if not size:
        return framer.feed(data)
    return [m for start in range(0, len(data), size) for m in framer.feed(data[start : start + size])]


def test_the_published_vector_without_headers_is_read() -> None:
    """Against AWS's own bytes, not only against our encoder."""
    assert read(HELLO) == [Message({}, b"{'foo':'bar'}")]


def test_a_message_has_its_headers_and_its_payload() -> None:
    (found,) = read(event("messageStart", {"role": "assistant"}))
    assert found.headers[":event-type"] == "messageStart"
    assert found.headers[":message-type"] == "event"
    assert found.payload == b'{"role":"assistant"}'


def test_headers_of_every_type_are_passed_over_and_strings_are_kept() -> None:
    """AWS may add a header of any type; what follows it must still be read."""
    packed = b""
    for name, kind, value in [
        (b"yes", 0, b""), (b"no", 1, b""), (b"b", 2, b"\xff"), (b"h", 3, b"\x00\x01"), (b"i", 4, b"\x00" * 4),
        (b"l", 5, b"\x00" * 8), (b"raw", 6, b"\x00\x02ab"), (b"t", 8, b"\x00" * 8), (b"u", 9, bytes(range(16))),
        (b"last", 7, b"\x00\x05words"),
    ]:  # fmt: skip
        packed += bytes([len(name)]) + name + bytes([kind]) + value
    (found,) = read(message(packed, b"x"))
    assert found == Message({"last": "words"}, b"x")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_any_cut_gives_the_same_messages(size: int) -> None:
    stream = HELLO + event("contentBlockDelta", {"delta": {"text": "é"}}) + frame({"a": "b"}) + HELLO
    assert read(stream, size) == read(stream)
    assert len(read(stream)) == 4


HEADERS = st.dictionaries(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
    st.text(max_size=30),
    max_size=4,
)


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=200)), max_size=6), st.data())
def test_what_was_written_is_read_for_any_cut(
    messages: list[tuple[dict[str, str], bytes]], data: st.DataObject
) -> None:
    stream = b"".join(frame(headers, payload) for headers, payload in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    framer = MessageFramer(4096)
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += framer.feed(stream[start:end])
    assert found == [Message(headers, payload) for headers, payload in messages]
    assert framer.is_empty


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_byte_is_never_read_as_a_message(place: int, change: int) -> None:
    """Every byte is under one of the two checksums."""
    good = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hello"}})
    bad = bytearray(good)
    bad[place % len(good)] ^= change
    framer = MessageFramer(BYTES_MAX)
    try:
        found = framer.feed(bytes(bad))
    except UpstreamError:
        return
    assert found == []  # a length that grew: the rest never comes


@given(st.binary(max_size=300))
def test_any_bytes_either_wait_or_are_refused(data: bytes) -> None:
    """No crash, no hang, nothing made up."""
    try:
        read(data)
    except UpstreamError as error:
        assert "event stream" in error.message


def test_a_message_above_the_limit_is_refused_before_it_has_come() -> None:
    """Its length stands at its front: nobody needs to hold 16 MB to know."""
    prelude = struct.pack(">II", BYTES_MAX + 1, 0)
    prelude += struct.pack(">I", zlib.crc32(prelude))
    with pytest.raises(UpstreamError, match="event_bytes_max"):
        read(prelude)


def test_half_a_message_is_remembered() -> None:
    framer = MessageFramer(BYTES_MAX)
    framer.feed(HELLO[:-1])
    assert not framer.is_empty
    assert framer.feed(HELLO[-1:]) == [Message({}, b"{'foo':'bar'}")]
    assert framer.is_empty


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (b"\x05ab", "ends inside a header"),
        (b"\x01a\x07\x00\x09ab", "ends inside a header"),
        (b"\x01a\x0a", "type 10"),
        (b"\x01a\x07\x00\x01\xff", "UTF-8"),
    ],
)
def test_headers_that_contradict_themselves_are_refused(packed: bytes, why: str) -> None:
    """Their checksum is right, so the writer is wrong."""
    with pytest.raises(UpstreamError, match=why):
        read(message(packed, b""))


def test_headers_longer_than_their_message_are_refused() -> None:
    prelude = struct.pack(">II", 16, 100)
    prelude += struct.pack(">I", zlib.crc32(prelude))
    with pytest.raises(UpstreamError, match="lengths"):
        read(prelude + b"\0" * 4)


def test_botocore_reads_the_same_messages() -> None:
    """AWS's own client as the oracle, also for the frames our fake providers write."""
    eventstream = pytest.importorskip("botocore.eventstream", reason="botocore (extra `cloud`) is not installed")
    stream = event("messageStop", {"stopReason": "end_turn"}) + frame({"x": "ÿ"}, b"\0\1") + HELLO
    oracle = eventstream.EventStreamBuffer()
    oracle.add_data(stream)
    assert [(m.headers, m.payload) for m in oracle] == [(m.headers, m.payload) for m in read(stream)]
