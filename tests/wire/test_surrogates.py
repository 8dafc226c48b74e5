"""What is no text in JSON is made text, and nothing else is touched."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.dialects import DIALECTS
from tidegate.wire.events import Delta
from tidegate.wire.sse import event_data
from tidegate.wire.surrogates import without_halves

units = st.text(st.sampled_from([*'ab\\"u\u00e9\U0001f600', "\ud83d", "\ude00", "\ud7ff", "\ue000"]))


@given(units)
def test_any_text_becomes_readable_and_keeps_its_whole_characters(text: str) -> None:
    written = json.dumps(text).encode()
    expected = json.loads(written).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    told = msgspec.json.decode(without_halves(written))
    assert told.replace("\ufffd", "") == expected.replace("\ufffd", "")


@given(st.text())
def test_text_without_halves_is_not_touched(text: str) -> None:
    written = json.dumps(text).encode()
    assert without_halves(written) == written


STREAMED = {
    "openai-chat": b'data: {"choices":[{"index":0,"delta":{"content":"a \\ud83d b"},"finish_reason":null}]}\n\n',
    "anthropic": b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
    b'{"type":"text","text":""}}\n\nevent: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"a \\ud83d b"}}\n\n',
    "gemini": b'data: {"candidates":[{"content":{"parts":[{"text":"a \\ud83d b"}],"role":"model"}}]}\r\n\r\n',
    "openai-responses": b'event: response.output_item.added\ndata: {"type":"response.output_item.added",'
    b'"output_index":0,"item":{"type":"message","id":"i","role":"assistant","content":[]}}\n\n'
    b'event: response.content_part.added\ndata: {"type":"response.content_part.added","item_id":"i",'
    b'"output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}\n\n'
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"i","output_index":0,'
    b'"content_index":0,"delta":"a \\ud83d b"}\n\n',
}


@pytest.mark.parametrize("name", STREAMED)
def test_an_event_with_half_an_emoji_is_not_lost(name: str) -> None:
    events = DIALECTS[name].stream_decoder(event_bytes_max=1 << 20).feed(STREAMED[name])
    assert [event.text for event in events if isinstance(event, Delta)] == ["a \ufffd b"]


def test_events_are_mended_where_they_are_read() -> None:
    assert event_data(b'data: "\\uD83D"\n\n') == b'"\\ufffd"'
    assert event_data(b'data: "\\ud83d\\ude00"\n\n') == b'"\\ud83d\\ude00"'
