"""What a provider's refusal means for the caller; pure."""

from typing import Final

from tidegate.core.errors import GatewayError, UpstreamError, UpstreamRejected

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
