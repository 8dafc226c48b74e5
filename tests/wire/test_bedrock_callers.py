"""Bedrock behind callers of every dialect: an answer means the same streamed and whole, and seals find their way."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw, structs
from test_bedrock_answer import METADATA, START, WHOLE, delta, read, stop
from test_bedrock_ask import CLAUDE, PNG, validate

from rig.aws_frames import event
from tidegate.core.facts import Quirks
from tidegate.wire.bedrock import BEDROCK
from tidegate.wire.conversation import Ask, Media, Reasoning, Text, Tool, Turn
from tidegate.wire.dialects import DIALECTS
from tidegate.wire.events import Answer, Event, fold

CALLERS = [name for name in ("openai-chat", "openai-responses", "anthropic", "gemini") if name in DIALECTS]
ASK = Ask(
    model="acme/claude",
    turns=(
        Turn("system", (Text("Be brief."),)),
        Turn("user", (Text("Weather?"), Media("image", data=PNG, media_type="image/png"))),
    ),
    is_stream=True,
    tools=(Tool("weather", "Tells it.", Raw(b'{"type":"object","properties":{"city":{"type":"string"}}}')),),
    reasoning=Reasoning("medium", shown=True),
    output_tokens_max=20_000,
)
STAMP: dict[str, Any] = {"generation_id": "gen-1", "created_s": 1}


def asked_by(caller: str) -> tuple[bytes, Ask]:
    """A request in a caller's dialect, and what the gateway reads in it."""
    body = DIALECTS[caller].encode_request(ASK, "acme/claude", Quirks()).body
    ask = DIALECTS[caller].decode_request(body)
    return body, structs.replace(ask, model="acme/claude", is_stream=True)


def streamed_to(caller: str, events: list[Event], ask: Ask) -> Answer:
    encoder = DIALECTS[caller].stream_encoder(ask, **STAMP)
    told = b"".join(encoder.encode(e) for e in events) + encoder.finish()
    decoder = DIALECTS[caller].stream_decoder(event_bytes_max=1 << 20)
    return fold([*decoder.feed(told), *decoder.finish()])


def meaning(answer: Answer) -> tuple[Any, ...]:
    blocks = [(b.start.kind, b.start.name, b.text) for b in answer.blocks if b.start.kind in ("text", "tool")]
    thoughts = "".join(b.text for b in answer.blocks if b.start.kind == "thinking")
    usage = answer.usage.usage if answer.usage else None
    counts = (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) if usage else None
    return blocks, thoughts, answer.stop.reason if answer.stop else None, counts


@pytest.mark.parametrize("caller", CALLERS)
def test_a_request_of_any_caller_is_one_that_bedrock_takes(caller: str) -> None:
    """Words, the picture and the tool arrive."""
    _, ask = asked_by(caller)
    body = msgspec.json.decode(BEDROCK.encode_request(ask, CLAUDE, Quirks()).body)
    validate(body)
    assert body["system"] == [{"text": "Be brief."}]
    assert body["messages"][0]["content"][0] == {"text": "Weather?"}
    assert body["messages"][0]["content"][1]["image"] == {"format": "png", "source": {"bytes": PNG}}
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "weather"
    assert body["additionalModelRequestFields"]["thinking"]["type"] == "adaptive"


@pytest.mark.parametrize("caller", CALLERS)
def test_an_answer_means_the_same_to_any_caller_streamed_and_whole(caller: str) -> None:
    events = read(WHOLE)
    _, ask = asked_by(caller)
    whole = DIALECTS[caller].decode_reply(DIALECTS[caller].encode_reply(events, ask, **STAMP))
    assert whole is not None
    assert meaning(streamed_to(caller, events, ask)) == meaning(fold(whole)) == meaning(fold(events))


@pytest.mark.parametrize("caller", CALLERS)
def test_an_empty_call_reaches_any_caller_as_an_empty_object(caller: str) -> None:
    start = {"toolUse": {"toolUseId": "tooluse_1", "name": "weather"}}
    stream = START + event("contentBlockStart", {"contentBlockIndex": 0, "start": start})
    stream += event("contentBlockStop", {"contentBlockIndex": 0}) + stop("tool_use") + METADATA
    (block,) = streamed_to(caller, read(stream), asked_by(caller)[1]).blocks
    assert json.loads(block.text or "{}") == {}
    assert (block.start.kind, block.start.name) == ("tool", "weather")


@pytest.mark.parametrize("caller", CALLERS)
def test_a_seal_of_bedrocks_comes_back_to_it_through_any_caller(caller: str) -> None:
    """Claude refuses the results of its tools where the thought before them has lost its seal."""
    body, ask = asked_by(caller)
    reply = json.loads(DIALECTS[caller].encode_reply(read(WHOLE), ask, **STAMP))
    second = DIALECTS[caller].decode_request(continued(caller, json.loads(body), reply))
    sent = msgspec.json.decode(BEDROCK.encode_request(second, CLAUDE, Quirks()).body)
    validate(sent)
    assistant, results = sent["messages"][1]["content"], sent["messages"][2]["content"]
    sealed = {"reasoningContent": {"reasoningText": {"text": "Let me think.", "signature": "c2ln"}}}
    call = {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Rome"}}}
    assert assistant == [sealed, {"text": "Hello"}, call]
    assert results == [{"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "sunny"}]}}]


@pytest.mark.parametrize("caller", CALLERS)
def test_a_failure_after_the_200_reaches_any_caller(caller: str) -> None:
    from rig.aws_frames import exception

    stream = START + delta(0, {"text": "Hel"}) + exception("throttlingException", {"message": "Slow down."})
    encoder = DIALECTS[caller].stream_encoder(asked_by(caller)[1], **STAMP)
    told = b"".join(encoder.encode(e) for e in read(stream)) + encoder.finish()
    assert b"Slow down." in told


def continued(caller: str, request: Any, got: Any) -> bytes:
    """The caller's next request: what it got, sent back unchanged, and its tool's result."""
    if caller == "openai-chat":
        answered = {"role": "tool", "tool_call_id": "tooluse_1", "content": "sunny"}
        request["messages"] += [got["choices"][0]["message"], answered]
    elif caller == "openai-responses":
        answered = {"type": "function_call_output", "call_id": "tooluse_1", "output": "sunny"}
        request["input"] += [*got["output"], answered]
    elif caller == "anthropic":
        result = {"type": "tool_result", "tool_use_id": "tooluse_1", "content": "sunny"}
        request["messages"] += [{"role": "assistant", "content": got["content"]}, {"role": "user", "content": [result]}]
    else:
        part = {"functionResponse": {"id": "tooluse_1", "name": "weather", "response": {"output": "sunny"}}}
        request["contents"] += [got["candidates"][0]["content"], {"role": "user", "parts": [part]}]
    return json.dumps(request).encode()
