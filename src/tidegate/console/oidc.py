"""Sign-in with OpenID Connect: authorization code and PKCE (RFC 7636), with any provider that has discovery.

begin      where the browser is sent, and what is kept of it until it comes back (`Pending`, sealed into a cookie)
complete   what it brings back, exchanged for an ID token and believed after every check of `id_token.py`

The provider's documents are read at first use and kept for a while; its keys are read again when it signs with a new
one. Nothing the provider or the browser sends is ever logged.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import msgspec
from joserfc.jwk import Key

from tidegate.console.id_token import Expected, Identity, IdTokenRefused, UnknownSigningKey, identity_of, keys_of
from tidegate.core.errors import ConfigError, Unavailable

PENDING_S: Final = 600
"""How long somebody may take to sign in at the provider."""
DOCUMENTS_S: Final = 3600
KEYS_AGAIN_S: Final = 30
"""Keys are not read more often than this, however many tokens name unknown ones."""
REPLY_BYTES_MAX: Final = 512 * 1024
TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
SCOPES: Final = "openid email profile"


class OidcClient(msgspec.Struct, frozen=True, kw_only=True):
    """How this installation is known at its sign-in provider. `secret`: empty for a public client."""

    issuer: str
    client_id: str
    secret: str
    redirect_uri: str

    def __repr__(self) -> str:
        return f"OidcClient(issuer={self.issuer!r}, client_id={self.client_id!r})"


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that has begun: what its answer must prove. Only the browser that began it has it."""

    state: str
    nonce: str
    verifier: str
    return_to: str
    ends_s: int


class _Metadata(msgspec.Struct, kw_only=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _TokenReply(msgspec.Struct, kw_only=True):
    id_token: str


class Oidc:
    """One sign-in provider. Use from one event loop."""

    def __init__(self, client: OidcClient) -> None:
        check_address("issuer", client.issuer)
        self.client = client
        self._metadata: tuple[_Metadata, float] | None = None
        self._keys: list[Key] = []
        self._keys_read = float("-inf")
        self._reading = asyncio.Lock()

    async def begin(self, return_to: str) -> tuple[str, Pending]:
        """Where to send the browser, and what to keep. Raises Unavailable where the provider cannot be reached."""
        metadata = await self._discover()
        pending = Pending(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            return_to=return_to,
            ends_s=int(time.time()) + PENDING_S,
        )
        challenge = base64.urlsafe_b64encode(hashlib.sha256(pending.verifier.encode()).digest()).rstrip(b"=").decode()
        query = urllib.parse.urlencode(
            {
                "response_type": "code",
                "client_id": self.client.client_id,
                "redirect_uri": self.client.redirect_uri,
                "scope": SCOPES,
                "state": pending.state,
                "nonce": pending.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        joiner = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{joiner}{query}", pending

    async def complete(self, answer: Mapping[str, str], pending: Pending | None) -> Identity:
        """The person who signed in. answer: the query that the browser came back with.

        Raises IdTokenRefused where anything does not match, Unavailable where the provider cannot be reached.
        """
        code = self._code(answer, pending)
        assert pending is not None
        metadata = await self._discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": pending.verifier,
        }
        body = await self._ask(metadata.token_endpoint, form, self._credentials(metadata, form))
        try:
            token = msgspec.json.decode(body, type=_TokenReply).id_token
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise IdTokenRefused("The sign-in provider did not accept this sign-in; begin again.") from error
        expected = Expected(issuer=self.client.issuer, client_id=self.client.client_id, nonce=pending.nonce)
        try:
            return identity_of(token, await self._signing_keys(metadata), expected, time.time())
        except UnknownSigningKey:
            return identity_of(token, await self._signing_keys(metadata, again=True), expected, time.time())

    def _code(self, answer: Mapping[str, str], pending: Pending | None) -> str:
        """The code of an answer that belongs to what we asked (state; `iss` as RFC 9207 has it)."""
        if pending is None or time.time() >= pending.ends_s:
            raise IdTokenRefused(
                "This sign-in was not begun in this browser, or more than ten minutes ago; begin again."
            )
        if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
            raise IdTokenRefused("This answer belongs to another sign-in (state); begin again.")
        if "iss" in answer and not hmac.compare_digest(answer["iss"].encode(), self.client.issuer.encode()):
            raise IdTokenRefused("This answer comes from another issuer than the one that was asked.")
        if "error" in answer or not answer.get("code"):
            raise IdTokenRefused("The sign-in provider did not let this person in; begin again.")
        return answer["code"]

    def _credentials(self, metadata: _Metadata, form: dict[str, str]) -> dict[str, str]:
        """How the provider wants to know us: by a header, in the form (added here), or, without a secret, by name."""
        if self.client.secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            quote = urllib.parse.quote_plus  # RFC 6749, 2.3.1
            pair = f"{quote(self.client.client_id)}:{quote(self.client.secret)}"
            return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        form["client_id"] = self.client.client_id
        if self.client.secret:
            form["client_secret"] = self.client.secret
        return {}

    async def _discover(self) -> _Metadata:
        async with self._reading:
            if self._metadata is not None and time.monotonic() < self._metadata[1]:
                return self._metadata[0]
            body = await self._ask(f"{self.client.issuer.rstrip('/')}/.well-known/openid-configuration")
            try:
                found = msgspec.json.decode(body, type=_Metadata)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise Unavailable(f"The sign-in provider's discovery document cannot be used: {error}.") from error
            if found.issuer != self.client.issuer:
                raise Unavailable(
                    f"The sign-in provider calls itself {found.issuer[:200]!r}; console.oidc_issuer says "
                    f"{self.client.issuer!r}. They must be the same, to the letter."
                )
            try:
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    check_address(name, getattr(found, name))
            except ConfigError as error:
                raise Unavailable(f"Sign-in is not safe here: {error}.") from error
            self._metadata = found, time.monotonic() + DOCUMENTS_S
            return found

    async def _signing_keys(self, metadata: _Metadata, *, again: bool = False) -> list[Key]:
        async with self._reading:
            age_s = time.monotonic() - self._keys_read
            if age_s > DOCUMENTS_S or (again and age_s > KEYS_AGAIN_S):
                body = await self._ask(metadata.jwks_uri)
                try:
                    self._keys = keys_of(msgspec.json.decode(body, type=dict[str, Any]))
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise Unavailable("The sign-in provider's keys cannot be read: no JWK set.") from error
                self._keys_read = time.monotonic()
            return self._keys

    async def _ask(
        self, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """A document of the provider, or its answer to a form. A refusal of a form (400, 401) is a body too."""
        method, accepted = ("GET", (200,)) if form is None else ("POST", (200, 400, 401))
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT, trust_env=True) as session,
                session.request(method, url, data=form, headers=headers, allow_redirects=False) as reply,
            ):
                body = await reply.content.read(REPLY_BYTES_MAX + 1)
                while len(body) <= REPLY_BYTES_MAX and (more := await reply.content.read(REPLY_BYTES_MAX)):
                    body += more
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"The sign-in provider at {_origin(url)} cannot be reached.") from error
        if reply.status not in accepted or len(body) > REPLY_BYTES_MAX:
            raise Unavailable(f"The sign-in provider at {_origin(url)} answered with status {reply.status}.")
        return body


def check_address(name: str, url: str) -> None:
    """Raises ConfigError for an address over which a sign-in would not be safe: TLS, or this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))):
        return
    raise ConfigError(
        f"the sign-in provider's {name} must begin with https:// (http:// on loopback), not {url[:200]!r}"
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
