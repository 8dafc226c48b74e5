"""Every caller's dialect with every provider's: a conversation means the same through each pair, streamed and whole."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

from rig.dialects import (
    DIALECTS,
    FAMILY,
    PNG,
    QUIRKS,
    UPSTREAM,
    asked,
    meaning,
    pairs,
    read_ask,
    read_stream,
    read_whole,
    said,
    stream,
    whole,
)
from tidegate.core.usage import Usage
from tidegate.wire.conversation import Ask, Media, Reasoning, Text, Thinking, Tool, ToolCall, ToolChoice, Turn
from tidegate.wire.events import BlockStart, BlockStop, Delta, Event, MessageStart, Signature, Stop, UsageSeen, fold

SCHEMA = Raw(b'{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}')

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
