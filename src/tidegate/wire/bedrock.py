"""Amazon Bedrock's Converse, a dialect that only providers speak: requests go out in it, answers come back in it."""

from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

from tidegate.core.errors import GatewayError
from tidegate.core.facts import Quirks
from tidegate.wire import bedrock_answer, bedrock_ask
from tidegate.wire.bedrock_stream import BedrockStream
from tidegate.wire.conversation import Ask, Encoded
from tidegate.wire.dialect import Head, Peek, Pieces, Seen, StreamEncoder
from tidegate.wire.events import Event

STREAM_TYPE: Final = b"application/vnd.amazon.eventstream"


class Bedrock:
    """The provider's side of `wire.dialect.Dialect`; its callers' side is never asked for."""

    name = "bedrock"

    def encode_request(self, ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
        return bedrock_ask.encode_request(ask, upstream_model, quirks)

    def stream_decoder(self, *, event_bytes_max: int) -> BedrockStream:
        """A decoder of the binary event stream: the bytes of the HTTP body, not of SSE."""
        return BedrockStream(event_bytes_max)

    def decode_reply(self, body: bytes) -> Sequence[Event] | None:
        return bedrock_answer.decode_reply(body)

    def decode_head(self, body: bytes) -> Head:
        _no_caller_speaks_it()

    def edit_request(self, body: bytes, head: Head, upstream_model: str) -> Pieces:
        _no_caller_speaks_it()

    def peek(self, head: Head) -> Peek:
        _no_caller_speaks_it()

    def see_reply(self, body: bytes) -> Seen | None:
        _no_caller_speaks_it()

    def decode_request(self, body: bytes) -> Ask:
        _no_caller_speaks_it()

    def stream_encoder(self, ask: Ask, *, generation_id: str, created_s: int) -> StreamEncoder:
        _no_caller_speaks_it()

    def encode_reply(self, events: Iterable[Event], ask: Ask, *, generation_id: str, created_s: int) -> bytes:
        _no_caller_speaks_it()

    def error_body(self, error: GatewayError, *, request_id: str) -> bytes:
        _no_caller_speaks_it()

    def stream_error(self, error: GatewayError) -> bytes:
        _no_caller_speaks_it()


def _no_caller_speaks_it() -> NoReturn:
    raise TypeError("Bedrock's Converse is spoken to providers only; no caller of the gateway speaks it")


BEDROCK: Final = Bedrock()
