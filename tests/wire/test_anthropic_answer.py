"""Messages replies into events: the same whether streamed or whole, wherever the stream is cut."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tidegate.core.usage import Usage
from tidegate.wire.anthropic_answer import AnthropicDecoder, decode_reply
from tidegate.wire.events import (
    Block,
    BlockStart,
    Citation,
    Event,
    Failure,
    MessageStart,
    Stop,
    UsageSeen,
    fold,
)


def sse(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | members)}\n\n".encode()


def started(index: int, **block: Any) -> bytes:
    return sse("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **members: Any) -> bytes:
    return sse("content_block_delta", index=index, delta={"type": kind} | members)


def stopped(index: int) -> bytes:
    return sse("content_block_stop", index=index)


MESSAGE: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8"}
START = sse("message_start", message=MESSAGE | {"content": [], "usage": {"input_tokens": 10, "output_tokens": 1}})
END = sse("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 7})
STOP = sse("message_stop")
CITED = {
    "type": "web_search_result_location",
    "url": "https://x",
    "title": "T",
    "cited_text": "c",
    "encrypted_index": "e",
}

STREAM = [
    START,
    sse("ping"),
    b": keep-alive\n\n",
    started(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="Let me "),
    delta(0, "thinking_delta", thinking="see…"),
    delta(0, "signature_delta", signature="EqQB"),
    stopped(0),
    started(1, type="redacted_thinking", data="EmwK"),
    stopped(1),
    started(2, type="text", text=""),
    delta(2, "text_delta", text="It is"),
    delta(2, "citations_delta", citation=CITED),
    stopped(2),
    started(3, type="server_tool_use", id="srv", name="web_search", input={}),
    delta(3, "input_json_delta", partial_json='{"query":"x"}'),
    stopped(3),
    started(4, type="web_search_tool_result", tool_use_id="srv", content=[]),
    stopped(4),
    started(5, type="tool_use", id="t1", name="f", input={}),
    delta(5, "input_json_delta", partial_json=""),
    delta(5, "input_json_delta", partial_json='{"a"'),
    delta(5, "input_json_delta", partial_json=": 1}"),
    stopped(5),
    started(6, type="tool_use", id="t2", name="g", input={}),
    delta(6, "input_json_delta", partial_json=""),
    stopped(6),
    sse("message_new_thing", delta={"type": "x"}),
    END,
    STOP,
]
WHOLE = json.dumps(
    MESSAGE
    | {
        "content": [
            {"type": "thinking", "thinking": "Let me see…", "signature": "EqQB"},
            {"type": "redacted_thinking", "data": "EmwK"},
            {"type": "text", "text": "It is", "citations": [CITED]},
            {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 7},
    }
).encode()


def events_of(*pieces: bytes, event_bytes_max: int = 100_000) -> list[Event]:
    decoder = AnthropicDecoder(event_bytes_max)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


def test_a_stream_and_a_whole_reply_mean_the_same():
    answer = fold(events_of(*STREAM))
    assert answer == fold(decode_reply(WHOLE) or ())
    assert answer.start == MessageStart("msg_1", "claude-opus-4-8")
    assert answer.blocks == [
        Block(BlockStart(0, "thinking", origin="anthropic"), "Let me see…", "EqQB"),
        Block(BlockStart(1, "redacted", data="EmwK", origin="anthropic")),
        Block(
            BlockStart(2, "text"),
            "It is",
            citations=(Citation(2, "https://x", "T", Raw(json.dumps(CITED).encode())),),
        ),
        Block(BlockStart(3, "tool", "t1", "f"), '{"a": 1}'),
        Block(BlockStart(4, "tool", "t2", "g"), "{}"),
    ]
    assert answer.usage == UsageSeen(Usage(input_tokens=10, output_tokens=7))
    assert answer.stop == Stop("tool_calls", "tool_use")


@given(st.lists(st.integers(0, sum(map(len, STREAM))), max_size=30), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_cut_and_any_line_end_gives_the_same_answer(places, end):
    stream = b"".join(STREAM).replace(b"\n", end)
    marks = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(marks)]
    assert fold(events_of(*pieces)) == fold(decode_reply(WHOLE) or ())


def test_a_stream_cut_at_every_byte_gives_the_same_events():
    stream = b"".join(STREAM)
    assert events_of(*[stream[i : i + 1] for i in range(len(stream))]) == events_of(stream)


def test_the_last_event_counts_without_its_blank_line():
    stream = b"".join(STREAM)
    assert events_of(stream[:-2]) == events_of(stream)
    assert events_of(stream[:-1]) == events_of(stream)


def test_interleaved_tool_calls_keep_their_arguments_apart():
    answer = fold(
        events_of(
            START,
            started(0, type="tool_use", id="a", name="f", input={}),
            started(1, type="tool_use", id="b", name="g", input={}),
            delta(1, "input_json_delta", partial_json='{"b":'),
            delta(0, "input_json_delta", partial_json='{"a":'),
            delta(1, "input_json_delta", partial_json="2}"),
            delta(0, "input_json_delta", partial_json="1}"),
            stopped(1),
            stopped(0),
            END,
            STOP,
        )
    )
    assert [(block.start.call_id, block.text) for block in answer.blocks] == [("a", '{"a":1}'), ("b", '{"b":2}')]


def test_arguments_that_come_whole_with_the_start_are_read_once():
    """Servers of other makers send the finished input with content_block_start; some send it in pieces as well."""
    block = {"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1}}
    pieces = delta(0, "input_json_delta", partial_json='{"a": 1}')
    for stream in (
        (started(0, **block), stopped(0)),
        (started(0, **block), pieces, stopped(0)),
        (started(0, **block),),
    ):
        assert fold(events_of(START, *stream, END, STOP)).blocks[0].text == '{"a": 1}'


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "context"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("unheard_of", "stop"),
    ],
)
def test_every_stop_reason_is_read_streamed_and_whole(word, reason):
    ended = sse("message_delta", delta={"stop_reason": word, "stop_sequence": "X"}, usage={})
    whole = json.dumps(MESSAGE | {"content": [], "stop_reason": word, "stop_sequence": "X"}).encode()
    assert fold(events_of(START, ended, STOP)).stop == Stop(reason, word, "X")
    assert fold(decode_reply(whole) or ()).stop == Stop(reason, word, "X")


def test_usage_is_told_with_the_first_event_and_again_with_the_last():
    usages = [event.usage for event in events_of(START, END, STOP) if isinstance(event, UsageSeen)]
    assert usages == [Usage(input_tokens=10, output_tokens=1), Usage(input_tokens=10, output_tokens=7)]


def test_an_error_after_the_200_ends_the_answer():
    error = sse("error", error={"type": "overloaded_error", "message": "Overloaded"})
    decoder = AnthropicDecoder(10_000)
    events = decoder.feed(START + error + STOP)
    assert events[-1] == Failure("overloaded_error", "Overloaded")
    assert decoder.is_done
    assert decode_reply(b'{"type":"error","error":{"type":"api_error","message":"m"}}') == [Failure("api_error", "m")]


def test_an_answer_that_breaks_off_has_no_stop():
    answer = fold(events_of(START, started(0, type="text", text=""), delta(0, "text_delta", text="Hal")))
    assert answer.stop is None
    assert answer.blocks[0].text == "Hal"


def test_sloppy_servers_are_understood():
    """No start of a text, no end of a block, no reason, a second message_start, members of the wrong type."""
    answer = fold(
        events_of(
            START,
            sse("message_start", message={"id": "other"}),
            delta(0, "text_delta", text="a"),
            delta(1, "unknown_delta", text="b"),
            sse("content_block_delta", index="x", delta={"type": "text_delta", "text": "b"}),
            sse("content_block_start", index=2, content_block={"type": "thinking", "thinking": "t", "signature": "s"}),
            sse("content_block_stop", index=9),
            sse("content_block_delta", index=2),
            b"data: nonsense\n\n",
            b"data: 7\n\n",
            STOP,
        )
    )
    assert answer.start.message_id == "msg_1"
    assert [(block.start.kind, block.text, block.signature) for block in answer.blocks] == [
        ("text", "ab", ""),
        ("thinking", "t", "s"),
    ]
    assert answer.stop == Stop("stop")


def test_calls_are_the_reason_even_where_the_server_says_otherwise():
    ended = sse("message_delta", delta={"stop_reason": "end_turn"}, usage={})
    answer = fold(events_of(START, started(0, type="tool_use", id="a", name="f", input={}), ended, STOP))
    assert answer.stop == Stop("tool_calls", "end_turn")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b'{"object":"chat.completion"}', b"\xff"])
def test_what_is_no_message_is_none(body):
    assert decode_reply(body) is None


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*list(MESSAGE), "text"]), inner),
    max_leaves=5,
)
kinds = st.sampled_from(["message_start", "content_block_start", "content_block_delta", "message_delta", "error", "x"])
members = st.sampled_from(["message", "index", "content_block", "delta", "usage", "error"])


@given(st.lists(st.tuples(kinds, st.dictionaries(members, junk, max_size=3)), max_size=6))
def test_no_event_of_a_hostile_provider_fails_the_decoder(found):
    fold(events_of(*[sse(kind, **values) for kind, values in found], STOP))


@given(junk)
def test_no_body_of_a_hostile_provider_fails_the_decoder(body):
    decode_reply(json.dumps({"type": "message", "content": body, "usage": body, "stop_reason": body}).encode())


def test_arguments_that_are_no_text_do_not_fail_the_decoder():
    body = b'{"type":"message","content":[{"type":"tool_use","id":"a","name":"f","input":{"a":"\xff"}}]}'
    assert fold(decode_reply(body) or ()).blocks[0].text == '{"a":"\ufffd"}'
