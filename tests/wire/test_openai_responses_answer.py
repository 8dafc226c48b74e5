"""What a Responses provider answers becomes the same events, streamed or whole, however the bytes are cut."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.responses import (
    CALL,
    CALL_WITHOUT_ARGUMENTS,
    CUSTOM_CALL,
    ITEMS,
    MESSAGE,
    REASONING,
    REFUSED,
    events_of,
    response,
    sse,
)
from tidegate.core.usage import Usage
from tidegate.wire.events import Delta, Failure, MessageStart, Signature, Stop, fold
from tidegate.wire.openai_responses import RESPONSES

MAX = 1 << 20


def streamed(data, cuts=()):
    decoder = RESPONSES.stream_decoder(event_bytes_max=MAX)
    events, start = [], 0
    for cut in [*sorted(cuts), len(data)]:
        events += decoder.feed(data[start:cut])
        start = cut
    return [*events, *decoder.finish()]


def whole(body):
    return RESPONSES.decode_reply(json.dumps(body).encode())


def texts(answer):
    return [(block.start.kind, block.text) for block in answer.blocks]


def test_every_kind_of_item_becomes_its_block():
    answer = fold(whole(response(ITEMS)))
    assert texts(answer) == [
        ("thinking", "First.\n\nSecond."),
        ("text", "Hé “llo”"),
        ("refusal", "I will not."),
        ("tool", '{"city":"Köln"}'),
        ("tool", ""),
        ("tool", '{"input":"a\\n\\"b\\""}'),
        ("image", ""),
    ]
    assert answer.start == MessageStart("resp_1", "gpt-6-astra", 1760000000)
    assert answer.blocks[0].signature == "sealed=="
    assert answer.blocks[0].start.origin == "openai"
    assert answer.blocks[0].start.item_id == "rs_1"
    assert [(b.start.call_id, b.start.name) for b in answer.blocks[3:6]] == [
        ("call_1", "weather"),
        ("call_2", "weather"),
        ("call_3", "patch"),
    ]
    assert (answer.blocks[6].start.data, answer.blocks[6].start.media_type) == ("aGk=", "image/webp")
    assert [(c.url, c.title) for c in answer.blocks[1].citations] == [("https://e.org/", "E")]
    assert answer.stop == Stop("tool_calls", "completed")
    assert answer.usage.usage == Usage(
        input_tokens=30, output_tokens=20, cache_read_input_tokens=10, reasoning_output_tokens=5
    )


@given(
    st.lists(st.sampled_from(range(len(ITEMS))), unique=True),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 9000)),
)
def test_streamed_and_whole_are_the_same_answer_for_any_cut(chosen, has_deltas, line_end, cuts):
    body = response([ITEMS[number] for number in chosen])
    data = sse(events_of(body, has_deltas=has_deltas), line_end)
    assert fold(streamed(data, [cut for cut in cuts if cut < len(data)])) == fold(whole(body))


def test_any_single_cut_and_every_byte_apart_give_the_same_answer():
    body = response([REASONING, MESSAGE, CALL])
    data = sse(events_of(body))
    expected = fold(whole(body))
    assert fold(streamed(data, range(len(data)))) == expected
    for cut in range(0, len(data), 7):
        assert fold(streamed(data, [cut])) == expected


def test_arguments_that_come_only_with_done_are_sent_once():
    """maximhq/bifrost#3441: providers that send no argument deltas."""
    events = streamed(sse(events_of(response([CALL]), has_deltas=False)))
    assert [event.text for event in events if isinstance(event, Delta)] == [CALL["arguments"]]


@pytest.mark.parametrize("kept", ["response.output_item.done", "response.completed"])
def test_what_only_the_end_holds_is_sent_then(kept):
    """Some servers write no deltas at all, only whole items, or only the whole response."""
    body = response([REASONING, MESSAGE, CALL, CUSTOM_CALL])
    events = [event for event in events_of(body) if event[0] in (kept, "response.completed")]
    assert fold(streamed(sse(events))).blocks == fold(whole(body)).blocks


def test_interleaved_calls_keep_their_own_arguments():
    first, second = CALL, {**CALL, "id": "fc_9", "call_id": "call_9", "arguments": '{"city":"Bonn"}'}
    events = [
        ("response.output_item.added", {"output_index": i, "item": c | {"arguments": ""}})
        for i, c in enumerate((first, second))
    ]
    for a, b in zip(first["arguments"], second["arguments"], strict=False):
        events.append(("response.function_call_arguments.delta", {"output_index": 0, "delta": a}))
        events.append(("response.function_call_arguments.delta", {"output_index": 1, "delta": b}))
    events.append(("response.completed", {"response": response([first, second])}))
    assert fold(streamed(sse(events))).blocks == fold(whole(response([first, second]))).blocks


def test_events_without_places_belong_to_the_item_before_them():
    """Seen of compatible servers: neither output_index nor item_id."""
    events = [
        ("response.output_text.delta", {"delta": "Hel"}),
        ("response.output_text.delta", {"delta": "lo"}),
        ("response.output_item.added", {"item": {"type": "function_call", "call_id": "c", "name": "f"}}),
        ("response.function_call_arguments.delta", {"delta": '{"a":'}),
        ("response.function_call_arguments.delta", {"delta": "1}"}),
        ("response.output_item.done", {"item": {"type": "function_call", "call_id": "c", "name": "f"}}),
        ("response.completed", {"response": {"usage": None}}),
    ]
    answer = fold(streamed(sse(events)))
    assert texts(answer) == [("text", "Hello"), ("tool", '{"a":1}')]
    assert answer.stop == Stop("tool_calls", "completed")


def test_items_that_are_all_numbered_zero_are_told_apart():
    body = response([REASONING, MESSAGE, CALL])
    events = [
        (name, members | ({"output_index": 0} if "output_index" in members else {}))
        for name, members in events_of(body)
    ]
    assert fold(streamed(sse(events))) == fold(whole(body))


def test_items_that_are_named_anew_in_every_event_are_not_sent_twice():
    """GitHub Copilot's API encrypts ids afresh each time."""
    body = response([MESSAGE, CALL])
    events = []
    for number, (name, members) in enumerate(events_of(body)):
        members = json.loads(json.dumps(members))
        for holder in (members, members.get("item", {}), *members.get("response", {}).get("output", ())):
            for key in {"id", "item_id"} & set(holder):
                holder[key] = f"{holder[key]}_{number}"
        events.append((name, members))
    assert texts(fold(streamed(sse(events)))) == texts(fold(whole(body)))


def test_a_call_is_held_until_its_name_is_known():
    events = [
        ("response.output_item.added", {"output_index": 0, "item": {"type": "function_call", "id": "fc_1"}}),
        ("response.function_call_arguments.delta", {"output_index": 0, "delta": '{"city":'}),
        ("response.function_call_arguments.delta", {"output_index": 0, "delta": '"Köln"}'}),
        ("response.output_item.done", {"output_index": 0, "item": CALL}),
        ("response.completed", {"response": response([CALL])}),
    ]
    assert fold(streamed(sse(events))).blocks == fold(whole(response([CALL]))).blocks


@pytest.mark.parametrize(
    ("items", "status", "more", "stop"),
    [
        ([MESSAGE], "completed", {}, Stop("stop", "completed")),
        ([CALL], "completed", {}, Stop("tool_calls", "completed")),
        ([REFUSED], "completed", {}, Stop("refusal", "completed")),
        (
            [MESSAGE],
            "incomplete",
            {"incomplete_details": {"reason": "max_output_tokens"}},
            Stop("length", "max_output_tokens"),
        ),
        (
            [CALL],
            "incomplete",
            {"incomplete_details": {"reason": "content_filter"}},
            Stop("content_filter", "content_filter"),
        ),
        ([MESSAGE], "incomplete", {"incomplete_details": {"reason": "steered"}}, Stop("length", "steered")),
        ([MESSAGE], "incomplete", {"incomplete_details": None}, Stop("length", "incomplete")),
    ],
)
def test_every_end_has_its_reason(items, status, more, stop):
    body = response(items, status, **more)
    assert fold(whole(body)).stop == stop
    assert fold(streamed(sse(events_of(body)))).stop == stop


def test_an_incomplete_response_keeps_its_usage():
    """QuantumNous/new-api#7241: thrown away there, so billed as 0."""
    body = response([MESSAGE], "incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert fold(streamed(sse(events_of(body)))).usage.usage.output_tokens == 20


def test_a_failed_response_is_a_failure_and_keeps_its_usage():
    body = response([], "failed", error={"code": "rate_limit_exceeded", "message": "Slow down."})
    for events in (whole(body), streamed(sse(events_of(body)))):
        answer = fold(events)
        assert answer.failure == Failure("rate_limit_exceeded", "Slow down.")
        assert answer.stop is None
        assert answer.usage is not None


@pytest.mark.parametrize(
    "members",
    [
        {"type": "error", "code": "server_error", "message": "Broken.", "param": None},
        {"type": "error", "error": {"type": "server_error", "code": None, "message": "Broken."}},
        {"error": {"code": "server_error", "message": "Broken."}},
    ],
)
def test_an_error_after_200_is_a_failure_in_each_of_its_forms(members):
    data = sse([next(events_of(response([])))]) + b"data: " + json.dumps(members).encode() + b"\n\n"
    assert fold(streamed(data)).failure == Failure("server_error", "Broken.")


def test_the_reason_is_taken_from_the_event_where_the_status_is_an_older_one():
    events = [("response.completed", {"response": response([MESSAGE], "in_progress")})]
    assert fold(streamed(sse(events))).stop == Stop("stop", "completed")


def test_a_stream_that_breaks_off_has_no_end():
    data = sse(events_of(response([MESSAGE])))
    events = streamed(data[: len(data) // 2])
    assert fold(events).stop is None
    assert fold(events).failure is None


def test_a_last_event_without_its_blank_line_counts():
    data = sse(events_of(response([MESSAGE]))).rstrip(b"\n")
    assert fold(streamed(data)) == fold(whole(response([MESSAGE])))


def test_comments_pings_unknown_events_and_null_members_are_passed_over():
    noise = (
        b": keep-alive\n\n",
        b"event: ping\ndata: {}\n\n",
        b'data: {"type":"response.web_search_call.searching","output_index":0,"item_id":"ws"}\n\n',
        b'data: {"type":"response.never_heard_of","delta":"no","output_index":0}\n\n',
        b'data: {"type":"response.output_text.delta","delta":null,"output_index":0,"content_index":null}\n\n',
        b"data: null\n\n",
        b"data: [1,2]\n\n",
        b"data: {broken\n\n",
        b"data: [DONE]\n\n",
    )
    body = response([MESSAGE, CALL])
    parts = [sse([event]) for event in events_of(body)]
    data = b"".join(part + noise[number % len(noise)] for number, part in enumerate(parts))
    assert fold(streamed(data)) == fold(whole(body))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.text(max_size=4)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "id", "text", "name", "content", "summary", "arguments"]), inner)
    ),
    max_leaves=6,
)


@given(st.data())
def test_members_of_wrong_types_break_neither_stream_nor_reply(data):
    """Whatever a provider writes, its answer has a start and an end, and blocks that stop as often as they start."""
    body = response(json.loads(json.dumps(data.draw(st.lists(st.sampled_from(ITEMS), max_size=3)))))
    events = [(name, json.loads(json.dumps(members))) for name, members in events_of(body)]
    for _ in range(data.draw(st.integers(1, 4))):
        _name, members = data.draw(st.sampled_from(events))
        holder = data.draw(
            st.sampled_from(
                [m for m in (members, members.get("item"), members.get("part")) if isinstance(m, dict) and m]
            )
        )
        if holder:
            holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(JSON)
    found = streamed(sse(events))
    kinds = [type(event).__name__ for event in found]
    assert kinds[0] == "MessageStart"
    assert kinds[-1] in ("Stop", "Failure")
    assert kinds.count("BlockStart") == kinds.count("BlockStop")
    started = [event.index for event in found if type(event).__name__ == "BlockStart"]
    assert started == list(range(len(started)))
    assert RESPONSES.decode_reply(json.dumps({**body, "output": data.draw(JSON)}).encode()) is not None


@given(st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3)), max_size=4), st.integers(0, 6000))
def test_bytes_that_are_broken_or_missing_raise_nothing(changes, length):
    """A provider's nonsense harms only what it replaces: what was opened is closed, or the stream has no end."""
    data = bytearray(sse(events_of(response([REASONING, MESSAGE, CALL, CUSTOM_CALL]))))
    for place, piece in changes:
        data[place : place + len(piece)] = piece
    found = streamed(bytes(data[:length]))
    kinds = [type(event).__name__ for event in found]
    assert kinds.count("BlockStart") >= kinds.count("BlockStop")
    assert kinds.count("MessageStart") == (1 if found else 0)


def test_only_responses_are_read_as_such():
    for body in (b"", b"{}", b"[]", b"null", b"{broken", b'{"choices":[]}', b'{"object":"chat.completion"}'):
        assert RESPONSES.decode_reply(body) is None
        assert RESPONSES.see_reply(body) is None
    assert fold(RESPONSES.decode_reply(b'{"error":{"message":"no","code":"x"}}')).failure == Failure("x", "no")


def test_seals_come_after_the_thought_they_seal():
    kinds = [type(e) for e in streamed(sse(events_of(response([REASONING]))))]
    assert kinds.index(Signature) > max(i for i, kind in enumerate(kinds) if kind is Delta)


def test_a_thought_shown_whole_is_read_like_a_summary():
    """gpt-oss and other open models, as vLLM serves them."""
    item = {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    events = [
        ("response.output_item.added", {"output_index": 0, "item": {**item, "content": []}}),
        ("response.reasoning_text.delta", {"output_index": 0, "content_index": 0, "delta": "H"}),
        ("response.reasoning_text.delta", {"output_index": 0, "content_index": 0, "delta": "m."}),
        ("response.reasoning_text.done", {"output_index": 0, "content_index": 0, "text": "Hm."}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": response([item])}),
    ]
    assert fold(streamed(sse(events))).blocks == fold(whole(response([item]))).blocks
    assert texts(fold(whole(response([item])))) == [("thinking", "Hm.")]


def test_tool_names_in_namespaces_are_one_name():
    item = {**CALL_WITHOUT_ARGUMENTS, "namespace": "mail"}
    assert fold(whole(response([item]))).blocks[0].start.name == "mail__weather"


def test_an_event_of_ten_megabytes_is_read():
    text = "x" * 10_000_000
    body = response([{**MESSAGE, "content": [{"type": "output_text", "text": text, "annotations": []}]}])
    decoder = RESPONSES.stream_decoder(event_bytes_max=16 << 20)
    data = sse([("response.completed", {"response": body})])
    events = [event for start in range(0, len(data), 65536) for event in decoder.feed(data[start : start + 65536])]
    assert fold(events).blocks[0].text == text
    assert decoder.is_done


def test_events_hold_no_view_of_the_provider_buffer():
    """A citation's raw object outlives the reply that it came in."""
    answer = fold(whole(response([MESSAGE])))
    assert msgspec.json.decode(answer.blocks[0].citations[0].raw)["title"] == "E"
