"""Access tokens of Google Cloud, for Vertex: from every kind of credential that google-auth knows.

The key of such a provider is a path to a credentials file (what GOOGLE_APPLICATION_CREDENTIALS holds), the JSON of one,
a token that somebody else renews ("ya29..."), or nothing: then Google's own search order finds the machine's identity.
"""

import functools
import logging
import time
import warnings
from calendar import timegm
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidegate.core.errors import ConfigError, UpstreamError, UpstreamRejected
from tidegate.gateway.egress import header_safe
from tidegate.gateway.renewal import Lease, Renewal

if TYPE_CHECKING:
    import asyncio

    from tidegate.config import ProviderConfig
    from tidegate.wire.dialect import Pieces

SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
AHEAD_S: Final = 300.0  # before its end a token is renewed; Google's last for an hour
UNDATED_S: Final = 600.0  # how long a token without an end is used
SOCKET_S: Final = 15.0  # of one request to the token server
_TOKEN_START: Final = "ya29."
_WORDS_CHARS_MAX: Final = 300  # of Google's own words in an error


class GoogleTokens:
    """The header lines of one provider's calls. Implements `gateway.credentials.Credentials`."""

    def __init__(self, provider: str, key: str, settings: "ProviderConfig") -> None:
        """Raises ConfigError where google-auth is not installed, or the key is no credential."""
        self._provider = provider
        try:
            import google.auth
            import google.auth.transport.urllib3  # noqa: F401  # the transport is part of what must be there
        except ImportError as error:
            raise ConfigError(
                f"provider {provider} signs in with Google, which needs google-auth: pip install 'tidegate[cloud]'"
            ) from error
        logging.getLogger("google.auth").setLevel(logging.INFO)  # at DEBUG it writes requests for tokens down
        self._http: Any = functools.partial(_transport(settings), timeout=SOCKET_S)
        self._fixed = b""
        self._credentials: Any = None
        if key.startswith(_TOKEN_START):
            self._fixed = f"authorization: Bearer {header_safe(provider, key)}\r\n".encode()
        elif key:
            self._credentials = _loaded(provider, key)
        self._renewal = Renewal(f"the Google token of provider {provider}", self._fetch)

    def lines(self, prefix: bytes, pieces: "Pieces") -> bytes | None:
        return self._fixed or self._renewal.current()

    def ready(self) -> "asyncio.Future[None]":
        return self._renewal.ready()

    def _fetch(self) -> Lease[bytes]:
        from google.auth import default, exceptions

        try:
            if self._credentials is None:
                self._credentials, _ = default(scopes=SCOPES, request=self._http)
            self._credentials.refresh(self._http)
        except exceptions.DefaultCredentialsError as error:
            raise UpstreamRejected(
                f"provider {self._provider}: this machine has no Google credentials. Name a credentials file in "
                "GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`."
            ) from error
        except exceptions.RefreshError as error:
            if error.retryable:
                raise UpstreamError(f"Google gives provider {self._provider} no token now: {_words(error)}") from error
            raise UpstreamRejected(
                f"Google refuses the credentials of provider {self._provider}: {_words(error)}"
            ) from error
        except exceptions.GoogleAuthError as error:
            raise UpstreamError(
                f"Google's token server cannot be reached for provider {self._provider}: {_words(error)}"
            ) from error
        headers: dict[str, str] = {}
        self._credentials.apply(headers)  # the token, and the project to bill where the credentials name one
        lines = "".join(f"{name.lower()}: {header_safe(self._provider, value)}\r\n" for name, value in headers.items())
        expiry = self._credentials.expiry  # in UTC, without saying so
        end = timegm(expiry.utctimetuple()) if expiry is not None else time.time() + UNDATED_S
        return Lease(lines.encode(), renew_at_s=end - AHEAD_S, expires_at_s=end)


def _loaded(provider: str, key: str) -> Any:
    """The credentials of a file, or of its text. Raises ConfigError; its words never hold the key."""
    from google import auth
    from google.auth import exceptions

    load: Any = auth.load_credentials_from_dict  # untyped
    try:
        text = key if key.lstrip().startswith("{") else Path(key).expanduser().read_text(encoding="utf-8")
        info = msgspec.json.decode(text, type=dict[str, Any])
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            credentials, _ = load(info, scopes=SCOPES)  # warns of files from strangers; this one is the operator's
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "it is no text"
        raise ConfigError(f"the Google credentials file of provider {provider} cannot be read: {reason}") from error
    except (ValueError, TypeError, KeyError, exceptions.GoogleAuthError) as error:
        raise ConfigError(
            f"the Google credentials of provider {provider} are none that google-auth knows ({type(error).__name__}); "
            "they are a service account's JSON, or what `gcloud auth application-default login` writes"
        ) from error
    return credentials


def _transport(settings: "ProviderConfig") -> Any:
    """Requests to the token server, over the provider's own proxy and with its own authorities."""
    import urllib3
    from google.auth.transport import urllib3 as transport

    request: Any = transport.Request  # untyped
    trust: dict[str, Any] = {"ca_certs": settings.ca_file} if settings.ca_file else {}
    if not settings.tls_verify:
        trust["cert_reqs"] = "CERT_NONE"
    if not settings.proxy_url:
        return request(urllib3.PoolManager(**trust))
    address = urllib3.util.parse_url(settings.proxy_url)
    headers = urllib3.make_headers(proxy_basic_auth=address.auth) if address.auth else None
    return request(urllib3.ProxyManager(settings.proxy_url, proxy_headers=headers, **trust))


def _words(error: Exception) -> str:
    """Google's own words: never the key, which it does not repeat."""
    return str(error.args[0] if error.args else error)[:_WORDS_CHARS_MAX]
