"""The hard cases of translation (GATEWAY.md, section 3.1), each by its name, through every pair that it concerns."""

import json

import pytest
from msgspec import Raw

from rig.dialects import (
    DIALECTS,
    PNG,
    QUIRKS,
    UPSTREAM,
    meaning,
    pairs,
    read_ask,
    read_stream,
    read_whole,
    said,
    stream,
    whole,
)
from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.conversation import Ask, CacheMark, Media, OutputFormat, Reasoning, Text, Tool, Turn
from tidegate.wire.events import Answer, BlockStart, BlockStop, Delta, Event, Failure, MessageStart, Stop, fold


def across(provider: str, body: bytes, caller: str, ask: Ask | None = None) -> tuple[Answer, Answer]:
    """A provider's stream as the caller gets it: streamed, and gathered into a whole reply."""
    ask = ask or Ask(
        model="up", turns=(), is_stream=True, tools=(Tool("f"), Tool("g")), reasoning=Reasoning(shown=True)
    )
    events = read_stream(provider, body)
    streamed = fold(read_stream(caller, stream(caller, events, ask)))
    return streamed, fold(read_whole(caller, whole(caller, events, ask)))


def sse(*events: dict) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


def chat_sse(*deltas: dict, finish: str = "stop", usage: dict | None = None) -> bytes:
    chunks = [{"id": "c", "model": "m", "created": 1, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks += [{"id": "c", "choices": [], "usage": usage}] if usage else []
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


CALLERS = pytest.mark.parametrize("caller", list(DIALECTS))
PROVIDERS = pytest.mark.parametrize("provider", list(DIALECTS))

DONE_ONLY = sse(
    {
        "type": "response.created",
        "sequence_number": 0,
        "response": {"id": "r", "model": "m", "status": "in_progress", "output": []},
    },
    {
        "type": "response.output_item.added",
        "sequence_number": 1,
        "output_index": 0,
        "item": {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": ""},
    },
    {
        "type": "response.function_call_arguments.done",
        "sequence_number": 2,
        "output_index": 0,
        "item_id": "fc_1",
        "arguments": '{"x":1}',
    },
    {
        "type": "response.output_item.done",
        "sequence_number": 3,
        "output_index": 0,
        "item": {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": '{"x":1}'},
    },
    {
        "type": "response.completed",
        "sequence_number": 4,
        "response": {
            "id": "r",
            "model": "m",
            "status": "completed",
            "output": [{"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": '{"x":1}'}],
            "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
        },
    },
)


@CALLERS
def test_arguments_that_come_only_with_done_arrive_once(caller) -> None:
    for answer in across("openai-responses", DONE_ONLY, caller):
        assert meaning(answer)["calls"] == [("a", "f", {"x": 1})]
        assert answer.stop.reason == "tool_calls"


@CALLERS
def test_interleaved_parallel_calls_do_not_mix(caller) -> None:
    body = chat_sse(
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"y"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": ":2}"}}]},
        finish="tool_calls",
    )
    for answer in across("openai-chat", body, caller):
        assert meaning(answer)["calls"] == [("a", "f", {"x": 1}), ("b", "g", {"y": 2})]


@CALLERS
def test_empty_arguments_are_an_empty_object(caller) -> None:
    body = chat_sse(
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}, finish="tool_calls"
    )
    for answer in across("openai-chat", body, caller):
        assert meaning(answer)["calls"] == [("a", "f", {})]


@pairs
def test_images_by_address_and_by_bytes_arrive(caller, provider) -> None:
    parts = (
        Text("look"),
        Media("image", url="https://x.example/a.png"),
        Media("image", data=PNG, media_type="image/png"),
    )
    first = DIALECTS[caller].encode_request(Ask(model="m", turns=(Turn("user", parts),)), UPSTREAM[caller], QUIRKS).body
    ask = read_ask(caller, first, Ask(model="m", turns=()))
    body = DIALECTS[provider].encode_request(ask, UPSTREAM[provider], QUIRKS).body
    assert said(read_ask(provider, body, ask)) == [
        ("user", "text", "look"),
        ("user", "image", "https://x.example/a.png", ""),
        ("user", "image", "", PNG),
    ]


@PROVIDERS
def test_a_file_id_of_another_provider_is_refused(provider) -> None:
    """Left out, the model would answer about something it never saw."""
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]}
    ask = DIALECTS["openai-chat"].decode_request(json.dumps(body).encode())
    if provider == "openai-responses":
        pytest.skip("OpenAI's own files may be meant: Responses and chat share them")
    with pytest.raises(InvalidRequest):
        DIALECTS[provider].encode_request(ask, UPSTREAM[provider], QUIRKS)


@pairs
def test_instructions_of_system_and_developer_both_arrive(caller, provider) -> None:
    turns = (Turn("system", (Text("be brief"),)), Turn("developer", (Text("be kind"),)), Turn("user", (Text("hi"),)))
    first = DIALECTS[caller].encode_request(Ask(model="m", turns=turns), UPSTREAM[caller], QUIRKS).body
    ask = read_ask(caller, first, Ask(model="m", turns=()))
    arrived = said(read_ask(provider, DIALECTS[provider].encode_request(ask, UPSTREAM[provider], QUIRKS).body, ask))
    told = " ".join(text for role, _, text in arrived if role == "system")
    assert told.index("be brief") < told.index("be kind")


@pairs
def test_every_spelling_of_the_answers_limit_reaches_the_provider(caller, provider) -> None:
    ask = Ask(model="m", turns=(Turn("user", (Text("hi"),)),), output_tokens_max=500)
    first = read_ask(caller, DIALECTS[caller].encode_request(ask, UPSTREAM[caller], QUIRKS).body, ask)
    body = DIALECTS[provider].encode_request(first, UPSTREAM[provider], QUIRKS).body
    assert first.output_tokens_max == read_ask(provider, body, ask).output_tokens_max == 500


@pairs
def test_a_strict_schema_reaches_the_provider(caller, provider) -> None:
    form = OutputFormat(
        "json_schema",
        "answer",
        schema=Raw(b'{"type":"object","properties":{},"additionalProperties":false}'),
        strict=True,
    )
    ask = Ask(model="m", turns=(Turn("user", (Text("hi"),)),), output_format=form)
    first = read_ask(caller, DIALECTS[caller].encode_request(ask, UPSTREAM[caller], QUIRKS).body, ask)
    encoded = DIALECTS[provider].encode_request(first, UPSTREAM[provider], QUIRKS)
    arrived = read_ask(provider, encoded.body, ask).output_format
    assert arrived is not None and arrived.kind == "json_schema"
    assert json.loads(bytes(arrived.schema))["type"] == "object"


@pairs
@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "refusal"])
def test_a_stop_reason_keeps_its_kind(caller, provider, reason) -> None:
    """A full answer never looks cut off, nor one that was cut off or declined like a full one."""
    kinds = {"stop": "full", "length": "cut", "content_filter": "declined", "refusal": "declined"}
    events: list[Event] = [
        MessageStart("up_1", "up"),
        BlockStart(0, "text"),
        Delta(0, "Hm"),
        BlockStop(0),
        Stop(reason),
    ]
    ask = Ask(model="up", turns=(), is_stream=True)
    for answer in across(provider, stream(provider, events, ask), caller):
        assert answer.stop is not None and kinds[answer.stop.reason] == kinds[reason]


@CALLERS
def test_an_answer_that_declines_in_words_keeps_them(caller) -> None:
    """OpenAI's refusal: where a dialect has no word for it, it is text."""
    for answer in across("openai-chat", chat_sse({"refusal": "I can't."}), caller):
        assert "".join(b.text for b in answer.blocks if b.start.kind in ("text", "refusal")) == "I can't."


@CALLERS
def test_usage_arrives_whether_it_comes_first_or_last(caller) -> None:
    """Anthropic's callers saw 0 input tokens elsewhere: its message_start comes before a chat provider's usage."""
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 20,
        "total_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 10},
    }
    for answer in across("openai-chat", chat_sse({"content": "a"}, usage=usage), caller):
        assert meaning(answer)["usage"] == (30, 20, 10)


@CALLERS
def test_an_incomplete_response_is_cut_off_and_its_usage_counts(caller) -> None:
    item = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hm", "annotations": []}],
    }
    response = {
        "id": "r",
        "model": "m",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [item | {"status": "incomplete"}],
        "usage": {"input_tokens": 30, "output_tokens": 20, "total_tokens": 50},
    }
    body = sse(
        {
            "type": "response.created",
            "sequence_number": 0,
            "response": response | {"status": "in_progress", "output": []},
        },
        {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item | {"content": []}},
        {
            "type": "response.output_text.delta",
            "sequence_number": 2,
            "output_index": 0,
            "content_index": 0,
            "item_id": "m",
            "delta": "Hm",
        },
        {"type": "response.incomplete", "sequence_number": 3, "response": response},
    )
    for answer in across("openai-responses", body, caller):
        assert (meaning(answer)["text"], meaning(answer)["stop"]) == ("Hm", "length")
        assert meaning(answer)["usage"] == (30, 20, 0)


@CALLERS
def test_pings_and_comments_are_no_part_of_an_answer(caller) -> None:
    usage = {"input_tokens": 20, "cache_read_input_tokens": 10, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    body = b": hello\n\n" + sse(
        {"type": "message_start", "message": message},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hm"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 20}},
        {"type": "message_stop"},
    )
    for answer in across("anthropic", body, caller):
        assert (meaning(answer)["text"], meaning(answer)["stop"], meaning(answer)["usage"]) == (
            "Hm",
            "stop",
            (30, 20, 10),
        )


@pairs
def test_an_error_after_the_200_reaches_the_caller_as_one(caller, provider) -> None:
    """And never as the end of a whole answer."""
    ask = Ask(model="up", turns=(), is_stream=True)
    events = [MessageStart("up_1", "up"), BlockStart(0, "text"), Delta(0, "Hm"), Failure("overloaded_error", "busy")]
    from_provider = read_stream(provider, stream(provider, events, ask))
    assert [event.message for event in from_provider if isinstance(event, Failure)] == ["busy"]
    to_caller = read_stream(caller, stream(caller, from_provider, ask))
    assert [event.message for event in to_caller if isinstance(event, Failure)] == ["busy"]
    assert not any(isinstance(event, Stop) for event in to_caller)


@CALLERS
def test_several_answers_to_one_question_are_refused(caller) -> None:
    bodies = {
        "openai-chat": {"model": "m", "n": 2, "messages": [{"role": "user", "content": "hi"}]},
        "gemini": {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"candidateCount": 2}},
    }
    if caller not in bodies:
        pytest.skip(f"{caller} has no way to ask for several")
    with pytest.raises(InvalidRequest):
        DIALECTS[caller].decode_request(json.dumps(bodies[caller]).encode())


@PROVIDERS
def test_logprobs_that_a_provider_cannot_give_are_named(provider) -> None:
    body = {"model": "m", "logprobs": True, "logit_bias": {"7": 1}, "messages": [{"role": "user", "content": "hi"}]}
    ask = DIALECTS["openai-chat"].decode_request(json.dumps(body).encode())
    encoded = DIALECTS[provider].encode_request(ask, UPSTREAM[provider], QUIRKS)
    lost, written = {*ask.unsaid, *encoded.dropped}, encoded.body.decode().lower()
    for name in ("logprobs", "logit_bias"):
        assert (name in lost) != (name in written), f"{name} is lost in silence, or named although it was said"


@pairs
def test_cache_marks_arrive_or_are_named(caller, provider) -> None:
    marked = (Turn("user", (Text("long", CacheMark("1h")), Text("short"))),)
    quirks = Quirks(takes_cache_control=True)
    first = DIALECTS[caller].encode_request(Ask(model="m", turns=marked), UPSTREAM[caller], quirks).body
    ask = read_ask(caller, first, Ask(model="m", turns=()))
    if not any(getattr(part, "cache", None) for turn in ask.turns for part in turn.parts):
        pytest.skip(f"{caller} has no marks of its own")
    encoded = DIALECTS[provider].encode_request(ask, UPSTREAM[provider], quirks)
    again = read_ask(provider, encoded.body, ask)
    arrived = [part.cache for turn in again.turns for part in turn.parts if isinstance(part, Text) and part.cache]
    assert arrived == [CacheMark("1h")] or "cache_control" in encoded.dropped


@pytest.mark.parametrize("caller", ["openai-chat", "openai-responses", "anthropic"])
@pytest.mark.parametrize("name", ["models", "route", "plugins", "transforms", "preset", "fallbacks", "trace"])
def test_what_openrouter_would_do_and_nothing_here_does_is_named(caller, name) -> None:
    """A caller who asked for a fallback or a plugin learns that there was none."""
    body = {"model": "m", "max_tokens": 16, "messages": [{"role": "user", "content": "hi"}], "input": "hi"}
    body.pop("input" if caller != "openai-responses" else "messages")
    said = {"provider": {"sort": "price"}, "session_id": "s", name: ["a/b"]}
    ask = DIALECTS[caller].decode_request(json.dumps(body | said).encode())
    assert [one for one in ask.unsaid if one != "max_tokens"] == [name]
