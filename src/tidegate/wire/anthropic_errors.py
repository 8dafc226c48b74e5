"""Errors as Anthropic writes them, whoever's they are: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

`error.error_type` is OpenRouter's word beside Anthropic's, for clients that tell more cases apart.
"""

from typing import Any, Final

import msgspec

from tidegate.core.error_types import BY_STATUS, error_type
from tidegate.core.errors import GatewayError
from tidegate.wire.events import Failure

_encoder = msgspec.json.Encoder()

_WORDS: Final = (
    {
        "server_error": "api_error",  # OpenAI
        "overloaded": "overloaded_error",
        "rate_limit_exceeded": "rate_limit_error",
        "insufficient_quota": "billing_error",
    }
    | {word: row.anthropic for row in BY_STATUS.values() for word in (row.google, row.openrouter, row.openai)}
    | {row.anthropic: row.anthropic for row in BY_STATUS.values()}
    | {"INVALID_ARGUMENT": "invalid_request_error", "invalid_request_error": "invalid_request_error"}
    | {"INTERNAL": "api_error", "UNAVAILABLE": "overloaded_error", "RESOURCE_EXHAUSTED": "rate_limit_error"}
    | {"UNIMPLEMENTED": "invalid_request_error", "api_error": "api_error"}
)


def error_object(kind: str, message: str) -> dict[str, Any]:
    return {"type": kind, "message": message}


def failure_object(failure: Failure) -> dict[str, Any]:
    """A provider's error in Anthropic's words: clients retry by them."""
    return error_object(_WORDS.get(failure.error_type, "api_error"), failure.message)


def error_members(error: GatewayError) -> dict[str, Any]:
    words = error_type(error)
    return error_object(words.anthropic, error.message) | {"error_type": words.openrouter}


def error_body(error: GatewayError, *, request_id: str) -> bytes:
    return _encoder.encode({"type": "error", "error": error_members(error), "request_id": request_id or None})


def stream_error(error: GatewayError) -> bytes:
    """An event that tells a client of a failure after its 200: Anthropic's SDKs raise on its name."""
    return b"event: error\ndata: " + _encoder.encode({"type": "error", "error": error_members(error)}) + b"\n\n"
