"""What the meter learns from a Messages reply that passes through untouched."""

import json

import pytest

from tidegate.core.usage import Usage
from tidegate.wire.anthropic_peek import AnthropicPeek, see_reply
from tidegate.wire.dialect import Seen


def event(kind: str, **members: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | members)}\n\n".encode()


START = event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": [],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 1},
    },
)
PING = event("ping")
TEXT = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
HELLO = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "héllo"})
THOUGHT = event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"})
TOOL = event("content_block_start", index=1, content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}})
SERVER_TOOL = event(
    "content_block_start",
    index=2,
    content_block={"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
)
RESULT = event(
    "content_block_start",
    index=3,
    content_block={"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result"}]},
)
ARGUMENTS = event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '{"a":1}'})
END = event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 7})
STOP = event("message_stop")


def seen_of(*events: bytes) -> Seen:
    peek = AnthropicPeek()
    assert all(peek.see(one) for one in events)
    return peek.seen


def test_usage_is_merged_from_the_first_and_the_last_event():
    """The input comes with message_start, the output with message_delta; either alone would be half a bill."""
    seen = seen_of(START, TEXT, HELLO, TOOL, ARGUMENTS, END, STOP)
    assert seen.usage == Usage(input_tokens=110, cache_read_input_tokens=100, output_tokens=7)
    assert (seen.model, seen.finish_reason, seen.tool_calls, seen.is_done) == ("claude-opus-4-8", "tool_calls", 1, True)


def test_counts_of_a_later_event_replace_those_of_an_earlier():
    """With server tools the input grows while the answer is written; the last word is what is billed."""
    later = event(
        "message_delta", delta={}, usage={"input_tokens": 50, "output_tokens": 9, "cache_read_input_tokens": 0}
    )
    assert seen_of(START, later).usage == Usage(input_tokens=50, output_tokens=9)


def test_a_stream_that_breaks_has_the_usage_of_its_start_and_the_bytes_of_its_text():
    seen = seen_of(START, TEXT, HELLO, THOUGHT, TOOL, ARGUMENTS)
    assert seen.usage is not None
    assert seen.output_text_bytes == len("héllo".encode()) + 2 + 7
    assert not seen.is_done
    assert seen.finish_reason is None


def test_server_tools_pings_and_unknown_events_pass():
    """Only the caller's own tools are tool calls of its row."""
    odd = [
        event("message_thing", x=1),
        event("content_block_start", index=9, content_block={"type": "new"}),
        event("content_block_delta", index=9, delta={"type": "new_delta", "text": 7}),
        b": comment\n\n",
        b"event: x\n\n",
        b"data: {\n\n",
        b"data: []\n\n",
        b"data: \xff\n\n",
    ]
    assert seen_of(START, PING, SERVER_TOOL, RESULT, *odd, STOP).tool_calls == 0


def test_a_member_of_the_wrong_type_does_not_cost_the_usage():
    odd = event("message_delta", delta={"stop_reason": 7}, usage={"output_tokens": 3})
    assert seen_of(START, odd).usage == Usage(input_tokens=110, cache_read_input_tokens=100, output_tokens=3)


def test_an_error_after_the_200_is_seen():
    seen = seen_of(START, event("error", error={"type": "overloaded_error", "message": "Overloaded"}))
    assert seen.has_error
    assert not seen.is_done


def test_nothing_follows_the_end_of_the_message():
    peek = AnthropicPeek()
    peek.see(STOP)
    assert not peek.see(START)
    assert peek.seen.model == ""


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "stop"),
        ("refusal", "content_filter"),
        ("a_new_one", "stop"),
    ],
)
def test_rows_have_openais_words_for_how_an_answer_ended(word, reason):
    assert seen_of(event("message_delta", delta={"stop_reason": word}, usage={})).finish_reason == reason


def test_a_whole_reply_tells_the_same():
    reply = {
        "type": "message",
        "model": "claude-opus-4-8",
        "content": [
            {"type": "text", "text": "hi"},
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            {"type": "web_search_tool_result", "content": []},
            7,
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 4, "cost": 0.5},
    }
    seen = see_reply(json.dumps(reply).encode())
    assert seen == Seen(
        usage=Usage(input_tokens=3, output_tokens=4),
        reported_nano_usd=500_000_000,
        finish_reason="tool_calls",
        tool_calls=1,
        is_done=True,
        model="claude-opus-4-8",
        output_text_bytes=2 + 2 + len('{"a": 1}'),
    )


def test_a_reply_without_usage_has_none():
    """None is "not reported", which the meter must tell from zero."""
    seen = see_reply(b'{"type":"message","content":null,"stop_reason":7}')
    assert seen is not None
    assert seen.usage is None


def test_an_error_body_is_an_error():
    seen = see_reply(b'{"type":"error","error":{"type":"api_error","message":"x"}}')
    assert seen is not None
    assert seen.has_error


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"object":"chat.completion"}', b'{"input_tokens":1}', b"<html>"])
def test_what_is_no_message_is_none(body):
    assert see_reply(body) is None
