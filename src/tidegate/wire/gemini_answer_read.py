"""Gemini's answers as events: streams in SSE, whole replies, and the array that a stream without `alt=sse` is.

Gemini has no event that ends a stream: `finishReason` may come before the last chunk (or, from older models, with
every chunk), so `Stop` is told when the connection has ended. Function calls come whole.
"""

import base64
import binascii
import hashlib
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.wire.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    Citation,
    Delta,
    Event,
    Failure,
    MessageStart,
    Signature,
    Stop,
)
from tidegate.wire.gemini_chunk import Blob, Call, Candidate, Chunk, ReplyPart, payload, read_chunk, read_chunks
from tidegate.wire.sse import Framer
from tidegate.wire.stop_reasons import reason_of, with_calls
from tidegate.wire.unreadable import UNREADABLE
from tidegate.wire.usage import decode_usage

_NO_ARGUMENTS: Final = (b"", b"null")
_BASE64_GROUP: Final = 3  # bytes that make four letters without padding


class GeminiDecoder:
    """A provider's stream into events."""

    def __init__(self, *, event_bytes_max: int) -> None:
        self.is_done = False  # no event of Gemini's says so
        self._framer = Framer(event_bytes_max)
        self._reading = _Reading()

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        for event in self._framer.feed(data):
            events += self._read(event, is_whole=True)
        return events

    def finish(self) -> list[Event]:
        rest = self._framer.rest
        return (self._read(rest, is_whole=False) if rest else []) + self._reading.end()

    def _read(self, event: bytes, *, is_whole: bool) -> list[Event]:
        data = payload(event)
        if data is None:
            # Errors come as bare JSON lines, and so does everything from a provider that ignores `alt=sse`.
            bare = event.strip()
            chunks = read_chunks(bare) if bare[:1] in (b"{", b"[") else []
        elif data.strip() in (b"", b"[DONE]"):
            return []
        else:
            chunk = read_chunk(data)
            chunks = None if chunk is None else [chunk]
        if chunks is None:
            return self._reading.unreadable() if is_whole else []
        return [found for chunk in chunks for found in self._reading.read(chunk)]


def decode_reply(body: bytes) -> list[Event] | None:
    """The events of a whole reply; None where it is no response of Gemini's."""
    chunks = read_chunks(body)
    if chunks is None:
        return None
    reading = _Reading()
    return [event for chunk in chunks for event in reading.read(chunk)] + reading.end()


class _Reading:
    """Where in an answer we are. At most one block is open: Gemini never overlaps them."""

    def __init__(self) -> None:
        self._is_started = self._has_failed = False
        self._blocks = 0  # started so far
        self._open: BlockKind | None = None
        self._is_sealed = False  # the open block has its signature: what follows is another part
        self._media_type = ""
        self._odd = b""  # bytes of audio that do not fill a group of base64 yet
        self._calls = 0
        self._native = self._block_reason = self._response_id = ""
        self._cited: set[str] = set()

    def read(self, chunk: Chunk) -> list[Event]:
        if self._has_failed:
            return []
        if chunk.error is not None:
            return self._fail(chunk.error.status or str(chunk.error.code or ""), chunk.error.message or "")
        events: list[Event] = []
        if not self._is_started:
            self._is_started = True
            self._response_id = chunk.responseId or ""
            events.append(MessageStart(self._response_id, chunk.modelVersion or ""))
        if chunk.promptFeedback is not None:
            self._block_reason = chunk.promptFeedback.blockReason or self._block_reason
        for candidate in chunk.candidates or ():
            if not candidate.index:  # further candidates are asked for only in Gemini's own dialect
                self._candidate(candidate, events)
        if chunk.usageMetadata and (seen := decode_usage(bytes(chunk.usageMetadata), "gemini")) is not None:
            events.append(seen)
        return events

    def end(self) -> list[Event]:
        """The open block's end, and why the answer ended, where the provider said it."""
        events: list[Event] = []
        self._close(events)
        if self._has_failed:
            return []
        if self._native:
            reason = reason_of("gemini", self._native)
            events.append(Stop(with_calls(reason) if self._calls else reason, self._native))
        elif self._block_reason:
            events.append(Stop("content_filter", self._block_reason))
        return events

    def unreadable(self) -> list[Event]:
        return self._fail("unreadable_event", "the provider sent an event that is not JSON")

    def _fail(self, error_type: str, message: str) -> list[Event]:
        if self._has_failed:
            return []
        self._has_failed = True
        return [Failure(error_type or "UNKNOWN", message)]

    def _candidate(self, candidate: Candidate, events: list[Event]) -> None:
        for part in candidate.parts:
            self._part(part, events)
        self._cite(candidate, events)
        if candidate.finishReason and self._native in ("", "STOP"):
            self._native = candidate.finishReason

    def _part(self, part: ReplyPart, events: list[Event]) -> None:
        if part.functionCall is not None:
            if part.functionCall.name:
                self._call(part.functionCall, part.thoughtSignature or "", events)
        elif part.inlineData is not None:
            self._media(part.inlineData, part, events)
        elif part.text or part.thoughtSignature:
            self._text(part, events)

    def _text(self, part: ReplyPart, events: list[Event]) -> None:
        kind: BlockKind = "thinking" if part.thought else "text"
        if self._open != kind or self._is_sealed:
            self._start(BlockStart(self._blocks, kind, origin="gemini"), events)
        if part.text:
            events.append(Delta(self._blocks - 1, part.text))
        if part.thoughtSignature:
            events.append(Signature(self._blocks - 1, part.thoughtSignature))
            self._is_sealed = True

    def _call(self, call: Call, signature: str, events: list[Event]) -> None:
        arguments = _compact(call.args)
        call_id = call.id or _derived_id(self._response_id, self._calls, call.name, arguments)
        self._calls += 1
        start = BlockStart(self._blocks, "tool", call_id, call.name, signature=signature, origin="gemini")
        self._start(start, events)
        events.append(Delta(start.index, arguments))
        self._close(events)

    def _media(self, blob: Blob, part: ReplyPart, events: list[Event]) -> None:
        if part.thought:
            return  # a draft that the model made while it thought
        index, signature = self._blocks, part.thoughtSignature or ""
        if blob.mimeType.startswith("image/"):
            start = BlockStart(
                index, "image", data=blob.data, media_type=blob.mimeType, signature=signature, origin="gemini"
            )
            self._start(start, events)
            self._close(events)
        elif blob.mimeType.startswith("audio/"):
            if self._open != "audio" or self._media_type != blob.mimeType:
                self._start(BlockStart(index, "audio", media_type=blob.mimeType, origin="gemini"), events)
                self._media_type = blob.mimeType
            self._audio(blob.data, events)

    def _audio(self, data: str, events: list[Event]) -> None:
        """Each chunk's base64 stands alone; the block's deltas must make one."""
        try:
            sound = self._odd + base64.b64decode(data)
        except (binascii.Error, ValueError):
            return
        whole = len(sound) - len(sound) % _BASE64_GROUP
        self._odd = sound[whole:]
        if whole:
            events.append(Delta(self._blocks - 1, base64.b64encode(sound[:whole]).decode()))

    def _cite(self, candidate: Candidate, events: list[Event]) -> None:
        if self._open != "text":
            return
        found = [
            chunk.web for chunk in (candidate.groundingMetadata and candidate.groundingMetadata.groundingChunks) or ()
        ]
        if (cited := candidate.citationMetadata) is not None:
            found += cited.citationSources or cited.citations or []
        for source in found:
            if source is not None and source.uri and source.uri not in self._cited:
                self._cited.add(source.uri)
                events.append(Citation(self._blocks - 1, source.uri, source.title or ""))

    def _start(self, start: BlockStart, events: list[Event]) -> None:
        self._close(events)
        self._open, self._is_sealed = start.kind, False
        self._blocks += 1
        events.append(start)

    def _close(self, events: list[Event]) -> None:
        if self._open is None:
            return
        if self._odd:
            events.append(Delta(self._blocks - 1, base64.b64encode(self._odd).decode()))
            self._odd = b""
        events.append(BlockStop(self._blocks - 1))
        self._open = None


def _compact(arguments: Raw) -> str:
    """Arguments as one line of JSON; the same whether they came in a stream or in an indented whole reply."""
    if bytes(arguments) in _NO_ARGUMENTS:
        return "{}"
    try:
        return msgspec.json.format(bytes(arguments), indent=-1).decode()
    except UNREADABLE:
        return bytes(arguments).decode(errors="replace")


def _derived_id(response_id: str, place: int, name: str, arguments: str) -> str:
    """An id for a call that has none: the same in a stream and in a whole reply, another in every answer."""
    seed = "\0".join((response_id, str(place), name, arguments))
    return "call_" + hashlib.sha256(seed.encode(errors="replace")).hexdigest()[:24]
