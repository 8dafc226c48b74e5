"""Pages for people to sign in on: plain forms, no scripts; with a password, a one-time link, or a sign-in provider.

/console/sign-in           a form; with a provider also the way to it
/console/sign-in/provider  off to the provider; what is kept of it goes into a cookie, sealed
/console/sign-in/answer    back from it
/console/welcome?link=...  sets a password with a one-time link
/console                   who is signed in, and out again
"""

import html
import logging
import urllib.parse
from collections.abc import Mapping
from typing import Final

import msgspec
from joserfc import errors, jwe
from joserfc.jwk import OctKey
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tidegate.accounts.links import forget_password, has_identity, use_link
from tidegate.accounts.people import Person, find_person
from tidegate.accounts.secret import hash_secret
from tidegate.accounts.sign_in import close_session, link_identity, person_of_identity
from tidegate.console.admin.sessions import HASHING, Credentials, new_session, session_s, sign_in
from tidegate.console.backend import ANSWER_PATH, Backend
from tidegate.console.callers import CLIENT_HEADER, Knock, caller_of, check_origin, cookie, session_token
from tidegate.console.id_token import Identity, IdTokenRefused
from tidegate.console.oidc import PENDING_S, Oidc, Pending
from tidegate.core.errors import AccountsError, GatewayError, InvalidRequest, PathNotFound, PayloadTooLarge

log = logging.getLogger(__name__)

FORM_BYTES_MAX: Final = 16 * 1024
HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
    ),
    "referrer-policy": "no-referrer",  # a one-time link stands in the address
    "x-content-type-options": "nosniff",
}
HOME: Final = "/console"


def routes_of(backend: Backend) -> list[Route]:
    """The pages of one installation."""

    async def show_sign_in(_: Request) -> Response:
        return _page("Sign in", _sign_in_form(backend))

    async def take_sign_in(request: Request) -> Response:
        form = await _form_of(backend, request)
        return await run_in_threadpool(_take_sign_in, backend, request, form)

    async def show_welcome(request: Request) -> Response:
        return _page("Choose a password", _welcome_form(request.query_params.get("link", "")))

    async def take_welcome(request: Request) -> Response:
        form = await _form_of(backend, request)
        return await run_in_threadpool(_take_welcome, backend, request, form)

    async def to_provider(_: Request) -> Response:
        url, pending = await _oidc(backend).begin(HOME)
        sealed = await run_in_threadpool(seal, backend, pending)
        return RedirectResponse(url, 303, {**HEADERS, "set-cookie": _pending_cookie(backend, sealed)})

    async def from_provider(request: Request) -> Response:
        pending = await run_in_threadpool(unseal, backend, request.cookies.get(_pending_name(backend), ""))
        try:
            identity = await _oidc(backend).complete(request.query_params, pending)
            person = await run_in_threadpool(person_of, backend, identity)
        except GatewayError as error:
            return _page("Not signed in", _again(error.message), error.status)
        return await run_in_threadpool(_let_in, backend, person)

    async def show_home(request: Request) -> Response:
        return await run_in_threadpool(_home, backend, request)

    async def sign_out(request: Request) -> Response:
        return await run_in_threadpool(_sign_out, backend, request)

    return [
        Route("/console", show_home, name="console_page"),
        Route("/console/sign-in", show_sign_in, methods=["GET"], name="console_page"),
        Route("/console/sign-in", take_sign_in, methods=["POST"], name="console_page"),
        Route("/console/sign-in/provider", to_provider, name="console_page"),
        Route(ANSWER_PATH, from_provider, name="console_page"),
        Route("/console/welcome", show_welcome, methods=["GET"], name="console_page"),
        Route("/console/welcome", take_welcome, methods=["POST"], name="console_page"),
        Route("/console/sign-out", sign_out, methods=["POST"], name="console_page"),
    ]


# -- a sign-in provider ---------------------------------------------------------------------------------------------


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


def _oidc(backend: Backend) -> Oidc:
    if backend.oidc is None:
        raise PathNotFound("No sign-in provider is set; `console.oidc_issuer` names one.")
    return backend.oidc


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


# -- forms ----------------------------------------------------------------------------------------------------------


async def _form_of(backend: Backend, request: Request) -> dict[str, str]:
    """The fields of a form. Raises Forbidden for another site's page, PayloadTooLarge, InvalidRequest."""
    check_origin(backend, request.headers)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise PayloadTooLarge(f"A form here has at most {FORM_BYTES_MAX} bytes.")
    try:
        return dict(urllib.parse.parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=10))
    except ValueError as error:
        raise InvalidRequest("The form cannot be read; open the page again.") from error


def _take_sign_in(backend: Backend, request: Request, form: Mapping[str, str]) -> Response:
    credentials = Credentials(email=form.get("email", ""), password=form.get("password", ""))
    try:
        _, token = sign_in(backend, credentials, request.headers.get(CLIENT_HEADER, ""))
    except GatewayError as error:
        return _page("Sign in", _told(error.message) + _sign_in_form(backend), error.status)
    return _home_with(backend, token)


def _take_welcome(backend: Backend, request: Request, form: Mapping[str, str]) -> Response:
    link = form.get("link", "")
    if form.get("password") != form.get("again"):
        return _page("Choose a password", _told("The two are not the same.") + _welcome_form(link), 400)
    try:
        with HASHING:
            person = use_link(backend.database, backend.pepper, link, form.get("password", ""))
    except AccountsError as error:
        return _page("Choose a password", _told(str(error)) + _welcome_form(link), 400)
    return _let_in(backend, person)


def _let_in(backend: Backend, person: Person) -> Response:
    log.info("%s signed in", person.person_id)
    return _home_with(backend, new_session(backend, person))


def _home_with(backend: Backend, token: str) -> Response:
    set_cookie = cookie(backend, token, session_s(backend))
    return RedirectResponse(HOME, 303, {**HEADERS, "set-cookie": set_cookie})


def _home(backend: Backend, request: Request) -> Response:
    try:
        caller = caller_of(backend, Knock(method="GET", headers=request.headers))
    except GatewayError:
        return RedirectResponse("/console/sign-in", 303, HEADERS)
    roles = [f"{role} of {tenant_id}" for tenant_id, role in sorted(caller.roles.items())]
    if caller.role:
        roles.insert(0, f"{caller.role} of this installation")
    said = "".join(f"<li>{html.escape(role)}</li>" for role in roles) or "<li>no role yet: ask an operator</li>"
    out = '<form method="post" action="/console/sign-out"><button>Sign out</button></form>'
    api = "<p>The API that manages is <code>/api/admin/v1</code>; the reference has its operations.</p>"
    return _page("Signed in", f"<p>{html.escape(caller.name)}</p><ul>{said}</ul>{api}{out}")


def _sign_out(backend: Backend, request: Request) -> Response:
    check_origin(backend, request.headers)
    if token := session_token(backend, request.headers):
        close_session(backend.database, backend.pepper, token)
    return RedirectResponse("/console/sign-in", 303, {**HEADERS, "set-cookie": cookie(backend, "", 0)})


def _sign_in_form(backend: Backend) -> str:
    provider = ""
    if backend.oidc is not None:
        host = html.escape(urllib.parse.urlsplit(backend.oidc.client.issuer).hostname or "")
        provider = f'<form method="post" action="/console/sign-in/provider"><button>Sign in with {host}</button></form>'
    return (
        f'{provider}<form method="post" action="/console/sign-in">'
        "<label>Address <input name=email type=email autocomplete=username required></label>"
        "<label>Password <input name=password type=password autocomplete=current-password required></label>"
        "<button>Sign in</button></form>"
    )


def _welcome_form(link: str) -> str:
    return (
        '<form method="post" action="/console/welcome">'
        f'<input type=hidden name=link value="{html.escape(link)}">'
        "<label>Password <input name=password type=password autocomplete=new-password minlength=10 required></label>"
        "<label>Again <input name=again type=password autocomplete=new-password minlength=10 required></label>"
        "<button>Set it</button></form>"
    )


def _told(text: str) -> str:
    return f'<p class="wrong" role="alert">{html.escape(text)}</p>'


def _again(text: str) -> str:
    return f'{_told(text)}<p><a href="/console/sign-in">Sign in</a></p>'


def _page(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(title=html.escape(title), body=body), status, HEADERS)


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Tidegate</title><style>
:root {{ color-scheme: light dark; --wrong: #b3261e }}
@media (prefers-color-scheme: dark) {{ :root {{ --wrong: #ff8a80 }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 24rem; padding: 0 1rem }}
label, input, button {{ display: block; width: 100%; box-sizing: border-box; font: inherit }}
label, button {{ margin-top: .75rem }} input, button {{ padding: .5rem }} .wrong {{ color: var(--wrong) }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""
