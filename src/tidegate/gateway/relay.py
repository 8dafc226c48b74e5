"""A stream between provider and caller: bytes in, bytes out, and what was learnt on the way. Knows no sockets.

Whole events are forwarded as the provider wrote them. Only two are treated: the usage event is left out where the
caller did not ask for it, and the dialect's last event is held back until the call is in the journal.
"""

import re
from typing import Protocol

import msgspec

from tidegate.wire.dialect import Peek, Seen
from tidegate.wire.openai_chat import DONE, decode_chunk
from tidegate.wire.openai_chat_peek import ChatPeek
from tidegate.wire.sse import Framer, event_data

_TEXT = re.compile(rb'"(?:reasoning_)?(?:content|text)": ?"([^"\\]+)"')
_NOTHING = (b"\n", b"\n")  # before and after the text of a plain event; no chunk looks like this


class Relay(Protocol):
    """One stream."""

    @property
    def seen(self) -> Seen: ...

    @property
    def short(self) -> "StreamRelay | None":
        """What can say of a whole read that it may pass beside the parser; None where nothing can."""
        ...

    @property
    def is_between_events(self) -> bool:
        """The stream goes on, and every event that was begun has ended: what follows is a whole one, or its begin."""
        ...

    def feed(self, data: bytes) -> bytes:
        """What to forward now. Raises UpstreamError for an event that is too large."""
        ...

    def finish(self) -> bytes:
        """The provider's reply ended cleanly: what to forward of what was left."""
        ...

    def last(self, error_event: bytes) -> bytes:
        """What the caller gets last: an event that tells of a failure; without one (empty), the provider's last."""
        ...


def is_object(data: bytes) -> bool:
    """Whether these bytes are a whole JSON object, not the begin of one."""
    try:
        msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def is_finished(seen: Seen) -> bool:
    """The provider said that the answer is over."""
    return seen.is_done or seen.finish_reason is not None


def _around_text(data: bytes, at: int) -> tuple[bytes, bytes]:
    """What stands before and after the text of a plain event, from its first line end (`at`) on.

    A read with the same bytes around another text has the same structure and, but for that text, the same values, so
    it need not be decoded to know that it is plain. `_NOTHING` where no such text is found.
    """
    found = _TEXT.search(data, at)
    return (data[at : found.start(1)], data[found.end(1) :]) if found else _NOTHING


class PeekRelay:
    """A stream of one dialect, both sides."""

    __slots__ = ("_framer", "_held", "_peek")

    def __init__(self, peek: Peek, *, event_bytes_max: int) -> None:
        self._framer, self._peek = Framer(event_bytes_max), peek
        self._held = b""

    @property
    def seen(self) -> Seen:
        return self._peek.seen

    @property
    def short(self) -> "StreamRelay | None":
        return None

    @property
    def is_between_events(self) -> bool:
        return not self.seen.is_done and self._framer.is_empty

    def feed(self, data: bytes) -> bytes:
        out = []
        for event in self._framer.feed(data):
            if self.seen.is_done:
                break  # nothing follows the last event
            keep, seen = self._peek.see(event), self.seen  # so named, `is_done` is not settled to the type checker
            if seen.is_done:
                self._held = event if keep else b""
            elif keep:
                out.append(event)
        return b"".join(out)

    def finish(self) -> bytes:
        """A last event without its blank line still counts, if it is one."""
        data = event_data(self._framer.rest + b"\n\n")
        is_whole = data is not None and (data.startswith(DONE) or is_object(data))
        return self.feed(b"\n\n") if is_whole else b""

    def last(self, error_event: bytes) -> bytes:
        return error_event or self._held


class StreamRelay(PeekRelay):
    """A stream of OpenAI chat completions, both sides: most of its reads can pass whole, beside the parser."""

    __slots__ = ("_is_priced", "plain")

    def __init__(self, *, strip_usage: bool, event_bytes_max: int, is_priced: bool = False) -> None:
        """is_priced: the usage event does not pass as it is, the cost is still to be written into it."""
        super().__init__(ChatPeek(strip_usage=strip_usage), event_bytes_max=event_bytes_max)
        self._is_priced = is_priced
        self.plain = _NOTHING

    @property
    def short(self) -> "StreamRelay | None":
        return self

    def pass_chunk(self, data: bytes) -> bool | None:
        """The fast twin of `feed` between two events, for what nearly every read of a stream is: one whole HTTP chunk
        (its framing included) that holds one whole event of one line. True: it may be forwarded as it is, framing and
        all; False: it must be left out. None: it is something else, nothing was read of it, and `feed` must see it.

        After True, `plain` holds what stands around the event's text: a read with the same around another text is
        plain too.
        """
        at, end = data.find(b"\r\n"), len(data) - 4
        if data[:at] != b"%x" % (end - at) or data[at : at + 9] != b"\r\ndata: {" or data[end:] != b"\n\n\r\n":
            return None
        payload = data[at + 8 : end]
        if b"\n" in payload or b"\r" in payload or (chunk := decode_chunk(payload)) is None:
            return None
        if not chunk.is_plain:
            if self._is_priced and (chunk.usage is not None or chunk.has_error):
                return None
            self.plain = _NOTHING
            return self._peek.see(data[at + 2 : end + 2])
        before, after = self.plain = _around_text(data, at)
        if before is not _NOTHING[0]:
            self.seen.output_text_bytes += len(data) - at - len(before) - len(after)
        return True
