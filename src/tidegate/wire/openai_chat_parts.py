"""A chat completion as providers write it, streamed or whole: any member may be missing."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.conversation import Origin
from tidegate.wire.openai_chat_salvage import salvage
from tidegate.wire.unreadable import UNREADABLE

NULL: Final = Raw(b"null")
_NOTHING: Final = (b"null", b"{}", b'""', b"false", b"")

FORMATS: Final[dict[Origin, str]] = {
    "": "unknown",
    "anthropic": "anthropic-claude-v1",
    "openai": "openai-responses-v1",
    "gemini": "google-gemini-v1",
    "deepseek": "unknown",
}
"""OpenRouter's word for who wrote a thought, in `reasoning_details[].format`."""

ORIGINS: Final[dict[str, Origin]] = {
    "anthropic-claude-v1": "anthropic",
    "openai-responses-v1": "openai",
    "azure-openai-responses-v1": "openai",
    "bedrock-openai-responses-v1": "openai",
    "google-gemini-v1": "gemini",
}


class Detail(Struct, frozen=True):
    """One of OpenRouter's `reasoning_details`; in a stream those of one `index` add up."""

    type: str = ""
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    id: str | None = None
    format: str | None = None
    index: int | None = None

    @property
    def origin(self) -> Origin:
        return ORIGINS.get(once(self.format or ""), "")


def once(text: str) -> str:
    """The text that `text` repeats: OpenAI's SDK gathers a stream's details by adding up every string of one index."""
    return text[: (text + text).find(text, 1)] if text else ""


class Function(Struct, frozen=True):
    """`arguments`: JSON text, as it should be, or the object itself, as some providers send it."""

    name: str | None = None
    arguments: Raw = NULL


class _Google(Struct, frozen=True):
    thought_signature: str | None = None


class ExtraContent(Struct, frozen=True):
    google: _Google | None = None


class Call(Struct, frozen=True):
    """`extra_content`: where Google's OpenAI endpoint puts the seal of a call."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    extra_content: ExtraContent | None = None

    @property
    def seal(self) -> str:
        google = self.extra_content and self.extra_content.google
        return (google and google.thought_signature) or ""


class Content(Struct, frozen=True):
    """A part of a reply's content, where it is a list (Mistral)."""

    type: str = "text"
    text: str | None = None
    thinking: "list[Content] | str | None" = None


class Url(Struct, frozen=True):
    url: str | None = None


class Image(Struct, frozen=True):
    image_url: Url | None = None


class Audio(Struct, frozen=True):
    id: str | None = None
    data: str | None = None
    transcript: str | None = None


class Message(Struct, frozen=True, gc=False):
    """A reply's message, or a delta of one: a message is the delta that says everything at once."""

    content: str | list[Content] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Detail] | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    annotations: list[Raw] | None = None
    images: list[Image] | None = None
    audio: Audio | None = None


class Choice(Struct, frozen=True, gc=False):
    """`text`: of a text completion. `stop_reason`: the stop sequence that was met (vLLM). `usage`: Moonshot's place."""

    index: int = 0
    delta: Message | None = None
    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    stop_reason: str | int | None = None
    usage: Raw = NULL


class _Groq(Struct, frozen=True):
    usage: Raw = NULL


class Completion(Struct, frozen=True, gc=False):
    """A chunk or a whole reply. `object` is "error" and `message` at the top where vLLM and SGLang fail."""

    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    choices: list[Choice] | None = None
    usage: Raw = NULL
    error: Raw = NULL
    object: str | None = None
    message: str | None = None
    code: str | int | None = None
    x_groq: _Groq | None = None

    @property
    def usage_object(self) -> bytes:
        """The usage object, wherever this provider puts it; empty where there is none."""
        first = self.choices[0].usage if self.choices else NULL
        for raw in (self.usage, first, self.x_groq.usage if self.x_groq else NULL):
            if raw is not NULL and (found := bytes(raw)) not in _NOTHING:
                return found
        return b""

    @property
    def failure(self) -> tuple[str, str] | None:
        """Type and message of an error in place of an answer, or in its middle."""
        if self.error is not NULL and bytes(self.error) not in _NOTHING:
            try:
                return _failure(msgspec.json.decode(self.error))
            except UNREADABLE:
                return "provider_error", "the provider's error cannot be read"
        if self.object == "error":
            return str(self.code or "provider_error"), self.message or "the provider did not say why"
        return None


def _failure(error: object) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "provider_error", str(error)
    kind = error.get("type") or error.get("code") or error.get("status") or "provider_error"
    return str(kind), str(error.get("message") or error.get("detail") or "the provider did not say why")


_text_decoder = msgspec.json.Decoder(str)


def arguments_text(raw: Raw) -> str:
    """A tool call's arguments as JSON text, or a piece of it; empty where there are none."""
    data = bytes(raw)
    try:
        if data.startswith(b'"'):
            return _text_decoder.decode(data)
        return data.decode() if data.startswith(b"{") else ""
    except UNREADABLE:  # half a surrogate pair, or bytes that are no text
        return ""


_completion_decoder = msgspec.json.Decoder(Completion)


def decode_completion(data: bytes) -> Completion | None:
    """Read a chunk or a reply; None where it is no JSON object."""
    try:
        return _completion_decoder.decode(data)
    except msgspec.ValidationError:
        return salvage(data, Completion)
    except UNREADABLE:
        return None
