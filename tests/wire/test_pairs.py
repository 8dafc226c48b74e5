"""Every caller's dialect with every provider's: a conversation means the same through each pair, streamed and whole."""

import importlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.core.usage import Usage
from tidegate.wire.conversation import (
    Ask,
    CacheMark,
    Media,
    OutputFormat,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tidegate.wire.dialect import Dialect
from tidegate.wire.events import (
    Answer,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Failure,
    MessageStart,
    Signature,
    Stop,
    UsageSeen,
    fold,
)

PLACES = {
    "openai-chat": ("openai_chat", "CHAT"),
    "openai-responses": ("openai_responses", "RESPONSES"),
    "anthropic": ("anthropic", "ANTHROPIC"),
    "gemini": ("gemini", "GEMINI"),
}
DIALECTS: dict[str, Dialect] = {}
for _name, (_module, _object) in PLACES.items():
    try:
        DIALECTS[_name] = getattr(importlib.import_module(f"tidegate.wire.{_module}"), _object)
    except ModuleNotFoundError:  # a dialect that is not there yet
        continue
PAIRS = [(caller, provider) for caller in DIALECTS for provider in DIALECTS]

FAMILY = {"openai-chat": "", "openai-responses": "openai", "anthropic": "anthropic", "gemini": "gemini"}
QUIRKS = Quirks(reasoning_field="reasoning_content")
UPSTREAM = {
    "gemini": "gemini-3-pro",
    "anthropic": "claude-sonnet-4-6",
    "openai-responses": "gpt-5.2",
    "openai-chat": "m",
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = Raw(b'{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}')

pairs = pytest.mark.parametrize(("caller", "provider"), PAIRS, ids=lambda name: name)
unhurried = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12)
TEXTS = WORDS.filter(lambda text: text.strip() == text and not text.startswith("tg1."))
ARGUMENTS = st.sampled_from(["{}", '{"x":1}', '{"x":[1,{"y":"é ☂"}],"z":"\\"q\\""}'])


# What is generated.


@st.composite
def asks(draw) -> Ask:
    """A first request: instructions, words and pictures, tools."""
    picture = draw(
        st.sampled_from(
            [None, Media("image", data=PNG, media_type="image/png"), Media("image", url="https://x.example/a.png")]
        )
    )
    parts: list[Any] = [Text(draw(TEXTS))]
    if picture is not None:
        parts += [picture, *draw(st.sampled_from([[], [Text("and?")]]))]
    tools = tuple(Tool(name, draw(TEXTS), SCHEMA) for name in draw(st.sampled_from([[], ["f"], ["f", "g"]])))
    choices = [None, ToolChoice("auto"), ToolChoice("required"), ToolChoice("none"), ToolChoice("tool", "f")]
    system = [Turn("system", (Text(draw(TEXTS)),))] if draw(st.booleans()) else []
    return Ask(
        model="up",
        turns=(*system, Turn("user", tuple(parts))),
        is_stream=draw(st.booleans()),
        tools=tools,
        tool_choice=draw(st.sampled_from(choices)) if tools else None,
        output_tokens_max=draw(st.integers(16, 9999)),  # 16: Responses takes no less
        temperature=draw(st.sampled_from([None, 0.0, 0.5, 1.0])),
    )


@st.composite
def answers(draw, provider: str) -> list[Event]:
    """An answer as a provider of this dialect may give it: sealed thoughts, words, calls whose pieces interleave."""
    family = FAMILY[provider]
    events: list[Event] = [MessageStart("up_1", "up", 1_700_000_000)]
    index = 0
    if draw(st.booleans()):
        item = "rs_1" if family == "openai" else ""
        events.append(BlockStart(index, "thinking", origin=family, item_id=item))
        events += [Delta(index, text) for text in draw(st.lists(TEXTS, min_size=1, max_size=3))]
        if family in ("anthropic", "openai"):
            events.append(Signature(index, "c2lnbmF0dXJl"))
        events.append(BlockStop(index))
        index += 1
    if family == "anthropic" and draw(st.booleans()):
        events += [BlockStart(index, "redacted", data="cmVkYWN0ZWQ=", origin=family), BlockStop(index)]
        index += 1
    count = draw(st.integers(0, 3))
    if draw(st.booleans()) or not count:
        events.append(BlockStart(index, "text"))
        events += [Delta(index, text) for text in draw(st.lists(TEXTS, min_size=1, max_size=4))]
        events.append(BlockStop(index))
        index += 1
    calls = list(range(index, index + count))
    pieces: list[Event] = []
    for at in calls:
        seal = "c2VhbA==" if family == "gemini" and draw(st.booleans()) else ""
        known = {"signature": seal, "origin": family} if seal else {}
        events.append(BlockStart(at, "tool", call_id=f"call_{at}", name=draw(st.sampled_from("fg")), **known))
        arguments = draw(ARGUMENTS)
        cut = draw(st.integers(0, len(arguments)))
        pieces += [Delta(at, text) for text in (arguments[:cut], arguments[cut:]) if text]
    first = draw(st.permutations(pieces)) if pieces else []
    by_call = {at: [piece for piece in pieces if isinstance(piece, Delta) and piece.index == at] for at in calls}
    events += [by_call[piece.index].pop(0) for piece in first if isinstance(piece, Delta)]
    events += [BlockStop(at) for at in calls]
    usage = Usage(input_tokens=30, output_tokens=20, cache_read_input_tokens=draw(st.sampled_from([0, 10])))
    reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    return [*events, UsageSeen(usage), Stop(reason)]


# What it means, in whatever dialect it was.


def meaning(answer: Answer) -> dict[str, Any]:
    """An answer without what dialects may differ in: names of messages, cuts, seals (`test_..._seals` has those)."""

    def texts(kind: str) -> str:
        return "".join(block.text for block in answer.blocks if block.start.kind == kind)

    usage = answer.usage.usage if answer.usage else Usage()
    calls = [block for block in answer.blocks if block.start.kind == "tool"]
    return {
        "text": texts("text"),
        "thinking": texts("thinking"),
        "calls": [(block.start.call_id, block.start.name, json.loads(block.text or "{}")) for block in calls],
        "stop": answer.stop and answer.stop.reason,
        "usage": (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens),
    }


def part_meaning(part: Any) -> tuple | None:
    if isinstance(part, Text | Refusal):
        return ("text", part.text)
    if isinstance(part, Media):
        return (part.kind, part.url, part.data)
    if isinstance(part, ToolCall):
        return ("call", part.call_id, part.name, json.dumps(json.loads(part.arguments)))
    if isinstance(part, ToolResult):
        return ("result", part.call_id, "".join(one.text for one in part.parts if isinstance(one, Text)))
    return None  # thoughts, which not everyone may read


def said(ask: Ask) -> list[tuple]:
    """The conversation as one list of roles and what they said; how it is cut into turns is the dialect's own."""
    found = []
    for turn in ask.turns:
        role = "system" if turn.role == "developer" else turn.role
        found += [(role, *told) for part in turn.parts if (told := part_meaning(part)) is not None]
    return found


def asked(ask: Ask) -> dict[str, Any]:
    choice = ask.tool_choice or ToolChoice()
    tools = [tool for tool in ask.tools if choice.mode != "tool" or tool.name == choice.name]  # others are out of reach
    return {
        "said": said(ask),
        "tools": [(tool.name, tool.description, json.loads(bytes(tool.schema) or b"null")) for tool in tools],
        "choice": (choice.mode, choice.name),
        "limit": ask.output_tokens_max,
        "temperature": ask.temperature,
    }


def read_ask(name: str, body: bytes, like: Ask) -> Ask:
    """A request as the gateway reads it; Gemini's model and stream are in the path."""
    ask = DIALECTS[name].decode_request(body)
    return structs.replace(ask, model=like.model, is_stream=like.is_stream)


def stream(name: str, events: list[Event], ask: Ask) -> bytes:
    encoder = DIALECTS[name].stream_encoder(ask, generation_id="gen-1", created_s=1_700_000_000)
    return b"".join([encoder.encode(event) for event in events]) + encoder.finish()


def read_stream(name: str, body: bytes, size: int = 1 << 20) -> list[Event]:
    decoder = DIALECTS[name].stream_decoder(event_bytes_max=1 << 24)
    events: list[Event] = []
    for start in range(0, len(body), size):
        events += decoder.feed(body[start : start + size])
    return events + decoder.finish()


def whole(name: str, events: list[Event], ask: Ask) -> bytes:
    return DIALECTS[name].encode_reply(events, ask, generation_id="gen-1", created_s=1_700_000_000)


def read_whole(name: str, body: bytes) -> list[Event]:
    events = DIALECTS[name].decode_reply(body)
    assert events is not None
    return list(events)


def continued(name: str, body: bytes, reply: bytes, results: dict[str, tuple[str, str]]) -> bytes:
    """The caller's next request: what it got, sent back unchanged, and its tools' results (name and text by id)."""
    request, got = json.loads(body), json.loads(reply)
    if name == "openai-chat":
        request["messages"].append(got["choices"][0]["message"])
        answered = [{"role": "tool", "tool_call_id": i, "content": text} for i, (_, text) in results.items()]
        request["messages"] += answered or [{"role": "user", "content": "go on"}]
    elif name == "openai-responses":
        answered = [{"type": "function_call_output", "call_id": i, "output": text} for i, (_, text) in results.items()]
        request["input"] += got["output"] + (answered or [{"role": "user", "content": "go on"}])
    elif name == "anthropic":
        answered = [{"type": "tool_result", "tool_use_id": i, "content": text} for i, (_, text) in results.items()]
        request["messages"].append({"role": "assistant", "content": got["content"]})
        request["messages"].append({"role": "user", "content": answered or "go on"})
    else:
        answered = [
            {"functionResponse": {"id": i, "name": name, "response": {"output": text}}}
            for i, (name, text) in results.items()
        ]
        request["contents"].append(got["candidates"][0]["content"])
        request["contents"].append({"role": "user", "parts": answered or [{"text": "go on"}]})
    return json.dumps(request).encode()


# The properties.


@pairs
@unhurried
@given(data=st.data())
def test_a_request_asks_the_provider_what_the_caller_asked(caller, provider, data) -> None:
    """Words, pictures, tools and their choice arrive; whatever else is lost is named."""
    first = DIALECTS[caller].encode_request(data.draw(asks()), UPSTREAM[caller], QUIRKS).body
    ask = read_ask(caller, first, data.draw(st.just(Ask(model="up", turns=()))))
    encoded = DIALECTS[provider].encode_request(ask, UPSTREAM[provider], QUIRKS)
    wanted, found = asked(ask), asked(read_ask(provider, encoded.body, ask))
    lost = {name for name in wanted if wanted[name] != found[name]}
    assert lost <= {"temperature"} and (not lost or encoded.dropped), (lost, encoded.dropped, wanted, found)


@pairs
@unhurried
@given(data=st.data())
def test_an_answer_means_the_same_streamed_and_whole(caller, provider, data) -> None:
    """From the provider's bytes to the caller's, cut anywhere."""
    events = data.draw(answers(provider))
    ask = Ask(model="up", turns=(), is_stream=True, tools=(Tool("f"), Tool("g")), reasoning=Reasoning(shown=True))
    size = data.draw(st.sampled_from([1, 7, 1 << 20]))
    streamed = read_stream(provider, stream(provider, events, ask), size)
    at_once = read_whole(provider, whole(provider, events, ask))
    assert meaning(fold(streamed)) == meaning(fold(at_once)) == meaning(fold(events))
    to_caller = fold(read_stream(caller, stream(caller, streamed, ask), size))
    to_caller_at_once = fold(read_whole(caller, whole(caller, at_once, ask)))
    assert meaning(to_caller) == meaning(to_caller_at_once) == meaning(fold(events))


@pairs
@unhurried
@given(data=st.data())
def test_a_conversation_goes_on_and_seals_return_to_their_maker(caller, provider, data) -> None:
    """The caller sends back what it got, which it cannot read; the provider finds its own thoughts and seals in it."""
    tools = (Tool("f", schema=SCHEMA), Tool("g", schema=SCHEMA))
    ask = structs.replace(data.draw(asks()), tools=tools, tool_choice=None, reasoning=Reasoning(shown=True))
    body = DIALECTS[caller].encode_request(ask, UPSTREAM[caller], QUIRKS).body
    events = data.draw(answers(provider))
    from_provider = read_whole(provider, whole(provider, events, ask))
    reply = whole(caller, from_provider, read_ask(caller, body, ask))
    blocks = fold(events).blocks
    calls = {block.start.call_id: (block.start.name, "done") for block in blocks if block.start.kind == "tool"}
    second = read_ask(caller, continued(caller, body, reply, calls), ask)
    arrived = read_ask(provider, DIALECTS[provider].encode_request(second, UPSTREAM[provider], QUIRKS).body, ask)
    first = said(read_ask(caller, body, ask))
    text = "".join(block.text for block in blocks if block.start.kind == "text")
    tools = [block for block in blocks if block.start.kind == "tool"]
    answer = [("assistant", "text", text)] if text else []
    answer += [
        ("assistant", "call", b.start.call_id, b.start.name, json.dumps(json.loads(b.text or "{}"))) for b in tools
    ]
    after = [("user", "result", call_id, "done") for call_id in calls] or [("user", "text", "go on")]
    assert said(arrived) == first + answer + after
    assert seals(arrived) == seals_given(events)


def seals_given(events: list[Event]) -> list[tuple]:
    blocks = fold(events).blocks
    thoughts = [b for b in blocks if b.start.kind in ("thinking", "redacted") and b.start.origin != "gemini"]
    found: list[tuple] = [(b.text, b.signature or b.start.data) for b in thoughts]
    return found + [(b.start.call_id, b.signature) for b in blocks if b.start.kind == "tool" and b.signature]


def seals(ask: Ask) -> list[tuple]:
    """Thoughts that are sealed, or plain and sent back, and calls that are sealed. Gemini seals no thought."""
    parts = [part for turn in ask.turns if turn.role == "assistant" for part in turn.parts]
    thoughts = [part for part in parts if isinstance(part, Thinking) and part.origin != "gemini"]
    found: list[tuple] = [(part.text, part.signature or part.redacted) for part in thoughts]
    calls = [part for part in parts if isinstance(part, ToolCall) and part.signature and part.origin != ""]
    return found + [(part.call_id, part.signature) for part in calls]


# The hard cases, one by one (GATEWAY.md, section 3.1).


def across(provider: str, body: bytes, caller: str, ask: Ask | None = None) -> tuple[Answer, Answer]:
    """A provider's stream as the caller gets it: streamed, and gathered into a whole reply."""
    ask = ask or Ask(
        model="up", turns=(), is_stream=True, tools=(Tool("f"), Tool("g")), reasoning=Reasoning(shown=True)
    )
    events = read_stream(provider, body)
    streamed = fold(read_stream(caller, stream(caller, events, ask)))
    return streamed, fold(read_whole(caller, whole(caller, events, ask)))


def needs(*names: str):
    missing = [name for name in names if name not in DIALECTS]
    return pytest.mark.skipif(bool(missing), reason=f"no dialect {', '.join(missing)} yet")


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


@needs("openai-responses")
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


@needs("openai-responses")
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


@needs("anthropic")
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
