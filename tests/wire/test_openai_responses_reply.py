"""Events become the stream that OpenAI's own SDK accumulates, each event as OpenAI's schema says it."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from rig.contract import check, check_event
from tidegate.core.errors import UpstreamError
from tidegate.core.usage import Usage
from tidegate.wire.carrier import Carried, pack, unpack
from tidegate.wire.conversation import Ask, OutputFormat, Reasoning, Text, Thinking, Tool, ToolCall, ToolChoice, Turn
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
    unfold,
)
from tidegate.wire.openai_responses import RESPONSES
from tidegate.wire.sse import Framer, event_data

SCHEMA = Raw(b'{"type":"object"}')
FUNCTION = Tool("weather", "d", SCHEMA)
PATCH = Tool("patch", "", SCHEMA, is_freeform=True)
SEND = Tool("mail__send", "", SCHEMA, namespace="mail")
ASK = Ask(model="any/model", turns=(Turn("user", (Text("hi"),)),), tools=(FUNCTION, PATCH, SEND))
ID = "0199f3a2-0000-7000-8000-000000000001"
USAGE = UsageSeen(Usage(input_tokens=30, output_tokens=20, cache_read_input_tokens=10, reasoning_output_tokens=5))
START = MessageStart("native", "their-model", 1)
END = (USAGE, Stop("stop", "end_turn"))


def block(index, kind, *texts, **members):
    return [BlockStart(index, kind, **members), *(Delta(index, text) for text in texts), BlockStop(index)]


def tool(index, name, *texts, **members):
    return block(index, "tool", *texts, call_id=f"call_{index}", name=name, **members)


EVERYTHING = [
    START,
    *block(0, "thinking", "Hm", "m.", origin="anthropic")[:-1],
    Signature(0, "sig"),
    Signature(0, "ned"),
    BlockStop(0),
    *block(1, "redacted", data="secret", origin="anthropic"),
    *block(2, "text", "Hé “l", "lo”")[:-1],
    Citation(2, "https://e.org/", "E", Raw(b'{"cited_text":"x"}')),
    BlockStop(2),
    *block(3, "text", " and more"),
    *tool(4, "weather", '{"city":', '"Köln"}', signature="seal", origin="gemini"),
    *tool(5, "weather"),
    *tool(6, "patch", '{"input":', '"a b"}'),
    *tool(7, "mail__send", "{}"),
    *block(8, "refusal", "I will", " not."),
    *block(9, "image", data="aGk=", media_type="image/webp"),
    USAGE,
    Stop("tool_calls", "tool_use"),
]


def stream(events, ask=ASK):
    encoder = RESPONSES.stream_encoder(ask, generation_id=ID, created_s=1760000000)
    return b"".join([encoder.encode(event) for event in events]) + encoder.finish()


def sent(events, ask=ASK):
    """The events of a stream as (name, members), each held to OpenAI's schema."""
    found = []
    for number, raw in enumerate(Framer(1 << 20).feed(stream(events, ask))):
        name, _, _ = raw.partition(b"\n")
        members = json.loads(event_data(raw))
        assert name == b"event: " + members["type"].encode()
        assert members["sequence_number"] == number
        check_event(members)
        found.append((members["type"], members))
    return found


def reply(events, ask=ASK):
    body = json.loads(RESPONSES.encode_reply(events, ask, generation_id=ID, created_s=1760000000))
    check("Response", body)
    return body


def outputs(events, ask=ASK):
    return reply([START, *events, *END], ask)["output"]


def test_a_text_is_written_as_openai_writes_it():
    events = sent([START, *block(0, "text", "Hel", "lo"), *END])
    assert [name for name, _ in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    last = events[-1][1]["response"]
    assert last["id"] == f"resp_{ID}"
    assert last["model"] == "their-model"
    assert last["status"] == "completed"
    assert last["created_at"] == 1760000000
    assert last["usage"] == {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 50,
    }
    (item,) = last["output"]
    assert item["content"][0]["text"] == "Hello"


def test_everything_at_once_is_valid_and_the_same_streamed_and_whole():
    assert sent(EVERYTHING)[-1][1]["response"] == reply(EVERYTHING)


def test_each_block_becomes_its_item_and_texts_in_a_row_one_message():
    kinds = [item["type"] for item in reply(EVERYTHING)["output"]]
    assert kinds == [
        "reasoning",
        "reasoning",
        "message",
        "reasoning",  # the seal of the call after it
        "function_call",
        "function_call",
        "custom_tool_call",
        "function_call",
        "message",
        "image_generation_call",
    ]


def test_calls_are_what_the_caller_offered():
    items = [item for item in reply(EVERYTHING)["output"] if item["type"].endswith("tool_call") or "arguments" in item]
    assert [(item["name"], item.get("namespace"), item.get("arguments", item.get("input"))) for item in items] == [
        ("weather", None, '{"city":"Köln"}'),
        ("weather", None, "{}"),
        ("patch", None, "a b"),
        ("send", "mail", "{}"),
    ]


def test_empty_arguments_are_an_empty_object_in_delta_done_and_item():
    events = sent([START, *tool(0, "weather"), *END])
    assert [m["delta"] for name, m in events if name == "response.function_call_arguments.delta"] == ["{}"]
    assert [m["arguments"] for name, m in events if name == "response.function_call_arguments.done"] == ["{}"]


def test_interleaved_calls_keep_their_places():
    starts = [BlockStart(n, "tool", call_id=f"c{n}", name="weather") for n in (0, 1)]
    deltas = [Delta(n, piece) for piece in ('{"a"', ":1}") for n in (0, 1)]
    events = sent([START, *starts, *deltas, BlockStop(1), BlockStop(0), *END])
    places = [m["output_index"] for name, m in events if name == "response.function_call_arguments.delta"]
    assert places == [0, 1, 0, 1]
    assert [item["arguments"] for item in events[-1][1]["response"]["output"]] == ['{"a":1}'] * 2


def test_a_text_that_goes_on_while_a_call_begins_is_ended_once():
    overlap = [
        BlockStart(0, "text"),
        Delta(0, "a"),
        BlockStart(1, "tool", call_id="c", name="weather"),
        Delta(0, "b"),
        BlockStop(0),
        BlockStop(1),
    ]
    events = sent([START, *overlap, *END])
    assert [m["output_index"] for name, m in events if name == "response.output_item.done"] == [0, 1]
    assert events[-1][1]["response"]["output"][0]["content"][0]["text"] == "ab"


def test_seals_of_other_makers_travel_as_carriers():
    items = reply(EVERYTHING)["output"]
    assert unpack(items[0]["encrypted_content"]) == Carried("anthropic", "signed")
    assert unpack(items[1]["encrypted_content"]) == Carried("anthropic", "secret", is_redacted=True)
    assert unpack(items[3]["encrypted_content"]) == Carried("gemini", "seal", "call_4")


def test_openais_own_seals_go_as_they_are():
    thought = [BlockStart(0, "thinking", origin="openai", item_id="rs_9"), Signature(0, "gAAA="), BlockStop(0)]
    (item,) = outputs(thought)
    assert item == {"type": "reasoning", "id": "rs_9", "summary": [], "encrypted_content": "gAAA="}


def test_a_thought_without_a_seal_is_marked_as_not_openais():
    """So that it does not reach OpenAI when the conversation goes on there."""
    (item,) = outputs(block(0, "thinking", "Hm.", origin="deepseek"))
    assert unpack(item["encrypted_content"]) == Carried("deepseek", "")
    body = {"model": "m", "input": [item, {"role": "assistant", "content": "x"}]}
    (turn,) = RESPONSES.decode_request(json.dumps(body).encode()).turns
    assert turn.parts[0] == Thinking("Hm.", origin="deepseek")


def test_seals_that_come_after_a_call_are_carried_too():
    events = [*tool(0, "weather", "{}", origin="gemini")[:-1], Signature(0, "late"), BlockStop(0)]
    items = outputs(events)
    assert [item["type"] for item in items] == ["function_call", "reasoning"]
    assert unpack(items[1]["encrypted_content"]) == Carried("gemini", "late", "call_0")


def test_what_the_caller_sends_back_is_what_the_makers_sent():
    """The output of one turn is the input of the next."""
    body = {
        "model": "m",
        "input": [item for item in reply(EVERYTHING)["output"] if item["type"] != "image_generation_call"],
    }
    (turn,) = RESPONSES.decode_request(json.dumps(body).encode()).turns
    assert [part for part in turn.parts if isinstance(part, Thinking)] == [
        Thinking("Hmm.", "signed", origin="anthropic"),
        Thinking(redacted="secret", origin="anthropic"),
    ]
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    assert [(call.call_id, call.name, call.arguments, call.signature) for call in calls] == [
        ("call_4", "weather", '{"city":"Köln"}', "seal"),
        ("call_5", "weather", "{}", ""),
        ("call_6", "patch", '{"input":"a b"}', ""),
        ("call_7", "mail__send", "{}", ""),
    ]


@pytest.mark.parametrize(
    ("stop", "status", "details"),
    [
        (Stop("stop"), "completed", None),
        (Stop("stop_sequence"), "completed", None),
        (Stop("tool_calls"), "completed", None),
        (Stop("pause"), "completed", None),
        (Stop("length"), "incomplete", {"reason": "max_output_tokens"}),
        (Stop("context"), "incomplete", {"reason": "max_output_tokens"}),
        (Stop("content_filter"), "incomplete", {"reason": "content_filter"}),
        (Stop("refusal"), "incomplete", {"reason": "content_filter"}),
        (Stop("error", "network_error"), "failed", None),
    ],
)
def test_every_stop_reason_has_its_status(stop, status, details):
    events = [START, *block(0, "text", "x"), USAGE, stop]
    name, members = sent(events)[-1]
    assert name == f"response.{status}"
    assert members["response"]["incomplete_details"] == details
    assert members["response"] == reply(events)
    assert members["response"]["usage"]["output_tokens"] == 20


def test_a_refusal_in_words_is_a_whole_answer():
    body = reply([START, *block(0, "refusal", "No."), USAGE, Stop("refusal")])
    assert body["status"] == "completed"
    assert body["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize(
    ("error_type", "code"),
    [
        ("rate_limit_error", "rate_limit_exceeded"),
        ("invalid_prompt", "invalid_prompt"),
        ("overloaded_error", "server_error"),
    ],
)
def test_a_failure_within_the_answer_ends_it_and_says_why(error_type, code):
    events = [START, BlockStart(0, "text"), Delta(0, "Hal"), Failure(error_type, "Broken.")]
    name, members = sent(events)[-1]
    assert name == "response.failed"
    assert members["response"]["error"] == {"code": code, "message": "Broken."}
    assert members["response"]["output"][0]["content"][0]["text"] == "Hal"
    assert members["response"]["output"][0]["status"] == "incomplete"


def test_a_stream_that_broke_off_is_not_a_whole_answer():
    assert sent([START, BlockStart(0, "text"), Delta(0, "Hal")])[-1][0] == "response.failed"
    assert sent([])[-1][0] == "response.failed"


def test_what_was_asked_is_said_again():
    ask = Ask(
        model="any/model",
        turns=ASK.turns,
        tools=(FUNCTION,),
        tool_choice=ToolChoice("required", parallel=False),
        output_format=OutputFormat("json_schema", "n", schema=SCHEMA, strict=True),
        reasoning=Reasoning("high", summary="auto"),
        output_tokens_max=99,
        temperature=0.5,
        top_p=0.9,
        user="u",
        extra={"metadata": Raw(b'{"a":"b"}')},
    )
    body = reply([START, *END], ask)
    assert body["tool_choice"] == "required"
    assert body["parallel_tool_calls"] is False
    assert body["tools"][0]["name"] == "weather"
    assert body["text"]["format"]["name"] == "n"
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert (body["max_output_tokens"], body["temperature"], body["top_p"], body["user"]) == (99, 0.5, 0.9, "u")
    assert body["metadata"] == {"a": "b"}


def test_names_that_come_twice_are_told_apart():
    """OpenAI's SDK refuses a stream with two calls, or two thoughts, of one name."""
    twice = [BlockStart(n, "tool", call_id="c", name="weather", signature="s", origin="gemini") for n in (0, 1)]
    thoughts = [BlockStart(n, "thinking", origin="openai", item_id="rs_1") for n in (2, 3)]
    events = [*twice, *thoughts, *(BlockStop(n) for n in range(4))]
    items = outputs(events)
    calls = [item["call_id"] for item in items if item["type"] == "function_call"]
    carried = [unpack(item["encrypted_content"]) for item in items if item.get("encrypted_content")]
    assert calls[0] == "c"
    assert len(set(calls)) == 2
    assert [seal.call_id for seal in carried] == calls, "each seal names its own call"
    assert len({item["id"] for item in items}) == len(items)


def test_the_callers_name_stands_for_a_model_that_the_provider_does_not_name():
    assert reply([MessageStart(), *END])["model"] == "any/model"


def test_sound_and_seals_of_texts_cannot_be_said_and_are_listed():
    encoder = RESPONSES.stream_encoder(ASK, generation_id=ID, created_s=0)
    for event in [*block(0, "audio", "aGk="), *block(1, "text", "x", signature="s"), *END]:
        encoder.encode(event)
    assert encoder.dropped == ["audio", "signature"]


def test_deltas_of_blocks_that_never_began_are_passed_over():
    assert outputs([Delta(5, "x"), BlockStop(5), Signature(5, "x"), Citation(5, "https://e.org/")]) == []


# OpenAI's SDK as the judge.


class Handler(BaseHTTPRequestHandler):
    answer = b""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_):
        pass


@contextmanager
def openai_client(answer):
    """OpenAI's own client, in front of a server that answers this stream."""
    openai = pytest.importorskip("openai")
    server = HTTPServer(("127.0.0.1", 0), type("Answering", (Handler,), {"answer": answer}))
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    base_url = f"http://127.0.0.1:{server.server_port}/v1"
    with openai.OpenAI(api_key="k", base_url=base_url, max_retries=0) as client:
        yield client
    thread.join(5)
    server.server_close()


def test_openais_accumulator_takes_everything():
    with openai_client(stream(EVERYTHING)) as client, client.responses.stream(model="m", input="hi") as found:
        events = list(found)
        final = found.get_final_response()
    whole = reply(EVERYTHING)
    assert final.output_text == "Hé “llo” and more"
    assert [item.type for item in final.output] == [item["type"] for item in whole["output"]]
    assert [item.arguments for item in final.output if item.type == "function_call"] == ['{"city":"Köln"}', "{}", "{}"]
    assert final.usage.total_tokens == 50
    # Each delta event of the SDK holds what has come so far.
    snapshots = [event.snapshot for event in events if event.type == "response.output_text.delta"]
    assert snapshots == ["Hé “l", "Hé “llo”", " and more"]
    snapshots = [event.snapshot for event in events if event.type == "response.function_call_arguments.delta"]
    assert snapshots == ['{"city":', '{"city":"Köln"}', "{}", "{}"]


def test_openais_accumulator_parses_structured_output():
    pydantic = pytest.importorskip("pydantic")
    answer = pydantic.create_model("Answer", city=(str, ...))
    events = [START, *block(0, "text", '{"city":', '"Köln"}'), *END]
    with (
        openai_client(stream(events)) as client,
        client.responses.stream(model="m", input="hi", text_format=answer) as found,
    ):
        assert found.get_final_response().output_parsed == answer(city="Köln")


def test_openais_client_reads_an_incomplete_answer():
    events = [START, *block(0, "text", "Hal"), USAGE, Stop("length")]
    with openai_client(stream(events)) as client, client.responses.stream(model="m", input="hi") as found:
        last = list(found)[-1]
    assert last.type == "response.incomplete"
    assert last.response.output[0].content[0].text == "Hal"
    assert last.response.incomplete_details.reason == "max_output_tokens"


def test_openais_client_raises_for_an_error_after_200():
    openai = pytest.importorskip("openai")
    broken = stream([START, *block(0, "text", "Hal")]).rpartition(b"event: ")[0]
    with (
        openai_client(broken + RESPONSES.stream_error(UpstreamError("Broken."))) as client,
        client.responses.stream(model="m", input="hi") as found,
        pytest.raises(openai.APIError, match="Broken"),
    ):
        list(found)


# Whatever comes, in whatever order.

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=3)
KINDS = st.sampled_from(["text", "thinking", "refusal", "tool", "custom", "redacted", "image"])


@st.composite
def answers(draw):
    """Blocks that start in order and are otherwise interleaved at will."""
    waiting = []
    for index, kind in enumerate(draw(st.lists(KINDS, max_size=6))):
        if kind == "redacted":
            events = block(index, kind, data="x", origin="anthropic")
        elif kind == "image":
            events = block(index, kind, data="aGk=", media_type="image/png")
        elif kind == "tool":
            events = tool(index, "weather", *draw(TEXTS))
        elif kind == "custom":
            events = tool(index, "patch", msgspec.json.encode({"input": "".join(draw(TEXTS))}).decode())
        else:
            events = block(index, kind, *draw(TEXTS), origin="openai")
            if kind == "thinking":
                events.insert(-1, Signature(index, "seal="))
        waiting.append(events)
    out = [START]
    running = []
    while waiting or running:
        if waiting and (not running or draw(st.booleans())):
            running.append(waiting.pop(0))
            out.append(running[-1].pop(0))
        place = draw(st.integers(0, len(running) - 1))
        out.append(running[place].pop(0))
        if not running[place]:
            running.pop(place)
    return [*out, *END]


def meaning(events):
    """What an answer says, without names of items, empty words and the one way to write an empty call."""
    found = []
    for piece in fold(events).blocks:
        start, text, sealed = piece.start, piece.text, piece.signature
        if start.kind == "tool":
            text = text or "{}"
        if start.kind == "redacted":
            found.append(("thinking", "", "", "", "", pack("anthropic", start.data, is_redacted=True)))
        elif text or sealed or start.data:
            found.append((start.kind, start.call_id, start.name, text, start.data, sealed))
    return sorted(found)


@settings(max_examples=150, deadline=None)
@given(answers())
def test_what_is_written_is_read_back_streamed_and_whole(events):
    """Sorted: a thought that has no words begins for the reader when its seal comes."""
    decoder = RESPONSES.stream_decoder(event_bytes_max=1 << 20)
    streamed = decoder.feed(stream(events)) + decoder.finish()
    whole = RESPONSES.decode_reply(RESPONSES.encode_reply(events, ASK, generation_id=ID, created_s=1))
    assert meaning(streamed) == meaning(whole) == meaning(events)
    assert fold(streamed).usage == fold(whole).usage == USAGE
    assert fold(streamed).stop == fold(whole).stop


@settings(max_examples=60, deadline=None)
@given(answers())
def test_every_event_of_any_answer_is_valid_and_ends_in_the_whole_response(events):
    found = sent(events)
    assert found[-1][1]["response"] == reply(events)
    added = [m["output_index"] for name, m in found if name == "response.output_item.added"]
    done = [m["output_index"] for name, m in found if name == "response.output_item.done"]
    assert added == sorted(done) == list(range(len(added)))
    final = {m["output_index"]: m["item"] for name, m in found if name == "response.output_item.done"}
    assert [final[place] for place in sorted(final)] == found[-1][1]["response"]["output"]


@settings(max_examples=100, deadline=None)
@given(answers())
def test_openais_accumulator_takes_any_answer(events):
    """Its state machine raises where an item is named twice, grows before it begins, or is left open."""
    pytest.importorskip("openai")
    from openai._models import construct_type_unchecked
    from openai._types import omit
    from openai.lib.streaming.responses._responses import ResponseStreamState
    from openai.types.responses import ResponseStreamEvent

    state = ResponseStreamState(input_tools=omit, text_format=omit)
    fired = []
    for raw in Framer(1 << 20).feed(stream(events)):
        members = json.loads(event_data(raw))
        fired += state.handle_event(construct_type_unchecked(type_=ResponseStreamEvent, value=members))
    assert fired[-1].type == "response.completed"
    assert [item.type for item in fired[-1].response.output] == [item["type"] for item in reply(events)["output"]]


@settings(max_examples=60, deadline=None)
@given(answers())
def test_the_shortest_form_of_an_answer_says_the_same(events):
    assert meaning(unfold(fold(events))) == meaning(events)
    assert reply(unfold(fold(events)))["usage"] == reply(events)["usage"]
