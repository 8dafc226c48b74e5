"""Targets of the pure room: whatever a caller or a provider says is read, or refused by an error of ours."""

import json
from collections.abc import Sequence
from typing import Any

from fuzz import seeds
from fuzz.choices import Choices, altered, as_json
from rig import aws_frames
from rig.dialects import QUIRKS, UPSTREAM
from tidegate.core.errors import GatewayError, UpstreamError
from tidegate.gateway.replies import message_in
from tidegate.wire.conversation import Ask, Reasoning, Tool
from tidegate.wire.dialect import Dialect, Head
from tidegate.wire.dialects import DIALECTS
from tidegate.wire.events import Event
from tidegate.wire.openai_chat import DONE
from tidegate.wire.sse import Framer, _event_data_slowly, event_data
from tidegate.wire.usage import decode_usage, merge_usage

EVENT_BYTES_MAX = 1 << 20
CALLERS = ["openai-chat", "openai-responses", "anthropic", "gemini", "openai-completions"]  # of any provider
INGRESS = [*CALLERS, "openai-embeddings"]
PROVIDERS = ["openai-chat", "openai-responses", "anthropic", "gemini", "bedrock"]  # of any caller
ANSWERING = [*PROVIDERS, "openai-completions"]
FLAVOURS = ["openai-chat", "openai-completions", "openai-embeddings", "openai-responses", "anthropic", "gemini",
            "bedrock"]  # fmt: skip
ASK = Ask(model="m", turns=(), is_stream=True, tools=(Tool("f"), Tool("g")), reasoning=Reasoning(shown=True))


def upstream_model(provider: str) -> str:
    return UPSTREAM.get(provider, "anthropic.claude-sonnet-4-6")


def requests(data: bytes) -> None:
    """A request body in any dialect: an error of ours, or a request that every provider's dialect can say or refuse."""
    take = Choices(data)
    name = take.one(INGRESS)
    spare = seeds.requests(name)
    body = as_json(altered(take.one(spare), take, spare), take) if take.below(2) else take.rest
    dialect = DIALECTS[name]
    try:
        head = dialect.decode_head(body)
        edited = b"".join(dialect.edit_request(body, head, "up-stream"))
    except GatewayError:
        pass
    else:
        again = dialect.decode_head(edited)
        assert name == "gemini" or again.model == "up-stream", "the provider is asked for the model that was chosen"
        assert again.is_stream == head.is_stream
    if name != "openai-embeddings":
        _ask_everyone(dialect, body)


def _ask_everyone(caller: Dialect, body: bytes) -> None:
    try:
        ask = caller.decode_request(body)
    except GatewayError:
        return
    for name in PROVIDERS:
        provider = DIALECTS[name]
        try:
            encoded = provider.encode_request(ask, upstream_model(name), QUIRKS)
        except GatewayError:
            continue
        assert isinstance(json.loads(encoded.body), dict)
        if name in CALLERS:
            try:
                provider.decode_request(encoded.body)
            except GatewayError:
                pass  # a provider may be stricter than the caller was


def framed(dialect: str, events: Any, take: Choices) -> bytes:
    """Events on the wire, with the line ends that `take` picks; for Bedrock, frames with right checksums."""
    rows = [row if isinstance(row, list) and len(row) == 2 else ["", row] for row in events] if events else []
    if dialect == "bedrock":
        return b"".join(_aws_frame(name, data) for name, data in rows)
    end = take.one(["\n", "\n", "\r\n", "\r"])
    out = []
    for name, data in rows:
        text = data if isinstance(data, str) else json.dumps(data)
        lines = ([f"event: {name}"] if name else []) + [f"data: {text}", "", ""]
        out.append(end.join(lines))
    return "".join(out).encode("utf-8", "surrogatepass")


def _aws_frame(name: Any, data: Any) -> bytes:
    kind = ":exception-type" if str(name).endswith("Exception") else ":event-type"
    word = "exception" if kind == ":exception-type" else "event"
    headers = {kind: str(name)[:50].encode("ascii", "replace").decode(), ":message-type": word}
    return aws_frames.frame(headers, json.dumps(data).encode())


def _stream(take: Choices) -> tuple[str, bytes, int]:
    """Dialect, bytes and the size of the pieces they come in."""
    name, size = take.one(ANSWERING), take.below(40) + 1
    spare = seeds.streams(name)
    if not take.below(2):
        return name, take.rest, size
    events = altered(take.one(spare), take, spare)
    return name, framed(name, events if isinstance(events, list) else [events], take), size


def streams(data: bytes) -> None:
    """A provider's stream in any dialect: the same events at any cut, up to the damage; every caller is told them."""
    name, body, size = _stream(Choices(data))
    whole, failure = decoded(name, [body])
    events, failure_of_pieces = decoded(name, [body[i : i + size] for i in range(0, len(body), size)])
    assert failure == failure_of_pieces
    assert whole == (events[: len(whole)] if failure else events)
    if name != "bedrock":
        peek, framer = DIALECTS[name].peek(Head("m", is_stream=True)), Framer(EVENT_BYTES_MAX)
        for event in framer.feed(body):
            peek.see(event)
    for caller in CALLERS:
        told(caller, events)


def decoded(name: str, pieces: Sequence[bytes]) -> tuple[list[Event], str]:
    """The events of a stream, and what was wrong with it where it could not be read to its end."""
    decoder, events = DIALECTS[name].stream_decoder(event_bytes_max=EVENT_BYTES_MAX), list[Event]()
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.finish()
    except UpstreamError as error:
        return events, str(error)
    return events, ""


def told(name: str, events: Sequence[Event]) -> None:
    """The caller gets whole events of JSON, and its own dialect reads them."""
    dialect = DIALECTS[name]
    encoder = dialect.stream_encoder(ASK, generation_id="gen-1", created_s=1)
    out = b"".join([*(encoder.encode(event) for event in events), encoder.finish()])
    framer = Framer(1 << 26)
    for event in framer.feed(out):
        payload = event_data(event)
        assert payload is not None
        assert payload == DONE or isinstance(json.loads(payload), dict)
    assert framer.is_empty
    decoder = dialect.stream_decoder(event_bytes_max=1 << 26)
    decoder.feed(out)
    decoder.finish()


def replies(data: bytes) -> None:
    """A whole reply, or an error's body, in any dialect: read or not, but every caller gets JSON."""
    take = Choices(data)
    name = take.one(ANSWERING)
    spare = seeds.replies(name)
    body = as_json(altered(take.one(spare), take, spare), take) if take.below(2) else take.rest
    dialect = DIALECTS[name]
    if name != "bedrock":  # which no caller speaks, so nobody looks at its bytes in passing
        dialect.see_reply(body)
    message_in(body)
    for flavour in FLAVOURS:
        decode_usage(body, flavour)
    decode_usage(merge_usage(body, as_json(take.one(spare), take)), name)
    events = dialect.decode_reply(body)
    if events is None:
        return
    for caller in CALLERS:
        reply = DIALECTS[caller].encode_reply(events, ASK, generation_id="gen-1", created_s=1)
        assert isinstance(json.loads(reply), dict)
        DIALECTS[caller].decode_reply(reply)
        told(caller, events)


def sse(data: bytes) -> None:
    """Framing of events: nothing is lost, nothing is added, no cut matters, and the fast ways mean the slow one."""
    take = Choices(data)
    size, body = take.below(20) + 1, take.rest
    whole = Framer(EVENT_BYTES_MAX)
    events = whole.feed(body)
    assert b"".join(events) + whole.rest == body
    cut = Framer(EVENT_BYTES_MAX)
    pieces = [event for i in range(0, len(body), size) for event in cut.feed(body[i : i + size])]
    assert b"".join(pieces) + cut.rest == body
    assert payloads(pieces) == payloads(events) or body.endswith(b"\r"), "a CR at the end may still become CR LF"
    assert [event_data(event) for event in events] == [_event_data_slowly(event) for event in events]


def payloads(events: Sequence[bytes]) -> list[bytes]:
    """What the events say. To which of two events a spare empty line belongs does not matter."""
    return [found for event in events if (found := event_data(event)) is not None]


RAW, EDITED = b"\x00", b"\x01"
DECISIONS = [bytes(range(start, start + 24)) for start in range(0, 250, 25)]


def _seeds(name_number: int, prefix: bytes, bodies: Sequence[bytes]) -> list[bytes]:
    """Bodies as they are, and the decisions that edit them."""
    front = bytes([name_number]) + prefix
    return [front + RAW + body for body in bodies] + [front + EDITED + decisions for decisions in DECISIONS]


def request_seeds() -> list[bytes]:
    found = []
    for number, name in enumerate(INGRESS):
        found += _seeds(number, b"", [json.dumps(body).encode() for body in seeds.requests(name)])
    return found


def stream_seeds() -> list[bytes]:
    found = []
    for number, name in enumerate(ANSWERING):
        bodies = [framed(name, events, Choices(b"\x00")) for events in seeds.streams(name)]
        found += _seeds(number, b"\x09", bodies)
    return found


def reply_seeds() -> list[bytes]:
    found = []
    for number, name in enumerate(ANSWERING):
        found += _seeds(number, b"", [json.dumps(body).encode() for body in seeds.replies(name)])
    return found


def sse_seeds() -> list[bytes]:
    found = [b"\x03" + framed("anthropic", seeds.streams("anthropic")[0], Choices(bytes([end]))) for end in range(4)]
    odd = [
        b"\xef\xbb\xbfdata:a\n\n",
        b": x\n\ndata: a\ndata: b\r\n\r\n",
        b"event: e\ndata: {}\n\n",
        b"data\n\n",
        b"\r\n\r\r\n",
    ]
    return found + [b"\x03" + stream for stream in odd]
