"""An `Ask` becomes a Responses request that OpenAI's schema accepts; what it cannot say is refused or listed."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from rig.contract import check
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
from tidegate.wire.openai_responses import RESPONSES

SCHEMA = Raw(b'{"type":"object","properties":{"city":{"type":"string"}}}')


def encoded(*turns, quirks=Quirks(), **members):  # noqa: B008  # frozen
    ask = Ask(model="m", turns=turns or (Turn("user", (Text("hi"),)),), **members)
    found = RESPONSES.encode_request(ask, "gpt-6-astra", quirks)
    body = json.loads(found.body)
    check("CreateResponse", body)
    return body, found.dropped


def items(*turns, **members):
    return encoded(*turns, **members)[0]["input"]


def assistant(*parts):
    return items(Turn("user", (Text("hi"),)), Turn("assistant", parts))[1:]


def test_the_least_request_stores_nothing():
    body, dropped = encoded()
    assert body == {
        "model": "gpt-6-astra",
        "input": [{"type": "message", "role": "user", "content": "hi"}],
        "store": False,
    }
    assert dropped == ()


def test_roles_are_kept_and_developer_is_system_where_unknown():
    turns = tuple(Turn(role, (Text("x"),)) for role in ("system", "developer", "user", "assistant"))
    assert [item["role"] for item in items(*turns)] == ["system", "developer", "user", "assistant"]
    assert items(turns[1], quirks=Quirks(no_developer_role=True))[0]["role"] == "system"


def test_what_the_model_did_becomes_items_in_order():
    call = ToolCall("c1", "f", '{"a":1}', item_id="fc_1")
    assert assistant(Thinking("T", "s=", origin="openai", item_id="rs_1"), Text("Ok."), Refusal("No."), call) == [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "T"}],
            "encrypted_content": "s=",
            "id": "rs_1",
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_2",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "Ok.", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "No."},
            ],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}', "id": "fc_1"},
    ]


def test_ids_of_items_go_only_beside_the_thought_that_they_came_with():
    """OpenAI refuses a call by its id without the reasoning item that it knows beside it."""
    assert "id" not in assistant(ToolCall("c1", "f", item_id="fc_1"))[0]
    assert "id" not in assistant(Thinking("T", "s", origin="anthropic"), ToolCall("c1", "f", item_id="fc_1"))[0]


@pytest.mark.parametrize(
    "thought",
    [
        Thinking("T", "s", origin="anthropic"),
        Thinking("T", "s", origin="gemini"),
        Thinking("T"),
        Thinking(redacted="x", origin="anthropic"),
    ],
)
def test_thoughts_that_openai_cannot_read_are_left_out(thought):
    assert assistant(thought, Text("Ok.")) == [{"type": "message", "role": "assistant", "content": "Ok."}]


def test_a_thought_that_nothing_follows_is_left_out():
    """OpenAI refuses a reasoning item without its following item."""
    assert assistant(Text("a"), Thinking("T", "s", origin="openai")) == [
        {"type": "message", "role": "assistant", "content": "a"}
    ]


def test_empty_arguments_are_an_empty_object():
    assert assistant(ToolCall("c", "f", ""))[0]["arguments"] == "{}"


def test_results_of_tools():
    image = Media("image", data="aGk=", media_type="image/png")
    found, dropped = encoded(
        Turn("user", (ToolResult("c1", (Text("a"), Text("b"))), ToolResult("c2", (Text("a"), image), is_error=True))),
        Turn("user", (ToolResult("c3"), Text("and?"))),
    )
    assert found["input"] == [
        {"type": "function_call_output", "call_id": "c1", "output": "ab"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"},
            ],
        },
        {"type": "function_call_output", "call_id": "c3", "output": ""},
        {"type": "message", "role": "user", "content": "and?"},
    ]
    assert dropped == ("is_error",)


def test_ids_that_are_too_long_stay_paired():
    long = "c" * 200
    call, result = items(Turn("assistant", (ToolCall(long, "f"),)), Turn("user", (ToolResult(long, (Text("x"),)),)))
    assert call["call_id"] == result["call_id"]
    assert len(call["call_id"]) <= 64


def test_images_and_documents():
    parts = (
        Media("image", url="https://e.org/a.png", detail="low"),
        Media("image", data="aGk="),
        Media("document", url="https://e.org/a.pdf"),
        Media("document", data="aGk=", media_type="application/pdf", name="a.pdf"),
        Media("document", data="aGk=", media_type="text/plain"),
    )
    assert items(Turn("user", parts))[0]["content"] == [
        {"type": "input_image", "image_url": "https://e.org/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"},
        {"type": "input_file", "file_url": "https://e.org/a.pdf"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
        {"type": "input_file", "filename": "document.txt", "file_data": "data:text/plain;base64,aGk="},
    ]


@pytest.mark.parametrize(
    "turn",
    [
        Turn("user", (Media("audio", data="aGk=", media_type="audio/wav"),)),
        Turn("user", (Media("video", url="https://e.org/a.mp4"),)),
        Turn("user", (Media("image", file_id="file_011"),)),
        Turn("user", (Media("document", file_id="file_011"),)),
        Turn("assistant", (Text("see"), Media("image", data="aGk="))),
    ],
)
def test_media_that_openai_cannot_take_are_refused(turn):
    with pytest.raises(InvalidRequest) as caught:
        encoded(turn)
    assert caught.value.param == "messages"


def test_functions_say_whether_they_are_strict():
    """Left out, `strict` is true here and false in every other dialect."""
    body, _ = encoded(
        tools=(Tool("f", "d", SCHEMA), Tool("g", strict=True)), tool_choice=ToolChoice("tool", "f", False)
    )
    assert body["tools"] == [
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": json.loads(bytes(SCHEMA)),
            "strict": False,
        },
        {
            "type": "function",
            "name": "g",
            "description": None,
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
    ]
    assert body["tool_choice"] == {"type": "function", "name": "f"}
    assert body["parallel_tool_calls"] is False


def test_custom_tools_are_custom_again():
    body, _ = encoded(
        Turn("assistant", (ToolCall("c", "patch", '{"input":"a b"}'),)),
        Turn("user", (ToolResult("c", (Text("ok"),)),)),
        tools=(Tool("patch", "d", SCHEMA, is_freeform=True),),
        tool_choice=ToolChoice("tool", "patch"),
    )
    assert body["input"] == [
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "a b"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ]
    assert body["tools"] == [{"type": "custom", "name": "patch", "description": "d"}]
    assert body["tool_choice"] == {"type": "custom", "name": "patch"}


def test_a_choice_without_tools_is_not_sent():
    assert "tool_choice" not in encoded(tool_choice=ToolChoice("none"))[0]


@pytest.mark.parametrize(
    ("said", "format"),
    [
        (OutputFormat("text"), {"type": "text"}),
        (OutputFormat("json"), {"type": "json_object"}),
        (
            OutputFormat("json_schema", "n", "d", SCHEMA, True),
            {
                "type": "json_schema",
                "name": "n",
                "description": "d",
                "schema": json.loads(bytes(SCHEMA)),
                "strict": True,
            },
        ),
        (
            OutputFormat("json_schema", schema=SCHEMA),
            {"type": "json_schema", "name": "answer", "schema": json.loads(bytes(SCHEMA))},
        ),
    ],
)
def test_output_formats(said, format):
    assert encoded(output_format=said)[0]["text"] == {"format": format}


def test_a_schema_is_json_where_the_provider_knows_no_schemas_and_is_listed():
    body, dropped = encoded(
        output_format=OutputFormat("json_schema", schema=SCHEMA), quirks=Quirks(no_json_schema=True)
    )
    assert body["text"] == {"format": {"type": "json_object"}}
    assert dropped == ("response_format.json_schema",)


@pytest.mark.parametrize(
    ("said", "reasoning", "is_sealed"),
    [
        (Reasoning("high"), {"effort": "high"}, True),
        (Reasoning("low", summary="concise"), {"effort": "low", "summary": "concise"}, True),
        (Reasoning("none", shown=True), {"effort": "none"}, False),
        (Reasoning(budget_tokens=0), {"effort": "none"}, False),
        (Reasoning(budget_tokens=1024, shown=True), {"effort": "low", "summary": "auto"}, True),
        (Reasoning(budget_tokens=8000), {"effort": "medium"}, True),
        (Reasoning(budget_tokens=32000), {"effort": "high"}, True),
        (Reasoning(is_adaptive=True), None, True),
        (Reasoning(is_encrypted=True), None, True),
        (Reasoning(shown=False), None, False),
        (None, None, False),
    ],
)
def test_reasoning_and_whether_sealed_thoughts_are_asked_for(said, reasoning, is_sealed):
    """Models that cannot think answer the wish for sealed thoughts with a 400."""
    body, _ = encoded(reasoning=said)
    assert body.get("reasoning") == reasoning
    assert body.get("include") == (["reasoning.encrypted_content"] if is_sealed else None)


def test_settings_and_shared_members():
    body, dropped = encoded(
        is_stream=True,
        output_tokens_max=99,
        temperature=0.5,
        top_p=0.9,
        user="u",
        extra={
            "metadata": Raw(b'{"a":"b"}'),
            "service_tier": Raw(b'"flex"'),
            "verbosity": Raw(b'"low"'),
            "seed": Raw(b"5"),
            "top_k": Raw(b"5"),
        },
        stop=("END",),
    )
    assert body["stream"] is True
    assert (body["max_output_tokens"], body["temperature"], body["top_p"], body["user"]) == (99, 0.5, 0.9, "u")
    assert (body["metadata"], body["service_tier"], body["text"]) == ({"a": "b"}, "flex", {"verbosity": "low"})
    assert set(dropped) == {"stop", "seed", "top_k"}


def test_a_limit_below_openais_least_is_raised_and_listed():
    body, dropped = encoded(output_tokens_max=1)
    assert body["max_output_tokens"] == 16
    assert dropped == ("max_output_tokens",)


def test_marks_for_a_cache_that_openai_keeps_by_itself_are_listed_once():
    turn = Turn("user", (Text("a", CacheMark()), Text("b", CacheMark("1h"))))
    assert encoded(turn)[1] == ("cache_control",)
    assert encoded(tools=(Tool("f", cache=CacheMark()),))[1] == ("cache_control",)


def test_one_call_at_a_time_is_listed_where_the_provider_cannot_be_told():
    asked = {"tools": (Tool("f"),), "tool_choice": ToolChoice(parallel=False)}
    assert encoded(**asked)[0]["parallel_tool_calls"] is False
    body, dropped = encoded(**asked, quirks=Quirks(no_parallel_tools=True))
    assert ("parallel_tool_calls" in body, dropped) == (False, ("parallel_tool_calls",))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
IDS = st.text("abc_", min_size=1, max_size=70)
PARTS = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(Thinking, TEXTS, TEXTS, origin=st.sampled_from(["", "openai", "anthropic"]), item_id=st.just("rs_1")),
    st.builds(ToolCall, IDS, IDS, st.sampled_from(["{}", "", '{"input":"x"}'])),
    st.builds(Refusal, TEXTS),
)
USER_PARTS = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(ToolResult, IDS, st.lists(st.builds(Text, TEXTS)).map(tuple)),
    st.just(Media("image", data="aGk=", media_type="image/png")),
)
TURNS = st.lists(
    st.builds(Turn, st.just("assistant"), st.lists(PARTS, max_size=4).map(tuple))
    | st.builds(Turn, st.sampled_from(["user", "system"]), st.lists(USER_PARTS, max_size=4).map(tuple)),
    max_size=4,
)


@given(TURNS)
def test_no_thought_is_sent_without_what_follows_it(turns):
    body = json.loads(RESPONSES.encode_request(Ask(model="m", turns=tuple(turns)), "m", Quirks()).body)
    kinds = [item["type"] for item in body["input"]]
    roles = [
        item.get("role", "assistant" if kind.endswith("call") else "user")
        for kind, item in zip(kinds, body["input"], strict=True)
    ]
    for place, kind in enumerate(kinds):
        if kind == "reasoning":
            after = next((n for n in range(place, len(kinds)) if kinds[n] != "reasoning"), None)
            assert after is not None
            assert roles[after] == "assistant"


@given(TURNS)
def test_what_was_encoded_is_read_back(turns):
    """Up to what this dialect cannot say: thoughts without a seal, or of others, and empty parts."""
    ask = Ask(model="m", turns=tuple(turns))
    back = RESPONSES.decode_request(RESPONSES.encode_request(ask, "m", Quirks()).body)

    def said(turns):
        for turn in turns:
            for part in turn.parts:
                if isinstance(part, ToolCall):
                    yield part.name, part.arguments or "{}"
                elif isinstance(part, ToolResult):
                    yield "result", "".join(text.text for text in part.parts)
                elif isinstance(part, Text | Refusal) and part.text:
                    yield turn.role, part.text
                elif isinstance(part, Media):
                    yield turn.role, part.data

    assert list(said(back.turns)) == list(said(turns))
    assert msgspec.json.encode(back)
