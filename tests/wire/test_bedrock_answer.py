"""Bedrock's replies and streams: the same events wherever the bytes were cut, and the same answer whole or streamed."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.aws_frames import event, exception, frame
from tidegate.core.errors import UpstreamError
from tidegate.wire.bedrock import BEDROCK
from tidegate.wire.events import (
    Answer,
    BlockStart,
    Delta,
    Event,
    Failure,
    MessageStart,
    Signature,
    Stop,
    UsageSeen,
    fold,
)

USAGE = {
    "inputTokens": 30,
    "outputTokens": 9,
    "totalTokens": 39,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 7,
}
METADATA = event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 500}})
START = event("messageStart", {"role": "assistant", "p": "abcdefgh"})


def delta(index: int, body: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": body, "p": "abc"})


def block_stop(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index})


def tool_start(index: int, call_id: str, name: str) -> bytes:
    start = {"toolUse": {"toolUseId": call_id, "name": name}}
    return event("contentBlockStart", {"contentBlockIndex": index, "start": start})


def stop(reason: str = "end_turn", **fields: Any) -> bytes:
    return event("messageStop", {"stopReason": reason, **fields})


def read(stream: bytes, size: int = 0) -> list[Event]:
    decoder = BEDROCK.stream_decoder(event_bytes_max=100_000)
    size = size or len(stream)
    events = [e for start in range(0, len(stream), size) for e in decoder.feed(stream[start : start + size])]
    return events + decoder.finish()


def reply(*blocks: Any, reason: str = "end_turn", **fields: Any) -> Answer:
    message = {"role": "assistant", "content": list(blocks)}
    body = {"output": {"message": message}, "stopReason": reason, "usage": USAGE, "metrics": {"latencyMs": 1}, **fields}
    events = BEDROCK.decode_reply(msgspec.json.encode(body))
    assert events is not None
    return fold(events)


WHOLE = (
    START
    + delta(0, {"reasoningContent": {"text": "Let me "}})
    + delta(0, {"reasoningContent": {"text": "think."}})
    + delta(0, {"reasoningContent": {"signature": "c2ln"}})
    + block_stop(0)
    + delta(1, {"text": "Hel"})
    + delta(1, {"text": "lo"})
    + block_stop(1)
    + tool_start(2, "tooluse_1", "weather")
    + delta(2, {"toolUse": {"input": ""}})
    + delta(2, {"toolUse": {"input": '{"city":'}})
    + delta(2, {"toolUse": {"input": '"Rome"}'}})
    + block_stop(2)
    + stop("tool_use")
    + METADATA
)


def test_a_stream_of_thought_text_and_tool_call_is_read() -> None:
    events = read(WHOLE)
    assert events[:3] == [MessageStart(), BlockStart(0, "thinking", origin="anthropic"), Delta(0, "Let me ")]
    answer = fold(events)
    assert [(b.start.kind, b.text, b.signature) for b in answer.blocks] == [
        ("thinking", "Let me think.", "c2ln"),
        ("text", "Hello", ""),
        ("tool", '{"city":"Rome"}', ""),
    ]
    assert (answer.blocks[2].start.call_id, answer.blocks[2].start.name) == ("tooluse_1", "weather")
    assert answer.stop == Stop("tool_calls", native="tool_use")


def test_a_whole_reply_folds_to_the_same_answer_as_its_stream() -> None:
    whole = reply(
        {"reasoningContent": {"reasoningText": {"text": "Let me think.", "signature": "c2ln"}}},
        {"text": "Hello"},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Rome"}}},
        reason="tool_use",
    )
    assert whole == fold(read(WHOLE))


@pytest.mark.parametrize("size", [1, 2, 5, 11, 100])
def test_any_cut_of_the_stream_gives_the_same_events(size: int) -> None:
    assert read(WHOLE, size) == read(WHOLE)


def test_cached_tokens_are_in_the_input_total() -> None:
    """Bedrock's inputTokens leaves them out, as Anthropic's does."""
    (usage,) = [e for e in read(WHOLE) if isinstance(e, UsageSeen)]
    assert usage.usage.input_tokens == 137
    assert usage.usage.cache_read_input_tokens == 100
    assert usage.usage.cache_creation_input_tokens == 7


def test_the_stream_is_done_with_its_usage_not_with_its_stop() -> None:
    """Usage comes last; a relay that hung up at messageStop would meter nothing."""
    decoder = BEDROCK.stream_decoder(event_bytes_max=10_000)
    decoder.feed(WHOLE[: -len(METADATA)])
    assert not decoder.is_done
    decoder.feed(METADATA)
    assert decoder.is_done


def test_interleaved_tool_calls_keep_their_arguments_apart() -> None:
    stream = tool_start(0, "a", "f") + tool_start(1, "b", "g")
    stream += delta(0, {"toolUse": {"input": '{"x"'}}) + delta(1, {"toolUse": {"input": "{}"}})
    stream += delta(0, {"toolUse": {"input": ":1}"}}) + block_stop(1) + block_stop(0)
    assert [(b.start.call_id, b.text) for b in fold(read(stream)).blocks] == [("a", '{"x":1}'), ("b", "{}")]


def test_a_call_without_arguments_is_the_same_streamed_and_whole() -> None:
    """Streamed, Bedrock sends no piece of input at all; whole, an empty object."""
    streamed = read(START + tool_start(0, "a", "f") + block_stop(0) + stop("tool_use") + METADATA)
    whole = reply({"toolUse": {"toolUseId": "a", "name": "f", "input": {}}}, reason="tool_use")
    assert fold(streamed) == whole
    assert whole.blocks[0].text == ""


def test_a_thought_may_be_nothing_but_its_seal() -> None:
    """Claude 4.7 and later show no thoughts unless asked, but their seal must go back with the tools' results."""
    events = read(delta(0, {"reasoningContent": {"signature": "c2ln"}}) + block_stop(0))
    assert events[:2] == [BlockStart(0, "thinking", origin="anthropic"), Signature(0, "c2ln")]


def test_a_redacted_thought_goes_out_whole_with_its_start() -> None:
    pieces = [b"first", b"second!"]
    stream = b"".join(
        delta(0, {"reasoningContent": {"redactedContent": base64.b64encode(piece).decode()}}) for piece in pieces
    )
    data = base64.b64encode(b"firstsecond!").decode()
    streamed = fold(read(START + stream + block_stop(0) + delta(1, {"text": "x"}) + block_stop(1) + stop() + METADATA))
    assert streamed.blocks[0].start == BlockStart(0, "redacted", data=data, origin="anthropic")
    assert streamed == reply({"reasoningContent": {"redactedContent": data}}, {"text": "x"})


def test_an_image_goes_out_whole_with_its_start() -> None:
    source = base64.b64encode(b"\x89PNG").decode()
    start = event("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}})
    streamed = read(
        START + start + delta(0, {"image": {"source": {"bytes": source}}}) + block_stop(0) + stop() + METADATA
    )
    assert fold(streamed) == reply({"image": {"format": "png", "source": {"bytes": source}}})
    assert fold(streamed).blocks[0].start.media_type == "image/png"


def test_citations_belong_to_their_text() -> None:
    cited = {"title": "Rome", "location": {"web": {"url": "https://rome.example", "domain": "rome.example"}}}
    streamed = read(
        START + delta(0, {"text": "Sunny."}) + delta(0, {"citation": cited}) + block_stop(0) + stop() + METADATA
    )
    whole = reply({"citationsContent": {"content": [{"text": "Sunny."}], "citations": [cited]}})
    assert fold(streamed) == whole
    assert (whole.blocks[0].citations[0].url, whole.blocks[0].citations[0].title) == ("https://rome.example", "Rome")


def test_tools_that_the_provider_runs_are_left_out() -> None:
    """Nobody asked for them, and no caller could answer them."""
    start = {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"}}
    stream = event("contentBlockStart", {"contentBlockIndex": 0, "start": start})
    stream += delta(0, {"toolUse": {"input": "{}"}}) + block_stop(0)
    stream += event("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "s"}}})
    stream += (
        delta(1, {"toolResult": [{"text": "found"}]}) + block_stop(1) + delta(2, {"text": "It is."}) + block_stop(2)
    )
    streamed = fold(read(START + stream + stop() + METADATA))
    whole = reply(
        {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use", "input": {}}},
        {"toolResult": {"toolUseId": "s", "content": [{"text": "found"}]}},
        {"text": "It is."},
    )
    assert streamed == whole
    assert [(b.start.index, b.text) for b in whole.blocks] == [(0, "It is.")]


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"), ("tool_use", "tool_calls"), ("max_tokens", "length"), ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "content_filter"), ("content_filtered", "content_filter"),
        ("malformed_model_output", "error"), ("malformed_tool_use", "error"),
        ("model_context_window_exceeded", "context"), ("a_new_word", "stop"),
    ],
)  # fmt: skip
def test_every_stop_reason_means_the_same_streamed_and_whole(native: str, reason: str) -> None:
    streamed = fold(read(START + stop(native) + METADATA))
    assert streamed == reply(reason=native)
    assert streamed.stop is not None
    assert (streamed.stop.reason, streamed.stop.native) == (reason, native)


def test_the_stop_sequence_that_was_met_is_told() -> None:
    fields = {"additionalModelResponseFields": {"stop_sequence": "END"}}
    streamed = fold(read(START + stop("stop_sequence", **fields) + METADATA))
    assert streamed == reply(reason="stop_sequence", **fields)
    assert streamed.stop is not None
    assert streamed.stop.sequence == "END"


@pytest.mark.parametrize(
    "name",
    ["throttlingException", "modelStreamErrorException", "internalServerException", "validationException",
     "serviceUnavailableException", "oneOfTomorrow"],
)  # fmt: skip
def test_an_exception_after_the_200_ends_the_answer_as_a_failure(name: str) -> None:
    events = read(START + delta(0, {"text": "Hel"}) + exception(name, {"message": "Too many requests."}))
    assert Failure(name, "Too many requests.") in events


def test_an_error_message_of_the_transport_is_a_failure_too() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "An internal error occurred"}
    assert read(frame(headers)) == [Failure("InternalError", "An internal error occurred")]


def test_a_block_that_is_never_closed_is_closed_at_the_end() -> None:
    assert fold(read(delta(0, {"text": "Hel"}))).blocks[0].text == "Hel"
    assert type(read(delta(0, {"text": "Hel"}))[-1]).__name__ == "BlockStop"


def test_what_is_not_known_yet_is_passed_over() -> None:
    """AWS adds events, members and kinds of delta."""
    stream = START + event("somethingNew", {"a": 1}) + delta(0, {"somethingNew": {"b": 2}}) + delta(0, {"text": "x"})
    assert fold(read(stream)).blocks[0].text == "x"


def test_an_event_that_makes_no_sense_is_told() -> None:
    with pytest.raises(UpstreamError, match="contentBlockDelta"):
        read(delta(0, {"text": 5}))


@pytest.mark.parametrize(
    "body", [b'{"message":"no"}', b"<html>", b"[]", b"", b'{"output":{"message":{"content":[{"text":1}]}}}']
)
def test_what_is_no_reply_of_converse_is_none(body: bytes) -> None:
    assert BEDROCK.decode_reply(body) is None


TEXT = st.text(min_size=1, max_size=12)
KINDS = st.one_of(
    st.tuples(st.just("text"), TEXT), st.tuples(st.just("thinking"), TEXT), st.tuples(st.just("tool"), TEXT)
)


@given(st.lists(KINDS, max_size=5), st.integers(1, 40), st.data())
def test_any_answer_means_the_same_streamed_and_whole(blocks: list[tuple[str, str]], size: int, data: Any) -> None:
    """Any cut of the text into deltas, and of the bytes into reads."""
    stream, whole = START, []
    for index, (kind, text) in enumerate(blocks):
        at = data.draw(st.integers(0, len(text)))
        if kind == "tool":
            stream += tool_start(index, f"call_{index}", "f")
            arguments = msgspec.json.encode({"q": text}).decode()
            whole.append({"toolUse": {"toolUseId": f"call_{index}", "name": "f", "input": {"q": text}}})
            pieces = [{"toolUse": {"input": piece}} for piece in (arguments[:at], arguments[at:])]
        elif kind == "text":
            whole.append({"text": text})
            pieces = [{"text": piece} for piece in (text[:at], text[at:])]
        else:
            whole.append({"reasoningContent": {"reasoningText": {"text": text, "signature": "s"}}})
            pieces = [{"reasoningContent": p} for p in ({"text": text[:at]}, {"text": text[at:]}, {"signature": "s"})]
        stream += b"".join(delta(index, piece) for piece in pieces) + block_stop(index)
    assert fold(read(stream + stop() + METADATA, size)) == reply(*whole)


def test_botocore_reads_our_test_streams() -> None:
    """The streams above are what AWS's own client takes for a ConverseStream."""
    pytest.importorskip("botocore", reason="botocore (extra `cloud`) is not installed")
    from botocore.eventstream import EventStreamBuffer
    from botocore.parsers import EventStreamJSONParser
    from botocore.session import get_session

    shape = get_session().get_service_model("bedrock-runtime").shape_for("ConverseStreamOutput")
    buffer, parser = EventStreamBuffer(), EventStreamJSONParser()
    buffer.add_data(WHOLE)
    parsed = [parser.parse(message.to_response_dict(), shape) for message in buffer]
    assert [next(iter(p)) for p in parsed].count("contentBlockDelta") == 8
    text = "".join(p["contentBlockDelta"]["delta"].get("text", "") for p in parsed if "contentBlockDelta" in p)
    assert text == "Hello"


NAMES = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "new"]
WORDS = st.sampled_from(
    ["contentBlockIndex", "start", "delta", "text", "toolUse", "toolUseId", "name", "input", "reasoningContent",
     "image", "signature", "redactedContent", "citation", "location", "web", "source", "bytes", "stopReason", "usage",
     "type", "inputTokens", "outputTokens", "additionalModelResponseFields", "stop_sequence"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.dictionaries(WORDS, JSON, max_size=4)), min_size=1, max_size=6))
def test_any_events_are_read_passed_over_or_refused(events: list[tuple[str, dict[str, Any]]]) -> None:
    """Whatever comes: no crash, blocks that start before they are told of, and indexes without gaps."""
    stream = b"".join(event(name, body) for name, body in events)
    try:
        found = read(stream)
    except UpstreamError:
        return
    started = [e.index for e in found if isinstance(e, BlockStart)]
    assert started == list(range(len(started)))
    assert {e.index for e in found if isinstance(e, Delta | Signature)} <= set(started)


@given(st.dictionaries(st.sampled_from(["output", "stopReason", "usage", "message"]), JSON, max_size=4))
def test_any_object_is_a_reply_or_is_none(body: dict[str, Any]) -> None:
    events = BEDROCK.decode_reply(msgspec.json.encode(body))
    assert events is None or isinstance(events[0], MessageStart)
