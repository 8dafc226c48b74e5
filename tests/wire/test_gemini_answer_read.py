"""Gemini's answers mean the same streamed and whole, wherever the stream is cut."""

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.usage import Usage
from tidegate.wire.events import Failure, Stop, fold
from tidegate.wire.gemini_answer_read import GeminiDecoder, decode_reply
from tidegate.wire.gemini_chunk import payload
from tidegate.wire.gemini_peek import GeminiPeek, see_reply
from tidegate.wire.sse import Framer, event_data

USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 22}
BYTES_MAX = 1 << 20


def chunk(*parts, **members) -> dict:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    candidate |= {name: members.pop(name) for name in ("finishReason", "groundingMetadata") if name in members}
    return {"candidates": [candidate], "modelVersion": "gemini-3-pro", "responseId": "r1", **members}


def sse(*chunks, end="\r\n\r\n") -> bytes:
    return "".join(f"data: {json.dumps(one)}{end}" for one in chunks).encode()


def events_of(stream: bytes, size: int = 1 << 20) -> list:
    decoder = GeminiDecoder(event_bytes_max=BYTES_MAX)
    events = []
    for start in range(0, len(stream), size):
        events += decoder.feed(stream[start : start + size])
    return events + decoder.finish()


def answer_of(*chunks):
    return fold(events_of(sse(*chunks)))


def reply_of(body):
    events = decode_reply(json.dumps(body, indent=2).encode())
    assert events is not None
    return fold(events)


def read_by_peek(stream: bytes):
    peek = GeminiPeek()
    framer = Framer(BYTES_MAX)
    assert all(peek.see(event) for event in framer.feed(stream))
    return peek.seen


CALL = {"functionCall": {"name": "look", "args": {"q": "é", "n": 1.0}}, "thoughtSignature": "c2ln"}

STREAM = [
    chunk({"text": "Let me ", "thought": True}),
    chunk({"text": "think.", "thought": True}, usageMetadata={"promptTokenCount": 10, "totalTokenCount": 10}),
    chunk({"text": "Hello"}, {"text": ", wor"}),
    chunk({"text": "ld"}),
    chunk({"text": "", "thoughtSignature": "dGV4dA=="}),
    chunk(CALL, {"functionCall": {"name": "look", "args": {"q": "b"}}}),
    chunk({"text": ""}, finishReason="STOP", usageMetadata=USAGE),
]
WHOLE = chunk(
    {"text": "Let me think.", "thought": True},
    {"text": "Hello, world", "thoughtSignature": "dGV4dA=="},
    CALL,
    {"functionCall": {"name": "look", "args": {"q": "b"}}},
    finishReason="STOP",
    usageMetadata=USAGE,
)


@pytest.mark.parametrize("end", ["\r\n\r\n", "\n\n", "\r\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_a_stream_and_a_whole_reply_mean_the_same_for_any_cut(size, end):
    assert fold(events_of(sse(*STREAM, end=end), size)) == reply_of(WHOLE)


def test_what_an_answer_means():
    answer = reply_of(WHOLE)
    assert [(b.start.kind, b.text, b.signature) for b in answer.blocks] == [
        ("thinking", "Let me think.", ""),
        ("text", "Hello, world", "dGV4dA=="),
        ("tool", r'{"q":"\u00e9","n":1.0}', "c2ln"),
        ("tool", '{"q":"b"}', ""),
    ]
    assert answer.start.message_id == "r1" and answer.start.model == "gemini-3-pro"
    assert answer.stop == Stop("tool_calls", "STOP")
    assert answer.usage.usage == Usage(input_tokens=10, output_tokens=12, reasoning_output_tokens=7)


def test_parallel_calls_without_ids_get_different_ids_that_do_not_change():
    """A caller answers calls by their ids; Gemini's Developer API often sends none."""
    same = {"functionCall": {"name": "look", "args": {"q": "a"}}}
    streamed, whole = answer_of(chunk(same), chunk(same), chunk(finishReason="STOP")), reply_of(chunk(same, same))
    ids = [block.start.call_id for block in streamed.blocks]
    assert len(set(ids)) == 2 and ids == [block.start.call_id for block in whole.blocks]
    other = chunk(same) | {"responseId": "r2"}
    assert reply_of(other).blocks[0].start.call_id not in ids


def test_a_providers_own_call_id_stays():
    answer = reply_of(chunk({"functionCall": {"name": "f", "id": "fc-1", "args": {}}}))
    assert answer.blocks[0].start.call_id == "fc-1"


@pytest.mark.parametrize("args", [{}, {"args": None}, {"args": {}}])
def test_empty_arguments_are_an_empty_object(args):
    assert reply_of(chunk({"functionCall": {"name": "f", **args}})).blocks[0].text == "{}"


def test_text_that_alternates_with_thoughts_makes_blocks_in_turn():
    answer = answer_of(
        chunk({"text": "a", "thought": True}, {"text": "b"}, {"text": "c", "thought": True}), chunk({"text": "d"})
    )
    assert [(b.start.kind, b.text) for b in answer.blocks] == [
        ("thinking", "a"),
        ("text", "b"),
        ("thinking", "c"),
        ("text", "d"),
    ]


def test_a_signed_part_is_never_joined_with_the_next():
    """Google: do not merge a part that has a signature with one that has none."""
    answer = answer_of(chunk({"text": "a", "thoughtSignature": "cw=="}), chunk({"text": "b"}))
    assert [(b.text, b.signature) for b in answer.blocks] == [("a", "cw=="), ("b", "")]


def test_a_signature_on_no_text_after_thoughts_keeps_its_own_place():
    answer = answer_of(chunk({"text": "t", "thought": True}), chunk({"text": "", "thoughtSignature": "cw=="}))
    assert [(b.start.kind, b.text, b.signature) for b in answer.blocks] == [("thinking", "t", ""), ("text", "", "cw==")]


def test_a_blocked_prompt_is_a_content_filter():
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}
    for answer in (answer_of(blocked), reply_of(blocked)):
        assert answer.blocks == [] and answer.stop == Stop("content_filter", "PROHIBITED_CONTENT")
        assert answer.usage.usage == Usage(input_tokens=4)
    assert read_by_peek(sse(blocked)).finish_reason == "content_filter"


def test_max_tokens_without_content_is_length():
    """Thinking may eat the whole limit: the candidate then has no content, or content without parts."""
    for candidate in ({"finishReason": "MAX_TOKENS"}, {"finishReason": "MAX_TOKENS", "content": {"role": "model"}}):
        answer = reply_of({"candidates": [candidate], "usageMetadata": USAGE})
        assert answer.blocks == [] and answer.stop == Stop("length", "MAX_TOKENS")


@pytest.mark.parametrize(
    "body", [{"candidates": [], "usageMetadata": USAGE}, {"usageMetadata": USAGE}, {"responseId": "x"}]
)
def test_an_answer_without_candidates_did_not_come_to_its_end(body):
    answer = reply_of(body)
    assert answer.blocks == [] and answer.stop is None and answer.failure is None


def test_a_malformed_call_is_an_error_stop_with_the_providers_word():
    bad = chunk(finishReason="MALFORMED_FUNCTION_CALL")
    bad["candidates"][0]["finishMessage"] = "Malformed function call: print(...)"
    assert answer_of(chunk({"text": "x"}), bad).stop == Stop("error", "MALFORMED_FUNCTION_CALL")
    assert read_by_peek(sse(bad)).finish_reason == "error"


def test_a_reason_on_every_chunk_does_not_end_the_answer_early():
    """Older models say STOP with each chunk; the last other word wins."""
    answer = answer_of(
        chunk({"text": "a"}, finishReason="STOP"),
        chunk({"text": "b"}, finishReason="MAX_TOKENS"),
        chunk(finishReason="STOP"),
    )
    assert answer.blocks[0].text == "ab" and answer.stop == Stop("length", "MAX_TOKENS")


def test_usage_on_every_chunk_counts_once():
    growing = [chunk({"text": "a"}, usageMetadata={**USAGE, "candidatesTokenCount": n}) for n in (1, 3, 5)]
    traffic = chunk({"text": "b"}, usageMetadata={"trafficType": "ON_DEMAND"})
    for stream in ([*growing], [*growing, traffic]):
        assert answer_of(*stream).usage.usage.output_tokens == 12
        assert read_by_peek(sse(*stream)).usage.output_tokens == 12


def test_parts_of_unknown_kinds_are_passed_over():
    parts = [{"executableCode": {"code": "1"}}, {"newThing": {"x": 1}}, {"text": "ok"}, {}]
    assert [b.text for b in answer_of(chunk(*parts)).blocks] == ["ok"]


def test_a_call_without_a_name_is_no_call():
    """Vertex streams arguments in such pieces where its own callers ask for it."""
    pieces = chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.a"}], "willContinue": True}}, {"functionCall": {}})
    assert answer_of(pieces).blocks == [] and read_by_peek(sse(pieces)).tool_calls == 0


def test_members_of_wrong_types_cost_only_themselves():
    odd = chunk({"text": 5}, {"text": "ok", "thought": "true"}, {"text": "yes"}, finishReason="STOP")
    odd["candidates"][0]["index"] = "0"
    odd["modelVersion"] = 3
    answer = answer_of(odd)
    assert [(b.start.kind, b.text) for b in answer.blocks] == [("thinking", "ok"), ("text", "yes")]
    assert answer.stop == Stop("stop", "STOP")


def test_both_spellings_of_members_are_read():
    snake = {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "t", "thought": True, "thought_signature": "cw=="},
                        {"function_call": {"name": "f", "args": {"snake_key": 1}}},
                        {"inline_data": {"mime_type": "image/png", "data": "aWM="}},
                    ]
                },
                "finish_reason": "STOP",
            }
        ],
        "usage_metadata": USAGE,
        "response_id": "r1",
    }
    answer = reply_of(snake)
    assert [b.start.kind for b in answer.blocks] == ["thinking", "tool", "image"]
    assert answer.blocks[1].text == '{"snake_key":1}' and answer.stop.reason == "tool_calls"
    assert answer == answer_of(snake)


def test_an_image_is_a_block_and_a_draft_of_one_is_not():
    blob = {"mimeType": "image/png", "data": "aWM="}
    answer = answer_of(chunk({"inlineData": blob, "thought": True}), chunk({"text": "see"}, {"inlineData": blob}))
    assert [(b.start.kind, b.start.data) for b in answer.blocks] == [("text", ""), ("image", "aWM=")]


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_pieces_of_audio_make_one_base64(pieces):
    """Each chunk pads its own base64; joined as they are they could not be decoded."""
    parts = [{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": base64.b64encode(p).decode()}} for p in pieces]
    answer = answer_of(*map(chunk, parts))
    assert base64.b64decode(answer.blocks[0].text) == b"".join(pieces) and len(answer.blocks) == 1


def test_sources_of_a_text_are_cited_once():
    web = {"groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}, {"maps": {}}]}
    answer = answer_of(chunk({"text": "x"}, groundingMetadata=web), chunk({"text": "y"}, groundingMetadata=web))
    assert [(c.url, c.title) for c in answer.blocks[0].citations] == [("https://a", "A")]


ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "tail", [sse(ERROR), json.dumps(ERROR, indent=2).encode(), json.dumps([ERROR], indent=2).encode() + b"\n\n"]
)
def test_an_error_after_the_200_is_a_failure_in_all_its_forms(tail):
    """Google writes it as an event, or as bare lines of JSON in place of one."""
    answer = fold(events_of(sse(chunk({"text": "a"})) + tail, 5))
    assert answer.failure == Failure("UNAVAILABLE", "The model is overloaded.")
    assert answer.stop is None and answer.blocks[0].text == "a"


def test_a_peek_sees_an_error():
    assert read_by_peek(sse(chunk({"text": "a"}), ERROR)).has_error
    assert see_reply(json.dumps(ERROR).encode()).has_error


def test_half_an_event_at_the_end_is_no_answers_end():
    stream = sse(*STREAM)
    answer = fold(events_of(stream[:-30]))
    assert answer.stop is None and answer.failure is None


def test_an_event_without_its_blank_line_is_read_at_the_end():
    assert fold(events_of(sse(*STREAM)[:-4])) == reply_of(WHOLE)


def test_an_event_that_is_not_json_fails_the_answer():
    assert fold(events_of(b"data: {oops\n\n" + sse(*STREAM))).failure.error_type == "unreadable_event"


def test_comments_pings_and_done_are_nothing():
    noise = b": ping\n\nevent: ping\n\ndata: [DONE]\n\ndata:\n\n"
    assert fold(events_of(noise + sse(*STREAM) + noise)) == reply_of(WHOLE)


@given(st.text("data: x\r\n", max_size=20), st.sampled_from(["\r\n\r\n", "\n\n", "\r\r", ""]))
def test_the_short_way_to_an_events_payload_is_the_long_one(text, end):
    event = f"data: {text}{end}".encode()
    assert payload(event) == event_data(event)


@given(st.integers(0, len(sse(*STREAM))))
def test_a_stream_that_breaks_off_is_a_beginning_of_the_answer(at):
    """Whatever was read stays true: texts are beginnings of the whole ones, and no end is made up."""
    whole, cut = fold(events_of(sse(*STREAM))), fold(events_of(sse(*STREAM)[:at]))
    assert cut.failure is None
    for mine, full in zip(cut.blocks, whole.blocks, strict=False):
        assert mine.start == full.start and full.text.startswith(mine.text)
    assert cut.stop is None or cut == whole


def test_the_array_form_of_a_stream_is_read_too():
    """A provider behind a proxy that loses `alt=sse` answers so."""
    for indent in (None, 2):
        body = json.dumps(STREAM, indent=indent).encode()
        assert fold(events_of(body, 11)) == reply_of(WHOLE) == fold(decode_reply(body))


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"nope", b'"x"', b'{"choices":[]}', b"[" * 5000, b"\xff"])
def test_what_is_no_reply_of_geminis_is_none(body):
    assert decode_reply(body) is None and see_reply(body) is None


def test_the_meter_learns_the_same_from_a_stream_and_a_whole_reply():
    streamed, whole = read_by_peek(sse(*STREAM)), see_reply(json.dumps(WHOLE, separators=(",", ":")).encode())
    assert streamed.usage == whole.usage == Usage(input_tokens=10, output_tokens=12, reasoning_output_tokens=7)
    assert streamed.finish_reason == whole.finish_reason == "tool_calls"
    assert streamed.tool_calls == whole.tool_calls == 2 and streamed.model == "gemini-3-pro"
    assert whole.output_text_bytes > 30


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_bytes_make_the_reader_fail(data, size):
    for stream in (data, b"data: " + data + b"\n\n", b'data: {"candidates":[' + data + b"]}\n\n"):
        fold(events_of(stream, size))
        read_by_peek(stream)


MEMBERS = re.findall(
    r"\w+",
    "candidates content parts text thought thoughtSignature functionCall args name index finishReason error inlineData "
    "mimeType data promptFeedback usageMetadata responseId function_call usage_metadata",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "candidates",
                    "content",
                    "parts",
                    "text",
                    "thought",
                    "thoughtSignature",
                    "functionCall",
                    "args",
                    "name",
                    "index",
                    "finishReason",
                    "error",
                    "inlineData",
                    "mimeType",
                    "data",
                    "promptFeedback",
                    "usageMetadata",
                    "responseId",
                    "function_call",
                    "usage_metadata",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["candidates", "promptFeedback", "usageMetadata", "error"]), JSON, max_size=4))
def test_no_shape_of_json_makes_the_reader_fail_and_both_ways_agree(body):
    whole = decode_reply(json.dumps(body).encode())
    streamed = events_of(sse(body))
    if whole is not None:
        assert fold(whole) == fold(streamed)
    see_reply(json.dumps(body).encode())
