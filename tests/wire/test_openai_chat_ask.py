"""Chat requests to and from the hub: nothing is lost in silence, and a provider's departures are data."""

import base64
import json

import pytest
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
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
from tidegate.wire.openai_chat import CHAT

PNG = "iVBORw0KGgo="
PLAIN = Quirks()


def decode(*messages: dict, **members) -> Ask:
    return CHAT.decode_request(json.dumps({"model": "m/x", "messages": list(messages)} | members).encode())


def user(*parts) -> dict:
    return {"role": "user", "content": list(parts)}


def encode(*turns: Turn, quirks: Quirks = PLAIN, **members) -> tuple[dict, tuple[str, ...]]:
    encoded = CHAT.encode_request(Ask(model="m/x", turns=turns, **members), "up", quirks)
    return json.loads(encoded.body), encoded.dropped


def messages(*turns: Turn, quirks: Quirks = PLAIN) -> list[dict]:
    return encode(*turns, quirks=quirks)[0]["messages"]


def refused(**request) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        CHAT.decode_request(json.dumps({"model": "m", "messages": []} | request).encode())
    return raised.value


# Into the hub.


def test_roles_names_and_texts_keep_their_order() -> None:
    ask = decode(
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
        {"role": "user", "content": "hi", "name": "ann"},
        {"role": "assistant", "content": "yes", "refusal": None},
    )
    assert ask.turns == (
        Turn("system", (Text("be brief"),)),
        Turn("developer", (Text("be kind"),)),
        Turn("user", (Text("hi"),), "ann"),
        Turn("assistant", (Text("yes"),)),
    )


def test_results_of_parallel_calls_are_one_turn() -> None:
    """Anthropic wants all of them in the message after the calls."""
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ("a", "b")]
    ask = decode(
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"role": "user", "content": "go on"},
    )
    assert ask.turns == (
        Turn("assistant", (ToolCall("a", "f"), ToolCall("b", "f"))),
        Turn("user", (ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),)))),
        Turn("user", (Text("go on"),)),
    )


def test_images_come_by_address_and_by_bytes_files_by_bytes_and_by_id() -> None:
    ask = decode(
        user(
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
            {"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}},
        )
    )
    assert ask.turns[0].parts == (
        Media("image", url="https://x.example/a.png", detail="low"),
        Media("image", data=PNG, media_type="image/png"),
        Media("document", data="aGk=", media_type="application/pdf", name="a.pdf"),
        Media("document", file_id="file-1"),
        Media("audio", data="aGk=", media_type="audio/mpeg"),
        Media("video", url="https://x.example/a.mp4"),
    )


def test_cache_marks_are_read_from_parts_and_tools() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ask = decode(
        user({"type": "text", "text": "long"} | mark),
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "r"} | mark]},
        tools=[{"type": "function", "function": {"name": "f"}} | mark],
    )
    assert ask.turns[0].parts == (Text("long", CacheMark("1h")),)
    assert ask.turns[1].parts == (ToolResult("a", (Text("r"),), cache=CacheMark("1h")),)
    assert ask.tools == (Tool("f", cache=CacheMark("1h")),)


@pytest.mark.parametrize(
    ("members", "limit"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({}, None),
    ],
)
def test_both_spellings_of_the_answers_limit_are_one(members, limit) -> None:
    assert decode(**members).output_tokens_max == limit


@pytest.mark.parametrize(
    ("members", "reasoning"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, Reasoning("high")),
        ({"reasoning": {"effort": "low", "exclude": True}}, Reasoning("low", shown=False)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget_tokens=2000)),
        ({"reasoning": {"enabled": True}}, Reasoning("medium")),
        ({"reasoning": {"enabled": False}}, Reasoning("none")),
        ({"reasoning": None, "reasoning_effort": None}, None),
        ({"include_reasoning": False}, Reasoning(shown=False)),
        ({"thinking": {"type": "disabled"}}, Reasoning("none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, Reasoning(budget_tokens=9)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(is_adaptive=True)),
        ({"enable_thinking": False}, Reasoning("none")),
        ({"chat_template_kwargs": {"enable_thinking": True}}, Reasoning("medium")),
    ],
)
def test_every_way_of_asking_for_thought_is_understood(members, reasoning) -> None:
    assert decode(**members).reasoning == reasoning


def test_legacy_functions_are_tools() -> None:
    ask = decode(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    assert ask.tools == (Tool("f", schema=Raw(b'{"type": "object"}')),)
    assert ask.tool_choice == ToolChoice("tool", "f") and ask.legacy_functions
    call, result = ask.turns[0].parts[0], ask.turns[1].parts[0]
    assert call.call_id == result.call_id and result.name == "f"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("tool", "f")),
        (None, None),
    ],
)
def test_tool_choices(choice, expected) -> None:
    assert decode(tool_choice=choice).tool_choice == expected


def test_allowed_tools_narrow_the_tools() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in "abc"]
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "b"}}]}
    ask = decode(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert ask.tools == (Tool("b"),) and ask.tool_choice == ToolChoice("required")


def test_a_schema_keeps_its_bytes_and_its_strictness() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}}
    assert decode(response_format=form).output_format == OutputFormat(
        "json_schema", "n", schema=Raw(b'{"type": "object"}'), strict=True
    )
    assert decode(response_format={"type": "json_object"}).output_format == OutputFormat("json")


def test_what_others_share_travels_and_what_nobody_shares_is_named() -> None:
    """Unknown members break nothing and are not lost in silence, nor are those that nothing here serves."""
    ask = decode(
        seed=7, top_k=4, metadata={"a": "b"}, x_vendor=[1], provider={"order": []}, models=["m"], logprobs=None
    )
    assert ask.extra == {"seed": Raw(b"7"), "top_k": Raw(b"4"), "metadata": Raw(b'{"a": "b"}')}
    assert ask.unsaid == ("x_vendor", "models")


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"n": 2}, "n"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [user({"type": "hologram"})]}, "messages[0].content[0].type"),
        ({"messages": [user({"type": "file", "file": {}})]}, "messages[0].content[0].file"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]}, "messages[0].tool_calls[0]"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": "hi"}, "messages"),
        ({"model": None}, "model"),
        ({"temperature": "hot"}, "temperature"),
    ],
)
def test_what_would_change_the_answer_is_refused_by_name(request_, param) -> None:
    assert refused(**request_).param == param


def test_a_body_without_messages_says_so() -> None:
    with pytest.raises(InvalidRequest, match="messages"):
        CHAT.decode_request(b'{"model":"m"}')
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        CHAT.decode_request(b'{"model":')


def test_thoughts_come_back_from_the_details_they_went_out_in() -> None:
    """Also as a client has gathered them from a stream: pieces of one index add up."""
    claude, openai, gemini = "anthropic-claude-v1", "openai-responses-v1", "google-gemini-v1"
    details = [
        {"type": "reasoning.text", "text": "let ", "format": claude, "index": 0},
        {"type": "reasoning.text", "text": "me", "format": claude, "index": 0},
        {"type": "reasoning.text", "signature": "sig", "format": claude, "index": 0},
        {"type": "reasoning.encrypted", "data": "red", "id": None, "format": claude, "index": 1},
        {"type": "reasoning.summary", "summary": "sum", "id": "rs_1", "format": openai, "index": 2},
        {"type": "reasoning.encrypted", "data": "enc", "id": "rs_1", "format": openai, "index": 2},
        {"type": "reasoning.encrypted", "data": "seal", "id": "a", "format": gemini, "index": 3},
    ]
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ask = decode(
        {"role": "assistant", "content": "x", "reasoning": "let me", "reasoning_details": details, "tool_calls": [call]}
    )
    assert ask.turns[0].parts == (
        Thinking("let me", "sig", origin="anthropic"),
        Thinking(redacted="red", origin="anthropic"),
        Thinking("sum", "enc", origin="openai", item_id="rs_1"),
        Text("x"),
        ToolCall("a", "f", "{}", "seal", "gemini"),
    )


def test_plain_thoughts_and_googles_own_place_for_a_seal_are_read() -> None:
    call = {
        "id": "a",
        "function": {"name": "f", "arguments": ""},
        "extra_content": {"google": {"thought_signature": "s"}},
    }
    ask = decode({"role": "assistant", "reasoning_content": "hm", "tool_calls": [call]})
    assert ask.turns[0].parts == (Thinking("hm"), ToolCall("a", "f", "{}", "s", "gemini"))


# Out of the hub.

CONVERSATION = (
    Turn("developer", (Text("be kind"),)),
    Turn("user", (Text("look"), Media("image", data=PNG, media_type="image/png"))),
    Turn("assistant", (Thinking("hm", "sig", origin="anthropic"), Text("I see"), ToolCall("a", "f", '{"x":1}'))),
    Turn("assistant", (ToolCall("b", "f"),)),
    Turn("user", (ToolResult("a", (Text("1"), Text("2"))), ToolResult("b"), Text("go on"))),
)


def test_a_conversation_is_written_as_openai_wants_it() -> None:
    """Calls of turns that follow each other are one message, and every result follows it at once."""
    function = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert messages(*CONVERSATION) == [
        {"role": "developer", "content": "be kind"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I see",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "b"} | function,
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1\n2"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": "go on"},
    ]


def test_quirks_decide_the_words() -> None:
    quirks = Quirks(
        output_tokens_field="max_completion_tokens",
        no_stream_usage=True,
        no_developer_role=True,
        no_parallel_tools=True,
        no_json_schema=True,
    )
    members = {
        "is_stream": True,
        "output_tokens_max": 5,
        "tools": (Tool("f", strict=True),),
        "tool_choice": ToolChoice("required", parallel=False),
        "output_format": OutputFormat("json_schema", "n", schema=Raw(b"{}")),
        "extra": {"seed": Raw(b"7"), "top_k": Raw(b"4")},
    }
    body, dropped = encode(*CONVERSATION[:1], quirks=quirks, **members)
    assert body == {
        "model": "up",
        "messages": [{"role": "system", "content": "be kind"}],
        "stream": True,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": "required",
        "response_format": {"type": "json_object"},
        "max_completion_tokens": 5,
        "seed": 7,
    }
    assert dropped == ("parallel_tool_calls", "response_format.json_schema", "top_k")
    body, dropped = encode(*CONVERSATION[:1], quirks=Quirks(takes_sampling_extras=True), **members)
    assert body["stream_options"] == {"include_usage": True} and body["parallel_tool_calls"] is False
    assert body["messages"][0]["role"] == "developer" and body["max_tokens"] == 5 and body["top_k"] == 4
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
    assert body["tools"][0]["function"]["strict"] is True and dropped == ()


@pytest.mark.parametrize(
    ("reasoning", "switch", "expected", "dropped"),
    [
        (Reasoning("high"), "", {"reasoning_effort": "high"}, ()),
        (Reasoning(budget_tokens=1024), "", {"reasoning_effort": "low"}, ()),
        (Reasoning(budget_tokens=8000), "", {"reasoning_effort": "medium"}, ()),
        (Reasoning(budget_tokens=32000), "", {"reasoning_effort": "high"}, ()),
        (Reasoning(budget_tokens=0), "", {"reasoning_effort": "none"}, ()),
        (Reasoning(budget_tokens=-1), "", {}, ()),
        (Reasoning(is_adaptive=True), "", {}, ()),
        (Reasoning(shown=False), "", {}, ()),
        (Reasoning("none"), "thinking", {"thinking": {"type": "disabled"}}, ()),
        (Reasoning("high"), "thinking", {"thinking": {"type": "enabled"}}, ("reasoning_effort",)),
        (Reasoning(is_adaptive=True), "thinking", {"thinking": {"type": "enabled"}}, ()),
        (Reasoning("none"), "enable_thinking", {"enable_thinking": False}, ()),
        (Reasoning(budget_tokens=900), "enable_thinking", {"enable_thinking": True, "thinking_budget": 900}, ()),
        (Reasoning("none"), "chat_template_kwargs", {"chat_template_kwargs": {"enable_thinking": False}}, ()),
    ],
)
def test_thinking_is_asked_for_in_the_providers_way(reasoning, switch, expected, dropped) -> None:
    body, found = encode(quirks=Quirks(thinking_switch=switch), reasoning=reasoning)
    assert body == {"model": "up", "messages": []} | expected
    assert found == dropped


def test_thoughts_go_only_to_who_can_read_them() -> None:
    """A sealed thought of one maker means nothing to another; plain thoughts go where a field has a name for them."""
    turn = Turn(
        "assistant",
        (
            Thinking("claude", "sig", origin="anthropic"),
            Thinking(redacted="red", origin="anthropic"),
            Thinking("plain"),
            Text("x"),
            ToolCall("a", "f", "{}", "seal", "gemini"),
        ),
    )
    bare = messages(turn)[0]
    assert set(bare) == {"role", "content", "tool_calls"}
    assert messages(turn, quirks=Quirks(reasoning_field="reasoning_content"))[0]["reasoning_content"] == "plain"
    details = messages(turn, quirks=Quirks(takes_reasoning_details=True))[0]["reasoning_details"]
    assert [(one["type"], one["format"]) for one in details] == [
        ("reasoning.text", "anthropic-claude-v1"),
        ("reasoning.encrypted", "anthropic-claude-v1"),
        ("reasoning.text", "unknown"),
        ("reasoning.encrypted", "google-gemini-v1"),
    ]
    assert details[3]["id"] == "a"


def test_a_turn_of_foreign_thoughts_alone_is_no_message() -> None:
    assert messages(Turn("assistant", (Thinking("x", "sig", origin="anthropic"),))) == []


def test_cache_marks_go_where_they_are_taken_and_are_named_elsewhere() -> None:
    turns = (
        Turn("system", (Text("a", CacheMark()), Text("b"))),
        Turn("user", (Text("c", CacheMark("1h")),)),
        Turn("user", (ToolResult("t", (Text("d"),), cache=CacheMark()),)),
    )
    body, dropped = encode(*turns)
    assert [one["content"] for one in body["messages"]] == ["a\n\nb", "c", "d"] and dropped == ("cache_control",)
    body, dropped = encode(*turns, quirks=Quirks(takes_cache_control=True), tools=(Tool("f", cache=CacheMark()),))
    mark = {"cache_control": {"type": "ephemeral"}}
    assert [one["content"] for one in body["messages"]] == [
        [{"type": "text", "text": "a"} | mark, {"type": "text", "text": "b"}],
        [{"type": "text", "text": "c", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        [{"type": "text", "text": "d"} | mark],
    ]
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"} and dropped == ()


def test_images_in_a_tools_result_are_shown_by_the_user() -> None:
    """A tool's message takes text only."""
    result = ToolResult("a", (Text("seen:"), Media("image", url="https://x.example/a.png")), is_error=True)
    body, dropped = encode(Turn("assistant", (ToolCall("a", "f"),)), Turn("user", (result, Text("go on"))))
    assert [one["role"] for one in body["messages"]] == ["assistant", "tool", "user"]
    assert body["messages"][1]["content"] == "seen:"
    assert [one["type"] for one in body["messages"][2]["content"]] == ["text", "image_url", "text"]
    assert dropped == ("is_error",)


def test_refusals_are_said_again_as_words() -> None:
    """Compatible servers know no refusal in a message; the model reads the same either way."""
    assert messages(Turn("assistant", (Refusal("I can't."),))) == [{"role": "assistant", "content": "I can't."}]


def test_media_that_chat_has_a_part_for() -> None:
    text = base64.b64encode("naïve".encode()).decode()
    content = messages(
        Turn(
            "user",
            (
                Media("image", data="/9j/4AAQ"),
                Media("document", data="aGk=", media_type="application/pdf"),
                Media("document", data=text, media_type="text/plain", name="notes"),
                Media("audio", data="aGk=", media_type="audio/mpeg"),
                Media("video", url="https://x.example/v.mp4"),
            ),
        )
    )[0]["content"]
    assert content == [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/4AAQ"}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "text", "text": "notes\n\nnaïve"},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "video_url", "video_url": {"url": "https://x.example/v.mp4"}},
    ]


@pytest.mark.parametrize(
    "media",
    [
        Media("image", file_id="file-1"),
        Media("document", file_id="file-1"),
        Media("document", url="https://x.example/a.pdf"),
        Media("audio", url="https://x.example/a.mp3"),
        Media("document", data="!", media_type="text/plain"),
    ],
)
def test_media_that_chat_has_no_part_for_is_refused(media) -> None:
    """Left out, the model would answer about something it never saw."""
    with pytest.raises(InvalidRequest) as raised:
        messages(Turn("user", (media,)))
    assert raised.value.param == "messages"


def test_a_request_through_the_hub_and_back_asks_for_the_same() -> None:
    ask = Ask(
        model="up",
        turns=CONVERSATION[:2],
        is_stream=True,
        tools=(Tool("f", "does", Raw(b'{"type":"object"}'), True),),
        tool_choice=ToolChoice("tool", "f", False),
        output_format=OutputFormat("json_schema", "n", "d", Raw(b'{"type":"object"}'), True),
        reasoning=Reasoning("high"),
        output_tokens_max=5,
        temperature=0.5,
        top_p=0.9,
        stop=("END",),
        user="u",
        extra={"seed": Raw(b"7")},
    )
    assert CHAT.decode_request(CHAT.encode_request(ask, "up", Quirks()).body) == ask
