"""OpenAI chat completions: `CHAT`, and the functions of the hot path.

`openai_chat_head` reads and edits requests, `openai_chat_peek` and `openai_chat_reply` read what the meter needs;
`openai_chat_ask_*` and `openai_chat_answer_*` go between this dialect and the hub, with `openai_chat_messages` and
`openai_chat_turns` for what is said, and `openai_chat_parts` for what providers write.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from tidegate.core.errors import GatewayError, error_body
from tidegate.core.facts import Quirks
from tidegate.wire.conversation import Ask, Encoded
from tidegate.wire.dialect import Dialect, Head, Pieces, Seen, StreamEncoder
from tidegate.wire.events import Event
from tidegate.wire.openai_chat_answer_read import ChatStreamDecoder, decode_answer
from tidegate.wire.openai_chat_answer_write import ChatStreamEncoder, encode_answer
from tidegate.wire.openai_chat_ask_read import decode_ask
from tidegate.wire.openai_chat_ask_write import encode_ask
from tidegate.wire.openai_chat_head import (
    SPLICE_BYTES_MIN,
    RequestHead,
    StreamOptions,
    decode_request,
    edit_request,
    rebuild_request,
    splice_request,
)
from tidegate.wire.openai_chat_peek import ChatPeek, see_completion
from tidegate.wire.openai_chat_reply import (
    DONE,
    NOT_SENT,
    TOKENS_MAX,
    Chunk,
    Reply,
    WireUsage,
    decode_chunk,
    decode_reply,
    stream_error,
    usage_from_wire,
)
from tidegate.wire.routing_ask import routing_of

__all__ = [
    "CHAT",
    "DONE",
    "NOT_SENT",
    "SPLICE_BYTES_MIN",
    "TOKENS_MAX",
    "Chat",
    "Chunk",
    "OpenAIHead",
    "Reply",
    "RequestHead",
    "StreamOptions",
    "WireUsage",
    "decode_chunk",
    "decode_reply",
    "decode_request",
    "edit_request",
    "rebuild_request",
    "splice_request",
    "stream_error",
    "usage_from_wire",
]

_encode = msgspec.json.Encoder().encode


class OpenAIHead(Head, frozen=True, gc=False):
    """A head that knows the place of its edits. `request` views the body: let go of it with the body."""

    request: RequestHead | None = None


def open_head(body: bytes, kind: str) -> OpenAIHead:
    """The head of any request of OpenAI's older interfaces, which have `model`, `stream` and `stream_options` alike."""
    found = decode_request(body, kind)
    return OpenAIHead(
        model=found.model,
        is_stream=found.is_stream,
        wants_usage=found.wants_usage,
        tools_offered=len(found.tools or ()) + len(found.functions or ()),
        user=found.user or "",
        session_id=found.session_id or "",
        routing=routing_of(found),
        request=found,
    )


def edit(body: bytes, head: Head, upstream_model: str, kind: str) -> Pieces:
    """See `Dialect.edit_request`. A head from elsewhere costs a second reading of the body."""
    request = head.request if isinstance(head, OpenAIHead) else None
    return edit_request(body, request or decode_request(body, kind), upstream_model)


class Chat:
    """OpenAI's chat completions, as `Dialect`."""

    name = "openai-chat"
    kind = "chat completion request"

    def decode_head(self, body: bytes) -> Head:
        return open_head(body, self.kind)

    def edit_request(self, body: bytes, head: Head, upstream_model: str) -> Pieces:
        return edit(body, head, upstream_model, self.kind)

    def peek(self, head: Head) -> ChatPeek:
        return ChatPeek(strip_usage=not head.wants_usage)

    def see_reply(self, body: bytes) -> Seen | None:
        return see_completion(body)

    def decode_request(self, body: bytes) -> Ask:
        return decode_ask(body)

    def encode_request(self, ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
        return encode_ask(ask, upstream_model, quirks)

    def stream_decoder(self, *, event_bytes_max: int) -> ChatStreamDecoder:
        return ChatStreamDecoder(event_bytes_max)

    def stream_encoder(self, ask: Ask, *, generation_id: str, created_s: int) -> StreamEncoder:
        return ChatStreamEncoder(ask, generation_id, created_s)

    def decode_reply(self, body: bytes) -> Sequence[Event] | None:
        return decode_answer(body)

    def encode_reply(
        self,
        events: Iterable[Event],
        ask: Ask,
        *,
        generation_id: str,
        created_s: int,
        usage_object: dict[str, Any] | None = None,
    ) -> bytes:
        """usage_object: what the reply says instead of the usage seen, for who knows the cost."""
        return encode_answer(events, ask, generation_id, created_s, usage_object)

    def error_body(self, error: GatewayError, *, request_id: str) -> bytes:
        """OpenAI's shape; the request's id is in the headers, where OpenAI has it."""
        return _encode(error_body(error))

    def stream_error(self, error: GatewayError) -> bytes:
        return stream_error(error.message, error.code)


CHAT: Final[Dialect] = Chat()
