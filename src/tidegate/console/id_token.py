"""What a sign-in provider says of a person, believed only after OpenID Connect Core 1.0, 3.1.3.7: pure, no clock.

Signatures are those of public keys alone: `none` and shared secrets (HS256) are no algorithms here.
"""

import hmac
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec
from joserfc import errors, jwk, jws

from tidegate.core.errors import Forbidden

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
LEEWAY_S: Final = 60
"""How far the clocks of a provider and ours may be apart."""
TOKEN_BYTES_MAX: Final = 32 * 1024


class IdTokenRefused(Forbidden):
    """A sign-in that proves nothing; the text says which check failed, never what the token held."""

    code = "sign_in_refused"


class UnknownSigningKey(IdTokenRefused):
    """The token names a key that is not among those known: the provider may have changed them since."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A person as the provider `issuer` knows them. `subject` is theirs for good; the address may change.

    `email` is None where the provider did not say that it has checked it.
    """

    issuer: str
    subject: str
    email: str | None
    name: str


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the token must say, for it to be the answer to our question."""

    issuer: str
    client_id: str
    nonce: str


class _Claims(msgspec.Struct, kw_only=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    iat: float
    nonce: str = ""
    azp: str | None = None
    nbf: float = 0
    email: str | None = None
    email_verified: bool | str = False
    name: str | None = None


class _Head(NamedTuple):
    algorithm: str
    key_id: str | None


def identity_of(token: str, keys: Iterable[jwk.Key], expected: Expected, now_s: float) -> Identity:
    """The person that an ID token speaks of.

    Raises UnknownSigningKey where none of `keys` can have signed it, IdTokenRefused where any other check fails.
    """
    claims = _decoded(_payload(token, keys))
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    checks = (
        (_same(claims.iss, expected.issuer), "it comes from another issuer than the one that was asked"),
        (expected.client_id in audiences, "it was issued for another application"),
        (
            _same(claims.azp, expected.client_id) if claims.azp is not None else len(audiences) == 1,
            "it was issued for several applications, and `azp` does not name ours",
        ),
        (_same(claims.nonce, expected.nonce), "it answers another sign-in than this one (nonce)"),
        (now_s < claims.exp + LEEWAY_S, "it has expired; sign in again"),
        (claims.iat <= now_s + LEEWAY_S and claims.nbf <= now_s + LEEWAY_S, "it is not valid yet: check the clocks"),
        (0 < len(claims.sub) <= 255, "it does not say who signed in (sub)"),
    )
    for holds, reason in checks:
        if not holds:
            raise IdTokenRefused(f"The sign-in provider's token is refused: {reason}.")
    is_verified = claims.email_verified is True or claims.email_verified == "true"  # some send it as text
    return Identity(
        issuer=claims.iss,
        subject=claims.sub,
        email=claims.email if claims.email and is_verified else None,
        name=(claims.name or "")[:128],
    )


def keys_of(document: dict[str, Any]) -> list[jwk.Key]:
    """The public keys of a JWK set; kinds that are not known here are passed over, as RFC 7517 wants it."""
    found: list[jwk.Key] = []
    entries = document.get("keys")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("use", "sig") == "sig" and entry.get("kty") in ("RSA", "EC", "OKP"):
            try:
                found.append(jwk.import_key(entry))
            except (errors.JoseError, ValueError):
                continue
    return found


def _payload(token: str, keys: Iterable[jwk.Key]) -> bytes:
    head = _head(token)
    known = [key for key in keys if head.key_id is None or key.kid == head.key_id]
    if not known:
        raise UnknownSigningKey("The sign-in provider's token is refused: it is signed with an unknown key.")
    for key in known:
        try:
            return jws.deserialize_compact(token, key, algorithms=[head.algorithm]).payload
        except (errors.JoseError, ValueError):
            continue
    raise IdTokenRefused("The sign-in provider's token is refused: its signature is wrong.")


def _head(token: str) -> _Head:
    try:
        if len(token) > TOKEN_BYTES_MAX:
            raise IdTokenRefused(f"The sign-in provider's token is refused: it is over {TOKEN_BYTES_MAX} bytes.")
        head = jws.extract_compact(token.encode()).headers()
    except (errors.JoseError, ValueError) as error:
        raise IdTokenRefused("The sign-in provider's token is refused: it is no signed token.") from error
    algorithm, key_id = head.get("alg"), head.get("kid")
    if algorithm not in ALGORITHMS:
        raise IdTokenRefused(
            f"The sign-in provider's token is refused: its algorithm is none of {', '.join(ALGORITHMS)}."
        )
    return _Head(algorithm, key_id if isinstance(key_id, str) else None)


def _decoded(payload: bytes) -> _Claims:
    try:
        return msgspec.json.decode(payload, type=_Claims)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise IdTokenRefused(f"The sign-in provider's token is refused: {error}.") from error


def _same(seen: str, wanted: str) -> bool:
    return hmac.compare_digest(seen.encode(), wanted.encode())
