"""Text completions reach any model as one turn; embeddings pass through."""

import json

import httpx2
import openai
import pytest
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.core.usage import Usage
from tidegate.wire.conversation import Ask, OutputFormat, Text, Tool, Turn
from tidegate.wire.events import BlockStart, BlockStop, Delta, Event, Failure, MessageStart, Stop, UsageSeen, fold
from tidegate.wire.openai_completions import COMPLETIONS
from tidegate.wire.openai_embeddings import EMBEDDINGS

USAGE = UsageSeen(Usage(input_tokens=5, output_tokens=7))
EVENTS: list[Event] = [
    MessageStart("up-1", "up", 3),
    BlockStart(0, "thinking"),
    Delta(0, "hm"),
    BlockStop(0),
    BlockStart(1, "text"),
    Delta(1, "Hel"),
    Delta(1, "lo"),
    BlockStop(1),
    USAGE,
    Stop("length", "max_tokens"),
]
ASK = Ask(model="m", turns=(), is_stream=True)


def decode(**request) -> Ask:
    return COMPLETIONS.decode_request(json.dumps({"model": "m", "prompt": "hi"} | request).encode())


def encode(events) -> bytes:
    encoder = COMPLETIONS.stream_encoder(ASK, generation_id="gen-1", created_s=7)
    return b"".join([encoder.encode(event) for event in events]) + encoder.finish()


def sdk(body: bytes, content_type: str) -> openai.OpenAI:
    reply = httpx2.Response(200, content=body, headers={"content-type": content_type})
    transport = httpx2.MockTransport(lambda request: reply)
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=httpx2.Client(transport=transport))


def test_a_prompt_is_one_turn_of_the_users() -> None:
    ask = decode(max_tokens=9, stop="END", temperature=0, seed=7, logprobs=3, echo=False, n=1, suffix=None)
    assert ask.turns == (Turn("user", (Text("hi"),)),) == decode(prompt=["hi"]).turns
    assert (ask.output_tokens_max, ask.stop, ask.temperature) == (9, ("END",), 0)
    assert ask.extra == {"seed": Raw(b"7")} and ask.unsaid == ("logprobs",)
    assert json.loads(COMPLETIONS.encode_request(ask, "up", Quirks()).body) == {
        "model": "up",
        "prompt": "hi",
        "max_tokens": 9,
        "temperature": 0,
        "stop": ["END"],
        "seed": 7,
    }


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 3}, "best_of"),
        ({"n": 2}, "n"),
        ({"model": None}, "model"),
    ],
)
def test_what_only_a_text_completion_can_do_is_refused_by_name(request_, param) -> None:
    with pytest.raises(InvalidRequest) as raised:
        decode(**request_)
    assert raised.value.param == param


@pytest.mark.parametrize(
    "ask",
    [
        Ask(model="m", turns=()),
        Ask(model="m", turns=(Turn("user", (Text("a"),)), Turn("assistant", (Text("b"),)))),
        Ask(model="m", turns=(Turn("user", (Text("a"),)),), tools=(Tool("f"),)),
    ],
)
def test_a_conversation_has_no_place_in_a_prompt(ask) -> None:
    with pytest.raises(InvalidRequest):
        COMPLETIONS.encode_request(ask, "up", Quirks())


def test_what_a_prompt_cannot_ask_for_is_named() -> None:
    ask = Ask(model="m", turns=(Turn("user", (Text("a"),)),), is_stream=True, output_format=OutputFormat("json"))
    encoded = COMPLETIONS.encode_request(ask, "up", Quirks())
    assert encoded.dropped == ("response_format",)
    assert json.loads(encoded.body)["stream_options"] == {"include_usage": True}


def test_openais_sdk_reads_the_text_streamed_and_whole() -> None:
    """Thoughts are no part of a text completion."""
    chunks = list(sdk(encode(EVENTS), "text/event-stream").completions.create(model="m", prompt="hi", stream=True))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "Hello"
    assert chunks[-1].usage.total_tokens == 12 and chunks[-2].choices[0].finish_reason == "length"
    body = COMPLETIONS.encode_reply(EVENTS, ASK, generation_id="gen-1", created_s=7)
    reply = sdk(body, "application/json").completions.create(model="m", prompt="hi")
    assert (reply.choices[0].text, reply.choices[0].finish_reason, reply.usage.total_tokens) == ("Hello", "length", 12)


def test_a_provider_of_text_completions_is_read_streamed_and_whole() -> None:
    decoder = COMPLETIONS.stream_decoder(event_bytes_max=1 << 20)
    streamed = fold(decoder.feed(encode(EVENTS)) + decoder.finish())
    whole = fold(COMPLETIONS.decode_reply(COMPLETIONS.encode_reply(EVENTS, ASK, generation_id="gen-1", created_s=7)))
    assert streamed == whole
    assert (streamed.blocks[0].text, streamed.stop.reason, streamed.usage) == ("Hello", "length", USAGE)


def test_a_call_in_the_answer_is_named_as_lost_and_a_failure_is_told() -> None:
    encoder = COMPLETIONS.stream_encoder(ASK, generation_id="gen-1", created_s=7)
    encoder.encode(BlockStart(0, "tool", call_id="a", name="f"))
    assert encoder.dropped == ["tool"]
    with pytest.raises(openai.APIError, match="gone"):
        list(
            sdk(encode([*EVENTS[:6], Failure("x", "gone")]), "text/event-stream").completions.create(
                model="m", prompt="", stream=True
            )
        )
    failed = COMPLETIONS.encode_reply([Failure("x", "gone")], ASK, generation_id="gen-1", created_s=7)
    assert json.loads(failed)["error"]["message"] == "gone"


def test_a_passing_stream_tells_the_meter() -> None:
    body = b'{"model":"m","prompt":"hi","stream":true}'
    head = COMPLETIONS.decode_head(body)
    edited = json.loads(b"".join(COMPLETIONS.edit_request(body, head, "up")))
    assert edited == {"model": "up", "prompt": "hi", "stream": True, "stream_options": {"include_usage": True}}
    peek = COMPLETIONS.peek(head)
    kept = [peek.see(event + b"\n\n") for event in encode(EVENTS).split(b"\n\n")[:-1]]
    assert kept[-2:] == [False, True] and all(kept[:-2])
    assert (peek.seen.usage, peek.seen.finish_reason, peek.seen.output_text_bytes) == (USAGE.usage, "length", 5)


def test_embeddings_pass_and_are_metered() -> None:
    body = b'{"model":"e","input":["a"],"dimensions":3}'
    head = EMBEDDINGS.decode_head(body)
    assert json.loads(b"".join(EMBEDDINGS.edit_request(body, head, "up"))) == json.loads(body) | {"model": "up"}
    reply = {
        "object": "list",
        "data": [{"embedding": [0.1]}],
        "model": "up",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    seen = EMBEDDINGS.see_reply(json.dumps(reply).encode())
    assert (seen.usage, seen.model, seen.is_done) == (Usage(input_tokens=8), "up", True)
    assert EMBEDDINGS.see_reply(b'{"error":{"message":"no"}}').has_error
    assert EMBEDDINGS.see_reply(b"<html>") is None and EMBEDDINGS.see_reply(b"{}") is None


def test_embeddings_are_not_translated() -> None:
    with pytest.raises(InvalidRequest, match="not translated"):
        EMBEDDINGS.decode_request(b"{}")
    with pytest.raises(InvalidRequest, match="embeddings request"):
        EMBEDDINGS.decode_head(b'{"model":7}')
