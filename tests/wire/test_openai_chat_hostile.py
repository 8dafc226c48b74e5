"""Whatever a provider or a caller sends, chat answers with events or an error that names the place; never a crash."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidegate.core.errors import InvalidRequest
from tidegate.wire.conversation import Ask
from tidegate.wire.openai_chat import CHAT
from tidegate.wire.openai_completions import COMPLETIONS

NAMES = st.sampled_from(
    [
        "id",
        "model",
        "created",
        "choices",
        "usage",
        "error",
        "object",
        "index",
        "delta",
        "message",
        "content",
        "text",
        "finish_reason",
        "stop_reason",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "function_call",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "type",
        "summary",
        "data",
        "signature",
        "format",
        "refusal",
        "annotations",
        "url_citation",
        "images",
        "image_url",
        "url",
        "audio",
        "role",
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "reasoning_effort",
        "thinking",
        "stop",
        "max_tokens",
        "stream",
        "stream_options",
        "n",
        "prompt",
        "cache_control",
        "file",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(
        ["", "stop", "text", "reasoning.encrypted", "reasoning.text", "tool", "assistant", "user", "\ud800", "{}"]
    )
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=25
)
MESSAGES = st.dictionaries(NAMES, VALUES, max_size=5)
CHOICES = st.fixed_dictionaries(
    {}, optional={"index": VALUES, "delta": MESSAGES, "message": MESSAGES, "finish_reason": VALUES}
)
REPLIES = st.fixed_dictionaries(
    {"choices": st.lists(CHOICES, max_size=2)},
    optional={"id": VALUES, "created": LEAVES, "usage": VALUES, "error": VALUES},
)
REQUESTS = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "messages": st.lists(MESSAGES | st.fixed_dictionaries({"role": st.just("assistant"), "content": VALUES})),
    },
    optional={"tools": VALUES, "tool_choice": VALUES, "response_format": VALUES, "thinking": VALUES, "prompt": VALUES},
)
ASK = Ask(model="m", turns=())


@settings(deadline=None)
@given(st.lists(REPLIES, max_size=4), st.integers(1, 40))
@example([{"choices": [], "created": 1e300}], 1)
@example([{"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": "\ud800"}}]}}]}], 1)
def test_no_reply_of_a_provider_breaks_the_reader_or_the_writer(chunks, size) -> None:
    decoder = CHAT.stream_decoder(event_bytes_max=1 << 20)
    encoder = CHAT.stream_encoder(ASK, generation_id="gen-1", created_s=1)
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    events = [event for at in range(0, len(stream), size) for event in decoder.feed(stream[at : at + size])]
    for event in [*events, *decoder.finish()]:
        for line in encoder.encode(event).split(b"\n\n")[:-1]:
            json.loads(line[6:])
    encoder.finish()
    for chunk in chunks:
        body = json.dumps(chunk).encode()
        CHAT.see_reply(body)
        if (found := CHAT.decode_reply(body)) is not None:
            json.loads(CHAT.encode_reply(found, ASK, generation_id="gen-1", created_s=1))
            json.loads(COMPLETIONS.encode_reply(found, ASK, generation_id="gen-1", created_s=1))


@settings(deadline=None)
@given(REQUESTS)
def test_a_request_is_understood_or_refused(request) -> None:
    body = json.dumps(request).encode()
    for dialect in (CHAT, COMPLETIONS):
        try:
            dialect.decode_request(body)
        except InvalidRequest as error:
            assert error.message
