"""The other form of a Gemini stream: one JSON array, written element by element, for callers without `alt=sse`.

Providers are always asked for SSE; this makes an array of any such stream, translated or passed through.
"""

from typing import Final

from tidegate.wire.gemini_chunk import payload
from tidegate.wire.sse import Framer

MEDIA_TYPE: Final = "application/json; charset=UTF-8"


class ArrayWriter:
    """SSE bytes in, in any cut; pieces of one JSON array out."""

    def __init__(self, *, event_bytes_max: int) -> None:
        self._framer = Framer(event_bytes_max)
        self._is_begun = False

    def write(self, data: bytes) -> bytes:
        """Raises UpstreamError for an event that is too large."""
        return b"".join(self._element(event) for event in self._framer.feed(data))

    def finish(self) -> bytes:
        """The end of the array; an empty one where nothing came."""
        rest = self._framer.rest
        last = self._element(rest) if rest else b""
        return last + (b"\n]\n" if self._is_begun else b"[]\n")

    def _element(self, event: bytes) -> bytes:
        data = payload(event)
        bare = event.strip()
        if data is None and bare[:1] == b"{":
            data = bare  # an error as bare JSON lines
        if data is None or not data.strip() or data == b"[DONE]":
            return b""
        start = b",\r\n" if self._is_begun else b"["
        self._is_begun = True
        return start + data
