"""Anthropic's Messages API as a dialect, for callers and for providers."""

from collections.abc import Iterable, Sequence
from typing import Final

from tidegate.core.errors import GatewayError
from tidegate.core.facts import Quirks
from tidegate.wire import anthropic_errors
from tidegate.wire.anthropic_answer import AnthropicDecoder, decode_reply
from tidegate.wire.anthropic_ask import decode_request
from tidegate.wire.anthropic_body import encode_request
from tidegate.wire.anthropic_head import decode_head, edit_request
from tidegate.wire.anthropic_peek import AnthropicPeek, see_reply
from tidegate.wire.anthropic_reply import AnthropicEncoder, encode_reply
from tidegate.wire.conversation import Ask, Encoded
from tidegate.wire.dialect import Head, Peek, Pieces, Seen
from tidegate.wire.events import Event


class Anthropic:
    """The object of this dialect. It has no state; `wire/anthropic_head.py` has the words of `messages/count_tokens`.

    Created times have no place in this dialect: `created_s` is not used.
    """

    name = "anthropic"

    def decode_head(self, body: bytes) -> Head:
        return decode_head(body)

    def edit_request(self, body: bytes, head: Head, upstream_model: str) -> Pieces:
        return edit_request(body, head, upstream_model)

    def peek(self, head: Head) -> Peek:
        return AnthropicPeek()

    def see_reply(self, body: bytes) -> Seen | None:
        return see_reply(body)

    def decode_request(self, body: bytes) -> Ask:
        return decode_request(body)

    def encode_request(self, ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
        return encode_request(ask, upstream_model, quirks)

    def stream_decoder(self, *, event_bytes_max: int) -> AnthropicDecoder:
        return AnthropicDecoder(event_bytes_max)

    def stream_encoder(self, ask: Ask, *, generation_id: str, created_s: int) -> AnthropicEncoder:
        return AnthropicEncoder(ask, generation_id)

    def decode_reply(self, body: bytes) -> Sequence[Event] | None:
        return decode_reply(body)

    def encode_reply(self, events: Iterable[Event], ask: Ask, *, generation_id: str, created_s: int) -> bytes:
        return encode_reply(events, ask, generation_id=generation_id)

    def error_body(self, error: GatewayError, *, request_id: str) -> bytes:
        return anthropic_errors.error_body(error, request_id=request_id)

    def stream_error(self, error: GatewayError) -> bytes:
        return anthropic_errors.stream_error(error)


ANTHROPIC: Final = Anthropic()
