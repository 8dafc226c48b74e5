"""A Responses request and its answer pass through: what is refused, what is edited, and what the meter learns."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.responses import CALL, CUSTOM_CALL, ITEMS, MESSAGE, REASONING, REFUSED, events_of, response, sse
from tidegate.core.errors import InvalidRequest, UpstreamTimeout
from tidegate.core.usage import Usage
from tidegate.wire.carrier import pack
from tidegate.wire.dialect import Seen
from tidegate.wire.openai_responses import RESPONSES
from tidegate.wire.openai_responses_peek import ResponsesPeek, plain_delta_bytes
from tidegate.wire.sse import Framer, event_data


def head_of(**members):
    return RESPONSES.decode_head(json.dumps({"model": "m", "input": "hi"} | members).encode())


def test_the_head_tells_what_the_gateway_needs():
    head = head_of(stream=True, tools=[{}, {}], user="u", session_id="s")
    assert (head.model, head.is_stream, head.tools_offered, head.user, head.session_id) == ("m", True, 2, "u", "s")
    assert head.wants_usage, "usage is part of every response"


def test_the_safety_identifier_stands_for_the_user():
    assert head_of(safety_identifier="hash").user == "hash"


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"input": [{"role": "user", "content": "hi"}, {"type": "item_reference", "id": "msg_1"}]}, "input[1]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1", "type": None}]}, "input[0]"),
        ({"input": ["hi"]}, "input"),
    ],
)
def test_what_rests_on_stored_state_is_refused_by_name(members, param):
    for decode in (RESPONSES.decode_head, RESPONSES.decode_request):
        with pytest.raises(InvalidRequest) as caught:
            decode(json.dumps({"model": "m", "input": "hi"} | members).encode())
        assert caught.value.param == param
        assert param in caught.value.message


def test_stored_state_that_is_null_is_not_there():
    assert head_of(previous_response_id=None, conversation=None, background=False).model == "m"


def test_reference_keys_spelt_with_escapes_are_still_seen():
    body = rb'{"model":"m","input":[{"\u0074ype":"item_reference","id":"msg_1"}]}'
    with pytest.raises(InvalidRequest, match=r"input\[0\]"):
        RESPONSES.decode_head(body)


@pytest.mark.parametrize(
    ("body", "param"),
    [(b"", None), (b"{", None), (b"[]", None), (b'{"input":"x"}', "model"), (b'{"model":1}', "model"), (b"\xff", None)],
)
def test_a_malformed_body_is_refused_with_its_place(body, param):
    for decode in (RESPONSES.decode_head, RESPONSES.decode_request):
        with pytest.raises(InvalidRequest) as caught:
            decode(body)
        assert caught.value.param == param


def test_a_deeply_nested_body_is_refused():
    body = b'{"model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for decode in (RESPONSES.decode_head, RESPONSES.decode_request):
        with pytest.raises(InvalidRequest):
            decode(body)


def test_what_only_the_row_would_tell_is_the_providers_to_judge():
    assert head_of(user=5, tools={}, session_id=[]).model == "m"


VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=8) | st.sampled_from(["model", "m/x", '"model":"m/x"', "input"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "stream", "a", "é"]), inner),
    max_leaves=8,
)
REQUESTS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["m/x", "model", 'q"uote', "é", "input"]),
        "input": st.text(max_size=20) | st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": VALUES})),
    },
    optional={"stream": st.booleans(), "metadata": VALUES, "x_unknown": VALUES, "tools": st.lists(VALUES)},
)


@given(REQUESTS, st.sampled_from(["m/x", "up", 'a"b']), st.booleans(), st.randoms())
def test_only_the_models_name_is_edited(request_body, upstream, is_ascii, random):
    names = list(request_body)
    random.shuffle(names)
    body = json.dumps({name: request_body[name] for name in names}, ensure_ascii=is_ascii, indent=1).encode()
    edited = b"".join(RESPONSES.edit_request(body, RESPONSES.decode_head(body), upstream))
    assert json.loads(edited) == request_body | {"model": upstream}


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"cheap","input":"x","model":"dear"}',
        b'{"mod\\u0065l":"cheap","input":"x","model":"dear"}',
        b'{"model":"dear","input":"x","stream":true,"stream":false}',
        b'{"model":"dear","input":"x","previous_response_id":"resp_1","previous_response_id":null}',
        b'{"input":"x","model":"dear","input":"y"}',
    ],
)
def test_a_key_that_comes_twice_reaches_the_provider_once(body):
    edited = b"".join(RESPONSES.edit_request(body, RESPONSES.decode_head(body), "dear"))
    pairs = json.loads(edited, object_pairs_hook=list)
    assert len(pairs) == len(dict(pairs))
    assert dict(pairs)["model"] == "dear"


def test_a_body_without_edits_is_not_copied():
    body = json.dumps({"model": "m", "input": "x" * 100_000}).encode()
    assert RESPONSES.edit_request(body, RESPONSES.decode_head(body), "m")[0] is body


def test_thoughts_of_other_makers_do_not_reach_openai():
    """A conversation may move from one maker's model to another's; OpenAI refuses what it did not encrypt."""
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA="}
    foreign = {**own, "encrypted_content": pack("anthropic", "sig")}
    say = {"role": "user", "content": '"tg1.x is only text here'}
    body = json.dumps({"model": "m", "input": [say, own, foreign, say]}).encode()
    edited = b"".join(RESPONSES.edit_request(body, RESPONSES.decode_head(body), "up"))
    assert json.loads(edited) == {"model": "up", "input": [say, own, say]}


def peeked(data):
    peek = RESPONSES.peek(head_of())
    for event in Framer(1 << 20).feed(data):
        assert peek.see(event), "nothing is left out of a Responses stream"
    return peek.seen


USAGE = Usage(input_tokens=30, output_tokens=20, cache_read_input_tokens=10, reasoning_output_tokens=5)


@pytest.mark.parametrize(
    ("items", "status", "more", "reason"),
    [
        ([MESSAGE], "completed", {}, "stop"),
        ([REASONING, CALL, CUSTOM_CALL], "completed", {}, "tool_calls"),
        ([REFUSED], "completed", {}, "content_filter"),
        ([MESSAGE], "incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ([], "failed", {"error": {"code": "server_error", "message": "x"}}, "error"),
    ],
)
def test_the_meter_learns_the_same_streamed_and_whole(items, status, more, reason):
    body = response(items, status, **more)
    streamed, whole = peeked(sse(events_of(body))), RESPONSES.see_reply(json.dumps(body).encode())
    assert streamed.usage == whole.usage == USAGE
    assert streamed.finish_reason == whole.finish_reason == reason
    assert streamed.tool_calls == whole.tool_calls == sum(item in (CALL, CUSTOM_CALL) for item in items)
    assert streamed.has_error is whole.has_error is (status == "failed")
    assert streamed.model == whole.model == "gpt-6-astra"
    assert streamed.is_done


def test_a_stream_without_its_end_still_tells_how_much_text_came():
    body = response([REASONING, MESSAGE, CALL])
    seen = peeked(sse(list(events_of(body))[:-1]))
    text = "First.Second." + MESSAGE["content"][0]["text"] + CALL["arguments"]
    assert seen.output_text_bytes == len(text.encode())
    assert seen.usage is None
    assert not seen.is_done
    assert seen.tool_calls == 1


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans(), st.booleans(), st.booleans())
def test_the_short_way_past_a_delta_counts_what_the_long_way_counts(text, is_ascii, is_named, is_spaced):
    members = {"type": "response.output_text.delta", "item_id": "i", "delta": text, "obfuscation": "xx"}
    data = json.dumps(members, ensure_ascii=is_ascii, separators=None if is_spaced else (",", ":")).encode()
    event = (b"event: response.output_text.delta\n" if is_named else b"") + b"data: " + data + b"\n\n"
    peek, long_way = ResponsesPeek(), ResponsesPeek()
    assert peek.see(event)
    long_way.see_data(event_data(event))
    assert peek.seen == long_way.seen == Seen(output_text_bytes=len(text.encode()))
    assert plain_delta_bytes(event) in (None, len(text.encode()))


def test_a_delta_whose_text_speaks_of_deltas_is_read_with_care():
    members = {"type": "response.output_text.delta", "item_id": '"delta":"', "delta": 'say "delta":"x"'}
    peek = ResponsesPeek()
    peek.see(b"event: response.output_text.delta\ndata: " + msgspec.json.encode(members) + b"\n\n")
    assert peek.seen.output_text_bytes == len(members["delta"])


def test_an_error_event_is_seen():
    seen = peeked(b'event: error\ndata: {"type":"error","code":"x","message":"y"}\n\n')
    assert seen.has_error
    assert seen.finish_reason == "error"


def test_a_reported_cost_is_seen():
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "cost": 0.000003}
    seen = RESPONSES.see_reply(json.dumps(response([MESSAGE], usage=usage)).encode())
    assert seen.reported_nano_usd == 3000


def test_calls_of_openais_own_tools_are_not_the_callers():
    assert RESPONSES.see_reply(json.dumps(response(ITEMS)).encode()).tool_calls == 3


def test_an_error_in_place_of_an_answer_is_seen():
    seen = RESPONSES.see_reply(b'{"error":{"message":"no"}}')
    assert seen.has_error
    assert seen.usage is None


def test_errors_are_written_as_openais_sdks_read_them():
    body = json.loads(RESPONSES.error_body(InvalidRequest("Bad.", param="input"), request_id="r"))
    assert body["error"] | {"metadata": None} == {
        "message": "Bad.",
        "type": "invalid_request_error",
        "param": "input",
        "code": "invalid_request",
        "metadata": None,
        "request_id": "r",
    }
    event = RESPONSES.stream_error(UpstreamTimeout("Late."))
    assert event.startswith(b"event: error\n")
    data = json.loads(event_data(event))
    assert (data["type"], data["code"], data["message"]) == ("error", "upstream_timeout", "Late.")
    assert data["error"]["message"] == "Late.", "the SDKs raise for this member only"
