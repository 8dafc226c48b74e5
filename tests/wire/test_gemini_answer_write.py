"""Any provider's answer, as a Gemini caller reads it: streamed and whole mean the same."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import InvalidRequest, UpstreamTimeout
from tidegate.core.usage import Usage
from tidegate.wire.carrier import unpack
from tidegate.wire.conversation import Ask, Reasoning
from tidegate.wire.events import (
    BlockStart,
    BlockStop,
    Citation,
    Delta,
    Failure,
    MessageStart,
    Signature,
    Stop,
    UsageSeen,
    fold,
)
from tidegate.wire.gemini import GEMINI

ASK = Ask(model="m", turns=())
SHOWN = Ask(model="m", turns=(), reasoning=Reasoning(shown=True))
USAGE = UsageSeen(Usage(input_tokens=3, output_tokens=9, reasoning_output_tokens=4, cache_read_input_tokens=2))


def block(index, kind, *deltas, signature="", **start):
    events = [BlockStart(index, kind, **start), *[Delta(index, text) for text in deltas]]
    return [*events, *([Signature(index, signature)] if signature else []), BlockStop(index)]


def answer(*blocks, reason="stop", **stop):
    return [MessageStart("x", "claude-9", 5), *[e for b in blocks for e in b], USAGE, Stop(reason, **stop)]


def stream_of(events, ask=SHOWN):
    encoder = GEMINI.stream_encoder(ask, generation_id="gen-1", created_s=0)
    return b"".join(encoder.encode(event) for event in events) + encoder.finish()


def chunks_of(stream: bytes) -> list[dict]:
    return [json.loads(line[6:]) for line in stream.decode().split("\r\n\r\n") if line]


def parts_of(events, ask=SHOWN):
    return [p for c in chunks_of(stream_of(events, ask)) for p in c["candidates"][0]["content"]["parts"]]


def reply_of(events, ask=SHOWN):
    return json.loads(GEMINI.encode_reply(events, ask, generation_id="gen-1", created_s=0))


def read_back(events, ask=SHOWN):
    """What a reader of Gemini's understands, of the stream and of the reply."""
    decoder = GEMINI.stream_decoder(event_bytes_max=1 << 20)
    streamed = fold(decoder.feed(stream_of(events, ask)) + decoder.finish())
    whole = fold(GEMINI.decode_reply(GEMINI.encode_reply(events, ask, generation_id="gen-1", created_s=0)))
    assert streamed == whole
    return whole


FULL = answer(
    block(0, "thinking", "hm", "m", signature="sig", origin="anthropic"),
    block(1, "text", "Hel", "lo"),
    block(2, "tool", '{"a"', ":1}", call_id="c1", name="f"),
    block(3, "tool", call_id="c2", name="g"),
    reason="tool_calls",
)


def test_a_whole_reply():
    reply = reply_of(FULL)
    carrier = reply["candidates"][0]["content"]["parts"][0]["thoughtSignature"]
    assert reply == {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "hmm", "thought": True, "thoughtSignature": carrier},
                        {"text": "Hello"},
                        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
                        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
                    ],
                    "role": "model",
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 3,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 4,
            "totalTokenCount": 12,
            "cachedContentTokenCount": 2,
        },
        "modelVersion": "claude-9",
        "responseId": "gen-1",
    }
    assert unpack(base64.b64decode(carrier).decode()).signature == "sig"


def test_a_stream_says_each_text_as_it_comes_and_ends_with_reason_and_usage():
    chunks = chunks_of(stream_of(FULL))
    texts = [p.get("text") for c in chunks for p in c["candidates"][0]["content"]["parts"]]
    assert texts == ["hm", "m", "", "Hel", "lo", None, None, ""]
    assert all(c["responseId"] == "gen-1" and c["modelVersion"] == "claude-9" for c in chunks)
    assert ["finishReason" in c["candidates"][0] for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["usageMetadata"]["totalTokenCount"] == 12


def test_streamed_and_whole_mean_the_same():
    found = read_back(FULL)
    assert [(b.start.kind, b.text) for b in found.blocks] == [
        ("thinking", "hmm"),
        ("text", "Hello"),
        ("tool", '{"a":1}'),
        ("tool", "{}"),
    ]
    assert found.stop.reason == "tool_calls" and found.usage == USAGE


def test_interleaved_parallel_calls_come_in_order_and_whole():
    events = [
        MessageStart(),
        BlockStart(0, "tool", "c1", "f"),
        BlockStart(1, "tool", "c2", "g"),
        Delta(1, '{"b"'),
        Delta(0, '{"a":'),
        Delta(1, ":2}"),
        BlockStop(1),
        BlockStart(2, "text"),
        Delta(2, "late"),
        Delta(0, "1}"),
        BlockStop(0),
        BlockStop(2),
        Stop("tool_calls"),
    ]
    assert [(b.start.call_id, b.text) for b in read_back(events).blocks] == [
        ("c1", '{"a":1}'),
        ("c2", '{"b":2}'),
        ("", "late"),
    ]


def test_thoughts_reach_only_those_who_ask_but_seals_reach_all():
    """Gemini's default is no thoughts; a seal without its thought still has to come back to its maker."""
    hidden = parts_of(FULL, ASK)
    assert "hm" not in json.dumps(hidden)
    assert hidden[0]["text"] == "" and hidden[0]["thought"] is True and hidden[0]["thoughtSignature"]
    assert read_back(FULL, ASK).blocks[0].start.kind == "thinking"
    unsealed = answer(block(0, "thinking", "hm", origin="deepseek"), block(1, "text", "x"))
    assert [p["text"] for p in parts_of(unsealed, ASK)] == ["x", ""]


def test_seals_come_back_to_their_makers_through_a_gemini_caller():
    events = answer(
        block(0, "thinking", "t", signature="sig", origin="anthropic"),
        block(1, "redacted", data="opaque", origin="anthropic"),
        block(2, "thinking", "sum", signature="enc", origin="openai", item_id="rs_1"),
        block(3, "tool", "{}", call_id="c", name="f", signature="Z2Vt", origin="gemini"),
    )
    content = reply_of(events)["candidates"][0]["content"]
    ask = GEMINI.decode_request(json.dumps({"contents": [{"parts": [{"text": "hi"}]}, content]}).encode())
    thought, redacted, item, call = ask.turns[1].parts
    assert (thought.text, thought.signature, thought.origin) == ("t", "sig", "anthropic")
    assert (redacted.redacted, redacted.origin) == ("opaque", "anthropic")
    assert (item.text, item.signature, item.origin, item.item_id) == ("sum", "enc", "openai", "rs_1")
    assert (call.signature, call.origin, call.call_id) == ("Z2Vt", "gemini", "c")


def test_unsealed_thoughts_come_back_as_their_makers_not_as_geminis():
    """DeepSeek wants its thoughts back with the answer to a tool call; they bear no seal."""
    events = answer(block(0, "thinking", "a", "b", origin="deepseek"), block(1, "thinking", "c", origin="gemini"))
    for parts in (reply_of(events)["candidates"][0]["content"]["parts"], parts_of(events)):
        body = {"contents": [{"role": "model", "parts": parts}]}
        thoughts = GEMINI.decode_request(json.dumps(body).encode()).turns[0].parts
        assert [(t.text, t.origin, t.signature) for t in thoughts] == [("ab", "deepseek", ""), ("c", "gemini", "")]


def test_a_streamed_answer_that_is_sent_back_means_what_the_whole_one_means():
    """Google's SDKs keep a streamed answer chunk by chunk, seals on parts of their own."""
    chunks = chunks_of(stream_of(FULL))
    contents = [chunk["candidates"][0]["content"] for chunk in chunks]
    streamed = GEMINI.decode_request(json.dumps({"contents": contents}).encode())
    whole = GEMINI.decode_request(
        json.dumps({"contents": [reply_of(FULL)["candidates"][0]["content"]]}).encode(),
    )
    assert streamed.turns == whole.turns and streamed.turns[0].parts[0].text == "hmm"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "STOP"),
        ("stop_sequence", "STOP"),
        ("tool_calls", "STOP"),
        ("pause", "STOP"),
        ("length", "MAX_TOKENS"),
        ("context", "MAX_TOKENS"),
        ("content_filter", "SAFETY"),
        ("refusal", "SAFETY"),
        ("error", "OTHER"),
    ],
)
def test_every_reason_has_a_word(reason, word):
    events = answer(block(0, "text", "x"), reason=reason)
    assert reply_of(events)["candidates"][0]["finishReason"] == word
    assert chunks_of(stream_of(events))[-1]["candidates"][0]["finishReason"] == word


def test_a_refusal_is_text():
    assert read_back(answer(block(0, "refusal", "I can", "not"), reason="refusal")).blocks[0].text == "I cannot"


def test_arguments_that_are_cut_are_a_malformed_call_never_an_empty_one():
    for reason, word in (("tool_calls", "MALFORMED_FUNCTION_CALL"), ("length", "MAX_TOKENS")):
        events = answer(block(0, "tool", '{"a": ', call_id="c", name="f"), reason=reason)
        encoder = GEMINI.stream_encoder(SHOWN, generation_id="g", created_s=0)
        last = chunks_of(b"".join(map(encoder.encode, events)) + encoder.finish())[-1]["candidates"][0]
        assert last["finishReason"] == word and encoder.dropped
        assert reply_of(events)["candidates"][0]["finishReason"] == word
        assert read_back(events).blocks == []


def test_images_and_audio_are_inline_data():
    events = answer(
        block(0, "image", data="aWM=", media_type="image/png"),
        block(1, "audio", "AAAA", "BBBB", media_type="audio/wav"),
    )
    assert [(b.start.kind, b.start.media_type, b.start.data + b.text) for b in read_back(events).blocks] == [
        ("image", "image/png", "aWM="),
        ("audio", "audio/wav", "AAAABBBB"),
    ]


def test_sources_are_grounding():
    events = answer([BlockStart(0, "text"), Delta(0, "x"), Citation(0, "https://a", "A"), BlockStop(0)])
    chunks = {"groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}]}
    assert reply_of(events)["candidates"][0]["groundingMetadata"] == chunks
    assert chunks_of(stream_of(events))[-1]["candidates"][0]["groundingMetadata"] == chunks


def test_a_failure_after_the_200_is_an_error_that_googles_sdks_raise():
    events = [MessageStart(), BlockStart(0, "text"), Delta(0, "x"), Failure("overloaded_error", "busy")]
    chunks = chunks_of(stream_of(events))
    error = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}
    assert chunks[-1] == error and len(chunks) == 2 and reply_of(events) == error


def test_a_stream_that_was_cut_has_no_reason_to_end():
    chunks = chunks_of(stream_of([MessageStart(), BlockStart(0, "text"), Delta(0, "x")]))
    assert len(chunks) == 1 and "finishReason" not in chunks[0]["candidates"][0]


def test_an_answer_without_anything_is_still_readable():
    for body in (reply_of(answer()), chunks_of(stream_of(answer()))[-1]):
        assert body["candidates"][0]["content"]["parts"] == [{"text": ""}]


def test_errors_of_ours_are_in_googles_form():
    error = InvalidRequest("contents is empty", param="contents")
    found = json.loads(GEMINI.error_body(error, request_id="r1"))["error"]
    assert (found["code"], found["status"], found["message"]) == (400, "INVALID_ARGUMENT", "contents is empty")
    assert found["details"][0]["metadata"] == {"error_type": "invalid_request", "request_id": "r1"}
    assert found["details"][1]["fieldViolations"][0]["field"] == "contents"
    late = chunks_of(GEMINI.stream_error(UpstreamTimeout("too slow")))[0]["error"]
    assert (late["code"], late["status"]) == (504, "DEADLINE_EXCEEDED")


KINDS = st.sampled_from(["text", "thinking", "tool", "refusal", "image", "audio", "redacted"])


@st.composite
def interleaved(draw):
    """A few blocks whose events are shuffled, each block's own order kept."""
    queues = []
    for index in range(draw(st.integers(0, 4))):
        kind = draw(KINDS)
        start = {"origin": draw(st.sampled_from(["", "anthropic", "openai", "gemini"]))}
        deltas = draw(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=3))
        if kind == "tool":
            start |= {"call_id": f"c{index}", "name": "f"}
            deltas = draw(st.sampled_from([["{", '"a":1}'], [], ['{"a"'], ["{}"]]))
        elif kind in ("image", "redacted"):
            start |= {"data": "aWM=", "media_type": "image/png"}
            deltas = []
        elif kind == "audio":
            start, deltas = {"media_type": f"audio/x{index}"}, ["AAAA"]
        signature = draw(st.sampled_from(["", "c2ln"])) if kind in ("text", "thinking") else ""
        queues.append(block(index, kind, *deltas, signature=signature, **start))
    events = [MessageStart("i", "m")]
    starts = 0
    while any(queues):
        ready = [q for i, q in enumerate(queues) if q and (not isinstance(q[0], BlockStart) or q[0].index == starts)]
        queue = draw(st.sampled_from(ready))
        starts += isinstance(queue[0], BlockStart)
        events.append(queue.pop(0))
    return [*events, USAGE, Stop(draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"])))]


@given(interleaved(), st.sampled_from([ASK, SHOWN]))
def test_any_answer_means_the_same_streamed_and_whole(events, ask):
    read_back(events, ask)
