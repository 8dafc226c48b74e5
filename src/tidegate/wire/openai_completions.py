"""OpenAI's text completions, the interface before chat: `COMPLETIONS`.

A prompt is one turn of the user's, so any model can answer it; what needs a model that merely continues text (a
suffix, an echo, several prompts, tokens for a prompt) is refused across dialects. Usage and errors are those of chat.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.conversation import Ask, Encoded, Text, Turn
from tidegate.wire.dialect import Dialect
from tidegate.wire.events import BlockStart, Delta, Event, Failure, MessageStart, Stop, UsageSeen, fold
from tidegate.wire.openai_chat import Chat
from tidegate.wire.openai_chat_answer_write import DONE_EVENT
from tidegate.wire.openai_chat_head import StreamOptions
from tidegate.wire.openai_chat_reply import stream_error
from tidegate.wire.stop_reasons import word_for
from tidegate.wire.unreadable import UNREADABLE, refuse_body
from tidegate.wire.usage import encode_usage

NULL: Final = Raw(b"null")
KIND: Final = "text completion request"
EXTRAS: Final = frozenset({"seed", "presence_penalty", "frequency_penalty", "logit_bias", "top_k", "min_p"})
REFUSED: Final = (
    ("suffix", (b"null", b'""'), "a text to be continued up to a suffix"),
    ("echo", (b"null", b"false"), "the prompt in the answer"),
    ("best_of", (b"null", b"1"), "the best of several answers"),
    ("n", (b"null", b"1"), "several answers"),
)
"""Member, its values that ask for nothing, and what any other asks for."""

_encode = msgspec.json.Encoder().encode


class _TextRequest(Struct, frozen=True):
    model: str
    prompt: Raw = NULL
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    user: str | None = None


_request_decoder = msgspec.json.Decoder(_TextRequest)
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_prompt_decoder = msgspec.json.Decoder(str | list[str])


def _decode_ask(body: bytes) -> Ask:
    try:
        body.decode()  # what travels as it is must be text too
        asked = _request_decoder.decode(body)
        members = _members_decoder.decode(body)
    except UNREADABLE as error:
        refuse_body(error, KIND)
    for name, harmless, what in REFUSED:
        if bytes(members.get(name, NULL)) not in harmless:
            raise InvalidRequest(
                f"{name} asks for {what}, which this model's provider cannot give: it speaks another dialect. "
                f"Leave {name} out, or choose a model that is served with text completions.",
                param=name,
            )
    rest = {
        name: raw
        for name, raw in members.items()
        if name not in _TextRequest.__struct_fields__
        and name not in (one[0] for one in REFUSED)
        and bytes(raw) != b"null"
    }
    return Ask(
        model=asked.model,
        turns=(Turn("user", (Text(_prompt(asked.prompt)),)),),
        is_stream=asked.stream is True,
        wants_usage=asked.stream is not True or bool(asked.stream_options and asked.stream_options.include_usage),
        output_tokens_max=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        user=asked.user or "",
        extra={name: Raw(bytes(raw)) for name, raw in rest.items() if name in EXTRAS},
        unsaid=tuple(name for name in rest if name not in EXTRAS),
    )


def _prompt(raw: Raw) -> str:
    try:
        prompt = _prompt_decoder.decode(raw)
    except msgspec.ValidationError:
        prompt = []
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidRequest(
            "prompt must be one text for this model: its provider speaks another dialect, which takes neither tokens "
            "nor several prompts at once.",
            param="prompt",
        )
    return prompt


def _encode_ask(ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
    """One text only: a conversation has no place in a prompt. Raises InvalidRequest for any other."""
    turn = ask.turns[0] if len(ask.turns) == 1 else None
    if turn is None or turn.role != "user" or ask.tools or not all(isinstance(part, Text) for part in turn.parts):
        raise InvalidRequest(
            "This model is served with text completions only: one message of the user's, of text, and no tools.",
            param="messages",
        )
    prompt = "\n\n".join(part.text for part in turn.parts if isinstance(part, Text))
    body: dict[str, Any] = {"model": upstream_model, "prompt": prompt}
    if ask.is_stream:
        body["stream"] = True
        if not quirks.no_stream_usage:
            body["stream_options"] = {"include_usage": True}
    said = {
        "max_tokens": ask.output_tokens_max,
        "temperature": ask.temperature,
        "top_p": ask.top_p,
        "stop": list(ask.stop) or None,
        "user": ask.user or None,
    }
    body |= {name: value for name, value in said.items() if value is not None}
    body |= {name: raw for name, raw in ask.extra.items() if name in EXTRAS}
    dropped = [name for name in ask.extra if name not in EXTRAS]
    dropped += ["response_format"] if ask.output_format is not None and ask.output_format.kind != "text" else []
    dropped += ["reasoning"] if ask.reasoning is not None else []
    return Encoded(_encode(body), tuple(dropped))


class TextStreamEncoder:
    """Events into chunks of text; all but text is left out, and named in `dropped`."""

    def __init__(self, ask: Ask, generation_id: str, created_s: int) -> None:
        self.dropped: list[str] = []
        self.usage_object: dict[str, Any] | None = None
        self._ask, self._id, self._created_s = ask, generation_id, created_s
        self._texts: set[int] = set()
        self._usage: UsageSeen | None = None
        self._common = b""
        self._is_over = False

    def encode(self, event: Event) -> bytes:
        if isinstance(event, UsageSeen):
            self._usage = event
        if self._is_over:
            return b""
        if not self._common:
            model = event.model if isinstance(event, MessageStart) else ""
            known = {"id": self._id, "object": "text_completion", "created": self._created_s}
            self._common = b"data: " + _encode(known | {"model": model or self._ask.model})[:-1] + b","
        if isinstance(event, Delta):
            return self._chunk(event.text, None) if event.index in self._texts else b""
        if isinstance(event, BlockStart):
            if event.kind in ("text", "refusal"):
                self._texts.add(event.index)
            elif event.kind not in ("thinking", "redacted", *self.dropped):
                self.dropped.append(event.kind)
        elif isinstance(event, Stop):
            self._is_over = True
            return self._chunk("", word_for("openai-completions", event.reason))
        elif isinstance(event, Failure):
            self._is_over = True
            return stream_error(event.message, event.error_type)
        return b""

    def finish(self) -> bytes:
        if not self._is_over:
            return b""
        usage = self.usage_object
        if usage is None and self._usage is not None:
            usage = encode_usage(self._usage, "openai-completions")
        if usage is None or not self._ask.wants_usage:
            return DONE_EVENT
        return self._common + b'"choices":[],"usage":' + _encode(usage) + b"}\n\n" + DONE_EVENT

    def _chunk(self, text: str, finish_reason: str | None) -> bytes:
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}
        return self._common + b'"choices":[' + _encode(choice) + b"]}\n\n"


class Completions(Chat):
    """OpenAI's text completions, as `Dialect`: chat's heads, peeks, answers read and errors."""

    name = "openai-completions"
    kind = KIND

    def decode_request(self, body: bytes) -> Ask:
        return _decode_ask(body)

    def encode_request(self, ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
        return _encode_ask(ask, upstream_model, quirks)

    def stream_encoder(self, ask: Ask, *, generation_id: str, created_s: int) -> TextStreamEncoder:
        return TextStreamEncoder(ask, generation_id, created_s)

    def encode_reply(
        self,
        events: Iterable[Event],
        ask: Ask,
        *,
        generation_id: str,
        created_s: int,
        usage_object: dict[str, Any] | None = None,
    ) -> bytes:
        answer = fold(events)
        if answer.failure is not None:
            failure = answer.failure
            error = {"message": failure.message, "type": "api_error", "param": None, "code": failure.error_type}
            return _encode({"error": error})
        text = "".join(block.text for block in answer.blocks if block.start.kind in ("text", "refusal"))
        reason = word_for("openai-completions", answer.stop.reason if answer.stop else "stop")
        reply: dict[str, Any] = {
            "id": generation_id,
            "object": "text_completion",
            "created": created_s,
            "model": answer.start.model or ask.model,
            "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": reason}],
        }
        if usage_object is None and answer.usage is not None:
            usage_object = encode_usage(answer.usage, "openai-completions")
        return _encode(reply | ({"usage": usage_object} if usage_object is not None else {}))


COMPLETIONS: Final[Dialect] = Completions()
