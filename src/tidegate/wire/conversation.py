"""What a caller asks of a model, in the words of no dialect: the hub between request bodies.

Every dialect decodes its request body into an `Ask` and encodes an `Ask` into its own body. What a dialect reads but
this form cannot hold is named in `Ask.unsaid`; what a target cannot say its encoder returns in `Encoded.dropped`.
Both hold the caller's own names of fields ("logit_bias", "messages[2].content[0].file"), never a value.
"""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

Role = Literal["system", "developer", "user", "assistant"]
Origin = Literal["", "anthropic", "openai", "gemini", "deepseek"]
"""Who can read a signature: the family of providers that wrote it. Empty: whoever the caller sends it to."""

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class CacheMark(Struct, frozen=True):
    """The prompt up to and with this part is worth keeping in the provider's cache. `ttl`: "" (its default) or "1h"."""

    ttl: str = ""


class Text(Struct, frozen=True, tag="text"):
    text: str
    cache: CacheMark | None = None
    signature: str = ""  # Gemini signs text too
    origin: Origin = ""


class Media(Struct, frozen=True, tag="media"):
    """An image, a document, audio or video: exactly one of `url`, `data` (base64) and `file_id` is set.

    `media_type`: MIME type, empty where the caller did not say. `detail`: OpenAI's word on an image's resolution.
    """

    kind: Literal["image", "document", "audio", "video"]
    url: str = ""
    data: str = ""
    file_id: str = ""
    media_type: str = ""
    name: str = ""
    detail: str = ""
    cache: CacheMark | None = None


class Thinking(Struct, frozen=True, tag="thinking"):
    """What the model thought before: `text` (may be a summary), or `redacted` bytes that only its maker can read.

    `signature`: the maker's seal over the thought, to be sent back unchanged. `item_id`: its name in Responses.
    """

    text: str = ""
    signature: str = ""
    redacted: str = ""
    origin: Origin = ""
    item_id: str = ""


class ToolCall(Struct, frozen=True, tag="tool_call"):
    """`arguments`: a JSON object as text; "{}" where the model sent nothing. `signature`: Gemini seals calls too."""

    call_id: str
    name: str
    arguments: str = "{}"
    signature: str = ""
    origin: Origin = ""
    cache: CacheMark | None = None
    item_id: str = ""


class ToolResult(Struct, frozen=True, tag="tool_result"):
    """The answer of the caller's tool. `name`: of the tool, where the dialect says it (Gemini), else empty."""

    call_id: str
    parts: tuple[Text | Media, ...] = ()
    name: str = ""
    is_error: bool = False
    cache: CacheMark | None = None


class Refusal(Struct, frozen=True, tag="refusal"):
    """The model declined, in these words."""

    text: str


Part = Text | Media | Thinking | ToolCall | ToolResult | Refusal


class Turn(Struct, frozen=True):
    """Parts of one role, in order. Tool results are parts of a user turn; consecutive turns may share a role."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""


class Tool(Struct, frozen=True):
    """A function of the caller's that the model may call. `schema`: JSON Schema, the caller's bytes; may be empty.

    `is_freeform`: the caller wants plain text instead of arguments (OpenAI's custom tools); `schema` then asks for an
    object whose one member `input` holds it, so that any dialect can say it. `namespace`: the group that Responses
    keeps it in; `name` then begins with it and two underscores.
    """

    name: str
    description: str = ""
    schema: Raw = Raw(b"")
    strict: bool | None = None
    cache: CacheMark | None = None
    is_freeform: bool = False
    namespace: str = ""

    @property
    def bare_name(self) -> str:
        """Without the namespace, as the caller wrote it."""
        return self.name.removeprefix(f"{self.namespace}__") if self.namespace else self.name


class ToolChoice(Struct, frozen=True):
    """`tool`: the model must call the tool `name`. `parallel`: several calls in one answer; None: not said."""

    mode: Literal["auto", "none", "required", "tool"] = "auto"
    name: str = ""
    parallel: bool | None = None


class OutputFormat(Struct, frozen=True):
    kind: Literal["text", "json", "json_schema"] = "text"
    name: str = ""
    description: str = ""
    schema: Raw = Raw(b"")
    strict: bool | None = None


class Reasoning(Struct, frozen=True):
    """How much the model shall think. Any member may be missing; `shown`: whether thoughts come back; None: not said.

    `summary`: OpenAI's word ("auto", "concise", "detailed"). `is_encrypted`: send back sealed thoughts (Responses'
    include "reasoning.encrypted_content").
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    is_adaptive: bool = False
    shown: bool | None = None
    summary: str = ""
    is_encrypted: bool = False


class Ask(Struct, frozen=True, kw_only=True):
    """One request. None and empty mean: not said. `extra`: members that several dialects share by name
    (`seed`, `presence_penalty`, `frequency_penalty`, `top_k`, `service_tier`, `metadata`, ...), as raw JSON.
    `legacy_functions`: the caller offered OpenAI's `functions`, so its answer has `function_call`, not `tool_calls`."""

    model: str
    turns: tuple[Turn, ...]
    is_stream: bool = False
    wants_usage: bool = True
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    output_format: OutputFormat | None = None
    reasoning: Reasoning | None = None
    output_tokens_max: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    user: str = ""
    extra: dict[str, Raw] = msgspec.field(default_factory=dict)
    unsaid: tuple[str, ...] = ()
    legacy_functions: bool = False


class Encoded(Struct, frozen=True):
    """A request body for a provider, and the caller's fields that it could not say."""

    body: bytes
    dropped: tuple[str, ...] = ()
