"""Events into the Responses stream of a caller, or into a whole response.

The stream is OpenAI's: `response.created`, for each item `added`, its parts with their deltas, and `done`, then one
event that holds the whole response again. A block becomes an item of its own, but texts that follow each other are
parts of one message. Thoughts are shown as summaries; seals of other makers travel as carriers.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from tidegate.core.facts import Quirks
from tidegate.wire.conversation import Ask
from tidegate.wire.events import (
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
)
from tidegate.wire.openai_responses_body import effort_of, encode_choice, encode_text, encode_tools
from tidegate.wire.openai_responses_written import (
    Body,
    CallWriter,
    ImageWriter,
    Item,
    Message,
    Numbered,
    SealWriter,
    TextWriter,
    ThoughtWriter,
    Writer,
    done,
)
from tidegate.wire.stop_reasons import word_for
from tidegate.wire.usage import encode_usage

FLAVOUR: Final = "openai-responses"
_EVENT_OF: Final = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
}
_ERROR_CODES: Final = frozenset(
    ("server_error", "rate_limit_exceeded", "invalid_prompt", "data_residency_mismatch", "bio_policy")
)
_RATE_LIMITED: Final = frozenset(("rate_limit_error", "RESOURCE_EXHAUSTED", "429", "throttlingException"))
_NO_QUIRKS: Final = Quirks()


class ResponsesEncoder:
    """See `wire.dialect.StreamEncoder`. What is sent does not depend on a clock: ids come from `generation_id`."""

    def __init__(self, ask: Ask, generation_id: str, created_s: int) -> None:
        self.dropped: list[str] = []
        self._ask = ask
        self._id = generation_id
        self._created_s = created_s
        self._model = ask.model
        self._to = Numbered()
        self._tools = {tool.name: tool for tool in ask.tools}
        self._items: list[Item] = []
        self._blocks: dict[int, Writer] = {}
        self._message: Message | None = None  # which a text that comes next joins
        self._has_started = False
        self._has_refusal = False
        self._calls: dict[int, BlockStart] = {}
        self._names: set[str] = set()  # of items and calls; a caller's SDK takes each once
        self._usage: UsageSeen | None = None
        self._end: Stop | Failure | None = None

    def encode(self, event: Event) -> bytes:
        if isinstance(event, Delta):
            writer = self._blocks.get(event.index)
            return writer.grow(self._to, event.text) if writer and event.text else b""
        if isinstance(event, MessageStart):
            return self._start(event.model)
        if isinstance(event, UsageSeen):
            self._usage = event
            return b""
        if isinstance(event, Stop | Failure):
            self._end = event
            return b""
        return self._start("") + self._encode_block(event)

    def _encode_block(self, event: BlockStart | BlockStop | Signature | Citation) -> bytes:
        if isinstance(event, BlockStart):
            return self._start_block(event)
        writer = self._blocks.get(event.index)
        if writer is None:
            return b""
        if isinstance(event, Citation):
            if not event.url:
                self._drop("citations")
            return writer.cite(self._to, event)
        if isinstance(event, Signature):
            return self._seal(event, writer)
        return self._stop_block(event.index, "completed")

    def _drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(name)

    def _start(self, model: str) -> bytes:
        if self._has_started:
            return b""
        self._has_started = True
        self._model = model or self._ask.model
        body = {"response": self._response("in_progress")}
        return self._to.write("response.created", body) + self._to.write("response.in_progress", body)

    def _next_id(self, prefix: str) -> str:
        return f"{prefix}_{self._id}_{len(self._items)}"

    def _unused(self, name: str, prefix: str) -> str:
        """The provider's own name of an item or a call, where it has one and uses it for the first time."""
        if not name or name in self._names:
            name = self._next_id(prefix)
        self._names.add(name)
        return name

    def _start_block(self, start: BlockStart) -> bytes:
        if start.kind in ("text", "refusal"):
            return self._start_text(start)
        out = self._end_message()
        index = len(self._items)
        writer: Writer
        if start.kind in ("thinking", "redacted"):
            own = start.item_id if start.origin == "openai" else ""
            writer = ThoughtWriter(index, self._unused(own, "rs"), start)
        elif start.kind == "tool":
            start = msgspec.structs.replace(start, call_id=self._unused(start.call_id, "call"))
            if start.signature:
                out += self._carry(start, start.signature)
                index = len(self._items)
            tool = self._tools.get(start.name)
            prefix = "ctc" if tool is not None and tool.is_freeform else "fc"
            writer = CallWriter(index, self._next_id(prefix), start.call_id, start.name, tool)
            self._calls[start.index] = start
        elif start.kind == "image":
            writer = ImageWriter(index, self._next_id("ig"), start)
        else:
            self._drop(start.kind)
            return out
        self._items.append(writer.item)
        self._blocks[start.index] = writer
        return out + writer.start(self._to)

    def _start_text(self, start: BlockStart) -> bytes:
        if start.signature:
            self._drop("signature")
        self._has_refusal = self._has_refusal or start.kind == "refusal"
        message = self._message
        if message is None:
            message = self._message = Message(len(self._items), self._next_id("msg"))
            self._items.append(message)
        writer = TextWriter(message, is_refusal=start.kind == "refusal")
        self._blocks[start.index] = writer
        return writer.start(self._to)

    def _carry(self, start: BlockStart, signature: str) -> bytes:
        """The seal of a tool call, as an item of its own."""
        seal = SealWriter(len(self._items), self._next_id("rs"), start, signature)
        self._items.append(seal)
        return seal.start(self._to) + seal.stop(self._to, "completed")

    def _seal(self, event: Signature, writer: Writer) -> bytes:
        call = self._calls.get(event.index)
        if call is not None:
            return self._carry(call, event.signature)
        if isinstance(writer, TextWriter):
            self._drop("signature")
        writer.seal(event.signature)
        return b""

    def _stop_block(self, index: int, status: str) -> bytes:
        writer = self._blocks.pop(index)
        out = writer.stop(self._to, status)
        if isinstance(writer.item, Message) and writer.item is not self._message:
            out += self._done(writer.item, status)  # something else began before this text ended
        return out

    def _end_message(self) -> bytes:
        """Something other than text begins: the message takes no more parts."""
        message, self._message = self._message, None
        return self._done(message, "completed") if message is not None else b""

    def _done(self, message: Message, status: str) -> bytes:
        if message.open_parts or message.is_done:
            return b""
        message.is_done = True
        return done(self._to, message, status)

    def finish(self) -> bytes:
        end = self._end or Failure("server_error", "The provider's stream ended before its answer did.")
        status, details = self._status(end)
        item_status = "completed" if status == "completed" else "incomplete"
        out = [self._start("")]
        for index in list(self._blocks):
            out.append(self._stop_block(index, item_status))
        if self._message is not None:
            out.append(self._done(self._message, item_status))
        response = self._response(status) | details
        response["output"] = [item.body(item_status) for item in self._items]
        out.append(self._to.write(_EVENT_OF[status], {"response": response}))
        return b"".join(out)

    def response(self) -> Body:
        """The whole response, once all events were encoded."""
        status, details = self._status(self._end or Failure("server_error", "The provider's answer has no end."))
        response = self._response(status) | details
        item_status = "completed" if status == "completed" else "incomplete"
        response["output"] = [item.body(item_status) for item in self._items]
        return response

    def _status(self, end: Stop | Failure) -> tuple[str, Body]:
        """The response's status, and the members that say why."""
        if isinstance(end, Failure):
            code = end.error_type if end.error_type in _ERROR_CODES else "server_error"
            if end.error_type in _RATE_LIMITED:
                code = "rate_limit_exceeded"
            return "failed", {"error": {"code": code, "message": end.message}}
        word = word_for(FLAVOUR, end.reason)
        if end.reason == "refusal" and not self._has_refusal:
            word = "content_filter"
        if word == "completed":
            return word, {}
        if word == "failed":
            message = f"The provider ended its answer with {end.native or end.reason!r}."
            return word, {"error": {"code": "server_error", "message": message}}
        return "incomplete", {"incomplete_details": {"reason": word}}

    def _response(self, status: str) -> Body:
        """The response without its output. What was asked is said again, as OpenAI does."""
        ask = self._ask
        choice = ask.tool_choice
        reasoning = ask.reasoning
        body: Body = {
            "id": f"resp_{self._id}",
            "object": "response",
            "created_at": self._created_s,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": ask.output_tokens_max,
            "metadata": ask.extra.get("metadata", {}),
            "model": self._model,
            "output": [],
            "parallel_tool_calls": choice is None or choice.parallel is not False,
            "previous_response_id": None,
            "reasoning": {
                "effort": effort_of(reasoning) if reasoning else None,
                "summary": (reasoning.summary or None) if reasoning else None,
            },
            "store": False,
            "temperature": ask.temperature,
            "text": {"format": {"type": "text"}}
            | encode_text(ask.output_format, ask.extra.get("verbosity"), _NO_QUIRKS, []),
            "tool_choice": "auto" if choice is None else encode_choice(choice, ask.tools),
            "tools": encode_tools(ask.tools),
            "top_p": ask.top_p,
            "truncation": "disabled",
        }
        if ask.user:
            body["user"] = ask.user
        if self._usage is not None:
            body["usage"] = encode_usage(self._usage, FLAVOUR)
        return body


def encode_reply(events: Iterable[Event], ask: Ask, generation_id: str, created_s: int) -> bytes:
    """A whole response."""
    encoder = ResponsesEncoder(ask, generation_id, created_s)
    for event in events:
        encoder.encode(event)
    return msgspec.json.encode(encoder.response())
