"""Anthropic's own SDK reads what we write: its accumulator and its types are the oracle.

Needs the package `anthropic`, which the project does not depend on: where it is absent, these tests are skipped.
"""

import json

import pytest

anthropic = pytest.importorskip("anthropic", reason="the anthropic SDK is not installed")
httpx = pytest.importorskip("httpx2", reason="the anthropic SDK of this version does not speak httpx2")

from tidegate.core.errors import InvalidRequest, Unavailable  # noqa: E402  # after what skips the file
from tidegate.core.usage import Usage  # noqa: E402
from tidegate.wire.anthropic_errors import error_body, stream_error  # noqa: E402
from tidegate.wire.anthropic_reply import AnthropicEncoder, encode_reply  # noqa: E402
from tidegate.wire.conversation import Ask  # noqa: E402
from tidegate.wire.events import (  # noqa: E402
    BlockStart,
    BlockStop,
    Delta,
    Event,
    MessageStart,
    Signature,
    Stop,
    UsageSeen,
)

EVENTS: list[Event] = [
    MessageStart("chatcmpl-1", "gpt-5"),
    BlockStart(0, "thinking", origin="openai", item_id="rs_1"),
    Delta(0, "Let me see"),
    Signature(0, "gAAA"),
    BlockStop(0),
    BlockStart(1, "text"),
    BlockStart(2, "tool", "call_a", "weather"),
    Delta(1, "It is "),
    BlockStart(3, "tool", "call_b", "now"),
    Delta(2, '{"city":'),
    Delta(1, "fine"),
    Delta(2, '"Köln"}'),
    BlockStop(1),
    BlockStop(3),
    BlockStop(2),
    Stop("tool_calls"),
    UsageSeen(Usage(input_tokens=20, cache_read_input_tokens=15, output_tokens=9, reasoning_output_tokens=4)),
]
ASK = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def client(body: bytes, status: int = 200, content_type: str = "application/json"):
    def answer(request):
        return httpx.Response(status, content=body, headers={"content-type": content_type})

    return anthropic.Anthropic(
        api_key="k", max_retries=0, http_client=httpx.Client(transport=httpx.MockTransport(answer))
    )


def stream() -> bytes:
    encoder = AnthropicEncoder(Ask(model="m", turns=()), "gen-1")
    return b"".join([encoder.encode(event) for event in EVENTS]) + encoder.finish()


def test_the_accumulated_stream_is_the_whole_message():
    with client(stream(), content_type="text/event-stream").messages.stream(**ASK) as streamed:
        from_stream = streamed.get_final_message()
    reply = encode_reply(EVENTS, Ask(model="m", turns=()), generation_id="gen-1")
    from_whole = client(reply).messages.create(**ASK)
    assert from_whole.to_dict() == json.loads(reply)
    for message in (from_stream, from_whole):
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
        assert message.content[0].thinking == "Let me see"
        assert message.content[0].signature.startswith("tg1.")
        assert message.content[1].text == "It is fine"
        assert [(block.id, block.input) for block in message.content[2:]] == [
            ("call_a", {"city": "Köln"}),
            ("call_b", {}),
        ]
        assert (message.id, message.model, message.stop_reason) == ("gen-1", "gpt-5", "tool_use")
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (5, 15)
        assert message.usage.output_tokens == 9
        assert message.usage.output_tokens_details.thinking_tokens == 4


def test_every_event_is_valid_by_the_sdks_types():
    """Its runtime is lenient; its types are not."""
    from anthropic.types import RawMessageStreamEvent
    from pydantic import TypeAdapter

    adapter = TypeAdapter(RawMessageStreamEvent)
    for event in stream().split(b"\n\n")[:-1]:
        adapter.validate_json(event.partition(b"data: ")[2], strict=True)


def test_an_error_after_the_200_is_raised():
    broken = stream().partition(b"event: message_delta")[0] + stream_error(Unavailable("The provider left."))
    with (
        client(broken, content_type="text/event-stream").messages.stream(**ASK) as streamed,
        pytest.raises(anthropic.APIStatusError, match="The provider left"),
    ):
        streamed.get_final_message()


def test_an_error_is_raised_as_its_class():
    body = error_body(InvalidRequest("No."), request_id="r1")
    with pytest.raises(anthropic.BadRequestError) as caught:
        client(body, 400).messages.create(**ASK)
    assert caught.value.body["error"]["type"] == "invalid_request_error"
