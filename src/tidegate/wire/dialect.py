"""What a dialect must be able to do. One file (or few, with one name in front) of `wire/` per dialect; all pure.

Two ways through the gateway use it. Same dialect on both sides: `decode_head`, `edit_request`, and a `Peek` that learns
from passing bytes what the meter needs. Different dialects: `decode_request` and `encode_request` through `Ask`, a
`StreamDecoder` and a `StreamEncoder` (or `decode_reply` and `encode_reply`) through events.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from tidegate.core.errors import GatewayError
from tidegate.core.facts import Quirks
from tidegate.core.usage import Usage
from tidegate.wire.conversation import Ask, Encoded
from tidegate.wire.events import Event
from tidegate.wire.routing_ask import RoutingAsk

Pieces = tuple[bytes | memoryview, ...]


class Head(Struct, frozen=True, gc=False):
    """What the gateway reads of any request. `tools_offered`: how many. `wants_usage`: in the stream, as it asked.

    `routing`: views of the body, like those that a dialect's own head has; None where it says nothing of its routing.
    """

    model: str
    is_stream: bool = False
    wants_usage: bool = True
    tools_offered: int = 0
    user: str = ""
    session_id: str = ""
    routing: RoutingAsk | None = None


class Seen(Struct):
    """What a reply told the meter, so far. `reported_nano_usd`: the provider's own charge, None where it says none.

    `usage` None: none reported. `finish_reason`: OpenAI's word for it, as rows have it. `output_bytes`: bytes of
    answer text, thoughts and tool arguments seen, for an estimate where usage never comes.
    """

    usage: Usage | None = None
    reported_nano_usd: int | None = None
    finish_reason: str | None = None
    tool_calls: int = 0
    has_error: bool = False
    is_done: bool = False  # the dialect's own last event has come; nothing of the answer follows
    model: str = ""
    output_text_bytes: int = 0


class Peek(Protocol):
    """Learns from the events of a stream that passes through in its own dialect."""

    seen: Seen

    def see(self, event: bytes) -> bool:
        """Read one raw SSE event, terminator included. True: forward it as it is; False: leave it out."""
        ...


class StreamDecoder(Protocol):
    """A provider's stream into events. Any cut of the bytes gives the same events."""

    is_done: bool  # the dialect's own last event has come: nothing of the answer follows

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises UpstreamError for an event that is too large."""
        ...

    def finish(self) -> list[Event]:
        """The provider's connection ended: what was held back (a last event without its blank line)."""
        ...


class StreamEncoder(Protocol):
    """Events into the stream of a caller's dialect: whole SSE events, terminators included."""

    dropped: list[str]  # what of the answer this dialect cannot say

    def encode(self, event: Event) -> bytes:
        """What the caller gets for this event now; may be empty. The last events of a stream come from `finish`."""
        ...

    def finish(self) -> bytes:
        """The end of the stream, after Stop or Failure: in OpenAI's chat, usage where asked for and `[DONE]`."""
        ...


class Dialect(Protocol):
    """One language of requests and replies."""

    name: str

    def decode_head(self, body: bytes) -> Head:
        """Raises InvalidRequest naming the place and what was expected."""
        ...

    def edit_request(self, body: bytes, head: Head, upstream_model: str) -> Pieces:
        """The same request as the provider gets it: its model's name, and usage asked for. Other bytes stay."""
        ...

    def peek(self, head: Head) -> Peek: ...

    def see_reply(self, body: bytes) -> Seen | None:
        """What a whole reply in this dialect tells the meter; None where it is not one."""
        ...

    def decode_request(self, body: bytes) -> Ask:
        """Raises InvalidRequest as `decode_head` does."""
        ...

    def encode_request(self, ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
        """Raises InvalidRequest where the dialect needs what the ask does not have."""
        ...

    def stream_decoder(self, *, event_bytes_max: int) -> StreamDecoder: ...

    def stream_encoder(self, ask: Ask, *, generation_id: str, created_s: int) -> StreamEncoder: ...

    def decode_reply(self, body: bytes) -> Sequence[Event] | None:
        """The events of a whole reply; None where it is not one of this dialect."""
        ...

    def encode_reply(self, events: Iterable[Event], ask: Ask, *, generation_id: str, created_s: int) -> bytes:
        """A whole reply."""
        ...

    def error_body(self, error: GatewayError, *, request_id: str) -> bytes:
        """An error of ours as this dialect writes errors."""
        ...

    def stream_error(self, error: GatewayError) -> bytes:
        """An event that tells a caller of a failure after the 200, as its SDK expects it."""
        ...
