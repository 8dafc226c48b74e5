"""The body of an error, in the shape that callers of a path expect."""

import msgspec

from tidegate.core.error_types import openrouter_body
from tidegate.core.errors import GatewayError, error_body
from tidegate.gateway.operation import dialect_at
from tidegate.wire.dialects import DIALECTS

_encoder = msgspec.json.Encoder()


def error_at(path: str, error: GatewayError, *, request_id: str = "", provider_name: str = "") -> bytes:
    """An error as a caller of `path` reads errors: Anthropic's shape, Google's, OpenRouter's or OpenAI's."""
    dialect = dialect_at(path)
    if dialect != "openai-chat":
        return DIALECTS[dialect].error_body(error, request_id=request_id)
    write = openrouter_body if path.startswith("/api/v1/") else error_body
    return _encoder.encode(write(error, provider_name=provider_name))
