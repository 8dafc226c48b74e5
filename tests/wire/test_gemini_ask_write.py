"""What any caller asks, as Gemini wants to be asked."""

import json

import msgspec
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
from tidegate.wire.gemini import GEMINI, ask_with_path

PLAIN = Quirks()
HI = Turn("user", (Text("hi"),))
SKIP = "skip_thought_signature_validator"


def written(*turns: Turn, model: str = "gemini-3-flash", quirks: Quirks = PLAIN, **members):
    ask = Ask(model="m", turns=turns or (HI,), **members)
    encoded = GEMINI.encode_request(ask, model, quirks)
    return json.loads(encoded.body), encoded.dropped


def contents(*turns: Turn, **members):
    return written(*turns, **members)[0]["contents"]


def parts(*given, role="user", **members):
    return contents(Turn(role, given), **members)[0]["parts"]


def refused(*turns: Turn, **members) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        written(*turns, **members)
    return caught.value


def test_system_and_developer_turns_are_one_instruction():
    body, _ = written(Turn("system", (Text("a"),)), HI, Turn("developer", (Text("b"), Text(""))))
    assert body == {
        "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}]},
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    }


def test_instructions_alone_are_asked_as_a_question():
    """Google refuses a request without contents; others answer it."""
    body, _ = written(Turn("system", (Text("write a poem"),)))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "write a poem"}]}]}


def test_nothing_to_ask_is_refused():
    assert refused(Turn("user", (Text(""),))).param == "messages"


CALLS = Turn("assistant", (Text("ok"), ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "g", "")))


def test_responses_to_parallel_calls_are_one_content_named_by_their_tools():
    """Chat callers send each result as a message of its own; Google counts calls and responses of neighbours."""
    found = contents(
        HI,
        CALLS,
        Turn("user", (ToolResult("c2", (Text("two"),), is_error=True),)),
        Turn("user", (Text("and"), ToolResult("c1", (Text("o"), Text("ne"))))),
        model="gemini-2.5-flash",
    )
    assert found[1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "ok"},
                {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
                {"functionCall": {"id": "c2", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c2", "name": "g", "response": {"error": "two"}}},
                {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
                {"text": "and"},
            ],
        },
    ]


def test_a_result_of_no_call_is_refused_by_its_id():
    assert "'nope'" in refused(HI, Turn("user", (ToolResult("nope"),))).message


@pytest.mark.parametrize("arguments", ["[1]", "{", '"x"', "nope"])
def test_arguments_that_are_no_object_are_refused(arguments):
    assert "'c9'" in refused(HI, Turn("assistant", (ToolCall("c9", "f", arguments),))).message


def test_calls_of_other_models_are_marked_for_gemini_3_once_per_answer():
    """Gemini 3 refuses calls without a signature, save with this word; only the first of an answer bears one."""
    marked = contents(HI, CALLS)[1]["parts"]
    assert [part.get("thoughtSignature") for part in marked] == [None, SKIP, None]
    for model in ("gemini-2.5-pro", "models/gemini-2.0-flash", "gemma-4-31b"):
        assert SKIP not in json.dumps(contents(HI, CALLS, model=model))
    for model in ("gemini-3.8-flash", "google/gemini-3-pro", "gemini-flash-latest"):
        assert SKIP in json.dumps(contents(HI, CALLS, model=model))


def test_geminis_own_seals_go_back_and_those_of_others_stay_away():
    turn = Turn(
        "assistant",
        (
            Thinking("own", "s1", origin="gemini"),
            Thinking("foreign", "s2", origin="anthropic"),
            Thinking(redacted="x", origin="anthropic"),
            Text("a", signature="s3", origin="gemini"),
            Text("b", signature="s4", origin="openai"),
            ToolCall("c", "f", "{}", "s5", "gemini"),
            ToolCall("d", "f", "{}", "s6", "anthropic"),
        ),
    )
    assert contents(HI, turn)[1]["parts"] == [
        {"text": "own", "thought": True, "thoughtSignature": "s1"},
        {"text": "a", "thoughtSignature": "s3"},
        {"text": "b"},
        {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "s5"},
        {"functionCall": {"id": "d", "name": "f", "args": {}}},
    ]


def test_an_answer_of_foreign_thoughts_alone_leaves_no_empty_content():
    found = contents(HI, Turn("assistant", (Thinking("x", "s", origin="anthropic"),)), HI)
    assert found == [{"role": "user", "parts": [{"text": "hi"}, {"text": "hi"}]}]


def test_a_refusal_is_text():
    assert contents(HI, Turn("assistant", (Refusal("no"),)))[1]["parts"] == [{"text": "no"}]


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (
            Media("image", data="iVBORw0KGgoAAAAN"),
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoAAAAN"}},
        ),
        (Media("image", url="data:image/webp;base64,aWM="), {"inlineData": {"mimeType": "image/webp", "data": "aWM="}}),
        (Media("audio", data="aWM="), {"inlineData": {"mimeType": "audio/wav", "data": "aWM="}}),
        (
            Media("document", data="aWM=", name="x.csv"),
            {"inlineData": {"mimeType": "text/csv", "data": "aWM="}},
        ),
        (
            Media("image", url="https://a/b.PNG?c=d.gif"),
            {"fileData": {"fileUri": "https://a/b.PNG?c=d.gif", "mimeType": "image/png"}},
        ),
        (Media("image", url="https://a/b"), {"fileData": {"fileUri": "https://a/b", "mimeType": "image/jpeg"}}),
        (Media("video", file_id="gs://b/x"), {"fileData": {"fileUri": "gs://b/x"}}),
    ],
)
def test_media(media, part):
    assert parts(media) == [part]


def test_a_file_of_another_provider_is_refused():
    assert refused(Turn("user", (Media("document", file_id="file-abc"),))).param == "messages"


def test_an_image_as_an_instruction_is_refused():
    assert refused(Turn("system", (Media("image", data="aWM="),)), HI).param == "messages"


def test_media_of_a_result_stand_in_it_where_the_model_takes_them_there():
    result = Turn("user", (ToolResult("c1", (Text("see"), Media("image", data="aWM=", media_type="image/png"))),))
    blob = {"inlineData": {"mimeType": "image/png", "data": "aWM="}}
    new, old = contents(HI, CALLS, result)[2], contents(HI, CALLS, result, model="gemini-2.5-pro")[2]
    assert new["parts"][0]["functionResponse"]["parts"] == [blob] and len(new["parts"]) == 1
    assert old["parts"][1] == blob and "parts" not in old["parts"][0]["functionResponse"]


def test_settings():
    body, dropped = written(
        temperature=0.0,
        top_p=0.5,
        output_tokens_max=9,
        stop=("x",),
        extra={name: Raw(value) for name, value in {"seed": b"7", "top_k": b"4", "presence_penalty": b"0.5"}.items()}
        | {"frequency_penalty": Raw(b"1"), "service_tier": Raw(b'"flex"'), "modalities": Raw(b'["text","image"]')},
    )
    assert body["generationConfig"] == {
        "temperature": 0,
        "topP": 0.5,
        "maxOutputTokens": 9,
        "stopSequences": ["x"],
        "seed": 7,
        "topK": 4,
        "presencePenalty": 0.5,
        "frequencyPenalty": 1,
        "responseModalities": ["TEXT", "IMAGE"],
    }
    assert body["serviceTier"] == "flex" and dropped == ()


def test_what_gemini_cannot_say_is_named():
    body, dropped = written(
        Turn("user", (Text("hi", cache=CacheMark()),), name="ann"),
        user="u",
        tools=(Tool("f", strict=True),),
        tool_choice=ToolChoice("auto", parallel=False),
        extra={"logit_bias": Raw(b"{}"), "metadata": Raw(b"{}"), "service_tier": Raw(b'"scale"')},
    )
    assert set(dropped) == {
        "cache_control",
        "messages.name",
        "user",
        "tools.strict",
        "parallel_tool_calls",
        "logit_bias",
        "metadata",
        "service_tier",
    }
    assert "serviceTier" not in body


TOOL = Tool("f", "d", Raw(b'{"type":"object","$defs":{}}'))


def test_tools_keep_their_json_schema():
    body, _ = written(tools=(TOOL, Tool("g")))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object", "$defs": {}}},
                {"name": "g"},
            ]
        }
    ]


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("tool", "f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choice(choice, calling):
    assert written(tools=(TOOL,), tool_choice=choice)[0]["toolConfig"] == {"functionCallingConfig": calling}


def test_a_tool_choice_without_tools_says_nothing_and_of_an_unknown_tool_is_refused():
    assert "toolConfig" not in written(tool_choice=ToolChoice("auto"))[0]
    assert refused(HI, tools=(TOOL,), tool_choice=ToolChoice("tool", "zz")).param == "tool_choice"


def test_output_formats():
    schema = OutputFormat("json_schema", "n", schema=Raw(b'{"type":"object"}'), strict=True)
    as_json = {"responseMimeType": "application/json"}
    assert written(output_format=schema)[0]["generationConfig"] == as_json | {"responseJsonSchema": {"type": "object"}}
    assert written(output_format=OutputFormat("json"))[0]["generationConfig"] == as_json
    assert "generationConfig" not in written(output_format=OutputFormat("text"))[0]
    body, dropped = written(output_format=schema, quirks=Quirks(no_json_schema=True))
    assert body["generationConfig"] == as_json and dropped == ("response_format",)


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-3-flash", Reasoning(effort="minimal"), {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-3.1-pro", Reasoning(effort="minimal"), {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3-flash", Reasoning(effort="none"), {"thinkingLevel": "MINIMAL", "includeThoughts": False}),
        ("gemini-3-flash", Reasoning(effort="max", shown=False), {"thinkingLevel": "HIGH", "includeThoughts": False}),
        ("gemini-3-flash", Reasoning(is_adaptive=True), {"includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(is_adaptive=True), {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(effort="medium"), {"thinkingBudget": 8192, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-pro", Reasoning(effort="none"), {"thinkingBudget": 128, "includeThoughts": False}),
        ("gemini-3-pro", Reasoning("high", budget_tokens=5), {"thinkingBudget": 5, "includeThoughts": True}),
    ],
)
def test_thinking_in_the_words_of_each_generation(model, reasoning, config):
    assert written(model=model, reasoning=reasoning)[0]["generationConfig"]["thinkingConfig"] == config


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-1.5-pro", "gemini-2.5-flash-image", "gemma-3-27b-it"])
def test_a_model_that_cannot_think_is_not_asked_to(model):
    body, dropped = written(model=model, reasoning=Reasoning(effort="high"))
    assert "generationConfig" not in body and dropped == ("reasoning",)
    assert written(model=model, reasoning=Reasoning(effort="none"))[1] == ()


def test_big_integers_of_tool_results_keep_their_digits():
    """Google's `Struct` holds doubles; a result's text is not taken apart."""
    turn = Turn("user", (ToolResult("c1", (Text('{"id":12345678901234567890}'),)),))
    response = contents(HI, CALLS, turn)[2]["parts"][0]["functionResponse"]["response"]
    assert response == {"output": '{"id":12345678901234567890}'}


ROUND = Ask(
    model="gemini-3-pro",
    is_stream=True,
    turns=(
        Turn("system", (Text("s"),)),
        Turn("user", (Text("hi"), Media("image", data="aWM=", media_type="image/png"))),
        Turn(
            "assistant",
            (
                Thinking("t", "c2ln", origin="gemini"),
                Text("x", signature="eA==", origin="gemini"),
                ToolCall("c1", "f", '{"a":1}', "c2ln", "gemini"),
            ),
        ),
        Turn("user", (ToolResult("c1", (Text("r"),), "f", is_error=True), Text("go on"))),
    ),
    tools=(TOOL,),
    tool_choice=ToolChoice("tool", "f"),
    output_format=OutputFormat("json_schema", "response", schema=Raw(b'{"type":"object"}')),
    reasoning=Reasoning(effort="high", shown=True),
    output_tokens_max=5,
    temperature=1.0,
    top_p=0.5,
    stop=("a", "b"),
)


def test_an_ask_survives_the_way_to_gemini_and_back():
    encoded = GEMINI.encode_request(ROUND, "gemini-3-pro", Quirks())
    assert encoded.dropped == ()
    back = ask_with_path(GEMINI.decode_request(encoded.body), "gemini-3-pro", True)
    assert json.dumps(_plain(back)) == json.dumps(_plain(ROUND))


def _plain(ask: Ask):
    return msgspec.to_builtins(ask, enc_hook=lambda raw: bytes(raw).decode())
