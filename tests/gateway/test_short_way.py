"""The short way of an event, past the parser, must mean what the long way means; wherever the bytes are cut."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.provider import delta, usage_event
from tidegate.config import ProviderConfig, Upstream
from tidegate.gateway.connect import Target
from tidegate.gateway.relay import StreamRelay
from tidegate.gateway.short_way import short_way
from tidegate.gateway.upstream import UpstreamConnection
from tidegate.gateway.whole_reply import WholeReply

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def event(payload: Any) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


TOOL = {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "a"}]}, "finish_reason": None}]}
TEXTS = [
    "",
    "a",
    "é",
    'say "hi"',
    "back\\",
    "two\nlines",
    '","finish_reason":"stop',
    "\\u0022",
    '"}}],"usage":{"prompt_tokens":1',
    "'",
]
COMPACT = [json.dumps(delta(text) if text else delta("x"), separators=(",", ":")) for text in TEXTS]
RAW = [
    COMPACT[1].replace('"a"', f'"{text}"')
    for text in ("\\", "\\\\", 'a"', '\\"', "\\n", "a\rb", "\t", '","content":"b')
]
LIKE = [b"data: " + text.encode() + b"\n\n" for text in COMPACT + RAW]  # alike but for their text, whole or broken
PIECES = st.sampled_from(
    [
        *LIKE,
        event(delta("a")), event(delta('{"usage": 1}\n\n')), event(TOOL), event(delta(None, "stop")),
        event(usage_event()), event({"error": {"message": "x"}}), b": ping\n\n", b"data: {\n\n",
        b'data: {"choices": []}\r\n\r\n', b'data: {"choices":\ndata: []}\n\n', event(delta("b"))[:-1],
        event(delta("c")) + event(delta("d")),
        b"data: [1]\n\n", b"\n", b"data: {}\n\nx",
    ]
)  # fmt: skip


def chunked(pieces: list[bytes], size: str) -> bytes:
    return HEAD + b"".join(size.encode() % len(p) + b"\r\n" + p + b"\r\n" for p in pieces) + b"0\r\n\r\n"


class Caller:
    """An exchange without a caller: collects what would be forwarded. `short`: takes the short way where it may."""

    def __init__(self, *, short: bool) -> None:
        self.relay = StreamRelay(strip_usage=True, event_bytes_max=100_000)
        self.short, self.passed, self.out, self.ended = short, 0, b"", ""
        self.transport, self.descriptor, self.heard, self.now = self, -1, 0.0, 1.0
        self.connection = UpstreamConnection(Target("p", "http://x", ProviderConfig(), Upstream()), Pool())  # type: ignore[arg-type]
        self.connection.connection_made(Wire())  # type: ignore[arg-type]
        self.connection.send(self, ())

    def on_upstream_whole(self, reply: WholeReply) -> bool:
        return False

    def on_upstream_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        if self.short:
            take = short_way(self.relay, self, self, self)
            self.connection.offer_chunks(lambda data: self.count(take(data)), lambda: self.relay.is_between_events)

    def count(self, was_taken: bool) -> bool:
        self.passed += was_taken
        return was_taken

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        line, _, rest = data.partition(b"\r\n")
        assert int(line, 16) == len(rest) - 2, "what is forwarded as it is must be one well-formed chunk"
        self.out += rest[:-2]

    def on_upstream_data(self, data: bytes) -> None:
        self.out += self.relay.feed(data)

    def on_upstream_end(self) -> None:
        self.ended = "end"

    def on_upstream_lost(self, error: Exception, *, answered: bool) -> None:
        self.ended = str(error)

    def on_connected(self, connection: UpstreamConnection) -> None: ...
    def on_connect_failed(self, error: Exception) -> None: ...

    def meaning(self) -> tuple[object, ...]:
        relay = self.relay
        seen = relay.seen  # but for the bytes of text, of which the long way is content with a rough count
        return self.out, self.ended, seen.usage, seen.finish_reason, seen.tool_calls, seen.has_error, seen.is_done


class Wire:
    """A transport that goes nowhere."""

    def writelines(self, pieces: object) -> None: ...
    def get_extra_info(self, name: str) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...
    def is_closing(self) -> bool:
        return False


class Pool:
    def release(self, connection: object) -> None: ...
    def forget(self, connection: object) -> None: ...


def read(stream: bytes, edges: list[int], *, short: bool) -> Caller:
    caller = Caller(short=short)
    for start, end in itertools.pairwise(sorted({0, len(stream), *edges})):
        if caller.ended:
            break
        caller.connection.data_received(stream[start:end])
    return caller


@given(
    st.lists(PIECES, max_size=8),
    st.sampled_from(["%x", "%X", "0%x", "%x;ext", "%x "]),
    st.lists(st.integers(0, 3000)),
    st.booleans(),
)
def test_the_short_way_means_what_the_long_way_means(
    pieces: list[bytes], size: str, cuts: list[int], whole: bool
) -> None:
    """Same bytes out, same usage, same end; for reads that are whole chunks and for any other cut."""
    stream = chunked(pieces, size)
    ends = list(itertools.accumulate((len(chunked([p], size)) - len(HEAD) - 5 for p in pieces), initial=len(HEAD)))
    edges = [e % (len(stream) + 1) for e in cuts] + (ends if whole else [])
    assert read(stream, edges, short=True).meaning() == read(stream, edges, short=False).meaning()


@pytest.mark.parametrize("size", ["zz", "1_0", "+5", "-1", "fffffffff"])
def test_a_chunk_with_a_false_size_goes_to_the_parser(size: str) -> None:
    """Whatever the short way does not know for sure, llhttp judges."""
    stream = HEAD + size.encode() + b"\r\n" + event(delta("a")) + b"\r\n"
    for short in (True, False):
        assert read(stream, [len(HEAD)], short=short).out in (b"", event(delta("a")))
    assert read(stream, [len(HEAD)], short=True).meaning() == read(stream, [len(HEAD)], short=False).meaning()


def test_the_usual_stream_takes_the_short_way() -> None:
    """One event a chunk, one chunk a read: otherwise the fast path would be fast for nobody."""
    pieces = [event(delta("word "))] * 5
    stream = chunked(pieces, "%x")
    size = len(chunked(pieces[:1], "%x")) - len(HEAD) - 5
    caller = read(stream, [len(HEAD) + size * n for n in range(6)], short=True)
    assert caller.passed == 4, "all but the first, which is timed"
    assert caller.out == b"".join(pieces)
