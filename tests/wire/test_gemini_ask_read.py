"""A Gemini request means the same to every provider, or is refused by the name of what cannot be said."""

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.carrier import pack
from tidegate.wire.conversation import (
    Media,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tidegate.wire.gemini_ask_read import decode_request
from tidegate.wire.gemini_ask_write import encode_request

HI = [{"role": "user", "parts": [{"text": "hi"}]}]


def ask(**members):
    return decode_request(json.dumps({"contents": HI, **members}).encode())


def turns(*contents):
    return ask(contents=list(contents)).turns


def user(*parts):
    return {"role": "user", "parts": list(parts)}


def model(*parts):
    return {"role": "model", "parts": list(parts)}


def refused(**members) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        ask(**members)
    return caught.value


def test_roles_system_and_text():
    found = ask(systemInstruction={"parts": [{"text": "be brief"}]}, contents=[*HI, model({"text": "yo"}), *HI])
    assert found.turns == (
        Turn("system", (Text("be brief"),)),
        Turn("user", (Text("hi"),)),
        Turn("assistant", (Text("yo"),)),
        Turn("user", (Text("hi"),)),
    )


def test_a_repeated_member_may_come_as_its_one_element():
    """Google's own examples write it so."""
    found = ask(contents={"parts": {"text": "hi"}}, system_instruction={"parts": {"text": "be brief"}})
    assert found.turns == (Turn("system", (Text("be brief"),)), Turn("user", (Text("hi"),)))


def test_both_spellings_mean_the_same_also_mixed():
    camel = {
        "contents": [
            user({"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": "aWM="}}),
            model({"functionCall": {"name": "f", "args": {"snake_key": {"inner_key": 1}}}, "thoughtSignature": "c2ln"}),
            user({"functionResponse": {"name": "f", "response": {"some_key": 2}}}),
        ],
        "generationConfig": {"maxOutputTokens": 5, "topP": 0.5, "thinkingConfig": {"includeThoughts": True}},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"properties": {"snake_key": {}}}}]}],
    }
    text = json.dumps(camel)
    for name in ("inlineData", "functionCall", "thoughtSignature", "generationConfig", "thinkingConfig", "topP"):
        text = text.replace(name, "".join(f"_{c.lower()}" if c.isupper() else c for c in name))
    mixed, whole = decode_request(text.encode()), decode_request(json.dumps(camel).encode())
    assert mixed.turns == whole.turns and mixed.reasoning == whole.reasoning == Reasoning(shown=True)
    assert "snake_key" in mixed.turns[1].parts[0].arguments and "inner_key" in mixed.turns[1].parts[0].arguments
    assert bytes(mixed.tools[0].schema) == bytes(whole.tools[0].schema) and mixed.output_tokens_max == 5
    assert mixed.unsaid == whole.unsaid == ()


def test_calls_without_ids_are_paired_with_their_responses_by_name_and_order():
    call = {"functionCall": {"name": "look", "args": {"q": "a"}}}
    other = {"functionCall": {"name": "list"}}
    answer = {"functionResponse": {"name": "look", "response": {"output": "1"}}}
    found = turns(
        *HI,
        model(call, other, call),
        user(answer, {"functionResponse": {"name": "list", "response": {"error": "no"}}}, answer),
    )
    calls, results = found[1].parts, found[2].parts
    assert [c.call_id for c in calls] == ["call_1_0", "call_1_1", "call_1_2"] and calls[1].arguments == "{}"
    assert [(r.call_id, r.parts, r.is_error) for r in results] == [
        ("call_1_0", (Text("1"),), False),
        ("call_1_1", (Text("no"),), True),
        ("call_1_2", (Text("1"),), False),
    ]


def test_ids_of_the_caller_are_kept_and_never_met_by_ours():
    found = turns(
        *HI,
        model({"functionCall": {"name": "f"}}, {"functionCall": {"name": "g", "id": "call_1_0"}}),
        user({"functionResponse": {"id": "call_1_0", "name": "g", "response": {"output": "x"}}}),
        user({"functionResponse": {"name": "f", "response": {"a": 1}}}),
    )
    assert [c.call_id for c in found[1].parts] == ["call_1_0_", "call_1_0"]
    assert found[2].parts[0].call_id == "call_1_0" and found[3].parts[0].call_id == "call_1_0_"


def test_ids_do_not_change_as_the_conversation_grows():
    """A provider's prompt cache is kept by equal beginnings."""
    history = [*HI, model({"functionCall": {"name": "f"}}), user({"functionResponse": {"name": "f", "response": {}}})]
    assert turns(*history) == turns(*history, model({"text": "done"}), *HI)[:3]


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "plain"}, "plain", False),
        ({"result": {"a": 1}}, '{"a": 1}', False),
        ({"error": "bad"}, "bad", True),
        ({"error": "bad", "code": 5}, '{"error": "bad", "code": 5}', True),
        ({"temp": 21.50}, '{"temp": 21.5}', False),
        ({}, "{}", False),
    ],
)
def test_what_a_function_responds_is_text(response, text, is_error):
    part = {"functionResponse": {"name": "f", "response": response}}
    result = turns(*HI, model({"functionCall": {"name": "f"}}), user(part))[2].parts[0]
    assert (result.parts, result.is_error, result.name) == ((Text(text),), is_error, "f")


def test_a_response_may_hold_an_image():
    part = {"functionResponse": {"name": "f", "parts": [{"inlineData": {"mimeType": "image/png", "data": "aWM="}}]}}
    result = turns(*HI, model({"functionCall": {"name": "f"}}), user(part))[2].parts[0]
    assert result == ToolResult("call_1_0", (Media("image", data="aWM=", media_type="image/png"),), "f")


def test_a_response_to_no_call_is_refused_by_its_place():
    error = refused(contents=[user({"functionResponse": {"name": "f", "response": {}}})])
    assert error.param == "contents[0].parts[0].functionResponse"


def test_geminis_own_seals_are_kept_and_others_reach_their_makers():
    carried = base64.b64encode(pack("anthropic", "sig", item_id="i1").encode()).decode()
    url_alphabet = carried.replace("+", "-").replace("/", "_").rstrip("=")
    redacted = base64.b64encode(pack("anthropic", "hidden", is_redacted=True).encode()).decode()
    found = turns(
        *HI,
        model(
            {"text": "t", "thought": True, "thoughtSignature": carried},
            {"text": "", "thought": True, "thoughtSignature": url_alphabet},
            {"thoughtSignature": redacted, "thought": True},
            {"text": "own", "thought": True},
            {"text": "a", "thoughtSignature": "AbC="},
            {"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"},
        ),
    )
    assert found[1].parts == (
        Thinking("t", "sig", origin="anthropic", item_id="i1"),
        Thinking("", "sig", origin="anthropic", item_id="i1"),
        Thinking(redacted="hidden", origin="anthropic"),
        Thinking("own", origin="gemini"),
        Text("a", signature="AbC=", origin="gemini"),
        ToolCall("call_1_5", "f", "{}", "c2ln", "gemini"),
        ToolCall("call_1_6", "f", "{}"),
    )


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"inlineData": {"mimeType": "audio/wav", "data": "a-_="}},
            Media("audio", data="a+/=", media_type="audio/wav"),
        ),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "aWM=", "displayName": "x.pdf"}},
            Media("document", data="aWM=", media_type="application/pdf", name="x.pdf"),
        ),
        ({"fileData": {"fileUri": "https://a/b.png?x=1"}}, Media("image", url="https://a/b.png?x=1")),
        ({"fileData": {"fileUri": "https://youtu.be/x"}}, Media("video", url="https://youtu.be/x")),
        (
            {"fileData": {"fileUri": "gs://b/x.mp4", "mimeType": "video/mp4"}},
            Media("video", file_id="gs://b/x.mp4", media_type="video/mp4"),
        ),
        (
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
            Media("document", file_id="https://generativelanguage.googleapis.com/v1beta/files/x"),
        ),
    ],
)
def test_media(part, media):
    """A file that lies at Google is a file id: nobody else can read it."""
    assert turns(user(part))[0].parts == (media,)


def test_settings_of_sampling():
    found = ask(
        generationConfig={
            "temperature": 0,
            "topP": 0.9,
            "topK": 40.0,
            "maxOutputTokens": "100",
            "stopSequences": ["a", "b"],
            "seed": 7,
            "presencePenalty": 0.5,
            "frequencyPenalty": -1,
            "candidateCount": 1,
            "responseModalities": ["TEXT", "IMAGE"],
        },
        serviceTier="FLEX",
    )
    assert (found.temperature, found.top_p, found.output_tokens_max, found.stop) == (0, 0.9, 100, ("a", "b"))
    assert {name: json.loads(bytes(value)) for name, value in found.extra.items()} == {
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": -1,
        "top_k": 40,
        "modalities": ["text", "image"],
        "service_tier": "flex",
    }


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({"thinkingBudget": 0}, Reasoning(effort="none")),
        ({"thinkingBudget": -1, "includeThoughts": True}, Reasoning(is_adaptive=True, shown=True)),
        ({"thinkingBudget": 2048}, Reasoning(budget_tokens=2048)),
        ({"thinkingLevel": "HIGH", "includeThoughts": False}, Reasoning(effort="high", shown=False)),
        ({"thinkingLevel": "minimal"}, Reasoning(effort="minimal")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Reasoning()),
    ],
)
def test_thinking(config, reasoning):
    assert ask(generationConfig={"thinkingConfig": config}).reasoning == reasoning


SCHEMA = {
    "type": "OBJECT",
    "properties": {
        "place": {"type": "STRING", "nullable": True, "enum": ["a"], "format": "enum"},
        "type": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1", "max_items": 3},
        "any_of": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}], "nullable": True},
    },
    "required": ["place"],
    "propertyOrdering": ["place", "type"],
}
JSON_SCHEMA = {
    "type": "object",
    "properties": {
        "place": {"type": ["string", "null"], "enum": ["a", None]},
        "type": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        "any_of": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]},
    },
    "required": ["place"],
}


def test_geminis_schemas_become_json_schema():
    """Properties keep their names, also those that look like words of the schema."""
    found = ask(
        tools=[{"functionDeclarations": [{"name": "f", "description": "d", "parameters": SCHEMA}]}],
        generationConfig={"responseMimeType": "application/json", "responseSchema": SCHEMA},
    )
    assert json.loads(bytes(found.tools[0].schema)) == JSON_SCHEMA and found.tools[0].description == "d"
    assert found.output_format.kind == "json_schema"
    assert json.loads(bytes(found.output_format.schema)) == JSON_SCHEMA


def test_json_schemas_keep_their_bytes():
    body = b"""{"contents":[{"parts":[{"text":"x"}]}],
      "tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{ "a" :  1e2 }}]}],
      "generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{ "b":[ ] }}}"""
    found = decode_request(body)
    assert bytes(found.tools[0].schema) == b'{ "a" :  1e2 }' and bytes(found.output_format.schema) == b'{ "b":[ ] }'


def test_a_function_without_parameters_has_no_schema():
    found = ask(tools={"functionDeclarations": {"name": "f"}})
    assert bytes(found.tools[0].schema) == b""
    assert ask(generationConfig={"responseMimeType": "application/json"}).output_format.kind == "json"


TOOLS = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}, {"name": "h"}]}]


@pytest.mark.parametrize(
    ("calling", "choice", "left"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto"), "fgh"),
        ({"mode": "NONE"}, ToolChoice("none"), "fgh"),
        ({"mode": "any"}, ToolChoice("required"), "fgh"),
        ({"mode": "ANY", "allowedFunctionNames": ["g"]}, ToolChoice("tool", "g"), "g"),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "h"]}, ToolChoice("required"), "fh"),
        ({"mode": "VALIDATED"}, ToolChoice("auto"), "fgh"),
        ({}, None, "fgh"),
    ],
)
def test_tool_choice(calling, choice, left):
    """Several allowed names: only those tools are offered, which means the same."""
    found = ask(tools=TOOLS, toolConfig={"functionCallingConfig": calling})
    assert found.tool_choice == choice and "".join(tool.name for tool in found.tools) == left


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"cachedContent": "cachedContents/x"}, "cachedContent"),
        ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ({"tools": [{"functionDeclarations": []}, {"code_execution": {}}]}, "tools[1].codeExecution"),
        ({"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        ({"contents": [model({"executableCode": {"code": "1"}})]}, "contents[0].parts[0].executableCode"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": []}, "contents"),
        ({"contents": [user()]}, "contents"),
        ({"contents": [user({"text": 5})]}, "contents[0].parts[0].text"),
        ({"contents": [user({"inlineData": {"data": "aWM="}})]}, "contents[0].parts[0].inlineData.mimeType"),
        ({"contents": [user({"fileData": {}})]}, "contents[0].parts[0].fileData.fileUri"),
        ({"contents": [model({"functionCall": {"args": {}}})]}, "contents[0].parts[0].functionCall.name"),
        ({"contents": [model({"functionCall": {"name": "f", "args": []}})]}, "contents[0].parts[0].functionCall.args"),
        ({"systemInstruction": {"parts": [{"inlineData": {}}]}}, "systemInstruction.parts[0]"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations"),
        (
            {"tools": TOOLS, "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}}},
            "toolConfig.functionCallingConfig.allowedFunctionNames",
        ),
    ],
)
def test_what_would_change_meaning_is_refused_by_its_place(members, param):
    assert refused(**members).param == param


def test_settings_without_a_counterpart_are_named():
    found = ask(
        safetySettings=[],
        labels={"a": "b"},
        generationConfig={"responseLogprobs": True, "speechConfig": {}},
        toolConfig={"retrievalConfig": {}},
        contents=[user({"text": "x", "videoMetadata": {"fps": 1}}, {"somethingNew": 1})],
    )
    assert found.unsaid == (
        "safetySettings",
        "labels",
        "generationConfig.responseLogprobs",
        "generationConfig.speechConfig",
        "toolConfig.retrievalConfig",
        "contents[0].parts[0].videoMetadata",
        "contents[0].parts[1]",
    )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nope", b'"x"', b"\xff", b'{"contents":' + b"[" * 9000, b'{"a_b":' + b"[" * 9000]
)
def test_what_is_no_request_is_a_400(body):
    with pytest.raises(InvalidRequest):
        decode_request(body)


def test_a_schema_that_never_ends_is_a_400():
    deep = '{"items":' * 200 + "{}" + "}" * 200
    head = '{"contents":{"parts":{"text":"x"}},"tools":[{"functionDeclarations":[{"name":"f","parameters":'
    with pytest.raises(InvalidRequest, match="deeper"):
        decode_request((head + deep + "}]}]}").encode())


NAMES = re.findall(
    r"\w+",
    "contents parts role text thought thoughtSignature functionCall function_call name args id functionResponse "
    "response inlineData inline_data mimeType data fileData fileUri tools functionDeclarations parameters type "
    "properties generationConfig thinkingConfig thinkingBudget toolConfig functionCallingConfig mode",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["user", "model", "x", "ANY", "c2ln", "STRING"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=15,
)


PARTS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES[3:9], JSON) | {"text": st.sampled_from(["", "a"])})
CONTENTS = st.fixed_dictionaries(
    {"parts": st.lists(PARTS, max_size=3)}, optional={"role": st.sampled_from(["user", "model"])}
)
BODIES = st.dictionaries(st.sampled_from([*NAMES[:1], *NAMES[17:]]), JSON, max_size=5) | st.fixed_dictionaries(
    {"contents": st.lists(CONTENTS, max_size=4)}, optional={"tools": JSON, "generationConfig": JSON}
)


@given(BODIES)
def test_any_json_is_read_or_refused_and_what_is_read_can_be_asked(body):
    try:
        found = decode_request(json.dumps(body).encode())
        written = encode_request(found, "gemini-3-pro", Quirks()).body
    except InvalidRequest:
        return
    again = decode_request(written)
    assert encode_request(again, "gemini-3-pro", Quirks()).body == written
