"""Chat replies to and from the hub: what providers really send is understood, and OpenAI's SDK reads what we write."""

import json

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import Unavailable, UpstreamError
from tidegate.core.usage import Usage
from tidegate.wire.conversation import Ask, Reasoning
from tidegate.wire.events import (
    Block,
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
from tidegate.wire.openai_chat import CHAT

ASK = Ask(model="m/x", turns=(), is_stream=True)
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def chunk(delta=None, *, finish=None, **members) -> dict:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c-1", "object": "chat.completion.chunk", "created": 5, "model": "up", "choices": [choice]} | members


def sse(*chunks, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks) + end


def decode(stream: bytes, size: int = 1 << 20) -> list[Event]:
    decoder = CHAT.stream_decoder(event_bytes_max=1 << 24)
    events = []
    for start in range(0, len(stream), size):
        events += decoder.feed(stream[start : start + size])
    return events + decoder.finish()


def whole(message: dict, *, finish="stop", **members) -> list[Event]:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    reply = {"id": "c-1", "object": "chat.completion", "created": 5, "model": "up", "choices": [choice]} | members
    events = CHAT.decode_reply(json.dumps(reply).encode())
    assert events is not None
    return list(events)


def encode(events, ask=ASK) -> bytes:
    encoder = CHAT.stream_encoder(ask, generation_id="gen-1", created_s=7)
    return b"".join([encoder.encode(event) for event in events]) + encoder.finish()


def encode_whole(events, ask=ASK) -> dict:
    return json.loads(CHAT.encode_reply(events, ask, generation_id="gen-1", created_s=7))


def blocks(events) -> list[tuple]:
    return [(block.start.kind, block.start.name, block.text) for block in fold(events).blocks]


def sdk(body: bytes, content_type: str) -> openai.OpenAI:
    """OpenAI's client, in front of one canned reply."""
    reply = httpx2.Response(200, content=body, headers={"content-type": content_type})
    transport = httpx2.MockTransport(lambda request: reply)
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=httpx2.Client(transport=transport))


def accumulated(body: bytes):
    """What OpenAI's SDK makes of a stream."""
    client = sdk(body, "text/event-stream")
    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}]) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


# Decoding: a stream and a whole reply are the same answer.

CALLS = [
    {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
    {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
]
STREAM = sse(
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm"}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo ☂"}),
    chunk(
        {"tool_calls": [{"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}]}
    ),
    chunk(
        {"tool_calls": [{"index": 1, "id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{"}}]}
    ),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]}),
    chunk({"tool_calls": [{"index": 1, "function": {"arguments": "}"}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
    chunk({}, finish="tool_calls"),
    {"id": "c-1", "choices": [], "usage": USAGE},
)


def test_a_stream_folds_into_the_same_answer_as_the_whole_reply() -> None:
    """Interleaved calls included: their pieces are told apart by index."""
    message = {"content": "Hello ☂", "reasoning_content": "hm", "tool_calls": CALLS}
    assert fold(decode(STREAM)) == fold(whole(message, finish="tool_calls", usage=USAGE))


@given(st.integers(1, len(STREAM)))
def test_where_a_stream_is_cut_does_not_matter(size) -> None:
    assert decode(STREAM, size) == decode(STREAM)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_other_line_ends_and_comments_mean_the_same(line_end) -> None:
    """Keep-alive comments and pings are no events of the answer."""
    noisy = STREAM.replace(b"data: ", b": OPENROUTER PROCESSING\n\ndata: ").replace(b"\n", line_end)
    assert decode(noisy, 7) == decode(STREAM)


def test_every_block_stops_and_stop_comes_last() -> None:
    events = decode(STREAM)
    started = {event.index for event in events if isinstance(event, BlockStart)}
    assert started == {event.index for event in events if isinstance(event, BlockStop)} == set(range(4))
    assert isinstance(events[0], MessageStart) and isinstance(events[-1], Stop)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_both_names_of_thoughts_are_read_and_the_same_text_twice_is_one_thought(field) -> None:
    assert blocks(decode(sse(chunk({field: "a"}), chunk({field: "b"}), chunk({"content": "c"}, finish="stop")))) == [
        ("thinking", "", "ab"),
        ("text", "", "c"),
    ]
    both = {"reasoning_content": "a", "reasoning": "a", "content": "c"}
    assert blocks(whole(both)) == [("thinking", "", "a"), ("text", "", "c")]


@pytest.mark.parametrize(
    "usage_chunk",
    [
        {"id": "c-1", "choices": [], "usage": USAGE},
        chunk({}, usage=USAGE),
        {"id": "c-1", "choices": [{"index": 0, "delta": {}, "usage": USAGE}]},  # Moonshot
        {"id": "c-1", "choices": [], "x_groq": {"id": "r", "usage": USAGE}},  # Groq
        {"id": "c-1", "choices": [], "usage": {k: str(v) for k, v in USAGE.items()}},
    ],
)
def test_usage_is_found_wherever_a_provider_puts_it(usage_chunk) -> None:
    events = decode(sse(chunk({"content": "a"}, usage=None), usage_chunk, chunk({}, finish="stop")))
    assert [event for event in events if isinstance(event, UsageSeen)] == [
        UsageSeen(Usage(input_tokens=9, output_tokens=4))
    ]


def test_usage_on_every_chunk_counts_once_and_the_last_one_wins() -> None:
    first, last = USAGE | {"completion_tokens": 1}, USAGE
    answer = fold(decode(sse(chunk({"content": "a"}, usage=first), chunk({"content": "b"}, usage=last))))
    assert answer.usage == UsageSeen(Usage(input_tokens=9, output_tokens=4))


def test_tool_calls_without_index_are_told_apart() -> None:
    """Some compatible servers leave the index out, others give every call the same one."""
    one = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    two = {"id": "b", "function": {"name": "f", "arguments": '{"y":2}'}}
    expected = [("tool", "f", "{}"), ("tool", "f", '{"y":2}')]
    assert blocks(decode(sse(chunk({"tool_calls": [one]}), chunk({"tool_calls": [two]}, finish="stop")))) == expected
    same = [one | {"index": 0}, two | {"index": 0}]
    assert blocks(decode(sse(*(chunk({"tool_calls": [call]}) for call in same)))) == expected
    pieces = [{"function": {"arguments": '{"y"'}}, {"function": {"arguments": ":2}"}}]
    begun = {"id": "b", "function": {"name": "f"}}
    assert blocks(decode(sse(*(chunk({"tool_calls": [call]}) for call in [one, begun, *pieces])))) == expected


def test_an_id_that_comes_with_every_piece_is_one_call() -> None:
    pieces = [{"index": 0, "id": "a", "function": {"name": "f", "arguments": text}} for text in ("{", "}")]
    assert blocks(decode(sse(*(chunk({"tool_calls": [call]}) for call in pieces)))) == [("tool", "f", "{}")]


def test_arguments_before_the_name_are_kept() -> None:
    pieces = [
        {"index": 0, "id": "a", "function": {"arguments": "{"}},
        {"index": 0, "function": {"name": "f", "arguments": "}"}},
    ]
    assert blocks(decode(sse(*(chunk({"tool_calls": [call]}) for call in pieces)))) == [("tool", "f", "{}")]


def test_arguments_sent_as_an_object_are_text_again() -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": {"x": [1, "é"]}}}
    assert json.loads(fold(whole({"tool_calls": [call]})).blocks[0].text) == {"x": [1, "é"]}


def test_a_call_without_id_gets_one_that_no_other_answer_has() -> None:
    """Anthropic refuses a conversation in which an id comes twice."""
    call = {"function": {"name": "f", "arguments": "{}"}}
    ids = [block.start.call_id for block in fold(whole({"tool_calls": [call, call]})).blocks]
    assert ids == ["call_c-1_0", "call_c-1_1"]


def test_a_legacy_function_call_is_a_tool_call() -> None:
    events = decode(
        sse(
            chunk({"function_call": {"name": "f", "arguments": ""}}),
            chunk({"function_call": {"arguments": "{}"}}, finish="function_call"),
        )
    )
    assert blocks(events) == [("tool", "f", "{}")]
    assert fold(events).stop.reason == "tool_calls"


def test_stop_with_calls_is_tool_calls_and_the_native_word_is_kept() -> None:
    """OpenAI says stop where one tool was forced; an agent of Anthropic's would not run it."""
    assert fold(whole({"tool_calls": CALLS}, finish="stop")).stop == Stop("tool_calls", "stop")


def test_an_empty_finish_reason_is_none() -> None:
    stream = sse(chunk({"content": "a"}, finish=""), chunk({"content": "b"}, finish="length"))
    assert fold(decode(stream)).stop == Stop("length", "length")
    assert blocks(decode(stream)) == [("text", "", "ab")]


def test_text_after_the_finish_reason_is_not_lost() -> None:
    stream = sse(chunk({"content": "a"}, finish="stop"), chunk({"content": "b"}, finish="stop"))
    assert [type(event) for event in decode(stream)] == [MessageStart, BlockStart, Delta, Delta, BlockStop, Stop]


def test_a_stream_that_breaks_off_has_no_stop() -> None:
    """Neither a finish reason nor [DONE]: the answer is not whole, and nobody may take it for one."""
    answer = fold(decode(sse(chunk({"content": "a"}), end=b"")))
    assert answer.stop is None and answer.blocks[0].text == "a"
    assert fold(decode(sse(chunk({"content": "a"})))).stop == Stop("stop")
    assert fold(decode(sse(chunk({}, finish="stop"), end=b"data: [DO"))).stop == Stop("stop", "stop")


def test_a_refusal_in_words_is_not_the_filter() -> None:
    """OpenAI's model declines with a refusal and stop; the filter cuts off with content_filter."""
    answer = fold(whole({"content": None, "refusal": "I can't."}))
    assert (answer.blocks[0].start.kind, answer.stop.reason) == ("refusal", "refusal")
    assert fold(whole({"content": "I"}, finish="content_filter")).stop.reason == "content_filter"


def test_the_stop_sequence_that_was_met_is_told() -> None:
    """vLLM says which in `stop_reason`."""
    choice = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop", "stop_reason": "END"}
    events = CHAT.decode_reply(json.dumps({"id": "c", "choices": [choice]}).encode())
    assert fold(events).stop == Stop("stop_sequence", "stop", "END")


@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        ({"error": {"message": "slow down", "type": "rate_limit_error"}}, "rate_limit_error", "slow down"),
        ({"error": {"message": "slow down", "code": 429}}, "429", "slow down"),
        ({"error": "out of memory"}, "provider_error", "out of memory"),
        ({"object": "error", "message": "too long", "code": 400}, "400", "too long"),
        (chunk({"content": ""}, finish="error", error={"code": 502, "message": "gone"}), "502", "gone"),
    ],
)
def test_an_error_after_the_200_is_a_failure(body, error_type, message) -> None:
    events = decode(sse(chunk({"content": "a"}), body, chunk({"content": "b"})))
    assert events[-1] == Failure(error_type, message)
    assert fold(events).stop is None
    assert list(CHAT.decode_reply(json.dumps(body).encode()) or ())[-1] == Failure(error_type, message)


def test_azures_first_chunk_without_id_does_not_begin_the_answer() -> None:
    first = {"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": []}
    assert decode(sse(first, chunk({"content": "a"}, finish="stop")))[0] == MessageStart("c-1", "up", 5)


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 7, "created": 5.9, "model": None},
        {"choices": [{"index": 0, "delta": {"content": "a", "reasoning": {"x": 1}, "tool_calls": "none"}}]},
        {
            "choices": [
                {"index": 0, "delta": {"content": "a", "tool_calls": [{"index": "0", "id": 7, "function": None}]}}
            ]
        },
        {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": 7, "logprobs": 7}]},
        {"usage": "none", "system_fingerprint": [], "x_vendor": {"deep": [1]}},
    ],
)
def test_members_of_the_wrong_type_do_not_cost_the_others(odd) -> None:
    """Nothing a vendor adds or gets wrong may break a call."""
    stream = sse(chunk({"content": "a"}) | odd, chunk({"content": "b"}, finish="stop"))
    assert "".join(block.text for block in fold(decode(stream)).blocks if block.start.kind == "text") == "ab"


def test_noise_between_events_is_left_out() -> None:
    stream = sse(chunk({"content": "a"}), end=b"data: not json\n\ndata: 7\n\nevent: ping\n\n") + STREAM
    assert blocks(decode(stream))[0] == ("text", "", "a")


def test_an_event_above_the_limit_is_an_error_and_ten_megabytes_are_not() -> None:
    big = "x" * 10_000_000
    assert fold(decode(sse(chunk({"content": big}, finish="stop")), 65_536)).blocks[0].text == big
    with pytest.raises(UpstreamError):
        CHAT.stream_decoder(event_bytes_max=1000).feed(sse(chunk({"content": big}))[:5000])


def test_mistrals_parts_are_thoughts_and_text() -> None:
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]
    assert blocks(whole({"content": content})) == [("thinking", "", "hm"), ("text", "", "a")]


def test_not_a_completion_is_none() -> None:
    for body in (b"<html>", b"[]", b"{}", b'{"data":[]}', b"\xff"):
        assert CHAT.decode_reply(body) is None


# Encoding: OpenAI's SDK is the oracle.

FULL: list[Event] = [
    MessageStart("up-1", "up/model", 3),
    BlockStart(0, "thinking", origin="anthropic"),
    Delta(0, "let me "),
    Delta(0, "see"),
    Signature(0, "sig-"),
    Signature(0, "nature"),
    BlockStop(0),
    BlockStart(1, "redacted", data="sealed", origin="anthropic"),
    BlockStop(1),
    BlockStart(2, "text"),
    Delta(2, "Hello ☂ "),
    Delta(2, '"you"'),
    Citation(2, "https://a.example/", "A"),
    BlockStop(2),
    BlockStart(3, "tool", call_id="call_a", name="f"),
    BlockStart(4, "tool", call_id="call_b", name="g", signature="seal-b", origin="gemini"),
    Delta(3, '{"x"'),
    Delta(3, ":1}"),
    BlockStop(4),
    BlockStop(3),
    UsageSeen(Usage(input_tokens=9, output_tokens=4, cache_read_input_tokens=3, reasoning_output_tokens=2)),
    Stop("tool_calls", "tool_use"),
]


def test_openais_accumulator_makes_the_same_of_the_stream_as_of_the_whole_reply() -> None:
    streamed = accumulated(encode(FULL)).choices[0].message
    client = sdk(CHAT.encode_reply(FULL, ASK, generation_id="gen-1", created_s=7), "application/json")
    reply = client.chat.completions.create(model="m", messages=[])
    message = reply.choices[0].message
    assert message.content == streamed.content == 'Hello ☂ "you"'
    calls = [[(c.id, c.function.name, c.function.arguments) for c in one.tool_calls] for one in (message, streamed)]
    assert calls[0] == calls[1] == [("call_a", "f", '{"x":1}'), ("call_b", "g", "{}")]
    assert (reply.id, reply.object, reply.created, reply.model) == ("gen-1", "chat.completion", 7, "up/model")
    assert reply.choices[0].finish_reason == "tool_calls"
    assert message.annotations[0].url_citation.url == "https://a.example/"


def test_the_stream_ends_with_finish_reason_usage_and_done() -> None:
    """In this order; the SDK reads usage from a last chunk without choices."""
    final = accumulated(encode(FULL))
    assert final.usage.prompt_tokens == 9 and final.usage.prompt_tokens_details.cached_tokens == 3
    assert final.choices[0].finish_reason == "tool_calls"
    lines = encode(FULL).split(b"\n\n")
    assert lines[-2] == b"data: [DONE]"
    assert json.loads(lines[-3][6:])["choices"] == []
    assert json.loads(lines[-4][6:])["choices"][0]["finish_reason"] == "tool_calls"


def test_usage_is_left_out_of_a_stream_whose_caller_did_not_ask() -> None:
    assert b'"usage"' not in encode(FULL, Ask(model="m", turns=(), is_stream=True, wants_usage=False))


def test_usage_said_by_the_gateway_takes_the_place_of_the_usage_seen() -> None:
    """Who settles the call knows its cost."""
    encoder = CHAT.stream_encoder(ASK, generation_id="gen-1", created_s=7)
    for event in FULL:
        encoder.encode(event)
    encoder.usage_object = {"cost": 0.5}
    assert b'"usage":{"cost":0.5}' in encoder.finish()


def test_thoughts_go_out_under_all_their_names_with_their_seals() -> None:
    message = encode_whole(FULL)["choices"][0]["message"]
    assert message["reasoning"] == message["reasoning_content"] == "let me see"
    assert message["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "let me see",
            "signature": "sig-nature",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {"type": "reasoning.encrypted", "data": "sealed", "id": None, "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.encrypted", "data": "seal-b", "id": "call_b", "format": "google-gemini-v1", "index": 2},
    ]


def test_thoughts_are_left_out_where_the_caller_excludes_them() -> None:
    ask = Ask(model="m", turns=(), is_stream=True, reasoning=Reasoning(shown=False))
    for text in (encode(FULL, ask), json.dumps(encode_whole(FULL, ask)).encode()):
        assert b"reasoning_content" not in text and b"reasoning_details" not in text


def test_empty_arguments_are_an_empty_object() -> None:
    events = [MessageStart(), BlockStart(0, "tool", call_id="a", name="f"), BlockStop(0), Stop("tool_calls")]
    assert accumulated(encode(events)).choices[0].message.tool_calls[0].function.arguments == "{}"


def test_a_callers_legacy_functions_are_answered_with_function_call() -> None:
    ask = Ask(model="m", turns=(), is_stream=True, legacy_functions=True)
    events = [
        MessageStart(),
        BlockStart(0, "tool", call_id="a", name="f"),
        Delta(0, "{}"),
        BlockStop(0),
        Stop("tool_calls"),
    ]
    choice = encode_whole(events, ask)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in choice["message"] and choice["finish_reason"] == "function_call"
    assert b"tool_calls" not in encode(events, ask)
    assert blocks(decode(encode(events, ask))) == [("tool", "f", "{}")]


def test_a_refusal_ends_with_stop_and_one_without_words_with_the_filters_word() -> None:
    worded = [MessageStart(), BlockStart(0, "refusal"), Delta(0, "No."), BlockStop(0), Stop("refusal")]
    choice = encode_whole(worded)["choices"][0]
    assert (choice["message"]["refusal"], choice["message"]["content"], choice["finish_reason"]) == (
        "No.",
        None,
        "stop",
    )
    assert accumulated(encode(worded)).choices[0].message.refusal == "No."
    assert encode_whole([MessageStart(), Stop("refusal")])["choices"][0]["finish_reason"] == "content_filter"


def test_a_failure_reaches_openais_sdk_as_an_error() -> None:
    with pytest.raises(openai.APIError, match="gone"):
        accumulated(encode([*FULL[:12], Failure("overloaded_error", "gone")]))


def test_an_image_goes_out_as_openrouter_has_it_and_comes_back() -> None:
    events = [MessageStart(), BlockStart(0, "image", data="aGk=", media_type="image/png"), BlockStop(0), Stop("stop")]
    for again in (decode(encode(events)), CHAT.decode_reply(json.dumps(encode_whole(events)).encode())):
        start = fold(again).blocks[0].start
        assert (start.kind, start.data, start.media_type) == ("image", "aGk=", "image/png")


def test_what_cannot_be_said_is_named() -> None:
    encoder = CHAT.stream_encoder(ASK, generation_id="gen-1", created_s=7)
    for event in (MessageStart(), BlockStart(0, "text"), Delta(0, "a"), Citation(0, title="page 3")):
        encoder.encode(event)
    assert encoder.dropped == ["citations"]


def test_errors_have_openais_shape() -> None:
    error = Unavailable("draining")
    assert json.loads(CHAT.error_body(error, request_id="r"))["error"]["message"] == "draining"
    assert json.loads(CHAT.stream_error(error)[6:])["error"]["code"] == error.code


SIGNATURES = st.text("abc+/=", min_size=1, max_size=8)
TEXTS = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())


@st.composite
def answers(draw) -> list[Event]:
    """Answers in the order that a chat message can say: thoughts, text, calls; deltas cut anywhere."""
    events: list[Event] = [MessageStart("up-1", "up", 3)]
    index = 0
    for kind in draw(st.sampled_from([[], ["thinking"], ["thinking", "redacted"], ["redacted", "thinking"]])):
        origin = draw(st.sampled_from(["anthropic", "openai"] if kind == "thinking" else ["anthropic"]))
        data = draw(SIGNATURES) if kind == "redacted" else ""
        item = draw(st.sampled_from(["", "rs_1"])) if origin == "openai" else ""
        events.append(BlockStart(index, kind, data=data, origin=origin, item_id=item))
        if kind == "thinking":
            events += [Delta(index, text) for text in draw(st.lists(TEXTS, min_size=1, max_size=3))]
            events += [Signature(index, text) for text in draw(st.lists(SIGNATURES, max_size=2))]
        events.append(BlockStop(index))
        index += 1
    if draw(st.booleans()):
        events.append(BlockStart(index, "text"))
        events += [Delta(index, text) for text in draw(st.lists(TEXTS, min_size=1, max_size=3))]
        events.append(BlockStop(index))
        index += 1
    tools = list(range(index, index + draw(st.integers(0, 3))))
    pieces: list[Event] = []
    for at in tools:
        seal = draw(st.sampled_from(["", "seal"]))
        events.append(
            BlockStart(at, "tool", call_id=f"call_{at}", name="f", signature=seal, origin="gemini" if seal else "")
        )
        pieces += [Delta(at, text) for text in draw(st.sampled_from([["{}"], ["{", '"x":1', "}"]]))]
    order = draw(st.permutations(range(len(tools)))) if tools else []
    events += [piece for at in order for piece in pieces if isinstance(piece, Delta) and piece.index == tools[at]]
    events += [BlockStop(at) for at in tools]
    stop = Stop("tool_calls", "tool_calls") if tools else Stop("length", "length")
    return [*events, UsageSeen(Usage(input_tokens=5, output_tokens=7)), stop]


def plain(answer) -> list[Block]:
    """Seals at the start and after it are one."""
    return [
        Block(
            BlockStart(0, s.kind, s.call_id, s.name, s.data, "", "", s.origin, s.item_id), block.text, block.signature
        )
        for block in answer.blocks
        for s in [block.start]
    ]


@given(answers())
def test_what_is_encoded_decodes_to_the_same_answer_streamed_and_whole(events) -> None:
    """Thoughts, their seals and makers, calls and theirs: nothing is lost through a chat caller's dialect."""
    given_ = fold(events)
    streamed = fold(decode(encode(events)))
    once = fold(CHAT.decode_reply(CHAT.encode_reply(events, ASK, generation_id="gen-1", created_s=7)) or ())
    assert plain(streamed) == plain(once) == plain(given_)
    assert streamed.usage == once.usage == given_.usage
    assert streamed.stop.reason == once.stop.reason == given_.stop.reason


# In passing.


def test_a_peek_learns_what_the_meter_needs_and_strips_usage_nobody_asked_for() -> None:
    body = b'{"model":"m","messages":[],"stream":true,"tools":[{}],"user":"u"}'
    head = CHAT.decode_head(body)
    assert (head.model, head.is_stream, head.wants_usage, head.tools_offered, head.user) == ("m", True, False, 1, "u")
    assert json.loads(b"".join(CHAT.edit_request(body, head, "up")))["stream_options"] == {"include_usage": True}
    peek = CHAT.peek(head)
    kept = [peek.see(event + b"\n\n") for event in STREAM.split(b"\n\n")[:-1]]
    assert kept == [True] * 10 + [False, True]
    seen = peek.seen
    assert (seen.usage, seen.finish_reason, seen.tool_calls) == (
        Usage(input_tokens=9, output_tokens=4),
        "tool_calls",
        2,
    )
    assert seen.is_done and not seen.has_error and seen.model == "up" and seen.output_text_bytes > len("hmHello")
    assert peek.see(b"data: {}\n\n") is False


def test_a_whole_reply_tells_the_meter_the_same() -> None:
    choice = {"index": 0, "message": {"content": "ab", "tool_calls": CALLS}, "finish_reason": "tool_calls"}
    seen = CHAT.see_reply(json.dumps({"model": "up", "choices": [choice], "usage": USAGE | {"cost": 0.25}}).encode())
    assert (seen.usage.output_tokens, seen.tool_calls, seen.finish_reason) == (4, 2, "tool_calls")
    assert seen.reported_nano_usd == 250_000_000
    assert CHAT.see_reply(b"<html>") is None
    assert CHAT.see_reply(b'{"error":{"message":"no"}}').has_error
