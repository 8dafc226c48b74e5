"""What a reply tells the caller about the call, and what a provider's refusal means; pure."""

from typing import Final

from tidegate.core.errors import GatewayError, UpstreamError, UpstreamRejected
from tidegate.gateway.http import Headers

REQUEST_ID_BYTES_MAX: Final = 128

PASSED_THROUGH: Final = frozenset((400, 404, 409, 413, 415, 422, 429))
"""A provider's word on the caller's own request: its status and body reach the caller as they are."""


def failure_of(status: int, provider: str) -> GatewayError:
    """The error of an attempt whose reply was not a success.

    A refusal of our own credentials becomes 502 without the provider's text: a caller would take a 401 for a
    word on their own key, and some providers quote the key they refuse.
    """
    if status in (401, 402, 403):
        return UpstreamRejected(
            f"Provider {provider} refused the gateway's own credentials (HTTP {status}). "
            "The operator should check that provider's API key and balance."
        )
    return UpstreamError(f"Provider {provider} answered HTTP {status}.")


def request_id_of(headers: Headers, generation_id: str) -> str:
    """The caller's own id of the request (`x-request-id`, cut to 128 bytes), else ours."""
    given = headers.get(b"x-request-id")
    return given[:REQUEST_ID_BYTES_MAX].decode("latin-1") if given else generation_id


def call_headers(generation_id: str, request_id: str, retry_after: bytes) -> bytes:
    """The header lines that every reply to an authenticated call carries."""
    lines = f"x-generation-id: {generation_id}\r\nx-request-id: {request_id}\r\n".encode("latin-1")
    return lines + b"retry-after: %b\r\n" % retry_after if retry_after else lines
