"""What is asked of a provider in Anthropic's dialect, and what it cannot be asked."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.anthropic import ANTHROPIC
from tidegate.wire.conversation import (
    Ask,
    CacheMark,
    Media,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tidegate.wire.dialect import Dialect

PLAIN = Quirks()
HI = Turn("user", (Text("hi"),))
OLD, MIDDLE, NEW, OTHER = "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-8", "kimi-k3"


def encoded(*turns: Turn, model: str = OLD, quirks: Quirks = PLAIN, **members: Any) -> tuple[dict[str, Any], Any]:
    found = ANTHROPIC.encode_request(Ask(model="asked", turns=turns or (HI,), **members), model, quirks)
    return json.loads(found.body), found.dropped


def messages(*turns: Turn, model: str = OLD) -> list[dict[str, Any]]:
    return encoded(*turns, model=model)[0]["messages"]


def turn(role: Role, *parts: Part) -> Turn:
    return Turn(role, parts)


def test_the_object_is_a_dialect():
    dialect: Dialect = ANTHROPIC
    assert dialect.name == "anthropic"


def test_a_plain_request_has_a_limit_though_none_was_asked():
    body, dropped = encoded()
    assert body == {
        "model": OLD,
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }
    assert dropped == ()


def test_settings_that_anthropic_shares():
    body, dropped = encoded(
        is_stream=True,
        output_tokens_max=5,
        temperature=0.5,
        stop=("x", " "),
        user="u",
        extra={"top_k": Raw(b"3"), "service_tier": Raw(b'"default"'), "cache_control": Raw(b'{"type":"ephemeral"}')},
    )
    assert body | {"messages": 0} == {
        "model": OLD,
        "max_tokens": 5,
        "messages": 0,
        "temperature": 0.5,
        "top_k": 3,
        "stop_sequences": ["x"],
        "metadata": {"user_id": "u"},
        "service_tier": "standard_only",
        "cache_control": {"type": "ephemeral"},
        "stream": True,
    }
    assert dropped == ("stop",)


def test_settings_without_a_word_are_named():
    extra = {"seed": Raw(b"1"), "logit_bias": Raw(b'{"1":2}'), "logprobs": Raw(b"false"), "metadata": Raw(b'{"a":"b"}')}
    assert encoded(extra=extra, user="u" * 300)[1] == ("user", "seed", "logit_bias", "metadata")


@pytest.mark.parametrize(
    ("model", "temperature", "top_p", "sent", "dropped"),
    [
        (OLD, 1.7, None, {"temperature": 1}, ("temperature",)),
        (OLD, 0.5, 0.9, {"temperature": 0.5}, ("top_p",)),
        (OLD, 1, 0.9, {"top_p": 0.9}, ()),
        (OLD, 0.5, 1, {"temperature": 0.5}, ()),
        (NEW, 0.5, 0.9, {}, ("temperature", "top_p")),
        (NEW, 1, 1, {"temperature": 1}, ()),
        (OTHER, 1.7, 0.9, {"temperature": 1.7, "top_p": 0.9}, ()),
    ],
)
def test_sampling_as_far_as_the_model_takes_it(model, temperature, top_p, sent, dropped):
    """Claude refuses both at once, and from 4.7 on either; other makers take what they always took."""
    body, named = encoded(model=model, temperature=temperature, top_p=top_p)
    assert {name: body[name] for name in ("temperature", "top_p") if name in body} == sent
    assert named == dropped


def test_system_and_developer_turns_are_the_system_prompt():
    body, _ = encoded(turn("system", Text("a", CacheMark())), turn("developer", Text("b")), HI)
    assert body["system"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "b"},
    ]
    assert len(body["messages"]) == 1


def test_a_system_prompt_alone_is_asked_by_the_user():
    body, _ = encoded(turn("system", Text("Say hi.")))
    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Say hi."}]}]


def test_nothing_to_answer_is_refused():
    with pytest.raises(InvalidRequest) as caught:
        encoded(turn("user", Text(" ")))
    assert caught.value.param == "messages"


def test_a_late_system_turn_stays_where_the_model_takes_it():
    late = turn("system", Text("now in French"))
    assert [one["role"] for one in messages(HI, late, model=NEW)] == ["user", "system"]
    for model, turns in ((OLD, (HI, late)), (NEW, (HI, late, HI)), (NEW, (HI, turn("assistant", Text("a")), late, HI))):
        body, _ = encoded(*turns, model=model)
        assert body["system"] == [{"type": "text", "text": "now in French"}]


def test_turns_of_one_role_are_one_message_and_empty_texts_are_left_out():
    turns = (HI, turn("user", Text("")), turn("user", Text("there")), turn("assistant", Text(""), Refusal("no")))
    assert messages(*turns) == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "there"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "no"}]},
    ]


def test_results_of_parallel_calls_stand_first_in_one_message():
    """Anthropic refuses a text before them, and results spread over messages."""
    turns = (
        HI,
        turn("assistant", Text("Let me look."), ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g", "")),
        turn("user", ToolResult("a", (Text("1"),))),
        turn("user", Text("and?"), ToolResult("b", (Media("image", url="https://x"),), is_error=True)),
    )
    assert messages(*turns)[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
                {
                    "type": "tool_result",
                    "tool_use_id": "b",
                    "content": [{"type": "image", "source": {"type": "url", "url": "https://x"}}],
                    "is_error": True,
                },
                {"type": "text", "text": "and?"},
            ],
        },
    ]


@pytest.mark.parametrize("arguments", ["[1]", '{"a": ', "null", "rm -rf", '"x"'])
def test_arguments_that_are_no_object_do_not_end_the_conversation(arguments):
    (call,) = messages(HI, turn("assistant", ToolCall("a", "f", arguments)))[1]["content"]
    assert call["input"] == {"arguments": arguments}


def test_ids_of_other_makers_are_spelt_in_anthropics_letters():
    """Two that differ stay two, and a result still names its call."""
    turns = (
        HI,
        turn("assistant", ToolCall("functions.f:0", "f"), ToolCall("functions.f_0", "f"), ToolCall("", "f")),
        turn("user", ToolResult("functions.f:0")),
    )
    found = messages(*turns)
    ids = [block["id"] for block in found[1]["content"]]
    assert len(set(ids)) == 3
    assert all(all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in one) for one in ids)
    assert found[2]["content"][0]["tool_use_id"] == ids[0]


def thoughts(*parts: Thinking, model: str) -> list[dict[str, Any]]:
    return messages(HI, turn("assistant", *parts, Text("a")), model=model)[1]["content"][:-1]


def test_claude_gets_the_thoughts_that_it_signed_and_no_others():
    parts = (
        Thinking("a", "sig", origin="anthropic"),
        Thinking(redacted="enc", origin="anthropic"),
        Thinking("b", "gA", origin="openai"),
        Thinking("c"),
        Thinking("d", origin="deepseek"),
        Thinking("e", "sig2"),
    )
    assert thoughts(*parts, model=NEW) == [
        {"type": "thinking", "thinking": "a", "signature": "sig"},
        {"type": "redacted_thinking", "data": "enc"},
        {"type": "thinking", "thinking": "e", "signature": "sig2"},
    ]
    assert [block.get("thinking") for block in thoughts(*parts, model=OTHER)] == ["a", None, "c", "d", "e"]


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort", "dropped"),
    [
        (OLD, Reasoning(effort="high"), {"type": "enabled", "budget_tokens": 20_000}, None, ()),
        (OLD, Reasoning(effort="none"), {"type": "disabled"}, None, ()),
        (OLD, Reasoning(budget_tokens=100), {"type": "enabled", "budget_tokens": 1024}, None, ()),
        (OLD, Reasoning(budget_tokens=0), {"type": "disabled"}, None, ()),
        (OLD, Reasoning(is_adaptive=True), {"type": "enabled", "budget_tokens": 10_000}, None, ()),
        (OLD, Reasoning(summary="auto"), None, None, ()),
        (
            OLD,
            Reasoning(budget_tokens=2000, shown=False),
            {"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
            None,
            (),
        ),
        (MIDDLE, Reasoning(effort="xhigh"), {"type": "adaptive", "display": "summarized"}, "high", ()),
        (MIDDLE, Reasoning(budget_tokens=2000), {"type": "enabled", "budget_tokens": 2000}, None, ()),
        (MIDDLE, Reasoning(effort="none"), {"type": "disabled"}, None, ()),
        (NEW, Reasoning(effort="xhigh"), {"type": "adaptive", "display": "summarized"}, "xhigh", ()),
        (NEW, Reasoning(effort="minimal", shown=False), {"type": "adaptive", "display": "omitted"}, "low", ()),
        (NEW, Reasoning(is_adaptive=True), {"type": "adaptive"}, None, ()),
        (
            NEW,
            Reasoning(budget_tokens=9),
            {"type": "adaptive", "display": "summarized"},
            None,
            ("reasoning.max_tokens",),
        ),
        (NEW, Reasoning(effort="none"), None, None, ("reasoning",)),
        (OTHER, Reasoning(effort="low"), {"type": "enabled", "budget_tokens": 4096}, None, ()),
    ],
)
def test_how_much_to_think_in_the_words_that_the_model_takes(model, reasoning, thinking, effort, dropped):
    body, named = encoded(model=model, reasoning=reasoning)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert named == dropped


def test_a_budget_stays_below_the_limit_of_the_answer():
    assert (
        encoded(reasoning=Reasoning(budget_tokens=8000), output_tokens_max=5000)[0]["thinking"]["budget_tokens"] == 4999
    )
    assert encoded(reasoning=Reasoning(effort="max"), output_tokens_max=5000)[0]["thinking"]["budget_tokens"] == 4000
    assert encoded(reasoning=Reasoning(budget_tokens=60_000))[0]["max_tokens"] > 60_000
    body, dropped = encoded(reasoning=Reasoning(effort="high"), output_tokens_max=1000)
    assert "thinking" not in body
    assert dropped == ("reasoning",)


def test_claude_does_not_think_where_it_must_call_a_tool():
    body, dropped = encoded(
        reasoning=Reasoning(effort="high"), tools=(Tool("f"),), tool_choice=ToolChoice("required"), model=MIDDLE
    )
    assert "thinking" not in body
    assert body["tool_choice"] == {"type": "any"}
    assert dropped == ("reasoning",)


def test_thinking_within_a_budget_does_not_begin_between_a_call_and_its_answer():
    """Anthropic refuses it where no thought stands before the call, as after a change of models."""
    call, result = turn("assistant", ToolCall("a", "f")), turn("user", ToolResult("a"))
    budget = Reasoning(budget_tokens=2000)
    assert encoded(HI, call, result, reasoning=budget)[1] == ("reasoning",)
    thought = turn("assistant", Thinking("t", "s", origin="anthropic"), ToolCall("a", "f"))
    assert "thinking" in encoded(HI, thought, result, reasoning=budget)[0]
    assert "thinking" in encoded(HI, call, result, reasoning=Reasoning(effort="low"), model=NEW)[0]


def test_a_model_that_thinks_gets_no_temperature():
    body, dropped = encoded(reasoning=Reasoning(effort="low"), temperature=0.2, extra={"top_k": Raw(b"3")})
    assert "temperature" not in body
    assert dropped == ("temperature", "top_k")


def test_tools_and_choices():
    tools = (
        Tool("f", "d", Raw(b'{"properties":{"a":{"type":"integer"}}}'), strict=True, cache=CacheMark("1h")),
        Tool("g"),
        Tool("h", schema=Raw(b'{"type": "object", "x": 1.0}'), strict=False),
    )
    body, _ = encoded(tools=tools, tool_choice=ToolChoice("auto", parallel=False))
    assert body["tools"] == [
        {
            "name": "f",
            "description": "d",
            "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
            "strict": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        {"name": "h", "input_schema": {"type": "object", "x": 1.0}},
    ]
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert encoded(tools=tools, tool_choice=ToolChoice("tool", "f"))[0]["tool_choice"] == {"type": "tool", "name": "f"}
    assert encoded(tools=tools, tool_choice=ToolChoice("none", parallel=False))[0]["tool_choice"] == {"type": "none"}
    assert "tool_choice" not in encoded(tool_choice=ToolChoice("auto"))[0]


def test_a_provider_that_calls_one_tool_at_a_time_is_not_told_to():
    choice = ToolChoice("auto", parallel=False)
    body, dropped = encoded(tools=(Tool("f"),), tool_choice=choice, quirks=Quirks(no_parallel_tools=True))
    assert body["tool_choice"] == {"type": "auto"}
    assert dropped == ("parallel_tool_calls",)


def test_structured_outputs():
    schema = OutputFormat("json_schema", "n", schema=Raw(b'{"type":"object"}'), strict=True)
    assert encoded(output_format=schema)[0]["output_config"] == {
        "format": {"type": "json_schema", "schema": {"type": "object"}}
    }
    assert encoded(output_format=schema, quirks=Quirks(no_json_schema=True))[1] == ("response_format",)
    assert encoded(output_format=OutputFormat("json"))[1] == ("response_format",)
    assert encoded(output_format=OutputFormat("text"))[1] == ()


def media(part: Media) -> dict[str, Any]:
    return messages(turn("user", part))[0]["content"][0]


def test_images_and_documents():
    assert media(Media("image", data="/9j/4AAQ"))["source"] == {
        "type": "base64",
        "media_type": "image/jpeg",
        "data": "/9j/4AAQ",
    }
    assert media(Media("image", url="https://x", cache=CacheMark())) == {
        "type": "image",
        "source": {"type": "url", "url": "https://x"},
        "cache_control": {"type": "ephemeral"},
    }
    assert media(Media("document", data="JVBERi0x", name="a.pdf")) == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
        "title": "a.pdf",
    }
    text = base64.b64encode("hé".encode()).decode()
    assert media(Media("document", data=text, media_type="text/markdown"))["source"] == {
        "type": "text",
        "media_type": "text/plain",
        "data": "hé",
    }


@pytest.mark.parametrize(
    "part",
    [
        Media("audio", data="x", media_type="audio/wav"),
        Media("video", url="https://x"),
        Media("image", file_id="file-1"),
        Media("document", data="UEs", media_type="application/vnd.openxmlformats"),
        Media("document", data="/w==", media_type="text/plain"),
    ],
)
def test_media_that_the_model_cannot_take_are_refused(part):
    with pytest.raises(InvalidRequest) as caught:
        media(part)
    assert caught.value.param == "messages"


def test_what_an_answer_held_but_a_request_cannot_is_named():
    named = encoded(HI, Turn("assistant", (Media("image", data="x"), Text("a")), name="bot"))[1]
    assert named == ("messages.name", "messages.images")


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5).filter(str.strip)
marks = st.sampled_from([None, CacheMark(), CacheMark("1h")])
given_parts = st.one_of(
    st.builds(Text, texts, marks),
    st.builds(Media, st.just("image"), url=texts, cache=marks),
    st.builds(Media, st.just("document"), data=st.just("JVBERi0x"), media_type=st.just("application/pdf"), name=texts),
)
results = st.builds(
    ToolResult, st.from_regex(r"[a-zA-Z0-9_-]{1,8}", fullmatch=True), st.lists(given_parts, max_size=2).map(tuple)
)
said = st.one_of(
    st.builds(Text, texts, marks),
    st.builds(Thinking, texts, texts, origin=st.just("anthropic")),
    st.builds(lambda data: Thinking(redacted=data, origin="anthropic"), texts),
    st.builds(ToolCall, st.just("t"), texts, st.sampled_from(["{}", '{"a":[1,"x"]}'])),
)
exchanges = st.tuples(
    st.tuples(st.lists(results, max_size=2), st.lists(given_parts, min_size=1, max_size=3)).map(
        lambda x: (*x[0], *x[1])
    ),
    st.lists(said, min_size=1, max_size=4).map(tuple),
)


@given(st.lists(exchanges, min_size=1, max_size=3))
def test_a_conversation_survives_being_written_and_read(pairs):
    turns = tuple(Turn(role, parts) for pair in pairs for role, parts in zip(("user", "assistant"), pair, strict=True))
    body = ANTHROPIC.encode_request(Ask(model="m", turns=turns), NEW, Quirks()).body
    assert ANTHROPIC.decode_request(body).turns == turns


@given(st.sampled_from([OLD, MIDDLE, NEW, OTHER]), st.data())
def test_settings_of_this_dialects_callers_survive(model, data):
    choices = [Reasoning(effort="low", is_adaptive=True), Reasoning(is_adaptive=True, shown=True), None]
    reasoning = data.draw(st.sampled_from(choices if model in (MIDDLE, NEW) else [Reasoning(budget_tokens=2000), None]))
    ask = Ask(
        model=model,
        turns=(HI,),
        is_stream=data.draw(st.booleans()),
        tools=(Tool("f", "d", Raw(b'{"type":"object"}')),),
        tool_choice=data.draw(st.sampled_from([ToolChoice("auto", parallel=False), ToolChoice("none"), None])),
        output_format=data.draw(
            st.sampled_from([None, OutputFormat("json_schema", schema=Raw(b'{"type":"object"}'), strict=True)])
        ),
        reasoning=reasoning,
        output_tokens_max=9000,
        stop=("x",),
        user="u",
    )
    found = ANTHROPIC.encode_request(ask, model, Quirks())
    assert found.dropped == ()
    assert ANTHROPIC.decode_request(found.body) == ask
