"""What a Messages request asks, in the words of no dialect."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.wire.anthropic_ask import decode_request
from tidegate.wire.carrier import pack
from tidegate.wire.conversation import (
    Ask,
    CacheMark,
    Media,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)

HI = [{"role": "user", "content": "hi"}]


def ask(**members: object) -> Ask:
    return decode_request(json.dumps({"model": "m", "max_tokens": 10, "messages": HI} | members).encode())


def parts(role: str, *blocks: object) -> tuple[object, ...]:
    return ask(messages=[{"role": role, "content": list(blocks)}]).turns[0].parts


def refusal(**members: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        ask(**members)
    return caught.value


def test_a_plain_request():
    found = ask(stream=True, temperature=0.5, top_p=0.9, stop_sequences=["x"], metadata={"user_id": "u"}, top_k=3)
    assert (found.model, found.is_stream, found.output_tokens_max) == ("m", True, 10)
    assert (found.temperature, found.top_p, found.stop, found.user) == (0.5, 0.9, ("x",), "u")
    assert found.extra == {"top_k": Raw(b"3")}
    assert found.turns[0].parts == (Text("hi"),)
    assert found.unsaid == ()


def test_system_prompts_keep_their_cache_marks():
    found = ask(
        system=[
            {"type": "text", "text": "a"},
            {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ]
    )
    assert found.turns[0].role == "system"
    assert found.turns[0].parts == (Text("a"), Text("b", CacheMark("1h")))
    assert ask(system="a").turns[0].parts == (Text("a"),)


def test_a_system_message_in_the_middle_stays_where_it_is():
    found = ask(messages=[*HI, {"role": "system", "content": "now in French"}])
    assert [turn.role for turn in found.turns] == ["user", "system"]


def test_five_minutes_of_cache_are_the_default():
    (text,) = parts("user", {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "5m"}})
    assert text == Text("a", CacheMark())


def test_images_and_documents_by_url_base64_and_file():
    assert parts(
        "user",
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {
            "type": "document",
            "title": "T",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hé"}, "context": "c"},
    ) == (
        Media("image", data="iVBO", media_type="image/png"),
        Media("image", url="https://x/y.png"),
        Media("image", file_id="file_1"),
        Media("document", data="JVBE", media_type="application/pdf", name="T"),
        Text("c"),
        Media("document", data="aMOp", media_type="text/plain"),
    )


def test_search_results_and_documents_of_blocks_become_their_text():
    search = {"type": "search_result", "source": "https://x", "title": "T", "content": [{"type": "text", "text": "a"}]}
    blocks = {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "b"}]}}
    assert parts("user", search, blocks) == (Text("T\nhttps://x"), Text("a"), Text("b"))


def test_tool_calls_and_results():
    call = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": [1, {"b": None}]}}
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "is_error": True,
        "content": [{"type": "text", "text": "x"}, {"type": "image", "source": {"type": "url", "url": "u"}}],
        "cache_control": {"type": "ephemeral"},
    }
    assert parts("assistant", call) == (ToolCall("t1", "f", '{"a":[1, {"b": null}]}'),)
    assert parts("user", result) == (
        ToolResult("t1", (Text("x"), Media("image", url="u")), is_error=True, cache=CacheMark()),
    )
    assert parts("user", {"type": "tool_result", "tool_use_id": "t"}) == (ToolResult("t"),)
    assert parts("user", {"type": "tool_result", "tool_use_id": "t", "content": "s"}) == (
        ToolResult("t", (Text("s"),)),
    )


def test_a_call_without_arguments_has_an_empty_object():
    assert parts("assistant", {"type": "tool_use", "id": "t", "name": "f", "input": {}}) == (ToolCall("t", "f", "{}"),)


def test_thoughts_keep_their_seals_and_makers():
    assert parts(
        "assistant",
        {"type": "thinking", "thinking": "a", "signature": "sig"},
        {"type": "redacted_thinking", "data": "enc"},
        {"type": "thinking", "thinking": "b", "signature": pack("openai", "gA", item_id="rs_1")},
        {"type": "redacted_thinking", "data": pack("openai", "gB", item_id="rs_2", is_redacted=True)},
        {"type": "thinking", "thinking": "c", "signature": ""},
        {"type": "thinking", "thinking": "d", "signature": "tg1.damaged"},
    ) == (
        Thinking("a", "sig", origin="anthropic"),
        Thinking(redacted="enc", origin="anthropic"),
        Thinking("b", "gA", origin="openai", item_id="rs_1"),
        Thinking(redacted="gB", origin="openai", item_id="rs_2"),
        Thinking("c"),
        Thinking("d"),
    )


def test_a_sealed_call_gets_its_seal_back_from_the_block_before_it():
    """Gemini refuses a call without the signature that it gave it; Anthropic's tool_use has no place for one."""
    assert parts(
        "assistant",
        {"type": "redacted_thinking", "data": pack("gemini", "S", "t2")},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
    ) == (ToolCall("t1", "f"), ToolCall("t2", "g", signature="S", origin="gemini"))


def test_a_seal_of_no_call_belongs_to_the_text_before_it():
    seal = {"type": "redacted_thinking", "data": pack("gemini", "S")}
    assert parts("assistant", {"type": "text", "text": "a"}, seal) == (Text("a", signature="S", origin="gemini"),)
    assert parts("assistant", seal) == (Thinking(signature="S", origin="gemini"),)


@pytest.mark.parametrize(
    ("members", "reasoning"),
    [
        ({}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(budget_tokens=2048)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(is_adaptive=True, shown=False)),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
            Reasoning(effort="max", is_adaptive=True, shown=True),
        ),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
        ({"thinking": {"type": "disabled"}}, Reasoning(effort="none")),
        ({"thinking": None, "output_config": {"effort": None}}, None),
    ],
)
def test_how_much_to_think(members, reasoning):
    assert ask(**members).reasoning == reasoning


def test_an_effort_that_no_thought_follows_is_named_as_unsaid():
    found = ask(thinking={"type": "disabled"}, output_config={"effort": "high", "task_budget": {}})
    assert found.unsaid == ("output_config.effort", "output_config.task_budget")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, ToolChoice("auto")),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required", parallel=False)),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, ToolChoice("tool", "f", parallel=True)),
        ({"type": "none"}, ToolChoice("none")),
    ],
)
def test_tool_choices(choice, expected):
    assert ask(tool_choice=choice).tool_choice == expected


def test_tools_keep_the_bytes_of_their_schemas():
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1.0}}}
    tool = {
        "type": "custom",
        "name": "f",
        "description": "d",
        "input_schema": schema,
        "strict": True,
        "defer_loading": True,
    }
    found = ask(tools=[tool])
    assert found.tools[0].name == "f"
    assert bytes(found.tools[0].schema) == json.dumps(schema).encode()
    assert found.tools[0].strict is True
    assert found.unsaid == ("tools[0].defer_loading",)


@pytest.mark.parametrize("name", ["output_format", "output_config"])
def test_structured_outputs_under_both_names(name):
    asked = {"type": "json_schema", "schema": {"type": "object"}}
    found = ask(**{name: asked if name == "output_format" else {"format": asked}})
    assert found.output_format == OutputFormat("json_schema", schema=Raw(b'{"type":"object"}'), strict=True)


def test_members_without_a_place_are_named_and_never_refused():
    """Unknown vendor fields never break a call; a gateway's own words are not the provider's."""
    found = ask(new_thing=1, container="c", speed=None, provider={"order": []}, models=["a"])
    assert found.unsaid == ("container", "models", "new_thing")


def test_service_tiers_are_said_in_openais_words():
    assert ask(service_tier="standard_only").extra["service_tier"] == Raw(b'"default"')
    assert ask(service_tier="new").unsaid == ("service_tier",)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]},
            "messages[0].content[0].source",
        ),
        ({"messages": "x"}, "messages"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"tools": [{"name": "f"}, {"input_schema": {}}]}, "tools[1]"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"temperature": "hot"}, "temperature"),
    ],
)
def test_a_malformed_field_is_refused_with_its_place(members, param):
    assert refusal(**members).param == param


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "server_tool_use", "id": "s"}]}]},
            "messages[0].content[0].type",
        ),
        ({"mcp_servers": [{"url": "https://x"}]}, "mcp_servers"),
        ({"inference_geo": "us"}, "inference_geo"),
    ],
)
def test_what_only_anthropic_runs_is_refused(members, param):
    """Dropping it would change what the model is told or can do."""
    assert refusal(**members).param == param


def test_a_tool_result_holds_no_tool_result():
    inner = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "thinking", "thinking": "x"}]}
    assert refusal(messages=[{"role": "user", "content": [inner]}]).param == "messages[0].content[0].content"


def test_an_ask_holds_no_view_of_the_body():
    """A view of one schema would keep a body of megabytes in memory."""
    found = ask(tools=[{"name": "f", "input_schema": {"type": "object"}}], cache_control={"type": "ephemeral"})
    assert msgspec.json.decode(found.extra["cache_control"]) == {"type": "ephemeral"}


def test_deep_nesting_is_refused_and_not_a_crash():
    deep = b'{"type":"document","source":{"type":"content","content":[' * 5000 + b"]}}" * 5000
    with pytest.raises(InvalidRequest):
        decode_request(b'{"model":"m","messages":[{"role":"user","content":[' + deep + b"]}]}")


def test_bytes_that_are_no_text_are_refused_wherever_they_stand():
    """Inside a schema nobody would look at them before the provider does."""
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        decode_request(b'{"model":"m","messages":[],"tools":[{"name":"f","input_schema":{"a":"\xff"}}]}')


words = st.sampled_from(
    ["type", "text", "content", "source", "data", "image", "tool_result", "thinking", "tg1.", "user"]
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(["messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata"])


@given(st.dictionaries(members, junk, max_size=3), junk)
def test_any_body_is_read_or_refused_but_never_fails(found, content):
    for said in (found, found | {"messages": [{"role": "user", "content": content}]}):
        try:
            ask(**said)
        except InvalidRequest as error:
            assert error.message
