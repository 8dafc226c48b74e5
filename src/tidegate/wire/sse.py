"""Framing of server-sent events (WHATWG HTML, section 9.2): bytes in, whole events out, wherever they are cut.

An event is kept as the raw bytes it came in, terminator included, so that a relay forwards what the provider wrote;
`event_data` reads its payload. Lines may end in LF, CR LF or CR.
"""

import re

from tidegate.core.errors import UpstreamError
from tidegate.wire.surrogates import without_halves

# Atomic groups: CR LF must never be read as two line ends.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_HALF_BLANK_LINE = b"\r\n\r"
_BOM = b"\xef\xbb\xbf"


class Framer:
    """Cuts a stream into events. One per stream; `feed` may be called with any cut of the bytes.

    The concatenation of all events and `rest` is always exactly what was fed.
    """

    __slots__ = ("_buffer", "_event_bytes_max", "_seen")

    def __init__(self, event_bytes_max: int) -> None:
        self._event_bytes_max = event_bytes_max
        self._buffer = bytearray()
        self._seen = 0  # bytes of the buffer already known to hold no blank line

    @property
    def is_empty(self) -> bool:
        """Every event that was begun has ended."""
        return not self._buffer

    @property
    def rest(self) -> bytes:
        """The bytes of an event that has not ended."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes, raw. Raises UpstreamError for an event above `event_bytes_max`."""
        if not self._buffer and data[-2:] == b"\n\n" and b"\r" not in data:
            # What nearly every read looks like: whole events and nothing else.
            if data.find(b"\n\n") == len(data) - 2:
                return [data]
            return [piece + b"\n\n" for piece in data[:-2].split(b"\n\n")]
        return self._feed_slowly(data)

    def _feed_slowly(self, data: bytes) -> list[bytes]:
        buffer = self._buffer
        buffer += data
        events = []
        start, search = 0, max(self._seen - 3, 0)
        while match := _BLANK_LINE.search(buffer, search):
            if match.end() == len(buffer) and match.group() == _HALF_BLANK_LINE:
                break  # its LF is still to come
            events.append(bytes(buffer[start : match.end()]))
            start = search = match.end()
        del buffer[:start]
        self._seen = len(buffer)
        if len(buffer) > self._event_bytes_max:
            raise UpstreamError(
                f"the provider's stream holds an event of more than {self._event_bytes_max} bytes "
                "(limits.event_bytes_max); is the provider speaking SSE?"
            )
        return events


def event_data(event: bytes) -> bytes | None:
    """The payload of an event: its data lines joined with LF; None for a comment or an event without data.

    Halves of surrogate pairs are mended, so that no event is lost for one.
    """
    if event.startswith(b"data: ") and event.endswith(b"\n\n") and event.count(b"\n") == 2 and b"\r" not in event:
        return without_halves(event[6:-2])
    if event.startswith(b"event: ") and event.endswith(b"\n\n") and event.count(b"\n") == 3 and b"\r" not in event:
        # A name and one line of data, as Anthropic and OpenAI's Responses send all of theirs.
        at = event.find(b"\n") + 1
        if event.startswith(b"data: ", at):
            return without_halves(event[at + 6 : -2])
    return _event_data_slowly(event)


def _event_data_slowly(event: bytes) -> bytes | None:
    lines = []
    for line in _LINE_END.split(event.removeprefix(_BOM)):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
    return without_halves(b"\n".join(lines)) if lines else None
