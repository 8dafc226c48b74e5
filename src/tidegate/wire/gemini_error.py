"""Errors as Google writes them: `{"error": {"code", "message", "status", "details"}}`, whole and inside a stream."""

from typing import Any, Final

import msgspec

from tidegate.core.error_types import BY_STATUS, error_type
from tidegate.core.errors import GatewayError
from tidegate.wire.events import Failure

Json = dict[str, Any]

_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
_BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
_DOMAIN: Final = "tidegate"
_HTTP_OF: Final = {  # Google's words for errors (google.rpc.Code), and the HTTP status of each
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_GOOGLE_WORD: Final = {words.anthropic: words.google for words in reversed(BY_STATUS.values())} | {
    "api_error": "INTERNAL",
    "invalid_request_error": "INVALID_ARGUMENT",
    "rate_limit_exceeded": "RESOURCE_EXHAUSTED",
    "insufficient_quota": "RESOURCE_EXHAUSTED",
}


def error_object(error: GatewayError, request_id: str = "") -> Json:
    """An error of ours. `details` name our own code, the request, and the field at fault, as google.rpc does."""
    metadata = {"error_type": error.code} | ({"request_id": request_id} if request_id else {})
    details: list[Json] = [
        {"@type": _INFO, "reason": error.code.upper(), "domain": _DOMAIN, "metadata": metadata},
    ]
    if error.param:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": _BAD_REQUEST, "fieldViolations": [violation]})
    status = error_type(error).google
    return {"error": {"code": error.status, "message": error.message, "status": status, "details": details}}


def failure_error(failure: Failure) -> Json:
    """A provider's failure after the 200, as Google's SDKs raise on it."""
    word = failure.error_type if failure.error_type in _HTTP_OF else _GOOGLE_WORD.get(failure.error_type, "INTERNAL")
    message = failure.message or "The provider failed."
    return {"error": {"code": _HTTP_OF[word], "message": message, "status": word}}


def error_body(error: GatewayError, *, request_id: str) -> bytes:
    return msgspec.json.encode(error_object(error, request_id))


def stream_error(error: GatewayError) -> bytes:
    return b"data: " + msgspec.json.encode(error_object(error)) + b"\r\n\r\n"
