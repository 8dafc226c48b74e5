"""The body of an error, in the shape that callers of a path expect."""

from typing import Any

import msgspec

from tidegate.core.error_types import AVAILABILITY, error_type
from tidegate.core.errors import GatewayError, error_body
from tidegate.gateway.operation import dialect_at
from tidegate.wire.dialects import DIALECTS

_encoder = msgspec.json.Encoder()


def error_at(path: str, error: GatewayError, *, request_id: str = "", provider_name: str = "") -> bytes:
    """An error as a caller of `path` reads errors: Anthropic's shape, Google's, OpenRouter's or OpenAI's."""
    dialect = dialect_at(path)
    if dialect != "openai-chat":
        return DIALECTS[dialect].error_body(error, request_id=request_id)
    body = error_body(error, provider_name=provider_name)
    return _encoder.encode(_openrouter(error, body) if path.startswith("/api/v1/") else body)


def _openrouter(error: GatewayError, body: dict[str, Any]) -> dict[str, Any]:
    """OpenRouter's shape: `code` is the HTTP status, the words are in `metadata`."""
    inner = body["error"]
    inner["metadata"] |= {"error_type": error_type(error).openrouter, "code": error.code}
    inner["code"] = error.status
    if error.code in AVAILABILITY:
        inner["availability"] = {"code": AVAILABILITY[error.code]}
    return body
