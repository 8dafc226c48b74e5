"""Signatures of Amazon Web Services (Signature Version 4), for Bedrock: each call is signed with its body's hash.

botocore finds the credentials (environment, shared files, single sign-on, roles of the machine or container), renews
them, and signs. Finding and renewing may reach the network, so they run in a thread; signing is arithmetic.
"""

import hashlib
import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tidegate.core.errors import ConfigError, UpstreamError, UpstreamRejected
from tidegate.gateway.renewal import Lease, Renewal

if TYPE_CHECKING:
    import asyncio

    from tidegate.config import ProviderConfig
    from tidegate.gateway.connect import Target
    from tidegate.wire.dialect import Pieces

SERVICES: Final = {"bedrock-runtime": "bedrock", "bedrock-runtime-fips": "bedrock", "bedrock-mantle": "bedrock-mantle"}
"""Names of services in signatures, by the first label of their hosts; any other host: "bedrock"."""

LOOK_AGAIN_S: Final = 60.0  # botocore renews credentials that end within 15 minutes, when it is asked for them
HOLD_S: Final = 300.0  # it never hands out ones that end within 10 minutes
NEVER: Final = float("inf")
_REGION: Final = re.compile(r"\.([a-z]{2,4}(?:-[a-z]+)+-\d)\.")
_WORDS_CHARS_MAX: Final = 300


class AwsSignatures:
    """The header lines of calls to one host. Implements `gateway.credentials.Credentials`."""

    def __init__(self, target: "Target", key: str, settings: "ProviderConfig") -> None:
        """key: `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`; anything else: botocore looks for credentials.

        Raises ConfigError where botocore is not installed, or nothing says the region.
        """
        try:
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.credentials import ReadOnlyCredentials
        except ImportError as error:
            raise ConfigError(
                f"provider {target.provider} wants calls signed, which needs botocore: pip install 'tidegate[cloud]'"
            ) from error
        logging.getLogger("botocore").setLevel(logging.INFO)  # at DEBUG it writes session tokens down
        self._signer, self._request = SigV4Auth, AWSRequest
        self._provider, self._host = target.provider, target.host
        self._authority = next(line[6:] for line in target.header_lines if line.startswith("host: "))
        self._service = SERVICES.get(target.host.partition(".")[0], "bedrock")
        found = _REGION.search(target.host)
        self._region = found[1] if found else settings.region
        if not self._region:
            raise ConfigError(
                f"provider {target.provider}: its host {target.host} names no region; "
                f"set providers.{target.provider}.region"
            )
        given = key.split(":", 2)
        self._fixed = (
            ReadOnlyCredentials(given[0], given[1], given[2] if len(given) > 2 else None) if given[1:] else None
        )
        self._found: Any = None
        self._renewal: Renewal[Any] = Renewal(f"AWS credentials for provider {target.provider}", self._fetch)

    def lines(self, prefix: bytes, pieces: "Pieces") -> bytes | None:
        credentials = self._fixed or self._renewal.current()
        if credentials is None:
            return None
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        path = str(prefix.split(b" ", 2)[1], "ascii")
        if not path.startswith("/"):  # through a plain proxy the whole URL stands there
            url = urlsplit(path)
            path = f"{url.path}?{url.query}" if url.query else url.path
        headers = {"host": self._authority, "x-amz-content-sha256": digest.hexdigest()}
        request = self._request("POST", f"https://{self._authority}{path}", headers=headers)
        self._signer(credentials, self._service, self._region).add_auth(request)
        signed = [f"{name.lower()}: {value}\r\n" for name, value in request.headers.items() if name.lower() != "host"]
        return "".join(signed).encode("latin-1")

    def ready(self) -> "asyncio.Future[None]":
        return self._renewal.ready()

    def _fetch(self) -> Lease[Any]:
        from botocore import exceptions
        from botocore.credentials import RefreshableCredentials
        from botocore.session import Session

        try:
            if self._found is None:
                self._found = Session().get_credentials()
            frozen = self._found.get_frozen_credentials() if self._found is not None else None
        except (exceptions.BotoCoreError, exceptions.ClientError) as error:
            words = str(error)[:_WORDS_CHARS_MAX]
            kind = UpstreamError if isinstance(error, exceptions.HTTPClientError) else UpstreamRejected
            raise kind(f"AWS credentials for provider {self._provider} cannot be had: {words}") from error
        if frozen is None or not frozen.access_key:
            raise UpstreamRejected(
                f"provider {self._provider}: this machine has no AWS credentials. Set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give it a role."
            )
        if not isinstance(self._found, RefreshableCredentials):
            return Lease(frozen, NEVER, NEVER)
        now = time.time()
        return Lease(frozen, renew_at_s=now + LOOK_AGAIN_S, expires_at_s=now + HOLD_S)
