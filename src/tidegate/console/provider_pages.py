"""Sign-in with the provider of `console.oidc_issuer`: off to it, and back from it. Imported only where there is one.

What a sign-in that has begun must prove stays with the browser that began it, in a cookie that is sealed.
"""

import msgspec
from joserfc import errors, jwe
from joserfc.jwk import OctKey
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tidegate.accounts.links import forget_password, has_identity
from tidegate.accounts.people import Person, find_person
from tidegate.accounts.secret import hash_secret
from tidegate.accounts.sign_in import link_identity, person_of_identity
from tidegate.console.backend import ANSWER_PATH, Backend
from tidegate.console.id_token import Identity, IdTokenRefused
from tidegate.console.oidc import PENDING_S, Oidc, Pending
from tidegate.console.page import HEADERS, HOME, again, let_in, page
from tidegate.core.errors import AccountsError, GatewayError


def routes_of(backend: Backend, oidc: Oidc) -> list[Route]:
    """The two pages of the provider's."""

    async def to_provider(_: Request) -> Response:
        url, pending = await oidc.begin(HOME)
        sealed = await run_in_threadpool(seal, backend, pending)
        return RedirectResponse(url, 303, {**HEADERS, "set-cookie": _pending_cookie(backend, sealed)})

    async def from_provider(request: Request) -> Response:
        pending = await run_in_threadpool(unseal, backend, request.cookies.get(_pending_name(backend), ""))
        try:
            identity = await oidc.complete(request.query_params, pending)
            person = await run_in_threadpool(person_of, backend, identity)
        except GatewayError as error:
            return page("Not signed in", again(error.message), error.status)
        return await run_in_threadpool(let_in, backend, person)

    return [
        Route("/console/sign-in/provider", to_provider, name="console_page"),
        Route(ANSWER_PATH, from_provider, name="console_page"),
    ]


def person_of(backend: Backend, identity: Identity) -> Person:
    """Who somebody is here: known by issuer and subject, or, the first time, by an address that the provider checked.

    Nobody is made: an operator, or a tenant's own admin, has said before who may come. A password that was set for
    the address before its owner came is gone then, and so is every session under it: it may have been a stranger's.
    Raises IdTokenRefused.
    """
    database = backend.database
    known = person_of_identity(database, identity.issuer, identity.subject)
    if known is not None:
        return known
    if identity.email is None:
        raise IdTokenRefused("The sign-in provider does not say that it has checked your address.")
    try:
        person = find_person(database, identity.email)
        if not person.is_enabled:
            raise IdTokenRefused("This person is disabled here; ask an operator.")
        if has_identity(database, person.person_id, identity.issuer):  # an address may have passed to somebody else
            raise IdTokenRefused("Your address belongs to another account of that provider here; ask an operator.")
        link_identity(database, person.person_id, identity.issuer, identity.subject)
    except AccountsError:
        raise IdTokenRefused("Nobody here has your address; ask an operator to make you known.") from None
    forget_password(database, person.person_id)
    return person


def seal(backend: Backend, pending: Pending) -> str:
    """What a browser keeps of a sign-in that has begun: readable to nobody, changed by nobody."""
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, msgspec.json.encode(pending), _seal_key(backend))


def unseal(backend: Backend, sealed: str) -> Pending | None:
    """None for what is no such thing."""
    try:
        opened = jwe.decrypt_compact(sealed, _seal_key(backend), algorithms=["dir", "A256GCM"]).plaintext
        return msgspec.json.decode(opened or b"", type=Pending)
    except (errors.JoseError, ValueError, msgspec.MsgspecError):
        return None


def _seal_key(backend: Backend) -> OctKey:
    return OctKey.import_key(hash_secret(backend.pepper, b"sign-in that has begun"))


def _pending_name(backend: Backend) -> str:
    return "__Secure-tidegate_sign_in" if backend.is_secure else "tidegate_sign_in"


def _pending_cookie(backend: Backend, sealed: str) -> str:
    secure = "; Secure" if backend.is_secure else ""
    return f"{_pending_name(backend)}={sealed}; Path={ANSWER_PATH}; HttpOnly; SameSite=Lax; Max-Age={PENDING_S}{secure}"
