"""The Gemini dialect's edges: heads, edits of what passes through, paths, counts of tokens."""

import base64
import json

import pytest

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.carrier import pack
from tidegate.wire.conversation import Ask, Text, Tool, Turn
from tidegate.wire.dialect import Head
from tidegate.wire.dialects import DIALECTS
from tidegate.wire.gemini import GEMINI, ask_with_path, with_path
from tidegate.wire.gemini_count import decode_count, decode_count_reply, encode_count, encode_count_reply
from tidegate.wire.gemini_path import GeminiPath, parse_path

HEAD = Head("gemini-3-pro")
SKIP = "skip_thought_signature_validator"


def test_it_is_known_by_its_name():
    assert DIALECTS["gemini"] is GEMINI


@pytest.mark.parametrize(
    ("tools", "offered"),
    [
        (None, 0),
        ([{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}, {"googleSearch": {}}], 3),
        ([{"function_declarations": [{"name": "a"}]}], 1),
        ("odd", 0),
        ([{"functionDeclarations": 5}], 0),
    ],
)
def test_a_head_counts_tools(tools, offered):
    head = GEMINI.decode_head(json.dumps({"contents": [], "tools": tools}).encode())
    assert head == Head("", tools_offered=offered)
    assert with_path(head, "g", True) == Head("g", is_stream=True, tools_offered=offered)


@pytest.mark.parametrize("body", [b"", b"[]", b"nope", b"\xff", b'{"tools":' + b"[" * 9000])
def test_what_is_no_object_is_a_400(body):
    with pytest.raises(InvalidRequest):
        GEMINI.decode_head(body)


def test_an_ask_gets_its_model_from_the_path():
    ask = ask_with_path(GEMINI.decode_request(b'{"contents":[{"parts":[{"text":"x"}]}]}'), "g", True)
    assert (ask.model, ask.is_stream) == ("g", True)


def edited(body: bytes, upstream="up-1") -> bytes:
    return b"".join(bytes(piece) for piece in GEMINI.edit_request(body, HEAD, upstream))


def test_a_request_passes_as_it_is():
    body = b'{ "contents":[{"role": "model","parts":[{"text":"\\"model\\": x"}]}], "odd": 1.0 }'
    assert edited(body) == body


def test_a_model_in_the_body_never_contradicts_the_path():
    assert json.loads(edited(b'{"model":"models/other","contents":[]}')) == {"contents": []}
    counted = json.loads(edited(b'{"generateContentRequest":{"model":"models/other","contents":[]}}'))
    assert counted == {"generateContentRequest": {"model": "models/up-1", "contents": []}}
    inside = b'{"contents":[{"parts":[{"functionCall":{"name":"f","args":{"model":"x"}}}]}]}'
    assert edited(inside) == inside


def carried(origin, **more) -> str:
    return base64.b64encode(pack(origin, "s", **more).encode()).decode()


def test_seals_of_other_makers_never_reach_google():
    """The caller talked to Claude first and goes on with Gemini: Google would refuse Claude's seals."""
    contents = [
        {"role": "user", "parts": [{"text": "hi", "odd_key": 1}]},
        {
            "role": "model",
            "parts": [
                {"text": "t", "thought": True, "thoughtSignature": carried("anthropic")},
                {"text": "", "thought_signature": carried("openai")},
                {"text": "x", "thoughtSignature": carried("anthropic", is_redacted=True)},
                {"functionCall": {"name": "f", "args": {"a_b": 1}}, "thoughtSignature": carried("anthropic")},
                {"functionCall": {"name": "g"}},
            ],
        },
        {"role": "model", "parts": [{"text": "own", "thoughtSignature": "Z2Vt"}]},
        {"role": "model", "parts": [{"text": "t", "thought": True, "thoughtSignature": carried("anthropic")}]},
    ]
    body = json.dumps({"contents": contents, "generationConfig": {"topK": 1}}).encode()
    found = json.loads(edited(body, "gemini-3-pro"))
    assert found["generationConfig"] == {"topK": 1}
    assert found["contents"][1]["parts"] == [
        {"text": "x"},
        {"functionCall": {"name": "f", "args": {"a_b": 1}}, "thoughtSignature": SKIP},
        {"functionCall": {"name": "g"}},
    ]
    assert found["contents"][2] == contents[2] and found["contents"][3]["parts"] == [{"text": " "}]
    assert SKIP not in edited(body, "gemini-2.5-pro").decode()


def test_text_that_looks_like_a_carrier_changes_nothing():
    body = b'{"contents":[{"parts":[{"text":"dGcxLmV5"}]}]}'
    assert json.loads(edited(body)) == json.loads(body)
    assert edited(b'{"contents":"dGcxL"}') == b'{"contents":"dGcxL"}'


@pytest.mark.parametrize(
    ("path", "query", "found"),
    [
        ("/v1beta/models/g-1:generateContent", "", GeminiPath("g-1", "generateContent")),
        ("/v1beta/models/g-1:streamGenerateContent", "alt=sse", GeminiPath("g-1", "streamGenerateContent", True)),
        ("/v1/models/g:streamGenerateContent", "key=x&alt=SSE", GeminiPath("g", "streamGenerateContent", True)),
        ("/v1beta/models/g:streamGenerateContent", "", GeminiPath("g", "streamGenerateContent", True, True)),
        ("/v1beta/models/g:countTokens", "alt=sse", GeminiPath("g", "countTokens")),
        ("/v1beta/models/google/g:free:generateContent", "", GeminiPath("google/g:free", "generateContent")),
        ("/v1beta/models/google%2Fg:generateContent", "", GeminiPath("google/g", "generateContent")),
        ("/v1beta/tunedModels/t-1:generateContent", "", GeminiPath("tunedModels/t-1", "generateContent")),
        (
            "/v1/projects/p/locations/us-east5/publishers/google/models/g:generateContent",
            "",
            GeminiPath("g", "generateContent"),
        ),
        ("/v1beta1/projects/p/locations/l/endpoints/77:generateContent", "", GeminiPath("77", "generateContent")),
        ("/api/v1beta/models/g:generateContent", "", GeminiPath("g", "generateContent")),
        ("/v1beta/models/g", "", None),
        ("/v1beta/models", "", None),
        ("/v1/chat/completions", "", None),
    ],
)
def test_a_path_says_model_and_method(path, query, found):
    assert parse_path(path, query) == found


ASK = Ask(model="m", turns=(Turn("system", (Text("s"),)), Turn("user", (Text("hi"),))), tools=(Tool("f"),))


def test_counting_a_request():
    body = json.loads(encode_count(ASK, "g-1", Quirks()).body)
    whole = json.loads(GEMINI.encode_request(ASK, "g-1", Quirks()).body)
    assert body == {"generateContentRequest": {"model": "models/g-1", **whole}}
    assert json.loads(encode_count(ASK, "g-1", Quirks(), is_vertex=True).body) == whole


@pytest.mark.parametrize("name", ["generateContentRequest", "generate_content_request", None])
def test_a_count_is_asked_in_three_forms(name):
    request = {"contents": [{"parts": [{"text": "hi"}]}], "systemInstruction": {"parts": [{"text": "s"}]}}
    ask = decode_count(json.dumps({name: request} if name else request).encode())
    assert ask.turns == ASK.turns


def test_counts_are_read_and_written():
    assert decode_count_reply(encode_count_reply(7)) == 7
    assert decode_count_reply(b'{"total_tokens": "8"}') == 8
    assert [decode_count_reply(body) for body in (b"{}", b"[]", b"no", b'{"totalTokens":-1}')] == [None] * 4
    with pytest.raises(InvalidRequest):
        decode_count(b"[]")
