"""Pages for people to sign in on: plain forms, no scripts; with a password, a one-time link, or a sign-in provider.

/console/sign-in           a form; with a provider also the way to it
/console/sign-in/provider  off to the provider; what is kept of it goes into a cookie, sealed
/console/sign-in/answer    back from it
/console/welcome?link=...  sets a password with a one-time link
/console                   who is signed in, and out again
"""

import html
import urllib.parse
from collections.abc import Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tidegate.accounts.links import use_link
from tidegate.accounts.sign_in import close_session
from tidegate.console.admin.sessions import HASHING, Credentials, sign_in
from tidegate.console.backend import Backend
from tidegate.console.callers import CLIENT_HEADER, Knock, caller_of, check_origin, cookie, session_token
from tidegate.console.page import HEADERS, let_in, page, signed_in, told
from tidegate.core.errors import AccountsError, GatewayError, InvalidRequest, PayloadTooLarge

FORM_BYTES_MAX: Final = 16 * 1024


def routes_of(backend: Backend) -> list[Route]:
    """The pages of one installation."""

    async def show_sign_in(_: Request) -> Response:
        return page("Sign in", _sign_in_form(backend))

    async def take_sign_in(request: Request) -> Response:
        form = await _form_of(backend, request)
        return await run_in_threadpool(_take_sign_in, backend, request, form)

    async def show_welcome(request: Request) -> Response:
        return page("Choose a password", _welcome_form(request.query_params.get("link", "")))

    async def take_welcome(request: Request) -> Response:
        form = await _form_of(backend, request)
        return await run_in_threadpool(_take_welcome, backend, request, form)

    async def show_home(request: Request) -> Response:
        return await run_in_threadpool(_home, backend, request)

    async def sign_out(request: Request) -> Response:
        return await run_in_threadpool(_sign_out, backend, request)

    if backend.oidc is None:
        provider = []
    else:
        from tidegate.console import provider_pages  # 20 MB of HTTP client and cryptography

        provider = provider_pages.routes_of(backend, backend.oidc)
    return [
        *provider,
        Route("/console", show_home, name="console_page"),
        Route("/console/sign-in", show_sign_in, methods=["GET"], name="console_page"),
        Route("/console/sign-in", take_sign_in, methods=["POST"], name="console_page"),
        Route("/console/welcome", show_welcome, methods=["GET"], name="console_page"),
        Route("/console/welcome", take_welcome, methods=["POST"], name="console_page"),
        Route("/console/sign-out", sign_out, methods=["POST"], name="console_page"),
    ]


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
        return page("Sign in", told(error.message) + _sign_in_form(backend), error.status)
    return signed_in(backend, token)


def _take_welcome(backend: Backend, request: Request, form: Mapping[str, str]) -> Response:
    link = form.get("link", "")
    if form.get("password") != form.get("again"):
        return page("Choose a password", told("The two are not the same.") + _welcome_form(link), 400)
    try:
        with HASHING:
            person = use_link(backend.database, backend.pepper, link, form.get("password", ""))
    except AccountsError as error:
        return page("Choose a password", told(str(error)) + _welcome_form(link), 400)
    return let_in(backend, person)


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
    return page("Signed in", f"<p>{html.escape(caller.name)}</p><ul>{said}</ul>{api}{out}")


def _sign_out(backend: Backend, request: Request) -> Response:
    check_origin(backend, request.headers)
    if token := session_token(backend, request.headers):
        close_session(backend.database, backend.pepper, token)
    return RedirectResponse("/console/sign-in", 303, {**HEADERS, "set-cookie": cookie(backend, "", 0)})


def _sign_in_form(backend: Backend) -> str:
    provider = ""
    if backend.oidc is not None:
        host = html.escape(urllib.parse.urlsplit(backend.oidc.client.issuer).hostname or "")
        provider = f'<p><a href="/console/sign-in/provider">Sign in with {host}</a></p>'  # a form may not lead away
    return (
        f'{provider}<form method="post" action="/console/sign-in">'
        "<label>E-mail address <input name=email type=email autocomplete=username required></label>"
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
