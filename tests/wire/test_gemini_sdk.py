"""Google's own SDK as an oracle: what it sends we read, what we write it reads. Skipped where it is not installed."""

import json

import pytest

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.core.usage import Usage
from tidegate.wire.conversation import Ask, Media, OutputFormat, Text, Thinking, Tool, ToolCall, ToolResult, Turn
from tidegate.wire.events import BlockStart, BlockStop, Delta, MessageStart, Signature, Stop, UsageSeen
from tidegate.wire.gemini import GEMINI, ask_with_path
from tidegate.wire.gemini_count import decode_count, encode_count_reply
from tidegate.wire.gemini_path import parse_path

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")
httpx = pytest.importorskip("httpx2", reason="the SDK came without its transport, httpx2")
types = genai.types
# Of its own making: it warns of parts that are not text when asked for the text alone.
pytestmark = pytest.mark.filterwarnings("ignore")

ANSWER = [
    MessageStart("x", "claude-9"),
    BlockStart(0, "thinking", origin="anthropic"),
    Delta(0, "hm"),
    Delta(0, "m"),
    Signature(0, "sig"),
    BlockStop(0),
    BlockStart(1, "text"),
    Delta(1, "Hel"),
    Delta(1, "lo ☂"),
    BlockStop(1),
    BlockStart(2, "tool", "c1", "look"),
    BlockStart(3, "tool", "c2", "list"),
    Delta(3, "{}"),
    Delta(2, '{"place":'),
    BlockStop(3),
    Delta(2, '"Rome"}'),
    BlockStop(2),
    UsageSeen(Usage(input_tokens=3, output_tokens=9, reasoning_output_tokens=4)),
    Stop("tool_calls"),
]
PLAIN = [MessageStart(), BlockStart(0, "text"), Delta(0, '{"n": 5}'), BlockStop(0), Stop("length")]


class Gateway:
    """Answers the SDK as a gateway before another provider would, and keeps what it was asked."""

    def __init__(self, events=ANSWER, failure=None) -> None:
        self.events, self.failure, self.asks = events, failure, []
        options = types.HttpOptions(client_args={"transport": httpx.MockTransport(self)})
        self.client = genai.Client(api_key="k", vertexai=False, http_options=options)

    def __call__(self, request):
        found = parse_path(request.url.path, request.url.query.decode())
        if self.failure is not None:
            return httpx.Response(self.failure.status, content=GEMINI.error_body(self.failure, request_id="r"))
        if found.method == "countTokens":
            self.asks.append(decode_count(request.content))
            return httpx.Response(200, content=encode_count_reply(7))
        ask = ask_with_path(GEMINI.decode_request(request.content), found.model, found.is_stream)
        self.asks.append(ask)
        if not found.is_stream:
            return httpx.Response(
                200, content=GEMINI.encode_reply(self.events, ask, generation_id="gen-1", created_s=0)
            )
        encoder = GEMINI.stream_encoder(ask, generation_id="gen-1", created_s=0)
        stream = b"".join(map(encoder.encode, self.events)) + encoder.finish()
        assert not found.is_array
        return httpx.Response(200, content=stream, headers={"content-type": "text/event-stream"})


def look(place: str) -> str:
    """Look at a place.

    Args:
      place: which
    """
    return place


CONFIG = {
    "system_instruction": "be brief",
    "temperature": 0.5,
    "max_output_tokens": 50,
    "stop_sequences": ["x"],
    "thinking_config": {"include_thoughts": True, "thinking_level": "low"},
    "tools": [{"function_declarations": [{"name": "list", "parameters": {"type": "OBJECT", "properties": {}}}]}, look],
    "tool_config": {"function_calling_config": {"mode": "ANY"}},
    "automatic_function_calling": {"disable": True},
}


def test_what_the_sdk_asks_is_what_is_read():
    gateway = Gateway()
    image = types.Part.from_bytes(data=b"\xfb\xff\xfe" * 3, mime_type="image/png")
    gateway.client.models.generate_content(model="gemini-3-pro", contents=["hi", image], config=CONFIG)
    (ask,) = gateway.asks
    assert ask.model == "gemini-3-pro" and not ask.is_stream and ask.unsaid == ()
    assert ask.turns == (
        Turn("system", (Text("be brief"),)),
        Turn("user", (Text("hi"), Media("image", data="+//++//++//+", media_type="image/png"))),
    )
    assert (ask.temperature, ask.output_tokens_max, ask.stop) == (0.5, 50, ("x",))
    assert ask.reasoning.effort == "low" and ask.reasoning.shown and ask.tool_choice.mode == "required"
    schemas = {tool.name: json.loads(bytes(tool.schema)) for tool in ask.tools}
    assert schemas["list"] == {"type": "object", "properties": {}}
    assert schemas["look"]["properties"]["place"]["type"] == "string" and schemas["look"]["required"] == ["place"]


def parts_seen(responses):
    return [part for one in responses for part in one.candidates[0].content.parts or []]


@pytest.mark.parametrize("is_stream", [True, False])
def test_what_is_written_the_sdk_reads(is_stream):
    gateway = Gateway()  # its client closes when nobody holds it
    models = gateway.client.models
    if is_stream:
        responses = list(models.generate_content_stream(model="g", contents="hi", config=CONFIG))
    else:
        responses = [models.generate_content(model="g", contents="hi", config=CONFIG)]
    parts = parts_seen(responses)
    assert "".join(p.text for p in parts if p.text and not p.thought) == "Hello ☂"
    assert "".join(p.text for p in parts if p.text and p.thought) == "hmm"
    assert [(p.function_call.id, p.function_call.name, p.function_call.args) for p in parts if p.function_call] == [
        ("c1", "look", {"place": "Rome"}),
        ("c2", "list", {}),
    ]
    last = responses[-1]
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    assert (last.usage_metadata.prompt_token_count, last.usage_metadata.thoughts_token_count) == (3, 4)
    assert last.response_id == "gen-1" and last.model_version == "claude-9"


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_chat_of_the_sdk_returns_seals_calls_and_results(is_stream):
    gateway = Gateway()
    chat = gateway.client.chats.create(model="g", config=CONFIG)
    results = [
        types.Part(function_response=types.FunctionResponse(id="c1", name="look", response={"output": "sun"})),
        types.Part.from_function_response(name="list", response={"error": "none"}),
    ]
    if is_stream:
        list(chat.send_message_stream("hi"))
        list(chat.send_message_stream(results))
    else:
        chat.send_message("hi")
        chat.send_message(results)
    assert gateway.asks[-1].turns[2:] == (
        Turn(
            "assistant",
            (
                Thinking("hmm", "sig", origin="anthropic"),
                Text("Hello ☂"),
                ToolCall("c1", "look", gateway.asks[-1].turns[2].parts[2].arguments),
                ToolCall("c2", "list", "{}"),
            ),
        ),
        Turn("user", (ToolResult("c1", (Text("sun"),), "look"), ToolResult("c2", (Text("none"),), "list", True))),
    )
    assert json.loads(gateway.asks[-1].turns[2].parts[2].arguments) == {"place": "Rome"}


def test_structured_output_parses():
    from pydantic import BaseModel

    class Found(BaseModel):
        n: int

    gateway = Gateway(PLAIN)
    config = {"response_mime_type": "application/json", "response_schema": Found}
    reply = gateway.client.models.generate_content(model="g", contents="hi", config=config)
    assert reply.parsed == Found(n=5) and reply.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    schema = json.loads(bytes(gateway.asks[0].output_format.schema))
    assert schema["properties"]["n"]["type"] == "integer" and schema["required"] == ["n"]


def test_counting():
    gateway = Gateway()
    assert gateway.client.models.count_tokens(model="g", contents="hi").total_tokens == 7
    assert gateway.asks[0].turns == (Turn("user", (Text("hi"),)),)


def test_our_errors_are_the_sdks_errors():
    gateway = Gateway(failure=InvalidRequest("contents is empty", param="contents"))
    with pytest.raises(genai.errors.ClientError) as caught:
        gateway.client.models.generate_content(model="g", contents="hi")
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert caught.value.message == "contents is empty"


def test_a_failure_after_the_200_is_raised_by_the_sdk():
    from tidegate.wire.events import Failure

    gateway = Gateway([*ANSWER[:8], Failure("overloaded_error", "busy")])
    with pytest.raises(genai.errors.ServerError) as caught:
        list(gateway.client.models.generate_content_stream(model="g", contents="hi"))
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


ASK = Ask(
    model="m",
    turns=(
        Turn("system", (Text("s"),)),
        Turn("user", (Text("hi"), Media("image", url="https://a/b.png"), Media("document", data="aWM="))),
        Turn("assistant", (Thinking("t", "c2ln", origin="gemini"), Text("x"), ToolCall("c1", "f", '{"a":1}'))),
        Turn("user", (ToolResult("c1", (Text("r"), Media("image", data="aWM=", media_type="image/png"))),)),
    ),
    tools=(Tool("f", "d"),),
    output_format=OutputFormat("json"),
)


@pytest.mark.parametrize("model", ["gemini-3-pro", "gemini-2.5-flash"])
def test_what_we_ask_of_gemini_has_no_member_that_google_does_not_know(model):
    """The SDK's types refuse unknown members and wrong types, as Google's servers do."""
    body = json.loads(GEMINI.encode_request(ASK, model, Quirks()).body)
    for content in [*body["contents"], body["systemInstruction"]]:
        types.Content.model_validate(content)
    for tool in body["tools"]:
        types.Tool.model_validate(tool)
    types.GenerationConfig.model_validate(body["generationConfig"])
    assert body.keys() == {"contents", "systemInstruction", "tools", "generationConfig"}
