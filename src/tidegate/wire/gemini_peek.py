"""What the meter learns from Gemini's answers that pass through in their own dialect.

Usage comes with most chunks and counts up; the last one is the total. No event ends a stream, so `is_done` stays
false: a stream is whole when its `finish_reason` has come.
"""

from tidegate.wire.dialect import Seen
from tidegate.wire.gemini_chunk import Candidate, Chunk, payload, read_chunk, read_chunks
from tidegate.wire.stop_reasons import finish_word, reason_of, with_calls
from tidegate.wire.usage import decode_usage


class GeminiPeek:
    """Reads the events of one stream as they pass."""

    def __init__(self) -> None:
        self.seen = Seen()
        self._native = ""

    def see(self, event: bytes) -> bool:
        data = payload(event)
        if data is not None:
            chunk = read_chunk(data)
            chunks = [] if chunk is None else [chunk]
        else:
            bare = event.strip()  # an error as bare JSON lines
            chunks = (read_chunks(bare) or []) if bare[:1] in (b"{", b"[") else []
        for one in chunks:
            self.learn(one)
        return True

    def learn(self, chunk: Chunk) -> None:
        """Add what one response says."""
        seen = self.seen
        if chunk.modelVersion:
            seen.model = chunk.modelVersion
        if chunk.error is not None:
            seen.has_error, seen.finish_reason = True, "error"
            return
        if chunk.usageMetadata:
            found = decode_usage(bytes(chunk.usageMetadata), "gemini")
            if found is not None:
                seen.usage, seen.reported_nano_usd = found.usage, found.cost_nano_usd
        for candidate in chunk.candidates or ():
            self._candidate(candidate)
        if chunk.promptFeedback is not None and chunk.promptFeedback.blockReason and not self._native:
            seen.finish_reason = "content_filter"

    def _candidate(self, candidate: Candidate) -> None:
        seen = self.seen
        for part in candidate.parts:
            if part.text:
                seen.output_text_bytes += len(part.text.encode(errors="replace"))
            if part.functionCall is not None:
                seen.tool_calls += part.functionCall.name != ""  # Vertex may stream arguments, nameless after the first
                seen.output_text_bytes += len(bytes(part.functionCall.args))
        if candidate.finishReason and not candidate.index and self._native in ("", "STOP"):
            self._native = candidate.finishReason
        if self._native:  # also for a call that comes after its reason
            reason = reason_of("gemini", self._native)
            seen.finish_reason = finish_word(with_calls(reason) if seen.tool_calls else reason)


def see_reply(body: bytes) -> Seen | None:
    """What a whole reply, or the array of an unstreamed stream, tells the meter; None where it is neither."""
    chunks = read_chunks(body)
    if chunks is None:
        return None
    peek = GeminiPeek()
    for chunk in chunks:
        peek.learn(chunk)
    return peek.seen
