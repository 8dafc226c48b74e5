"""Errors within streams as OpenRouter's clients read them: a chunk whose `error` has the HTTP status as its code."""

from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw
from msgspec.structs import astuple

from tidegate.core.error_types import BY_STATUS, error_type
from tidegate.core.errors import GatewayError

CHUNKED: Final = {"openai-chat": "chat.completion.chunk", "openai-completions": "text_completion"}
"""The dialects whose errors OpenRouter writes in this shape, and what their chunks call themselves."""

_DELTAS: Final[dict[str, dict[str, Any]]] = {
    "openai-chat": {"delta": {"content": ""}},
    "openai-completions": {"text": ""},
}
_AMBIGUOUS: Final = 502  # what a provider's failure is where it does not say more
_STATUS_BY_WORD: Final = {
    word: status for status, row in reversed(BY_STATUS.items()) for word in astuple(row)
} | dict.fromkeys(("api_error", "server_error", "UNAVAILABLE"), _AMBIGUOUS)
_members = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


class Identity(NamedTuple):
    """What every chunk of a stream says of it."""

    generation_id: str
    created_s: int
    model: str


def own_error(error: GatewayError, dialect: str, identity: Identity) -> bytes:
    """The event of an error of ours."""
    said = {"code": error.status, "message": error.message, "metadata": {"error_type": error_type(error).openrouter}}
    return b"data: " + _encoder.encode(_chunk(dialect, identity) | {"error": said}) + b"\n\n"


def providers_error(data: bytes, dialect: str, identity: Identity) -> bytes | None:
    """A provider's error chunk in OpenRouter's shape; None where the chunk holds no error. Raises as msgspec does."""
    members = _members.decode(data)
    found = msgspec.json.decode(members.get("error", Raw(b"null")))
    if not found:
        return None
    given = found if isinstance(found, dict) else {"message": found}
    words = [word for word in (given.get("code"), given.get("type")) if isinstance(word, str | int) and word]
    numbers = [word for word in words if isinstance(word, int) and 400 <= word < 600]
    named = [_STATUS_BY_WORD[word] for word in words if isinstance(word, str) and word in _STATUS_BY_WORD]
    status = next(iter((*numbers, *named)), _AMBIGUOUS)
    metadata = {"error_type": BY_STATUS.get(status, BY_STATUS[_AMBIGUOUS]).openrouter}
    if words:
        metadata["provider_code"] = str(words[0])
    said = {"code": status, "message": str(given.get("message") or "The provider failed."), "metadata": metadata}
    return _encoder.encode(_chunk(dialect, identity) | {**members, **_end(dialect), "error": said})


def _chunk(dialect: str, identity: Identity) -> dict[str, Any]:
    return {
        "id": identity.generation_id,
        "object": CHUNKED[dialect],
        "created": identity.created_s,
        "model": identity.model,
    } | _end(dialect)


def _end(dialect: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, **_DELTAS[dialect], "finish_reason": "error"}]}
