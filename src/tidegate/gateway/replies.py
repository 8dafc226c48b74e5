"""What a reply tells the caller about the call, and what a provider's refusal means; pure."""

from collections.abc import Iterable
from typing import Final

import msgspec

from tidegate.core.errors import GatewayError, UpstreamError, UpstreamRefusal, UpstreamRejected, UpstreamTimeout
from tidegate.gateway.connect import Target
from tidegate.gateway.http import Headers

REQUEST_ID_BYTES_MAX: Final = 128
LIST_CHARS_MAX: Final = 1000
MESSAGE_CHARS_MAX: Final = 2000  # of a provider's error told in another dialect

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


def error_of(status: int, body: bytes, provider: str) -> GatewayError:
    """As `failure_of`, but in the provider's own status and words where they are about the caller's request."""
    if status not in PASSED_THROUGH:
        return failure_of(status, provider)
    return UpstreamRefusal(status, provider, message_in(body))


def timeout_of(target: Target, *, in_total: bool, answered: bool, first_byte_s: float = 0.0) -> UpstreamTimeout:
    """The error of a provider that was too slow, naming the setting that said so."""
    if in_total:
        text = f"did not finish within {target.total_s:g} s (total_s)"
    elif answered:
        text = f"was silent for {target.idle_s:g} s in the middle of its reply (idle_s)"
    elif first_byte_s:
        text = f"did not begin to answer within {first_byte_s:g} s (routing.first_byte_s)"
    else:
        text = f"did not begin to answer within {target.first_byte_s:g} s (first_byte_s)"
    return UpstreamTimeout(f"provider {target.provider} {text}")


def reply_too_large(limit: int) -> UpstreamError:
    return UpstreamError(f"the provider's reply exceeds {limit} bytes (limits.response_bytes_max)")


def request_id_of(headers: Headers, generation_id: str) -> str:
    """The caller's own id of the request (`x-request-id`, cut to 128 bytes), else ours."""
    given = headers.get(b"x-request-id")
    return given[:REQUEST_ID_BYTES_MAX].decode("latin-1") if given else generation_id


def call_headers(generation_id: str, request_id: str, retry_after: bytes) -> bytes:
    """The header lines that every reply to an authenticated call carries."""
    lines = f"x-generation-id: {generation_id}\r\nx-request-id: {request_id}\r\n".encode("latin-1")
    return lines + b"retry-after: %b\r\n" % retry_after if retry_after and retry_after.isascii() else lines


def message_in(body: bytes) -> str:
    """The text of a provider's error, whatever its dialect; empty where none is found."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    for _ in range(4):
        if isinstance(found, list):
            found = found[0] if found else ""
        if isinstance(found, dict):
            found = found.get("error") or found.get("message") or found.get("detail") or ""
    return found[:MESSAGE_CHARS_MAX] if isinstance(found, str) else ""


def header_list(names: Iterable[str]) -> bytes:
    """Names of a caller's fields as the value of a header: what a header cannot hold becomes `?`."""
    text = ", ".join(names)[:LIST_CHARS_MAX]
    return "".join(c if " " <= c <= "~" else "?" for c in text).encode()
