"""What a buffered answer was: read once it is whole, in whatever dialect it came."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tidegate.core.errors import GatewayError
from tidegate.gateway.answer_schema import fits
from tidegate.route.ladder import Answer as Judged
from tidegate.wire.conversation import Ask, Refusal, Text, Thinking, ToolCall, ToolResult
from tidegate.wire.events import Answer, Event, fold
from tidegate.wire.openai_chat_logprobs import mean_logprob

if TYPE_CHECKING:
    from tidegate.gateway.rung import RungExchange

_encoder = msgspec.json.Encoder()


def answer_in(rung: "RungExchange") -> Answer:
    """The answer of a rung, in the words of no dialect; without blocks where it cannot be read."""
    serving, raw = rung.serving, b"".join(rung.raw)
    assert serving is not None
    found: Sequence[Event] | None
    try:
        if rung.relay is not None or rung.came_as_events:
            decoder = serving.dialect.stream_decoder(event_bytes_max=len(raw) + 1)
            found = [*decoder.feed(raw), *decoder.finish()]
        else:
            found = serving.dialect.decode_reply(raw)
    except GatewayError:
        found = None
    return fold(found or ())


def judged_by(rung: "RungExchange", answer: Answer, ask: Ask | None) -> Judged:
    """What a verdict on an answer rests on. ask: the caller's request; None where it cannot be read."""
    serving = rung.serving
    texts = [block.text for block in answer.blocks if block.start.kind == "text"]
    is_chat = serving is not None and serving.dialect.name == "openai-chat"
    is_stream = rung.relay is not None or rung.came_as_events
    return Judged(
        text="".join(texts),
        tool_calls=sum(block.start.kind == "tool" for block in answer.blocks),
        stop=answer.stop.reason if answer.stop is not None else "",
        is_refused=any(block.start.kind == "refusal" and block.text for block in answer.blocks),
        logprob=mean_logprob(b"".join(rung.raw), is_stream=is_stream) if is_chat else None,
        fits_schema=_fits(answer, "".join(texts), ask) if ask is not None else None,
    )


def _fits(answer: Answer, text: str, ask: Ask) -> bool | None:
    """Of an answer that calls tools, whether the calls are as the tools have it; of any other, its text."""
    tools = {name: tool for tool in ask.tools for name in (tool.name, tool.bare_name)}
    calls = [block for block in answer.blocks if block.start.kind == "tool"]
    verdicts: list[bool | None] = []
    for call in calls:
        tool = tools.get(call.start.name)
        if tool is None:
            verdicts.append(False if ask.tools and not ask.unsaid else None)  # nobody offered it, as far as we can read
        elif not tool.is_freeform:
            verdicts.append(fits(bytes(tool.schema), call.text or "{}"))
    form = ask.output_format
    if not calls and form is not None and form.kind != "text":
        verdicts.append(fits(bytes(form.schema), text))
    return False if False in verdicts else (True if True in verdicts else None)


def told_answer(answer: Answer) -> str:
    """An answer as a judge reads it: its words, its refusals, its calls of tools."""
    parts = []
    for block in answer.blocks:
        if block.start.kind in ("text", "refusal"):
            parts.append(block.text)
        elif block.start.kind == "tool":
            parts.append(f"[calls {block.start.name} with {block.text or '{}'}]")
    return "\n".join(part for part in parts if part)


def told_request(ask: Ask) -> str:
    """A conversation as a judge reads it: who said what."""
    lines = []
    for turn in ask.turns:
        for part in turn.parts:
            if isinstance(part, Text | Refusal):
                lines.append(f"{turn.role}: {part.text}")
            elif isinstance(part, ToolCall):
                lines.append(f"{turn.role}: [calls {part.name} with {part.arguments}]")
            elif isinstance(part, ToolResult):
                told = " ".join([inner.text for inner in part.parts if isinstance(inner, Text)])
                lines.append(f"tool {part.name or part.call_id}: {told}")
            elif not isinstance(part, Thinking):
                lines.append(f"{turn.role}: [{part.kind}]")
    form = ask.output_format
    if form is not None and form.kind != "text":
        schema = bytes(form.schema).decode("utf-8", "replace")
        lines.append(f"[the answer must be JSON{' as this schema has it: ' + schema if schema else ''}]")
    return "\n".join(lines)
