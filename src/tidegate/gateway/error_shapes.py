"""The body of an error, in the shape that callers of a path expect."""

import msgspec

from tidegate.core.error_types import openrouter_body
from tidegate.core.error_words import language_of, speak
from tidegate.core.errors import GatewayError, error_body
from tidegate.gateway.http import Headers
from tidegate.gateway.operation import dialect_at
from tidegate.wire.dialects import DIALECTS

_encoder = msgspec.json.Encoder()


def in_language_of(error: GatewayError, headers: Headers, tenant_language: str = "") -> GatewayError:
    """The error in the language that the caller asks for, else its tenant's."""
    asked = headers.get(b"accept-language", b"").decode("latin-1")
    return speak(error, language_of(asked, tenant_language)) if asked or tenant_language else error


def error_at(path: str, error: GatewayError, *, request_id: str = "", provider_name: str = "") -> bytes:
    """An error as a caller of `path` reads errors: Anthropic's shape, Google's, OpenRouter's or OpenAI's."""
    dialect = dialect_at(path)
    if dialect != "openai-chat":
        return DIALECTS[dialect].error_body(error, request_id=request_id)
    write = openrouter_body if path.startswith("/api/v1/") else error_body
    return _encoder.encode(write(error, provider_name=provider_name))
