"""A Responses request becomes an `Ask`; what that cannot hold is refused by name, or listed."""

import json

import pytest

from tidegate.core.errors import InvalidRequest
from tidegate.wire.carrier import pack
from tidegate.wire.conversation import (
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
from tidegate.wire.openai_responses import RESPONSES


def ask(input="hi", **members):
    return RESPONSES.decode_request(json.dumps({"model": "m", "input": input} | members).encode())


def refused(input="hi", **members):
    with pytest.raises(InvalidRequest) as caught:
        ask(input, **members)
    assert caught.value.param
    return caught.value


def shown(*content, role="user"):
    (turn,) = ask([{"role": role, "content": list(content)}]).turns
    return turn.parts


def test_a_text_is_the_users_turn_and_instructions_come_first():
    assert ask("hi", instructions="Be brief.").turns == (
        Turn("system", (Text("Be brief."),)),
        Turn("user", (Text("hi"),)),
    )


@pytest.mark.parametrize("role", ["user", "system", "developer", "assistant"])
def test_roles_are_kept(role):
    assert ask([{"role": role, "content": "x"}]).turns == (Turn(role, (Text("x"),)),)


def test_what_the_model_did_in_one_go_is_one_turn():
    turns = ask(
        [
            {"role": "user", "content": "hi"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"text": "A"}, {"text": "B"}], "encrypted_content": "s="},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Ok."}],
            },
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
            {"type": "function_call", "call_id": "c2", "name": "f", "arguments": ""},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
            {"role": "user", "content": "and?"},
        ]
    ).turns
    assert turns == (
        Turn("user", (Text("hi"),)),
        Turn(
            "assistant",
            (
                Thinking("A\n\nB", "s=", origin="openai", item_id="rs_1"),
                Text("Ok."),
                ToolCall("c1", "f", '{"a":1}', item_id="fc_1"),
                ToolCall("c2", "f", "{}"),
            ),
        ),
        Turn("user", (ToolResult("c1", (Text("one"),)), ToolResult("c2", (Text("two"),)))),
        Turn("user", (Text("and?"),)),
    )


def test_two_messages_of_the_user_stay_two():
    assert len(ask([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]).turns) == 2


def test_images_and_files_by_url_data_and_id():
    assert shown(
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "https://e.org/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk="},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "file_url": "https://e.org/a.pdf"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
        {"type": "input_file", "filename": "A.PDF", "file_data": "aGk="},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
    ) == (
        Text("look"),
        Media("image", url="https://e.org/a.png", detail="low"),
        Media("image", data="aGk=", media_type="image/png"),
        Media("image", file_id="file-1"),
        Media("document", url="https://e.org/a.pdf"),
        Media("document", data="aGk=", media_type="application/pdf", name="a.pdf"),
        Media("document", data="aGk=", media_type="application/pdf", name="A.PDF"),
        Media("audio", data="aGk=", media_type="audio/wav"),
    )


def test_images_in_results_of_tools():
    (turn,) = ask(
        [
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_image", "image_url": "http://x/"}],
            }
        ]
    ).turns
    assert turn.parts == (ToolResult("c", (Media("image", url="http://x/"),)),)


def test_results_that_are_json_and_not_text_are_read_as_its_text():
    (turn,) = ask([{"type": "function_call_output", "call_id": "c", "output": {"a": 1}}]).turns
    assert turn.parts == (ToolResult("c", (Text('{"a": 1}'),)),)


def test_arguments_that_are_an_object_are_read_as_its_text():
    (turn,) = ask([{"type": "function_call", "call_id": "c", "name": "f", "arguments": {"a": 1}}]).turns
    assert turn.parts == (ToolCall("c", "f", '{"a": 1}'),)


def test_cache_breakpoints_are_marks():
    part = {"type": "input_text", "text": "x"}
    assert shown(
        {**part, "prompt_cache_breakpoint": {"mode": "explicit"}},
        {**part, "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        {**part, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ) == (Text("x", CacheMark()), Text("x", CacheMark("1h")), Text("x", CacheMark("1h")))


def test_refusals_are_the_assistants():
    assert shown({"type": "refusal", "refusal": "No."}, role="assistant") == (Refusal("No."),)
    assert (
        refused([{"role": "user", "content": [{"type": "refusal", "refusal": "No."}]}]).param == "input[0].content[0]"
    )


def test_seals_of_other_makers_come_back_as_they_were():
    turns = ask(
        [
            {"type": "reasoning", "id": "a", "summary": [{"text": "T"}], "encrypted_content": pack("anthropic", "sig")},
            {
                "type": "reasoning",
                "id": "b",
                "summary": [],
                "encrypted_content": pack("anthropic", "r", is_redacted=True),
            },
            {"type": "reasoning", "id": "c", "summary": [], "encrypted_content": pack("gemini", "g", call_id="c1")},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "reasoning", "id": "d", "summary": [{"text": "open"}]},
            {"type": "reasoning", "id": "e", "summary": []},
        ]
    ).turns
    assert turns == (
        Turn(
            "assistant",
            (
                Thinking("T", "sig", origin="anthropic"),
                Thinking(redacted="r", origin="anthropic"),
                ToolCall("c1", "f", "{}", "g", "gemini"),
                Thinking("open", item_id="d"),
            ),
        ),
    )


def test_functions_and_their_choice():
    schema = {"type": "object"}
    tool = {"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": True}
    found = ask(tools=[tool, {"type": "function", "name": "g"}], tool_choice={"type": "function", "name": "f"})
    assert [(t.name, t.description, bytes(t.schema), t.strict) for t in found.tools] == [
        ("f", "d", b'{"type": "object"}', True),
        ("g", "", b"", None),
    ]
    assert found.tool_choice == ToolChoice("tool", "f")
    assert ask(tools=[tool], parallel_tool_calls=False).tool_choice == ToolChoice(parallel=False)
    for word in ("auto", "none", "required"):
        assert ask(tools=[tool], tool_choice=word).tool_choice == ToolChoice(word)
    assert ask(tools=[tool]).tool_choice is None


def test_only_the_allowed_tools_are_offered():
    tools = [{"type": "function", "name": name} for name in "abc"]
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}
    found = ask(tools=tools, tool_choice=choice)
    assert [tool.name for tool in found.tools] == ["b"]
    assert found.tool_choice == ToolChoice("required")


def test_tools_of_a_namespace_are_allowed_by_their_own_name():
    space = {"type": "namespace", "name": "mail", "description": "", "tools": [{"type": "function", "name": "send"}]}
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "send"}]}
    assert [tool.name for tool in ask(tools=[space], tool_choice=choice).tools] == ["mail__send"]


def test_custom_tools_are_functions_of_one_text():
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: A"}
    found = ask(
        [
            {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a "b"'},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
        ],
        tools=[{"type": "custom", "name": "patch", "description": "Patches.", "format": grammar}],
    )
    (tool,) = found.tools
    assert tool.is_freeform
    assert list(json.loads(bytes(tool.schema))["properties"]) == ["input"]
    assert "start: A" in tool.description
    assert found.unsaid == ("tools[0].format",), "no other dialect holds a model to a grammar"
    assert found.turns[0].parts == (ToolCall("c", "patch", '{"input":"a \\"b\\""}'),)
    assert found.turns[1].parts == (ToolResult("c", (Text("done"),)),)


def test_tools_in_a_namespace_have_its_name_before_theirs():
    found = ask(
        [{"type": "function_call", "call_id": "c", "namespace": "mail", "name": "send", "arguments": "{}"}],
        tools=[
            {"type": "namespace", "name": "mail", "description": "", "tools": [{"type": "function", "name": "send"}]}
        ],
    )
    assert [(tool.name, tool.namespace) for tool in found.tools] == [("mail__send", "mail")]
    assert found.turns[0].parts[0].name == "mail__send"


def test_output_formats():
    schema = {"type": "object"}
    text = {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"}
    found = ask(text=text)
    assert found.output_format.kind == "json_schema"
    assert (found.output_format.name, found.output_format.strict) == ("n", True)
    assert json.loads(bytes(found.output_format.schema)) == schema
    assert bytes(found.extra["verbosity"]) == b'"low"'
    assert ask(text={"format": {"type": "json_object"}}).output_format == OutputFormat("json")
    assert ask(text={"format": {"type": "text"}}).output_format == OutputFormat("text")
    assert ask(text={}).output_format is None


@pytest.mark.parametrize(
    ("members", "reasoning"),
    [
        ({"reasoning": {"effort": "high", "summary": "auto"}}, Reasoning("high", shown=True, summary="auto")),
        ({"reasoning": {"effort": "none"}}, Reasoning("none")),
        ({"reasoning": {"max_tokens": 2000, "exclude": True}}, Reasoning(budget_tokens=2000, shown=False)),
        ({"reasoning": {"enabled": False}}, Reasoning("none")),
        ({"include": ["reasoning.encrypted_content"]}, Reasoning(is_encrypted=True)),
        ({"reasoning": None}, None),
    ],
)
def test_reasoning(members, reasoning):
    assert ask(**members).reasoning == reasoning


def test_settings():
    found = ask(stream=True, max_output_tokens=99, temperature=0, top_p=0.5, user="u", metadata={"a": "b"})
    assert (found.is_stream, found.output_tokens_max, found.temperature, found.top_p) == (True, 99, 0, 0.5)
    assert found.user == "u"
    assert json.loads(bytes(found.extra["metadata"])) == {"a": "b"}
    assert found.unsaid == ()


def test_what_no_other_dialect_has_a_word_for_is_listed():
    found = ask(
        store=True,
        truncation="auto",
        top_logprobs=3,
        max_tool_calls=2,
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        never_heard_of=1,
        reasoning={"mode": "pro"},
        tools=[{"type": "function", "name": "f", "defer_loading": True}],
    )
    assert set(found.unsaid) == {
        "store",
        "truncation",
        "top_logprobs",
        "max_tool_calls",
        "include[0]",
        "never_heard_of",
        "reasoning.mode",
        "tools[0].defer_loading",
    }


def test_defaults_nulls_and_the_gateways_own_members_are_not_listed():
    found = ask(
        store=False,
        truncation="disabled",
        stream_options={"include_obfuscation": False},
        moderation=None,
        provider={"order": ["x"]},
        usage={"include": True},
        tool_choice=None,
        max_output_tokens=None,
    )
    assert found.unsaid == ()


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]}, "tools[1]"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": 5}]}, "tools[0]"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "gone"}}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "computer_call", "id": "x"}]}, "input[0]"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]"),
        ({"input": [{"type": "image_generation_call", "id": "x", "result": ""}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}, "input[0].name"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": 5}, "input"),
        ({"input": None}, "input"),
        ({"temperature": "hot"}, "temperature"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": None}}}, "text.format.schema"),
    ],
)
def test_what_is_malformed_or_means_something_to_its_maker_only_is_refused_with_its_place(members, param):
    error = refused(**members)
    assert error.param == param
    assert param in error.message


def test_searches_that_openai_made_are_left_out_of_the_history():
    """The answers that rest on them stay."""
    turns = ask([{"type": "web_search_call", "id": "ws"}, {"role": "assistant", "content": "It rains."}]).turns
    assert turns == (Turn("assistant", (Text("It rains."),)),)


def test_an_empty_conversation_is_the_targets_to_judge():
    assert ask([]).turns == ()


def test_a_tool_without_parameters_has_an_empty_schema():
    assert ask(tools=[{"type": "function", "name": "f", "parameters": None}]).tools == (Tool("f"),)
