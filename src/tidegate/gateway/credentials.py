"""Header lines that cannot be made in advance: tokens that expire, signatures over each body.

`credentials_for` gives what makes them for a provider, or None where the key is a fixed line of the prefix
(`gateway.egress`). A call asks `lines`; where it gets None, it waits on `ready`, which fails with the error that the
caller should see, and asks again.
"""

from typing import TYPE_CHECKING, Protocol

from tidegate.core.facts import Auth
from tidegate.gateway.aws_signatures import AwsSignatures
from tidegate.gateway.google_tokens import GoogleTokens

if TYPE_CHECKING:
    import asyncio

    from tidegate.config import ProviderConfig
    from tidegate.gateway.connect import Target
    from tidegate.wire.dialect import Pieces


class Credentials(Protocol):
    """What signs calls in. Plain calls, on the event loop only."""

    def lines(self, prefix: bytes, pieces: "Pieces") -> bytes | None:
        """Header lines for a call, each with its line end; to be made anew for each attempt. None: not ready.

        prefix: the head that the lines will follow, by `egress.request_prefix`; pieces: the body.
        """
        ...

    def ready(self) -> "asyncio.Future[None]":
        """Done when `lines` can be made; fails with a GatewayError. Also worth calling once at start, unawaited."""
        ...


def credentials_for(auth: Auth, target: "Target", key: str, settings: "ProviderConfig") -> Credentials | None:
    """What signs calls to `target` in; None where a fixed line does. Raises ConfigError naming the mend."""
    if auth == "google-oauth":
        return GoogleTokens(target.provider, key, settings)
    if auth == "aws-sigv4":
        return AwsSignatures(target, key, settings)
    return None
