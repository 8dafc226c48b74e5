"""Requests to Bedrock's Converse: every ask becomes one that AWS's model of the API accepts, or is refused by name."""

import base64
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.bedrock import BEDROCK
from tidegate.wire.bedrock_ask import maker_of
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

CLAUDE = "eu.anthropic.claude-opus-4-8-v1:0"
CLAUDE_OLD = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "meta.llama4-maverick-17b-instruct-v1:0"
HELLO = Turn("user", (Text("Hello"),))
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n0000").decode()
WEATHER = Tool("weather", "Tells it.", Raw(b'{"type":"object","properties":{"city":{"type":"string"}}}'))


PLAIN = Quirks()


def encode(model: str = CLAUDE, quirks: Quirks = PLAIN, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    fields.setdefault("turns", (HELLO,))
    encoded = BEDROCK.encode_request(Ask(model="m", **fields), model, quirks)
    body = msgspec.json.decode(encoded.body)
    validate(body)
    return body, encoded.dropped


def validate(body: Any) -> None:
    """AWS's own model of Converse is the judge, where botocore is installed; see the test that says so."""
    try:
        from botocore.session import get_session
        from botocore.validate import ParamValidator
    except ImportError:
        return
    global _SHAPE
    if _SHAPE is None:
        model = get_session().get_service_model("bedrock-runtime")
        _SHAPE = model.operation_model("Converse").input_shape
    report = ParamValidator().validate({"modelId": "m", **body}, _SHAPE)
    assert not report.has_errors(), report.generate_report()


_SHAPE: Any = None


def messages(*turns: Turn, model: str = CLAUDE, **fields: Any) -> Any:
    return encode(model, turns=turns, **fields)[0]["messages"]


def test_the_requests_below_are_judged_by_botocores_model_of_converse() -> None:
    pytest.importorskip("botocore", reason="botocore (extra `cloud`) is not installed: forms are not judged by it")
    with pytest.raises(AssertionError, match="unknown"):
        validate({"messages": [{"role": "user", "content": [{"unknown": "x"}]}]})


def test_a_plain_question() -> None:
    body, dropped = encode(output_tokens_max=50, temperature=0.5, stop=("END",), model=CLAUDE_OLD)
    assert body == {
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "stopSequences": ["END"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    assert dropped == ()


def test_the_model_and_stream_stand_in_the_path() -> None:
    body, _ = encode(is_stream=True)
    assert not {"model", "modelId", "stream"} & set(body)


def test_system_and_developer_turns_are_the_system_prompt() -> None:
    turns = (Turn("system", (Text("Be brief."),)), Turn("developer", (Text("In Latin."),)), HELLO)
    body, _ = encode(turns=turns)
    assert body["system"] == [{"text": "Be brief."}, {"text": "In Latin."}]


@pytest.mark.parametrize(("model", "stays"), [(CLAUDE, True), (CLAUDE_OLD, False), (NOVA, False)])
def test_a_late_system_turn_stays_in_place_where_the_model_takes_it(model: str, stays: bool) -> None:
    """Else it joins the system prompt: its words keep their authority, if not their place."""
    body, _ = encode(model, turns=(HELLO, Turn("system", (Text("Now in French."),))))
    assert ("system" in body) is not stays
    assert body["messages"][-1]["role"] == ("system" if stays else "user")


def test_neighbours_of_one_role_become_one_message() -> None:
    """Converse wants roles to alternate; parallel results of tools come as turns of their own."""
    calls = Turn("assistant", (ToolCall("a", "weather"), ToolCall("b", "weather")))
    results = [Turn("user", (ToolResult(call_id, (Text("sunny"),)),)) for call_id in "ab"]
    found = messages(HELLO, calls, *results, Turn("user", (Text("Thanks"),)))
    assert [m["role"] for m in found] == ["user", "assistant", "user"]
    assert [next(iter(block)) for block in found[2]["content"]] == ["toolResult", "toolResult", "text"]


def test_blank_text_is_left_out() -> None:
    """Converse refuses it, and other dialects' callers send it beside tool calls."""
    found = messages(HELLO, Turn("assistant", (Text(" \n"), ToolCall("a", "weather"))), Turn("user", (Text(""),)))
    assert [len(m["content"]) for m in found] == [1, 1]


def test_a_conversation_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not blank") as seen:
        encode(turns=(Turn("user", (Text(""),)),))
    assert seen.value.param == "messages"


def test_tool_calls_and_results() -> None:
    found = messages(
        HELLO,
        Turn("assistant", (ToolCall("call_1", "weather", '{"city": "Rome"}'),)),
        Turn("user", (ToolResult("call_1", (Text("no"), Media("image", data=PNG)), is_error=True),)),
    )
    assert found[1]["content"] == [{"toolUse": {"toolUseId": "call_1", "name": "weather", "input": {"city": "Rome"}}}]
    image = {"image": {"format": "png", "source": {"bytes": PNG}}}
    result = {"toolUseId": "call_1", "content": [{"text": "no"}, image], "status": "error"}
    assert found[2]["content"] == [{"toolResult": result}]


@pytest.mark.parametrize("arguments", ["", " ", "{}"])
def test_empty_arguments_are_an_empty_object(arguments: str) -> None:
    found = messages(HELLO, Turn("assistant", (ToolCall("a", "weather", arguments),)))
    assert found[1]["content"][0]["toolUse"]["input"] == {}


@pytest.mark.parametrize("arguments", ["{", "[]", '"x"', "nothing"])
def test_arguments_that_are_no_object_are_refused_by_name(arguments: str) -> None:
    with pytest.raises(InvalidRequest, match="'weather' must be a JSON object"):
        encode(turns=(HELLO, Turn("assistant", (ToolCall("a", "weather", arguments),))))


@pytest.mark.parametrize("call_id", ["x" * 65, "call|fc_1", "", "é"])
def test_ids_that_bedrock_refuses_are_derived_alike_for_call_and_result(call_id: str) -> None:
    found = messages(
        HELLO, Turn("assistant", (ToolCall(call_id, "weather"),)), Turn("user", (ToolResult(call_id, (Text("x"),)),))
    )
    sent = found[1]["content"][0]["toolUse"]["toolUseId"]
    assert sent == found[2]["content"][0]["toolResult"]["toolUseId"]
    assert 0 < len(sent) <= 64
    assert sent.replace("_", "").isascii()


def test_tools_are_offered_with_their_schemas() -> None:
    bare = Tool("now")
    untyped = Tool("odd", schema=Raw(b'{"properties":{}}'), strict=True)
    body, _ = encode(tools=(WEATHER, bare, untyped), tool_choice=ToolChoice("tool", "now"))
    specs = [tool["toolSpec"] for tool in body["toolConfig"]["tools"]]
    assert specs[0]["description"] == "Tells it."
    assert specs[0]["inputSchema"]["json"]["properties"] == {"city": {"type": "string"}}
    assert specs[1] == {"name": "now", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert specs[2] == {"name": "odd", "strict": True, "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "now"}}


def test_a_schema_that_is_no_object_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="'odd'") as seen:
        encode(tools=(Tool("odd", schema=Raw(b"[1]")),))
    assert seen.value.param == "tools"


@pytest.mark.parametrize(("mode", "sent"), [("auto", None), ("required", {"any": {}})])
def test_the_choice_among_tools(mode: Any, sent: Any) -> None:
    body, dropped = encode(tools=(WEATHER,), tool_choice=ToolChoice(mode))
    assert body["toolConfig"].get("toolChoice") == sent
    assert dropped == ()


def test_the_choice_of_no_tool_offers_none() -> None:
    """Converse has no word for it."""
    body, dropped = encode(tools=(WEATHER,), tool_choice=ToolChoice("none"))
    assert "toolConfig" not in body
    assert dropped == ()


def test_tools_of_the_conversation_are_named_even_where_none_is_offered() -> None:
    """Converse refuses a conversation with calls and without their tools."""
    turns = (HELLO, Turn("assistant", (ToolCall("a", "weather"),)), Turn("user", (ToolResult("a", (Text("x"),)),)))
    body, _ = encode(turns=turns)
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["weather"]
    _, dropped = encode(turns=turns, tools=(WEATHER,), tool_choice=ToolChoice("none"))
    assert dropped == ("tool_choice",)


def test_one_call_at_a_time_cannot_be_said() -> None:
    assert encode(tools=(WEATHER,), tool_choice=ToolChoice(parallel=False))[1] == ("parallel_tool_calls",)


def test_cache_marks_become_cache_points_after_what_they_mark() -> None:
    mark = CacheMark()
    body, _ = encode(
        turns=(
            Turn("system", (Text("Long.", cache=CacheMark("1h")),)),
            Turn("user", (Text("Q", cache=mark), Text("R"))),
        ),
        tools=(Tool("now", cache=mark),),
    )
    assert body["system"] == [{"text": "Long."}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["messages"][0]["content"] == [{"text": "Q"}, {"cachePoint": {"type": "default"}}, {"text": "R"}]
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}


def test_cache_marks_are_dropped_and_listed_for_models_that_refuse_them() -> None:
    body, dropped = encode(LLAMA, turns=(Turn("user", (Text("Q", cache=CacheMark()),)),))
    assert body["messages"][0]["content"] == [{"text": "Q"}]
    assert dropped == ("cache_control",)


def test_media_are_sent_as_bytes_of_a_known_format() -> None:
    parts = (
        Media("image", data="/9j/4AAQ"),
        Media("image", url="s3://bucket/a.webp"),
        Media("document", data="JVBERi0x", name="My report_(v1).pdf"),
        Media("document", data="aGk=", media_type="text/plain; charset=utf-8", name="My report_(v1).pdf"),
        Media("audio", data="aGk=", media_type="audio/wav"),
        Media("video", data="aGk=", media_type="video/mp4"),
    )
    blocks = messages(Turn("user", parts))[0]["content"]
    assert [block[next(iter(block))]["format"] for block in blocks] == ["jpeg", "webp", "pdf", "txt", "wav", "mp4"]
    assert blocks[1]["image"]["source"] == {"s3Location": {"uri": "s3://bucket/a.webp"}}
    assert [blocks[i]["document"]["name"] for i in (2, 3)] == ["My report (v1) pdf", "My report (v1) pdf 2"]


@pytest.mark.parametrize(
    ("media", "why"),
    [
        (Media("image", url="https://x.example/a.png"), "has a URL"),
        (Media("document", file_id="file-1"), "has the id of a file"),
        (Media("image", data="AAAA", media_type="image/tiff"), "'image/tiff'"),
        (Media("document", data="AAAA"), "none"),
    ],
)
def test_media_that_bedrock_cannot_take_are_refused(media: Media, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as seen:
        encode(turns=(Turn("user", (media,)),))
    assert seen.value.param == "messages"


def test_sealed_thoughts_go_back_to_claude_and_to_nobody_else() -> None:
    thoughts = (
        Thinking("Hm.", signature="s", origin="anthropic"),
        Thinking(redacted="cmVk", origin="anthropic"),
        Thinking("Foreign.", signature="s", origin="openai"),
        Thinking("Unsealed."),
        Text("Yes"),
    )
    sealed = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}}
    redacted = {"reasoningContent": {"redactedContent": "cmVk"}}
    assert messages(HELLO, Turn("assistant", thoughts))[1]["content"] == [sealed, redacted, {"text": "Yes"}]
    assert messages(HELLO, Turn("assistant", thoughts), model=NOVA)[1]["content"] == [{"text": "Yes"}]


def test_a_refusal_is_text() -> None:
    assert messages(HELLO, Turn("assistant", (Refusal("No."),)))[1]["content"] == [{"text": "No."}]


@pytest.mark.parametrize(
    ("model", "reasoning", "fields", "effort"),
    [
        (CLAUDE, Reasoning("medium"), {"thinking": {"type": "adaptive"}}, "medium"),
        (CLAUDE, Reasoning("minimal"), {"thinking": {"type": "adaptive"}}, "low"),
        (CLAUDE, Reasoning("high", shown=True), {"thinking": {"type": "adaptive", "display": "summarized"}}, "high"),
        (CLAUDE, Reasoning(budget_tokens=2000), {"thinking": {"type": "adaptive"}}, "low"),
        (CLAUDE, Reasoning(is_adaptive=True), {"thinking": {"type": "adaptive"}}, None),
        (CLAUDE_OLD, Reasoning("low"), {"thinking": {"type": "enabled", "budget_tokens": 4096}}, None),
        (CLAUDE_OLD, Reasoning(budget_tokens=2000), {"thinking": {"type": "enabled", "budget_tokens": 2000}}, None),
        (CLAUDE_OLD, Reasoning("none"), {"thinking": {"type": "disabled"}}, None),
        (NOVA, Reasoning("max"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}, None),
        (NOVA, Reasoning("none"), {"reasoningConfig": {"type": "disabled"}}, None),
        (GPT_OSS, Reasoning("minimal"), {"reasoning_effort": "low"}, None),
    ],
)
def test_thinking_is_asked_for_in_the_words_of_the_models_maker(
    model: str, reasoning: Reasoning, fields: Any, effort: str | None
) -> None:
    body, dropped = encode(model, reasoning=reasoning)
    assert body["additionalModelRequestFields"] == fields
    assert body.get("outputConfig", {}).get("effort") == effort
    assert dropped == ()


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (LLAMA, {"reasoning": Reasoning("high")}),
        (CLAUDE_OLD, {"reasoning": Reasoning("high"), "output_tokens_max": 1000}),
        (CLAUDE, {"reasoning": Reasoning("high"), "tools": (WEATHER,), "tool_choice": ToolChoice("required")}),
    ],
)
def test_thinking_that_cannot_be_had_is_listed(model: str, fields: Any) -> None:
    body, dropped = encode(model, **fields)
    assert "additionalModelRequestFields" not in body
    assert dropped == ("reasoning",)


def test_a_budget_stays_below_the_limit_of_the_answer() -> None:
    body, _ = encode(CLAUDE_OLD, reasoning=Reasoning(budget_tokens=9000), output_tokens_max=5000)
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 4999


def test_sampling_that_claude_refuses_is_dropped_and_listed() -> None:
    assert encode(CLAUDE, temperature=0.2, top_p=0.5)[1] == ("temperature", "top_p")
    assert encode(CLAUDE_OLD, temperature=0.2, top_p=0.5)[1] == ("top_p",)
    assert encode(CLAUDE_OLD, temperature=0.2, reasoning=Reasoning("low"))[1] == ("temperature",)
    body, dropped = encode(CLAUDE_OLD, temperature=1.5)
    assert (body["inferenceConfig"], dropped) == ({"temperature": 1.0}, ("temperature",))


def test_strict_json_schema() -> None:
    wanted = OutputFormat("json_schema", "reply", "A reply.", Raw(b'{"type":"object"}'), True)
    body, dropped = encode(output_format=wanted)
    schema = {"schema": '{"type":"object"}', "name": "reply", "description": "A reply."}
    assert body["outputConfig"] == {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
    assert dropped == ()
    assert encode(output_format=wanted, quirks=Quirks(no_json_schema=True))[1] == ("response_format",)
    assert encode(output_format=OutputFormat("json"))[1] == ("response_format",)


def test_shared_members_are_said_where_there_is_a_word_and_listed_where_there_is_none() -> None:
    extra = {"service_tier": Raw(b'"flex"'), "top_k": Raw(b"5"), "seed": Raw(b"1"), "logit_bias": Raw(b"{}")}
    body, dropped = encode(CLAUDE_OLD, extra=extra, user="u")
    assert body["serviceTier"] == {"type": "flex"}
    assert body["additionalModelRequestFields"] == {"top_k": 5}
    assert dropped == ("seed", "logit_bias", "user")
    body, dropped = encode(NOVA, extra={"top_k": Raw(b"5"), "service_tier": Raw(b'"auto"')})
    assert body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}
    assert dropped == ()
    assert encode(LLAMA, extra={"top_k": Raw(b"5"), "service_tier": Raw(b"{}")})[1] == ("top_k", "service_tier")


@pytest.mark.parametrize(
    ("model", "maker"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "anthropic"),
        ("global.anthropic.claude-opus-5", "anthropic"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", "amazon"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.meta.llama4-x-v1:0", "meta"),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123", ""),
    ],
)
def test_the_maker_of_a_model_stands_in_its_id(model: str, maker: str) -> None:
    assert maker_of(model) == maker


PARTS = st.one_of(
    st.builds(Text, st.text(max_size=5), st.none() | st.just(CacheMark())),
    st.builds(ToolCall, st.text(max_size=70), st.just("weather")),
    st.builds(lambda i, t: ToolResult(i, (Text(t),)), st.text(max_size=70), st.text(max_size=5)),
    st.builds(Thinking, st.text(max_size=5), st.sampled_from(["", "s"]), st.sampled_from(["", "cmVk"])),
    st.just(Media("image", data=PNG)),
)
ROLES = st.sampled_from(["system", "developer", "user", "assistant"])


@given(
    st.lists(st.builds(Turn, ROLES, st.lists(PARTS, max_size=4).map(tuple)), max_size=6).map(tuple),
    st.sampled_from([CLAUDE, CLAUDE_OLD, NOVA, GPT_OSS, LLAMA]),
    st.builds(Reasoning, st.sampled_from([None, "none", "low", "max"]), st.none() | st.integers(0, 50_000)),
)
def test_any_conversation_is_a_valid_request_or_is_refused(
    turns: tuple[Turn, ...], model: str, reasoning: Reasoning
) -> None:
    """Valid: what botocore's model of Converse accepts, with roles that alternate and no blank text."""
    try:
        body, _ = encode(model, turns=(*turns, HELLO), reasoning=reasoning)
    except InvalidRequest as error:
        assert error.param == "messages"
        return
    roles = [message["role"] for message in body["messages"]]
    assert all(role != following for role, following in pairwise(roles))
    blocks = [block for message in body["messages"] for block in message["content"]]
    assert all(block.get("text", "x").strip() for block in blocks)
