"""Events into Messages replies, streamed or whole, for clients as strict as Anthropic's own.

What they rely on: every event has a name; `message_start` comes first and has usage; one block is open at a time and
blocks are numbered in the order of their starts; a signature comes whole, in one delta; `message_delta` has usage,
whose counts replace those of `message_start` (the totals of other makers are known only at the end).
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.core.usage import NO_USAGE
from tidegate.wire.anthropic_blocks import object_of
from tidegate.wire.anthropic_errors import error_object, failure_object
from tidegate.wire.carrier import pack
from tidegate.wire.conversation import Ask
from tidegate.wire.events import (
    Answer,
    Block,
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
    StopReason,
    UsageSeen,
    fold,
)
from tidegate.wire.stop_reasons import with_calls, word_for
from tidegate.wire.usage import encode_usage

_encoder = msgspec.json.Encoder()
_encode = _encoder.encode

_NOT_YET: Final = UsageSeen(NO_USAGE)
_CITATIONS: Final = frozenset(
    f"{kind}_location" for kind in ("char", "page", "content_block", "web_search_result", "search_result")
)
_DELTAS: Final[dict[BlockKind, bytes]] = {
    "text": b'"delta":{"type":"text_delta","text":',
    "refusal": b'"delta":{"type":"text_delta","text":',
    "thinking": b'"delta":{"type":"thinking_delta","thinking":',
    "tool": b'"delta":{"type":"input_json_delta","partial_json":',
}


class _Waiting:
    """A block of the answer, and what of it was not written yet."""

    __slots__ = ("citations", "is_stopped", "signature", "start", "text")

    def __init__(self, start: BlockStart) -> None:
        self.start, self.signature = start, start.signature
        self.text: list[str] = []
        self.citations: list[dict[str, Any]] = []
        self.is_stopped = False


class AnthropicEncoder:
    """One per stream. `dropped`: kinds of content that no block of this dialect can hold."""

    def __init__(self, ask: Ask, generation_id: str) -> None:
        self.dropped: list[str] = []
        self._model, self._generation_id = ask.model, generation_id
        self._hides_thoughts = hides_thoughts(ask)
        self._blocks: dict[int, _Waiting] = {}  # by the answer's index, oldest first; only the first is on the wire
        self._count = 0  # blocks written
        self._kinds: set[BlockKind] = set()
        self._is_started = self._is_failed = False
        self._usage = _NOT_YET
        self._stop: Stop | None = None

    def encode(self, event: Event) -> bytes:
        if isinstance(event, Delta):
            return self._delta(event)
        if isinstance(event, BlockStart):
            return self._start(MessageStart()) + self._start_block(event)
        if isinstance(event, BlockStop):
            return self._stop_block(event.index)
        if isinstance(event, MessageStart):
            return self._start(event)
        if isinstance(event, UsageSeen):
            self._usage = event
        elif isinstance(event, Signature):
            if event.index in self._blocks:
                self._blocks[event.index].signature += event.signature
        elif isinstance(event, Citation):
            return self._cite(event)
        elif isinstance(event, Stop):
            self._stop = event
            return self._start(MessageStart()) + b"".join([self._stop_block(index) for index in list(self._blocks)])
        elif isinstance(event, Failure):
            self._is_failed = True
            return _event(b"error", {"type": "error", "error": failure_object(event)})
        return b""

    def finish(self) -> bytes:
        """Nothing where the answer did not come to its end: whoever cut it off says so."""
        if self._stop is None or self._is_failed:
            return b""
        if self._stop.reason == "error":
            return _event(b"error", {"type": "error", "error": _ENDED_IN_ERROR})
        delta = {
            "type": "message_delta",
            "delta": stop_members(self._stop, self._kinds),
            "usage": encode_usage(self._usage, "anthropic"),
        }
        return _event(b"message_delta", delta) + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def _start(self, start: MessageStart) -> bytes:
        if self._is_started:
            return b""
        self._is_started = True
        message = _message(start.model or self._model, self._generation_id or start.message_id)
        message["usage"] = encode_usage(self._usage, "anthropic")
        if self._usage is _NOT_YET:
            message["usage"]["cache_creation"] = None  # `message_delta` cannot replace it: better unknown than wrong
        return _event(b"message_start", {"type": "message_start", "message": message})

    def _start_block(self, start: BlockStart) -> bytes:
        if start.kind in ("image", "audio"):
            if start.kind not in self.dropped:
                self.dropped.append(start.kind)
            return b""
        self._kinds.add(start.kind)
        self._blocks[start.index] = block = _Waiting(start)
        return self._open(block) if len(self._blocks) == 1 else b""

    def _open(self, block: _Waiting) -> bytes:
        """The start of a block, after the carrier of its seal where it has one."""
        out = b""
        if block.start.kind == "tool" and block.signature:
            out = self._whole_block(sealed_call(block.start, block.signature))
            block.signature = ""
        members = opened(block.start, f"{self._generation_id}_{self._count}")
        start = {"type": "content_block_start", "index": self._count, "content_block": members}
        self._count += 1
        return out + _event(b"content_block_start", start)

    def _whole_block(self, block: dict[str, Any]) -> bytes:
        start = {"type": "content_block_start", "index": self._count, "content_block": block}
        stop = {"type": "content_block_stop", "index": self._count}
        self._count += 1
        return _event(b"content_block_start", start) + _event(b"content_block_stop", stop)

    def _is_on_the_wire(self, index: int) -> bool:
        return next(iter(self._blocks)) == index

    def _delta(self, event: Delta) -> bytes:
        block = self._blocks.get(event.index)
        if block is None or not event.text or block.start.kind not in _DELTAS:
            return b""
        if self._hides_thoughts and block.start.kind == "thinking":
            return b""
        if not self._is_on_the_wire(event.index):
            block.text.append(event.text)
            return b""
        return self._text(block.start.kind, event.text)

    def _text(self, kind: BlockKind, text: str) -> bytes:
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,%b%b}}\n\n' % (
            self._count - 1,
            _DELTAS[kind],
            _encode(text),
        )

    def _cite(self, event: Citation) -> bytes:
        block = self._blocks.get(event.index)
        if block is None:
            return b""
        citation = own_citation(event.raw)
        if citation is None:
            if "citations" not in self.dropped:
                self.dropped.append("citations")
            return b""
        if not self._is_on_the_wire(event.index):
            block.citations.append(citation)
            return b""
        return self._block_delta({"type": "citations_delta", "citation": citation})

    def _block_delta(self, delta: dict[str, Any]) -> bytes:
        return _event(b"content_block_delta", {"type": "content_block_delta", "index": self._count - 1, "delta": delta})

    def _stop_block(self, index: int) -> bytes:
        """The end of a block, and all that had to wait for it."""
        block = self._blocks.get(index)
        if block is None:
            return b""
        block.is_stopped = True
        out = []
        while self._blocks:
            first, block = next(iter(self._blocks.items()))
            if not block.is_stopped:
                break
            out.append(self._close(block))
            del self._blocks[first]
            if self._blocks:
                out.append(self._catch_up(next(iter(self._blocks.values()))))
        return b"".join(out)

    def _close(self, block: _Waiting) -> bytes:
        out = b""
        if block.start.kind == "thinking" and (seal := sealed_thought(block.start, block.signature)):
            out = self._block_delta({"type": "signature_delta", "signature": seal})
        out += _event(b"content_block_stop", {"type": "content_block_stop", "index": self._count - 1})
        if block.start.kind == "text" and block.signature:
            out += self._whole_block(sealed_text(block.start, block.signature))
        elif block.start.kind == "tool" and block.signature:
            out += self._whole_block(sealed_call(block.start, block.signature))
        return out

    def _catch_up(self, block: _Waiting) -> bytes:
        out = [self._open(block)]
        out += [self._text(block.start.kind, text) for text in block.text]
        out += [self._block_delta({"type": "citations_delta", "citation": one}) for one in block.citations]
        return b"".join(out)


def encode_reply(events: Iterable[Event], ask: Ask, *, generation_id: str) -> bytes:
    """A whole message; an error where the answer ended in one."""
    answer = fold(events)
    if answer.failure is not None or (answer.stop is not None and answer.stop.reason == "error"):
        error = failure_object(answer.failure) if answer.failure is not None else _ENDED_IN_ERROR
        return _encode({"type": "error", "error": error, "request_id": generation_id})
    message = _message(answer.start.model or ask.model, generation_id or answer.start.message_id)
    message["content"] = _content(answer, ask, generation_id)
    message |= stop_members(answer.stop or Stop("stop"), {block.start.kind for block in answer.blocks})
    message["usage"] = encode_usage(answer.usage or _NOT_YET, "anthropic")
    return _encode(message)


def hides_thoughts(ask: Ask) -> bool:
    """The caller wants signatures without the thoughts (`thinking.display`: "omitted"); other makers may not know."""
    return ask.reasoning is not None and ask.reasoning.shown is False


def _content(answer: Answer, ask: Ask, generation_id: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for block in answer.blocks:
        if block.start.kind in ("image", "audio"):
            continue
        if block.start.kind == "tool" and block.signature:
            content.append(sealed_call(block.start, block.signature))
        if hides_thoughts(ask) and block.start.kind == "thinking":
            block.text = ""
        content.append(_finished(block, f"{generation_id}_{len(content)}"))
        if block.start.kind == "text" and block.signature:
            content.append(sealed_text(block.start, block.signature))
    return content


def _finished(block: Block, spare_id: str) -> dict[str, Any]:
    members = opened(block.start, spare_id)
    kind = members["type"]
    if kind == "text":
        found = [own_citation(one.raw) for one in block.citations]
        members |= {"text": block.text, "citations": [one for one in found if one is not None] or None}
    elif kind == "thinking":
        members |= {"thinking": block.text, "signature": sealed_thought(block.start, block.signature)}
    elif kind == "tool_use":
        members["input"] = object_of(block.text)
    return members


def _message(model: str, message_id: str) -> dict[str, Any]:
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def opened(start: BlockStart, spare_id: str) -> dict[str, Any]:
    """A block as it begins. `spare_id`: for a call that has none."""
    if start.kind == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    if start.kind == "redacted":
        own = start.origin in ("", "anthropic")
        data = start.data if own else pack(start.origin, start.data, item_id=start.item_id, is_redacted=True)
        return {"type": "redacted_thinking", "data": data}
    if start.kind == "tool":
        return {"type": "tool_use", "id": start.call_id or f"toolu_{spare_id}", "name": start.name, "input": {}}
    return {"type": "text", "text": ""}


def sealed_thought(start: BlockStart, signature: str) -> str:
    """A thought's `signature`: Anthropic's own as it is, that of another maker (or its item's name) in a carrier."""
    if start.origin in ("", "anthropic"):
        return signature
    return pack(start.origin, signature, item_id=start.item_id) if signature or start.item_id else ""


def sealed_call(start: BlockStart, signature: str) -> dict[str, Any]:
    """A block that keeps the seal of a call, which `tool_use` has no place for; it stands before the call."""
    return {"type": "redacted_thinking", "data": pack(start.origin, signature, start.call_id, start.item_id)}


def sealed_text(start: BlockStart, signature: str) -> dict[str, Any]:
    """Likewise for the text before it."""
    return {"type": "redacted_thinking", "data": pack(start.origin, signature)}


def stop_members(stop: Stop, kinds: set[BlockKind]) -> dict[str, Any]:
    """`stop_reason` and `stop_sequence`. An answer that holds OpenAI's refusal is one, whatever reason came with it."""
    reason: StopReason = stop.reason
    if "tool" in kinds:
        reason = with_calls(reason)
    if "refusal" in kinds and reason == "stop":
        reason = "refusal"
    return {"stop_reason": word_for("anthropic", reason), "stop_sequence": stop.sequence or None}


def own_citation(raw: Raw) -> dict[str, Any] | None:
    """Anthropic's citations point into its own search results and documents; those of others fit no type of them."""
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    kind = found.get("type")
    return found if isinstance(kind, str) and kind in _CITATIONS else None


def _event(name: bytes, members: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, _encode(members))


_ENDED_IN_ERROR: Final = error_object("api_error", "The provider ended its answer with an error.")
