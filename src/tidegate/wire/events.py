"""What a model answers, in the words of no dialect: the hub between replies, streamed or whole.

An answer is a sequence of events: `MessageStart`, then blocks (`BlockStart`, its `Delta`s, `BlockStop`), `UsageSeen`
wherever the provider reports it (a later one replaces an earlier), one `Stop`. Blocks may overlap: an event names its
block by `index`, counted from 0 in the order of their starts. A `Failure` ends the answer in place of `Stop`. Every
dialect decodes its stream and its whole reply into the same sequence, up to the cuts between deltas, and encodes from
it, so that both ways share one path; `fold` makes the cuts not matter.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.wire.conversation import Origin

BlockKind = Literal["text", "thinking", "redacted", "tool", "refusal", "image", "audio"]

StopReason = Literal[
    "stop",  # the model came to its end
    "stop_sequence",
    "length",  # the limit of the answer
    "context",  # the model's window is full
    "tool_calls",
    "content_filter",  # the provider cut the answer off
    "refusal",  # the model declined
    "pause",  # Anthropic's pause_turn: send it back to go on
    "error",
]


class MessageStart(Struct, frozen=True, tag="message_start"):
    """`message_id`, `model`: the provider's words, may be empty. `created_s`: Unix time, 0 where not said."""

    message_id: str = ""
    model: str = ""
    created_s: int = 0


class BlockStart(Struct, frozen=True, tag="block_start"):
    """`call_id`, `name`: of a tool call. `data`: all of a redacted thought, or of an image in base64.

    `signature`: of a tool call or text of Gemini's, known at its start. `item_id`: Responses' name of the item.
    """

    index: int
    kind: BlockKind
    call_id: str = ""
    name: str = ""
    data: str = ""
    media_type: str = ""
    signature: str = ""
    origin: Origin = ""
    item_id: str = ""


class Delta(Struct, frozen=True, tag="delta"):
    """More of a block: its text, its thought, its refusal, a piece of its arguments' JSON, or of its audio's base64."""

    index: int
    text: str


class Signature(Struct, frozen=True, tag="signature"):
    """The seal of a thought, when it comes after it; may come in pieces, which add up."""

    index: int
    signature: str


class Citation(Struct, frozen=True, tag="citation"):
    """A source that a text block rests on. `raw`: the provider's own object, for a caller of the same family."""

    index: int
    url: str = ""
    title: str = ""
    raw: Raw = Raw(b"")


class BlockStop(Struct, frozen=True, tag="block_stop"):
    index: int


class UsageSeen(Struct, frozen=True, tag="usage"):
    """What was consumed so far. `cost_nano_usd`: what the provider says it charges, None where it does not say."""

    usage: Usage
    cost_nano_usd: int | None = None


class Stop(Struct, frozen=True, tag="stop"):
    """Why the answer ended. `native`: the provider's own word. `sequence`: the stop sequence that was met."""

    reason: StopReason
    native: str = ""
    sequence: str = ""


class Failure(Struct, frozen=True, tag="failure"):
    """The provider reported an error inside its answer. `error_type`: its own word; `message`: its text."""

    error_type: str
    message: str


Event = MessageStart | BlockStart | Delta | Signature | Citation | BlockStop | UsageSeen | Stop | Failure


class Block(Struct):
    """One block of a folded answer; `text` is its deltas joined."""

    start: BlockStart
    text: str = ""
    signature: str = ""
    citations: tuple[Citation, ...] = ()


class Answer(Struct):
    """A whole answer. `stop` is None, `failure` set or not, where the provider did not come to its end."""

    start: MessageStart
    blocks: list[Block]
    usage: UsageSeen | None = None
    stop: Stop | None = None
    failure: Failure | None = None


def fold(events: Iterable[Event]) -> Answer:
    """The answer that a sequence of events makes; the same for any cut of its deltas. Blocks in order of their index.

    Deltas of a block that was never started are dropped: no dialect's decoder sends such.
    """
    answer, blocks = Answer(MessageStart(), []), dict[int, Block]()
    for event in events:
        if isinstance(event, Delta):
            if event.index in blocks:
                blocks[event.index].text += event.text
        elif isinstance(event, BlockStart):
            blocks[event.index] = Block(event, signature=event.signature)
        elif isinstance(event, Signature):
            if event.index in blocks:
                blocks[event.index].signature += event.signature
        elif isinstance(event, Citation):
            if event.index in blocks:
                blocks[event.index].citations += (event,)
        elif isinstance(event, UsageSeen):
            answer.usage = event
        elif isinstance(event, MessageStart):
            answer.start = event
        elif isinstance(event, Stop):
            answer.stop = event
        elif isinstance(event, Failure):
            answer.failure = event
    answer.blocks = [blocks[index] for index in sorted(blocks)]
    return answer


def unfold(answer: Answer) -> list[Event]:
    """The shortest sequence of events that folds into `answer`: each block in one delta."""
    events: list[Event] = [answer.start]
    for block in answer.blocks:
        events.append(block.start)
        if block.text:
            events.append(Delta(block.start.index, block.text))
        later = block.signature.removeprefix(block.start.signature)
        if later:
            events.append(Signature(block.start.index, later))
        events += block.citations
        events.append(BlockStop(block.start.index))
    events += [event for event in (answer.usage, answer.stop, answer.failure) if event is not None]
    return events
