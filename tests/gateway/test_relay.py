"""The relay of a stream: what passes, what is held back, what is learnt; wherever the bytes are cut."""

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from rig.provider import USAGE, delta, usage_event
from tidegate.core.usage import Usage
from tidegate.gateway.relay import StreamRelay

EXPECTED = Usage(input_tokens=12, output_tokens=5, cache_read_input_tokens=4, reasoning_output_tokens=2)


def stream_of(*payloads: object, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(p).encode() + b"\n\n" for p in payloads) + end


def relay(stream: bytes, places: list[int], *, strip: bool) -> tuple[bytes, StreamRelay]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    state = StreamRelay(strip_usage=strip, event_bytes_max=100_000)
    out = b"".join(state.feed(stream[a:b]) for a, b in itertools.pairwise(edges))
    return out + state.finish(), state


ANSWER = [delta("a"), delta("b"), delta(None, "stop")]
CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@given(CUTS)
def test_a_stream_means_the_same_wherever_it_is_cut(places: list[int]) -> None:
    """Forwarded bytes, usage, finish reason and the held [DONE] do not depend on TCP."""
    out, state = relay(stream_of(*ANSWER, usage_event()), places, strip=True)
    assert out == stream_of(*ANSWER, end=b"")
    assert (state.seen.usage, state.seen.finish_reason, state.last(b"")) == (EXPECTED, "stop", b"data: [DONE]\n\n")


@given(CUTS)
def test_usage_passes_to_a_caller_who_asked_for_it(places: list[int]) -> None:
    """The bytes are the provider's own."""
    out, _ = relay(stream_of(*ANSWER, usage_event()), places, strip=False)
    assert out == stream_of(*ANSWER, usage_event(), end=b"")


@given(CUTS)
def test_usage_beside_choices_is_read_and_passes(places: list[int]) -> None:
    """Some providers put usage into the last choice's event: nothing of it may be lost."""
    stream = stream_of(delta("a"), delta(None, "stop") | {"usage": USAGE})
    out, state = relay(stream, places, strip=True)
    assert out + state.last(b"") == stream
    assert state.seen.usage == EXPECTED


@given(CUTS)
def test_a_stream_without_its_last_blank_line_still_counts(places: list[int]) -> None:
    """A careless provider ends on `data: [DONE]` alone."""
    _, state = relay(stream_of(*ANSWER, usage_event(), end=b"data: [DONE]"), places, strip=True)
    assert state.seen.is_done
    assert state.seen.usage == EXPECTED


def test_nothing_follows_done() -> None:
    """What a provider says after [DONE] would reach a caller after the end of its answer."""
    out, state = relay(stream_of(*ANSWER) + stream_of(delta("more")), [], strip=True)
    assert out == stream_of(*ANSWER, end=b"")
    assert state.seen.is_done


def test_comments_and_foreign_events_pass_untouched() -> None:
    """Keep-alive comments and events that are no chunks belong to the caller."""
    stream = b": ping\n\nevent: x\ndata: not json\n\n"
    assert relay(stream, [], strip=True)[0] == stream


def test_interleaved_tool_calls_are_counted_once_each() -> None:
    """Fragments of parallel calls interleave; each call is one, whatever the number of its fragments."""

    def tool(index: int, **extra: object) -> dict[str, object]:
        call = {"index": index, "function": {"arguments": "x"}, **extra}
        return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    stream = stream_of(tool(0, id="a"), tool(1, id="b"), tool(0), tool(1), delta(None, "tool_calls"))
    _, state = relay(stream, [], strip=True)
    assert (state.seen.tool_calls, state.seen.finish_reason) == (2, "tool_calls")


def test_an_error_inside_the_stream_is_seen() -> None:
    """HTTP 200 was sent long ago; the row must still say that the call failed."""
    _, state = relay(stream_of(delta("a"), {"error": {"message": "overloaded"}}), [], strip=True)
    assert state.seen.has_error
    assert not relay(stream_of(delta("a") | {"error": None}), [], strip=True)[1].seen.has_error
