"""What a path asks for: the operation, the dialect it is written in, and what the path itself already says.

Paths stand under `/v1` and `/api/v1`; under the second, replies carry OpenRouter's `usage` object and its error shape.
Gemini's name the model, under `/v1beta` or `/v1`, as do Vertex's. Adding a path is one line of `_FIXED`.
"""

from typing import Final

import msgspec

from tidegate.gateway.http import EVENT_STREAM, JSON
from tidegate.wire.dialect import Dialect, Head
from tidegate.wire.dialects import DIALECTS
from tidegate.wire.gemini_path import parse_path
from tidegate.wire.media import MEDIA


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One way to call a model. `name`: the row's `operation_name`.

    `model`, `is_stream`: what the path says of them; "" and None where the body says it. `as_array`: the stream is a
    JSON array, not events (Gemini without `alt=sse`). `counts_only`: nothing is generated, tokens are counted.
    `is_media`: the dialect is one of `wire/media.py`, which no other can stand in for. `explains`: the plan of such a
    call is the answer, and no call is made.
    """

    name: str
    dialect: Dialect
    is_openrouter: bool = False
    model: str = ""
    is_stream: bool | None = None
    as_array: bool = False
    counts_only: bool = False
    is_media: bool = False
    explains: bool = False

    @property
    def is_alone(self) -> bool:
        """Not a conversation: only who speaks its dialect can serve it."""
        return self.is_media or self.dialect.name == "openai-embeddings"

    def head(self, body: bytes) -> Head:
        """What the gateway reads of a request; the path's word on model and stream wins. Raises InvalidRequest."""
        head = self.dialect.decode_head(body)
        if self.model:
            head = msgspec.structs.replace(head, model=self.model, is_stream=self.is_stream is True)
        return head

    @property
    def takes_comments(self) -> bool:
        """Between the events of a streamed reply, a comment may stand."""
        return not self.as_array

    @property
    def stream_type(self) -> bytes:
        """The content-type of a streamed reply."""
        return JSON if self.as_array else EVENT_STREAM


_FIXED: Final = (
    ("chat/completions", "chat", "openai-chat"),
    ("completions", "text_completion", "openai-completions"),
    ("responses", "chat", "openai-responses"),
    ("messages", "chat", "anthropic"),
    ("embeddings", "embeddings", "openai-embeddings"),
)
_COUNTS: Final = (("messages/count_tokens", "count_tokens", "anthropic"),)
ROOTS: Final = (("/v1/", False), ("/api/v1/", True))

OPERATIONS: Final[dict[str, Operation]] = (
    {
        root + path: Operation(name, DIALECTS[dialect], is_openrouter=is_openrouter, counts_only=counts_only)
        for root, is_openrouter in ROOTS
        for paths, counts_only in ((_FIXED, False), (_COUNTS, True))
        for path, name, dialect in paths
        if dialect in DIALECTS
    }
    | {
        root + media.kind.path: Operation(media.kind.operation, media, is_openrouter=is_openrouter, is_media=True)
        for root, is_openrouter in ROOTS
        for media in MEDIA
    }
    | {
        root + "route/explain": Operation("route_explain", DIALECTS["openai-chat"], is_openrouter=True, explains=True)
        for root, _ in ROOTS
    }
)

_GEMINI_NAMES: Final = {
    "generateContent": "generate_content",
    "streamGenerateContent": "generate_content",
    "countTokens": "count_tokens",
}


def operation_of(path: str, query: bytes) -> Operation | None:
    """The model call that a POST to `path` is; None where it is none."""
    found = OPERATIONS.get(path)
    if found is not None or ":" not in path:
        return found
    gemini = parse_path(path, query.decode("latin-1"))
    if gemini is None or gemini.method not in _GEMINI_NAMES:
        return None
    return Operation(
        _GEMINI_NAMES[gemini.method],
        DIALECTS["gemini"],
        model=gemini.model,
        is_stream=gemini.is_stream,
        as_array=gemini.is_array,
        counts_only=gemini.method == "countTokens",
    )


def dialect_at(path: str) -> str:
    """The dialect whose errors a caller of `path` expects, known before the operation is."""
    if path.startswith("/v1beta/") or (":" in path and parse_path(path) is not None):
        return "gemini"
    return "anthropic" if path.startswith(("/v1/messages", "/api/v1/messages")) else "openai-chat"
