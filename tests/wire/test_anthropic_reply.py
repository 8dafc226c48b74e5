"""What an Anthropic client is told: the same streamed and whole, and what strict clients rely on."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from tidegate.core.usage import Usage
from tidegate.wire.anthropic_answer import AnthropicDecoder, decode_reply
from tidegate.wire.anthropic_reply import AnthropicEncoder, encode_reply
from tidegate.wire.carrier import Carried, unpack
from tidegate.wire.conversation import Ask, Reasoning
from tidegate.wire.events import (
    BlockStart,
    BlockStop,
    Citation,
    Delta,
    Event,
    Failure,
    MessageStart,
    Signature,
    Stop,
    UsageSeen,
    fold,
)

ASK = Ask(model="asked", turns=())
USAGE = UsageSeen(Usage(input_tokens=12, cache_read_input_tokens=4, output_tokens=5))
START, STOP = MessageStart("chatcmpl-1", "served"), Stop("stop", "stop")
CITED = {"type": "char_location", "cited_text": "c", "document_index": 0}


def streamed(*events: Event) -> list[dict[str, Any]]:
    """The payloads of the stream; every event's name is its type."""
    encoder = AnthropicEncoder(ASK, "gen-1")
    stream = b"".join([encoder.encode(event) for event in events]) + encoder.finish()
    payloads = []
    for one in stream.split(b"\n\n")[:-1]:
        name, data = one.split(b"\n")
        payloads.append(json.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + payloads[-1]["type"].encode()
    return payloads


def whole(*events: Event) -> dict[str, Any]:
    return json.loads(encode_reply(events, ASK, generation_id="gen-1"))


def gathered(payloads: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a strict client makes of a stream: one block at a time, in the order of the indexes."""
    message = payloads[0]["message"]
    is_open, arguments = False, ""
    for payload in payloads[1:]:
        kind = payload["type"]
        if kind == "content_block_start":
            assert not is_open
            assert payload["index"] == len(message["content"])
            message["content"].append(payload["content_block"])
            is_open, arguments = True, ""
        elif kind == "content_block_delta":
            assert is_open
            assert payload["index"] == len(message["content"]) - 1
            block, delta = message["content"][-1], payload["delta"]
            if delta["type"] == "text_delta":
                block["text"] += delta["text"]
            elif delta["type"] == "thinking_delta":
                block["thinking"] += delta["thinking"]
            elif delta["type"] == "signature_delta":
                assert block["signature"] == ""
                block["signature"] = delta["signature"]
            elif delta["type"] == "input_json_delta":
                arguments += delta["partial_json"]
            else:
                block["citations"] = [*block.get("citations", []), delta["citation"]]
        elif kind == "content_block_stop":
            assert payload["index"] == len(message["content"]) - 1
            if arguments:
                message["content"][-1]["input"] = json.loads(arguments)
            is_open = False
        elif kind == "message_delta":
            assert not is_open
            message |= payload["delta"]
            message["usage"] |= payload["usage"]
    assert payloads[-1]["type"] == "message_stop"
    for block in message["content"]:
        if block["type"] == "text":
            block.setdefault("citations", None)
    return message


def test_a_text_answer_as_a_strict_client_reads_it():
    payloads = streamed(START, BlockStart(0, "text"), Delta(0, "Hal"), Delta(0, "lo"), BlockStop(0), STOP, USAGE)
    assert [payload["type"] for payload in payloads] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert payloads[0]["message"] | {"usage": 0} == {
        "id": "gen-1",
        "type": "message",
        "role": "assistant",
        "model": "served",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": 0,
    }
    assert payloads[0]["message"]["usage"] == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": None,
        "output_tokens": 0,
    }
    assert payloads[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert payloads[-2]["usage"]["input_tokens"] == 8
    assert payloads[-2]["usage"]["output_tokens"] == 5


def test_usage_known_before_the_start_is_told_with_it():
    assert streamed(USAGE, START, STOP)[0]["message"]["usage"]["cache_read_input_tokens"] == 4


def test_usage_that_comes_after_the_stop_reason_is_still_told():
    """Chat completions send it in a chunk of its own, after finish_reason."""
    assert streamed(START, STOP, USAGE)[-2]["usage"]["output_tokens"] == 5


def test_interleaved_tool_calls_reach_the_client_one_after_the_other():
    """No client of this dialect expects a second block before the first has ended."""
    events = [
        START,
        BlockStart(0, "tool", "a", "f"),
        BlockStart(1, "tool", "b", "g"),
        Delta(1, '{"b":'),
        Delta(0, '{"a":'),
        BlockStart(2, "text"),
        Delta(2, "x"),
        BlockStop(2),
        Delta(0, "1}"),
        Delta(1, "2}"),
        BlockStop(0),
        Delta(1, " "),
        BlockStop(1),
        Stop("tool_calls"),
        USAGE,
    ]
    message = gathered(streamed(*events))
    assert message == whole(*events)
    assert [block.get("input") for block in message["content"]] == [{"a": 1}, {"b": 2}, None]
    assert message["stop_reason"] == "tool_use"


def test_the_first_of_interleaved_blocks_is_not_held_back():
    encoder = AnthropicEncoder(ASK, "g")
    encoder.encode(BlockStart(0, "tool", "a", "f"))
    encoder.encode(BlockStart(1, "tool", "b", "g"))
    assert b"input_json_delta" in encoder.encode(Delta(0, "{"))
    assert encoder.encode(Delta(1, "{")) == b""


def test_empty_arguments_are_an_empty_object():
    for text in ("", "{}"):
        events = [START, BlockStart(0, "tool", "a", "f"), Delta(0, text), BlockStop(0), Stop("stop")]
        message = gathered(streamed(*events))
        assert message["content"] == [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]
        assert message == whole(*events)
        assert message["stop_reason"] == "tool_use"


def test_arguments_that_were_cut_off_are_kept_as_text():
    found = whole(START, BlockStart(0, "tool", "a", "f"), Delta(0, '{"a": [1'), BlockStop(0), Stop("length"))
    assert found["content"][0]["input"] == {"arguments": '{"a": [1'}
    assert found["stop_reason"] == "max_tokens"


def test_a_call_without_an_id_gets_one():
    """The caller must name the call in its result."""
    events = [START, BlockStart(0, "tool", name="f"), BlockStop(0), BlockStart(1, "tool", name="f"), BlockStop(1), STOP]
    message = gathered(streamed(*events))
    assert [block["id"] for block in message["content"]] == ["toolu_gen-1_0", "toolu_gen-1_1"]
    assert message == whole(*events)


def test_a_signature_in_pieces_is_told_whole():
    """Anthropic's SDK takes the last signature_delta for the signature."""
    thought = [BlockStart(0, "thinking", origin="anthropic"), Signature(0, "a"), Signature(0, "b"), BlockStop(0)]
    payloads = streamed(START, *thought, STOP)
    assert [one["delta"]["signature"] for one in payloads if one.get("delta", {}).get("type") == "signature_delta"] == [
        "ab"
    ]


def test_seals_of_other_makers_travel_in_carriers():
    events = [
        START,
        BlockStart(0, "thinking", origin="openai", item_id="rs_1"),
        Delta(0, "hm"),
        Signature(0, "gAAA"),
        BlockStop(0),
        BlockStart(1, "redacted", data="X", origin="openai", item_id="rs_2"),
        BlockStop(1),
        BlockStart(2, "text", origin="gemini"),
        Delta(2, "t"),
        Signature(2, "S2"),
        BlockStop(2),
        BlockStart(3, "tool", "c", "f", signature="S3", origin="gemini"),
        BlockStop(3),
        Stop("tool_calls"),
    ]
    message = gathered(streamed(*events))
    assert message == whole(*events)
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["thinking", "redacted_thinking", "text", "redacted_thinking", "redacted_thinking", "tool_use"]
    assert [unpack(block.get("signature") or block.get("data", "")) for block in message["content"]] == [
        Carried("openai", "gAAA", item_id="rs_1"),
        Carried("openai", "X", item_id="rs_2", is_redacted=True),
        None,
        Carried("gemini", "S2"),
        Carried("gemini", "S3", "c"),
        None,
    ]


def test_a_caller_who_wants_no_thoughts_gets_only_their_seals():
    ask = Ask(model="m", turns=(), reasoning=Reasoning(is_adaptive=True, shown=False))
    events = [
        START,
        BlockStart(0, "thinking", origin="openai"),
        Delta(0, "hidden"),
        Signature(0, "g"),
        BlockStop(0),
        STOP,
    ]
    encoder = AnthropicEncoder(ask, "gen-1")
    stream = b"".join([encoder.encode(event) for event in events])
    for told in (stream, encode_reply(events, ask, generation_id="gen-1")):
        assert b"hidden" not in told
        assert b"tg1." in told


def test_a_thought_of_a_maker_who_signs_nothing_has_an_empty_signature():
    events = [START, BlockStart(0, "thinking", origin="deepseek"), Delta(0, "hm"), BlockStop(0), STOP]
    assert gathered(streamed(*events))["content"] == [{"type": "thinking", "thinking": "hm", "signature": ""}]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "end_turn"),
        ("stop_sequence", "stop_sequence"),
        ("length", "max_tokens"),
        ("context", "model_context_window_exceeded"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
    ],
)
def test_every_reason_to_stop_has_anthropics_word(reason, word):
    events = [START, Stop(reason, "native", "X")]
    assert gathered(streamed(*events))["stop_reason"] == word
    assert gathered(streamed(*events)) == whole(*events)
    assert whole(*events)["stop_sequence"] == "X"


def test_openais_refusal_is_a_text_and_the_reason():
    events = [START, BlockStart(0, "refusal"), Delta(0, "I cannot"), BlockStop(0), STOP]
    message = gathered(streamed(*events))
    assert message["content"] == [{"type": "text", "text": "I cannot", "citations": None}]
    assert message["stop_reason"] == "refusal"
    assert message == whole(*events)


def test_what_no_block_can_hold_is_named():
    """Images that a model paints, and sources on the web that Anthropic did not search."""
    encoder = AnthropicEncoder(ASK, "g")
    foreign = Citation(1, "https://x", "T", Raw(b'{"type":"url_citation","url":"https://x"}'))
    for event in (START, BlockStart(0, "image", data="x"), Delta(0, "y"), BlockStop(0), BlockStart(1, "text"), foreign):
        assert b"image" not in encoder.encode(event)
    assert encoder.dropped == ["image", "citations"]


@pytest.mark.parametrize("raw", [b"", b"7", b"[]", b"{}", b'{"type":[{}]}', b'{"type":"new"}', b"{"])
def test_a_citation_of_any_shape_is_left_out_and_not_a_failure(raw):
    events = [START, BlockStart(0, "text"), Citation(0, raw=Raw(raw)), Delta(0, "x"), BlockStop(0), STOP]
    assert gathered(streamed(*events))["content"] == [{"type": "text", "text": "x", "citations": None}]
    assert gathered(streamed(*events)) == whole(*events)


def test_anthropics_own_citations_pass():
    events = [
        START,
        BlockStart(0, "text"),
        Citation(0, raw=Raw(json.dumps(CITED, indent=1).encode())),
        Delta(0, "x"),
        BlockStop(0),
        STOP,
    ]
    message = gathered(streamed(*events))
    assert message["content"][0]["citations"] == [CITED]
    assert message == whole(*events)


def test_an_error_after_the_200_is_an_error_event_and_the_end():
    payloads = streamed(START, BlockStart(0, "text"), Failure("server_error", "Boom"))
    assert payloads[-1] == {"type": "error", "error": {"type": "api_error", "message": "Boom"}}
    assert whole(START, Failure("RESOURCE_EXHAUSTED", "slow"))["error"]["type"] == "rate_limit_error"
    assert streamed(START, Stop("error", "network_error"))[-1]["error"]["type"] == "api_error"
    assert whole(START, Stop("error"))["type"] == "error"


def test_an_answer_that_breaks_off_is_not_ended():
    """Whoever cut it off says so: an end would make half an answer look whole."""
    assert [one["type"] for one in streamed(START, BlockStart(0, "text"), Delta(0, "x"))][-1] == "content_block_delta"


def test_a_block_that_was_left_open_ends_before_the_message():
    events = [START, BlockStart(0, "text"), Delta(0, "x"), BlockStart(1, "tool", "a", "f"), Delta(1, "{}"), STOP]
    assert gathered(streamed(*events)) == whole(*events)


texts = st.text(max_size=6)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Any answer in this dialect's own words, its blocks interleaved in any way."""
    blocks: list[list[Event]] = []
    for index in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["text", "thinking", "redacted", "tool"]))
        if kind == "tool":
            value = json.dumps(draw(st.dictionaries(texts, texts | st.integers(), max_size=2)))
            cut = draw(st.integers(0, len(value)))
            events: list[Event] = [BlockStart(index, "tool", f"t{index}", "f")]
            events += [Delta(index, value[:cut]), Delta(index, value[cut:])]
        elif kind == "redacted":
            events = [BlockStart(index, "redacted", data=draw(texts) + "x", origin="anthropic")]
        elif kind == "thinking":
            events = [BlockStart(index, "thinking", origin="anthropic"), Delta(index, draw(texts))]
            events += [Signature(index, "s" + draw(texts)), Signature(index, draw(texts))]
        else:
            events = [BlockStart(index, "text"), Delta(index, draw(texts)), Delta(index, draw(texts))]
            events += [Citation(index, raw=Raw(json.dumps(CITED).encode()))] * draw(st.integers(0, 1))
        blocks.append([*events, BlockStop(index)])
    events, begun = [START], 0
    while any(blocks):
        if begun < len(blocks) and (draw(st.booleans()) or not any(blocks[:begun])):
            begun += 1  # blocks start in the order of their indexes
            events.append(blocks[begun - 1].pop(0))
        else:
            events.append(draw(st.sampled_from([block for block in blocks[:begun] if block])).pop(0))
    usage = UsageSeen(Usage(input_tokens=draw(st.integers(0, 9)), output_tokens=draw(st.integers(0, 9))))
    reason = draw(st.sampled_from(["stop", "length", "pause", "refusal", "tool_calls", "context"]))
    events.insert(draw(st.integers(1, len(events))), usage)
    return [*events, Stop(reason)]


@given(answers())
@settings(deadline=None)
def test_any_answer_is_the_same_streamed_and_whole(events):
    assert gathered(streamed(*events)) == whole(*events)


@given(answers())
@settings(deadline=None)
def test_what_is_written_is_read_back(events):
    """An answer in this dialect's own words survives a trip through it, streamed and whole."""
    encoder = AnthropicEncoder(ASK, "gen-1")
    stream = b"".join([encoder.encode(event) for event in events]) + encoder.finish()
    from_stream = fold(AnthropicDecoder(100_000).feed(stream))
    from_whole = fold(decode_reply(encode_reply(events, ASK, generation_id="gen-1")) or ())
    answer = fold(events)
    for found in (from_stream, from_whole):
        assert found.usage == answer.usage
        assert [(one.start, one.signature) for one in found.blocks] == [(b.start, b.signature) for b in answer.blocks]
        for one, expected in zip(found.blocks, answer.blocks, strict=True):
            if one.start.kind == "tool":
                assert json.loads(one.text) == json.loads(expected.text)
            else:
                assert one.text == expected.text
            assert [json.loads(bytes(c.raw)) for c in one.citations] == [CITED] * len(expected.citations)
    assert from_stream.stop == from_whole.stop
