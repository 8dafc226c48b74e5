"""Finds out who asks: an API key that the gateway has checked, a key that came along unchecked, or a session's cookie.

A cookie alone changes nothing: a browser sends it wherever a page of somebody else's tells it to. Whatever changes
something needs the session's word in `x-csrf-token`, which only a page of this origin can read, and where the browser
says which page asks (`Origin`), it must be one of this host.
"""

import hmac
import time
import urllib.parse
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final

import msgspec

from tidegate.accounts.keys import Key
from tidegate.accounts.people import list_memberships
from tidegate.accounts.secret import hash_secret
from tidegate.accounts.service_keys import PREFIX, find_service_key
from tidegate.accounts.sign_in import session_of
from tidegate.console.access import Caller
from tidegate.console.backend import Backend
from tidegate.core.errors import Forbidden, Unauthenticated

TENANT_HEADER: Final = "x-tidegate-tenant"
KEY_HEADER: Final = "x-tidegate-key"
TOKEN_HEADER: Final = "x-tidegate-token"
CLIENT_HEADER: Final = "x-tidegate-client"
CSRF_HEADER: Final = "x-csrf-token"
SAFE_METHODS: Final = frozenset(("GET", "HEAD"))
NEEDS_A_KEY: Final = "This needs an API key: send `Authorization: Bearer KEY`."


class Knock(msgspec.Struct, frozen=True, kw_only=True):
    """Who seems to be at the door: what of a request's head says who asks. Secrets: it is never printed."""

    method: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Knock({self.method})"


def caller_of(backend: Backend, knock: Knock) -> Caller:
    """Who asks. Reads the database. Raises Unauthenticated for nobody, Forbidden for a cookie that may not be meant."""
    headers = knock.headers
    if tenant_id := headers.get(TENANT_HEADER):
        return api_key_caller(tenant_id, headers.get(KEY_HEADER) or "")
    if token := headers.get(TOKEN_HEADER):
        return _bearer(backend, token)
    if session := session_token(backend, headers):
        return _person(backend, session, knock)
    raise Unauthenticated(NEEDS_A_KEY)


def api_key_caller(tenant_id: str, key_id: str) -> Caller:
    return Caller(kind="api_key", caller_id=key_id, name="", tenant_id=tenant_id)


def session_token(backend: Backend, headers: Mapping[str, str]) -> str | None:
    """The session's token in the cookies of a request."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    found = cookies.get(cookie_name(backend))
    return found.value if found is not None else None


def cookie_name(backend: Backend) -> str:
    """With TLS a name that no other host and no page without TLS can set."""
    return "__Host-tidegate_session" if backend.is_secure else "tidegate_session"


def cookie(backend: Backend, token: str, lasts_s: int) -> str:
    """The header that hands a browser its session; with `lasts_s` 0, that takes it away."""
    secure = "; Secure" if backend.is_secure else ""
    return f"{cookie_name(backend)}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lasts_s}{secure}"


def csrf_of(backend: Backend, token: str) -> str:
    """The word that a page of this origin repeats for the session."""
    return hash_secret(backend.pepper, b"csrf\n" + token.encode(errors="replace")).hex()


def check_origin(backend: Backend, headers: Mapping[str, str]) -> None:
    """Raises Forbidden where a browser says that another site's page asks.

    Ours are the host that was asked, and `console.public_url`, for a proxy in front that asks for another host.
    """
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "same-origin")
    ours = {headers.get("host", "").lower(), urllib.parse.urlsplit(backend.config.console.public_url).netloc.lower()}
    is_ours = origin is None or urllib.parse.urlsplit(origin).netloc.lower() in ours - {""}
    if not is_ours or site not in ("same-origin", "none"):
        raise Forbidden("A page of another site asks; open this one itself.")


def _bearer(backend: Backend, token: str) -> Caller:
    if token.startswith(PREFIX):
        service = find_service_key(backend.database, backend.pepper, token)
        if service is not None:
            return Caller(
                kind="service_key",
                caller_id=service.service_key_id,
                name=service.name,
                role=service.role if service.tenant_id is None else None,
                roles={} if service.tenant_id is None else {service.tenant_id: service.role},
                tenant_id=service.tenant_id,
            )
    else:
        key: Key | None = backend.accounts().find_key(token)
        if key is not None and key.is_valid(time.time_ns() // 1000):
            return api_key_caller(key.tenant_id, key.key_id)
    raise Unauthenticated("No valid key is this one; `tidegate keys list` and `tidegate accounts` show those that are.")


def _person(backend: Backend, token: str, knock: Knock) -> Caller:
    session = session_of(backend.database, backend.pepper, token)
    if session is None:
        raise Unauthenticated("The session has ended; sign in again.")
    csrf = csrf_of(backend, token)
    if knock.method not in SAFE_METHODS:
        check_origin(backend, knock.headers)
        if not hmac.compare_digest(knock.headers.get(CSRF_HEADER, "").encode(errors="replace"), csrf.encode()):
            raise Forbidden(
                f"Send the session's `csrf` in the header {CSRF_HEADER}; GET /api/admin/v1/session tells it."
            )
    person = session.person
    return Caller(
        kind="person",
        caller_id=person.person_id,
        name=person.email,
        role="owner" if person.is_operator else None,
        roles={member.tenant_id: member.role for member in list_memberships(backend.database, person.person_id)},
        csrf=csrf,
    )
