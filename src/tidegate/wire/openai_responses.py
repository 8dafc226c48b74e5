"""OpenAI Responses: `RESPONSES`, without any state between calls.

`openai_responses_head` reads and edits requests, `openai_responses_peek` reads what the meter needs. `_ask` and
`_items` decode requests, `_body` encodes them; `_answer` and `_output` decode answers, `_reply` and `_written` encode
them.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tidegate.core.error_types import error_type
from tidegate.core.errors import GatewayError
from tidegate.core.facts import Quirks
from tidegate.wire import openai_responses_ask as ask_in
from tidegate.wire import openai_responses_body as ask_out
from tidegate.wire import openai_responses_head as heads
from tidegate.wire import openai_responses_peek as peeks
from tidegate.wire.conversation import Ask, Encoded
from tidegate.wire.dialect import Dialect, Head, Peek, Pieces, Seen, StreamDecoder, StreamEncoder
from tidegate.wire.events import Event
from tidegate.wire.openai_responses_answer import ResponsesDecoder, decode_reply
from tidegate.wire.openai_responses_reply import ResponsesEncoder, encode_reply


class Responses:
    """See `wire.dialect.Dialect` for what each of these promises."""

    name = "openai-responses"

    def decode_head(self, body: bytes) -> Head:
        return heads.decode_head(body)

    def edit_request(self, body: bytes, head: Head, upstream_model: str) -> Pieces:
        return heads.edit_request(body, head, upstream_model)

    def peek(self, head: Head) -> Peek:
        return peeks.ResponsesPeek()

    def see_reply(self, body: bytes) -> Seen | None:
        return peeks.see_reply(body)

    def decode_request(self, body: bytes) -> Ask:
        return ask_in.decode_request(body)

    def encode_request(self, ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
        return ask_out.encode_request(ask, upstream_model, quirks)

    def stream_decoder(self, *, event_bytes_max: int) -> StreamDecoder:
        return ResponsesDecoder(event_bytes_max)

    def stream_encoder(self, ask: Ask, *, generation_id: str, created_s: int) -> StreamEncoder:
        return ResponsesEncoder(ask, generation_id, created_s)

    def decode_reply(self, body: bytes) -> Sequence[Event] | None:
        return decode_reply(body)

    def encode_reply(self, events: Iterable[Event], ask: Ask, *, generation_id: str, created_s: int) -> bytes:
        return encode_reply(events, ask, generation_id, created_s)

    def error_body(self, error: GatewayError, *, request_id: str) -> bytes:
        return msgspec.json.encode({"error": {**_error(error), "request_id": request_id}})

    def stream_error(self, error: GatewayError) -> bytes:
        """An `error` event. OpenAI documents its members at the top; its SDKs raise only for those under `error`."""
        said = _error(error)
        top = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        data = msgspec.json.encode({**top, "sequence_number": 0, "error": said})
        return b"event: error\ndata: %b\n\n" % data


def _error(error: GatewayError) -> dict[str, object]:
    words = error_type(error)
    return {
        "message": error.message,
        "type": words.openai,
        "param": error.param,
        "code": error.code,
        "metadata": {"error_type": words.openrouter},
    }


RESPONSES: Final[Dialect] = Responses()
