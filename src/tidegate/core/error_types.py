"""One table of error types: what each HTTP status is called in the dialects that callers speak.

OpenAI's and Anthropic's words are `error.type`, Google's is `error.status` (google.rpc.Code), OpenRouter's is
`error.metadata.error_type`. Where an error of ours has a word of its own in a dialect, `BY_CODE` says it before the
status does. Anthropic's SDKs raise by HTTP status, Google's by `error.status`: both must agree with the table's key.
"""

from typing import Any, Final

from msgspec import Struct

from tidegate.core.errors import GatewayError, error_body


class ErrorType(Struct, frozen=True):
    """The words of the four dialects."""

    openai: str
    anthropic: str
    google: str
    openrouter: str


BY_STATUS: Final = {
    400: ErrorType("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT", "invalid_request"),
    401: ErrorType("authentication_error", "authentication_error", "UNAUTHENTICATED", "authentication"),
    402: ErrorType("insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED", "payment_required"),
    403: ErrorType("permission_error", "permission_error", "PERMISSION_DENIED", "permission_denied"),
    404: ErrorType("invalid_request_error", "not_found_error", "NOT_FOUND", "not_found"),
    405: ErrorType("invalid_request_error", "invalid_request_error", "UNIMPLEMENTED", "invalid_request"),
    408: ErrorType("invalid_request_error", "timeout_error", "DEADLINE_EXCEEDED", "timeout"),
    409: ErrorType("invalid_request_error", "invalid_request_error", "ABORTED", "unmapped"),
    413: ErrorType("invalid_request_error", "request_too_large", "INVALID_ARGUMENT", "payload_too_large"),
    415: ErrorType("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT", "invalid_request"),
    422: ErrorType("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT", "unprocessable"),
    425: ErrorType("invalid_request_error", "invalid_request_error", "FAILED_PRECONDITION", "invalid_request"),
    429: ErrorType("rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED", "rate_limit_exceeded"),
    431: ErrorType("invalid_request_error", "request_too_large", "INVALID_ARGUMENT", "payload_too_large"),
    500: ErrorType("api_error", "api_error", "INTERNAL", "server"),
    502: ErrorType("api_error", "api_error", "UNAVAILABLE", "provider_unavailable"),
    503: ErrorType("api_error", "overloaded_error", "UNAVAILABLE", "provider_overloaded"),
    504: ErrorType("api_error", "timeout_error", "DEADLINE_EXCEEDED", "timeout"),
    529: ErrorType("api_error", "overloaded_error", "UNAVAILABLE", "provider_overloaded"),
}

BY_CODE: Final = {
    "not_cached": ErrorType("invalid_request_error", "api_error", "FAILED_PRECONDITION", "unmapped"),
    "client_gone": ErrorType("api_error", "api_error", "CANCELLED", "unmapped"),
    "upstream_rejected_credentials": ErrorType("api_error", "api_error", "UNAVAILABLE", "provider_unavailable"),
}

AVAILABILITY: Final = {"model_not_found": "model_not_found", "price_unknown": "no_endpoints"}
"""OpenRouter's `error.availability.code`, by our own code."""


def error_type(error: GatewayError) -> ErrorType:
    """The words for an error; those of 400 or 500 for a status that the table does not hold."""
    found = BY_CODE.get(error.code) or BY_STATUS.get(error.status)
    return found or BY_STATUS[400 if error.status < 500 else 500]


def openrouter_body(error: GatewayError, *, provider_name: str = "") -> dict[str, Any]:
    """OpenRouter's shape: `code` is the HTTP status, the words are in `metadata`."""
    body = error_body(error, provider_name=provider_name)
    inner = body["error"]
    inner["metadata"] |= {"error_type": error_type(error).openrouter, "code": error.code}
    inner["code"] = error.status
    if error.code in AVAILABILITY:
        inner["availability"] = {"code": AVAILABILITY[error.code]}
    return body
