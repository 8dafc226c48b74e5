"""A stream between provider and caller: bytes in, bytes out, and what was learnt on the way. Knows no sockets.

Whole events are forwarded as the provider wrote them. Only two are treated: the usage event is left out where the
caller did not ask for it, and `[DONE]` is held back until the call is in the journal.
"""

import re

from tidegate.core.usage import Usage
from tidegate.wire.openai_chat import DONE, Chunk, decode_chunk, usage_from_wire
from tidegate.wire.sse import Framer, event_data

_TEXT = re.compile(rb'"content": ?"([^"\\]*)"')
_NOTHING = (b"\n", b"\n")  # before and after the text of a plain event; no chunk looks like this


def _around_text(data: bytes, at: int) -> tuple[bytes, bytes]:
    """What stands before and after the text of a plain event, from its first line end (`at`) on.

    A read with the same bytes around another text has the same structure and, but for that text, the same values, so
    it need not be decoded to know that it is plain. `_NOTHING` where no such text is found.
    """
    found = _TEXT.search(data, at)
    return (data[at : found.start(1)], data[found.end(1) :]) if found else _NOTHING


class StreamRelay:
    """State of one stream. `held` is what the caller gets last: empty unless the provider sent `[DONE]`."""

    __slots__ = (
        "_framer",
        "_strip_usage",
        "_tools",
        "error_seen",
        "finish_reason",
        "held",
        "is_done",
        "plain",
        "usage",
    )

    def __init__(self, *, strip_usage: bool, event_bytes_max: int) -> None:
        self._framer = Framer(event_bytes_max)
        self.plain = _NOTHING
        self._strip_usage = strip_usage
        self._tools: set[tuple[int, int | str | None]] = set()
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.error_seen = False
        self.is_done = False
        self.held = b""

    @property
    def tool_calls(self) -> int:
        return len(self._tools)

    @property
    def is_finished(self) -> bool:
        """The provider said that the answer is over."""
        return self.is_done or self.finish_reason is not None

    def feed(self, data: bytes) -> bytes:
        """What to forward now. Raises UpstreamError for an event that is too large."""
        events = self._framer.feed(data)
        if len(events) == 1:
            return events[0] if self._keep(events[0]) else b""
        return b"".join([event for event in events if self._keep(event)])

    @property
    def is_between_events(self) -> bool:
        """The stream goes on, and every event that was begun has ended: what follows is a whole one, or its begin."""
        return not self.is_done and self._framer.is_empty

    def pass_chunk(self, data: bytes) -> bool | None:
        """The fast twin of `feed` between two events, for what nearly every read of a stream is: one whole HTTP chunk
        (its framing included) that holds one whole event of one line. True: it may be forwarded as it is, framing and
        all; False: it must be left out. None: it is something else, nothing was read of it, and `feed` must see it.

        After True, `plain` holds what stands around the event's text: a read with the same around another text is
        plain too.
        """
        at, end = data.find(b"\r\n"), len(data) - 4
        if data[:at] != b"%x" % (end - at):
            return None
        if data[at : at + 9] != b"\r\ndata: {" or data[end:] != b"\n\n\r\n":
            return None
        payload = data[at + 8 : end]
        if b"\n" in payload or b"\r" in payload or (chunk := decode_chunk(payload)) is None:
            return None
        if not chunk.is_plain:
            self.plain = _NOTHING
            return self._read(chunk)
        self.plain = _around_text(data, at)
        return True

    def finish(self) -> bytes:
        """The provider ended cleanly: a last event without its blank line still counts, if it is one."""
        rest = self._framer.rest
        if not rest.strip():
            return b""
        data = event_data(rest + b"\n\n")
        if data is None or (not data.startswith(DONE) and decode_chunk(data) is None):
            return b""
        return self.feed(b"\n\n")

    def _keep(self, event: bytes) -> bool:
        if self.is_done:
            return False  # nothing follows [DONE]
        data = event_data(event)
        if data is None:
            return True
        if data.startswith(DONE):
            self.is_done = True
            self.held = event
            return False
        chunk = decode_chunk(data)
        return True if chunk is None else self._read(chunk)

    def _read(self, chunk: Chunk) -> bool:
        if chunk.choices:
            for choice in chunk.choices:
                if choice.finish_reason is not None:
                    self.finish_reason = choice.finish_reason
                if choice.delta is not None and choice.delta.tool_calls:
                    for call in choice.delta.tool_calls:
                        self._tools.add((choice.index, call.id if call.index is None else call.index))
        if chunk.has_error:
            self.error_seen = True
        if chunk.usage is not None:
            self.usage = usage_from_wire(chunk.usage) or self.usage
            return not (self._strip_usage and chunk.is_usage_only)
        return True
