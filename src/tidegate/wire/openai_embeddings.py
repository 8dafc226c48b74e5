"""OpenAI's embeddings: `EMBEDDINGS`, which pass through as they are. No other dialect of ours makes vectors."""

from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import GatewayError, InvalidRequest, error_body
from tidegate.core.facts import Quirks
from tidegate.wire.conversation import Ask, Encoded
from tidegate.wire.dialect import Dialect, Head, Peek, Pieces, Seen, StreamDecoder, StreamEncoder
from tidegate.wire.events import Event
from tidegate.wire.openai_chat import edit, open_head
from tidegate.wire.openai_chat_peek import ChatPeek
from tidegate.wire.openai_chat_reply import stream_error
from tidegate.wire.unreadable import UNREADABLE
from tidegate.wire.usage import decode_usage

KIND: Final = "embeddings request"
NULL: Final = Raw(b"null")


class _Reply(Struct, frozen=True, gc=False):
    """`data` is left as bytes: vectors are most of a reply, and nobody here reads them."""

    data: Raw = NULL
    model: str | None = None
    usage: Raw = NULL
    error: Raw = NULL


_reply_decoder = msgspec.json.Decoder(_Reply)


def _refuse() -> NoReturn:
    raise InvalidRequest(
        "Embeddings are not translated: this model's provider does not speak OpenAI's embeddings. Choose a model that "
        "is served so.",
        param="model",
    )


class Embeddings:
    """OpenAI's embeddings, as `Dialect`; what would go through the hub raises InvalidRequest."""

    name = "openai-embeddings"

    def decode_head(self, body: bytes) -> Head:
        """Vectors never come as a stream, whatever a caller's `stream` says: nor is its usage asked for."""
        head = open_head(body, KIND)
        if not head.is_stream or head.request is None:
            return head
        return msgspec.structs.replace(
            head, is_stream=False, request=msgspec.structs.replace(head.request, stream=None)
        )

    def edit_request(self, body: bytes, head: Head, upstream_model: str) -> Pieces:
        return edit(body, head, upstream_model, KIND)

    def peek(self, head: Head) -> Peek:
        return ChatPeek(strip_usage=False)

    def see_reply(self, body: bytes) -> Seen | None:
        try:
            reply = _reply_decoder.decode(body)
        except UNREADABLE:
            return None
        has_error = bytes(reply.error) != b"null" and bytes(reply.data) == b"null"
        if bytes(reply.data) == b"null" and not has_error:
            return None
        seen = Seen(has_error=has_error, is_done=True, model=reply.model or "")
        found = decode_usage(bytes(reply.usage), "openai-embeddings")
        if found is not None:
            seen.usage, seen.reported_nano_usd = found.usage, found.cost_nano_usd
        return seen

    def decode_request(self, body: bytes) -> Ask:
        _refuse()

    def encode_request(self, ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
        _refuse()

    def stream_decoder(self, *, event_bytes_max: int) -> StreamDecoder:
        _refuse()

    def stream_encoder(self, ask: Ask, *, generation_id: str, created_s: int) -> StreamEncoder:
        _refuse()

    def decode_reply(self, body: bytes) -> Sequence[Event] | None:
        _refuse()

    def encode_reply(self, events: Iterable[Event], ask: Ask, *, generation_id: str, created_s: int) -> bytes:
        _refuse()

    def error_body(self, error: GatewayError, *, request_id: str) -> bytes:
        return msgspec.json.encode(error_body(error))

    def stream_error(self, error: GatewayError) -> bytes:
        return stream_error(error.message, error.code)


EMBEDDINGS: Final[Dialect] = Embeddings()
