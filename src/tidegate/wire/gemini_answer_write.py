"""Events as Gemini's answers: streams in SSE and whole replies.

Gemini has one list of parts: what overlaps in the events is written in the order of block starts, a function call when
its arguments are whole. Thoughts reach a caller that asked for them (`thinkingConfig.includeThoughts`); a seal reaches
every caller, for it must come back.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.wire.conversation import Ask
from tidegate.wire.events import (
    Answer,
    Block,
    BlockStart,
    BlockStop,
    Citation,
    Delta,
    Event,
    Failure,
    MessageStart,
    Signature,
    Stop,
    UsageSeen,
    fold,
)
from tidegate.wire.gemini_error import failure_error
from tidegate.wire.gemini_seal import seal
from tidegate.wire.stop_reasons import word_for
from tidegate.wire.usage import encode_usage

Json = dict[str, Any]

_MALFORMED: Final = "MALFORMED_FUNCTION_CALL"
_STREAMED: Final = frozenset({"text", "thinking", "refusal"})
_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


class GeminiEncoder:
    """Events into SSE, each one `GenerateContentResponse`."""

    def __init__(self, ask: Ask, *, generation_id: str) -> None:
        self.dropped: list[str] = []
        self._shown = shows_thoughts(ask)
        self._tail = {"modelVersion": ask.model, "responseId": generation_id}
        self._tail_bytes = _encoder.encode(self._tail)[1:]
        self._blocks: dict[int, Block] = {}
        self._ended: set[int] = set()
        self._told: set[int] = set()  # blocks whose text has gone out, piece by piece
        self._held: dict[int, list[Json]] = {}  # parts of blocks that are not first in line
        self._sources: list[Citation] = []
        self._usage: UsageSeen | None = None
        self._stop: Stop | None = None
        self._is_malformed = self._has_failed = False

    def encode(self, event: Event) -> bytes:
        if isinstance(event, Delta):
            return self._delta(event)
        if isinstance(event, BlockStart):
            self._blocks[event.index] = Block(event, signature=event.signature)
            self._held[event.index] = []
            return b""
        if isinstance(event, BlockStop):
            return self._end_block(event.index)
        if isinstance(event, Signature):
            if event.index in self._blocks:
                self._blocks[event.index].signature += event.signature
        elif isinstance(event, Citation):
            self._sources.append(event)
        elif isinstance(event, UsageSeen):
            self._usage = event
        elif isinstance(event, Stop):
            self._stop = event
        elif isinstance(event, MessageStart):
            if event.model:
                self._tail["modelVersion"] = event.model
                self._tail_bytes = _encoder.encode(self._tail)[1:]
        elif isinstance(event, Failure):
            return self._fail(event)
        return b""

    def finish(self) -> bytes:
        """What was held back, and the last chunk, where the answer came to its end."""
        if self._has_failed:
            return b""
        written = b"".join(self._end_block(index) for index in sorted(self._blocks))
        if self._stop is None:
            return written
        candidate = end_of(self._stop, self._is_malformed, self._sources) | {"index": 0}
        candidate["content"] = {"role": "model", "parts": [{"text": ""}]}
        return written + _event(_encoder.encode({"candidates": [candidate], **self._usage_member(), **self._tail}))

    def _usage_member(self) -> Json:
        return {} if self._usage is None else {"usageMetadata": encode_usage(self._usage, "gemini")}

    def _delta(self, delta: Delta) -> bytes:
        block = self._blocks.get(delta.index)
        if block is None or not delta.text:
            return b""
        if block.start.kind not in _STREAMED:
            block.text += delta.text
            return b""
        self._told.add(delta.index)
        if block.start.kind != "thinking":
            return self._put(delta.index, {"text": delta.text})
        return self._put(delta.index, {"text": delta.text, "thought": True}) if self._shown else b""

    def _put(self, index: int, part: Json) -> bytes:
        if index != min(self._blocks):
            self._held[index].append(part)
            return b""
        return self._chunk([part])

    def _end_block(self, index: int) -> bytes:
        block = self._blocks.get(index)
        if block is None or index in self._ended:
            return b""
        self._ended.add(index)
        parts = self._parts(block)
        self._held[index] += parts
        return self._flush()

    def _flush(self) -> bytes:
        """Everything that is first in line now."""
        parts: list[Json] = []
        while self._blocks:
            first = min(self._blocks)
            parts += self._held[first]
            self._held[first] = []
            if first not in self._ended:
                break
            del self._blocks[first], self._held[first]
            self._ended.discard(first)
        return self._chunk(parts) if parts else b""

    def _parts(self, block: Block) -> list[Json]:
        parts = parts_of(block, shown=self._shown, is_told=block.start.index in self._told)
        if parts is None:
            self._is_malformed = True
            self.dropped.append(f"arguments of the call of {block.start.name!r}: not a JSON object")
        return parts or []

    def _chunk(self, parts: list[Json]) -> bytes:
        head = b'{"candidates":[{"content":{"parts":' + _encoder.encode(parts)
        return _event(head + b',"role":"model"},"index":0}],' + self._tail_bytes)

    def _fail(self, failure: Failure) -> bytes:
        written = b"".join(self._end_block(index) for index in sorted(self._blocks))
        self._has_failed = True
        return written + _event(_encoder.encode(failure_error(failure)))


def encode_reply(events: Iterable[Event], ask: Ask, *, generation_id: str) -> bytes:
    """A whole reply; an error object where the events end in a failure."""
    answer = fold(events)
    if answer.failure is not None:
        return _encoder.encode(failure_error(answer.failure))
    return _encoder.encode(_reply(answer, ask, generation_id))


def _reply(answer: Answer, ask: Ask, generation_id: str) -> Json:
    shown, is_malformed = shows_thoughts(ask), False
    parts: list[Json] = []
    sources: list[Citation] = []
    for block in answer.blocks:
        written = parts_of(block, shown=shown)
        is_malformed = is_malformed or written is None
        parts += written or []
        sources += block.citations
    candidate: Json = {"content": {"parts": parts or [{"text": ""}], "role": "model"}}
    if answer.stop is not None:
        candidate |= end_of(answer.stop, is_malformed, sources)
    reply: Json = {"candidates": [candidate | {"index": 0}]}
    if answer.usage is not None:
        reply["usageMetadata"] = encode_usage(answer.usage, "gemini")
    return reply | {"modelVersion": answer.start.model or ask.model, "responseId": generation_id}


def shows_thoughts(ask: Ask) -> bool:
    """Gemini sends thoughts only to those who ask for them."""
    return ask.reasoning is not None and ask.reasoning.shown is True


def parts_of(block: Block, *, shown: bool, is_told: bool = False) -> list[Json] | None:
    """The parts that say a block; None for a call whose arguments are no JSON object, which Gemini cannot say.

    is_told: its text has gone out already, so that `text` is empty and only its signature is left to say.
    """
    start = block.start
    sealed = {}
    if block.signature:
        call_id = start.call_id if start.kind == "tool" else ""
        sealed["thoughtSignature"] = seal(start.origin, block.signature, call_id=call_id, item_id=start.item_id)
    if start.kind == "tool":
        arguments = block.text.strip() or "{}"
        try:
            _object_decoder.decode(arguments)
        except (msgspec.DecodeError, RecursionError):
            return None
        return [{"functionCall": {"id": start.call_id, "name": start.name, "args": Raw(arguments.encode())}} | sealed]
    if start.kind == "redacted":
        carrier = seal(start.origin, start.data, item_id=start.item_id, is_redacted=True)
        return [{"text": "", "thought": True, "thoughtSignature": carrier}]
    if start.kind in ("image", "audio"):
        data = start.data + block.text
        return (
            [{"inlineData": {"mimeType": start.media_type or f"{start.kind}/*", "data": data}} | sealed] if data else []
        )
    if start.kind == "thinking":
        text = block.text if shown else ""
        # Unsealed thoughts of other makers are marked as theirs; Responses wants its item back by name, sealed or not.
        is_foreign = start.origin != "gemini" and shown and (text or is_told)
        if not sealed and (is_foreign or start.item_id):
            sealed["thoughtSignature"] = seal(start.origin, "", item_id=start.item_id)
        return [{"text": text, "thought": True} | sealed] if text or sealed else []
    return [{"text": block.text} | sealed] if block.text or sealed else []


def end_of(stop: Stop, is_malformed: bool, sources: list[Citation]) -> Json:
    """What a candidate says of its end: why, and what it rests on."""
    word = word_for("gemini", stop.reason)
    if is_malformed and word == "STOP":
        word = _MALFORMED
    end: Json = {"finishReason": word}
    if word == _MALFORMED:
        end["finishMessage"] = "The arguments of a function call are not a JSON object."
    chunks = [{"web": {"uri": one.url, "title": one.title or one.url}} for one in sources if one.url]
    if chunks:
        end["groundingMetadata"] = {"groundingChunks": chunks}
    return end


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\r\n\r\n"
