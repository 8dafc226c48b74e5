"""What the pages for people are made of: one frame without scripts, and the way in once somebody is known."""

import html
import logging
from typing import Final

from starlette.responses import HTMLResponse, RedirectResponse, Response

from tidegate.accounts.people import Person
from tidegate.console.admin.sessions import new_session, session_s
from tidegate.console.backend import Backend
from tidegate.console.callers import cookie

log = logging.getLogger(__name__)

HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
    ),
    "referrer-policy": "same-origin",  # a one-time link is in the address; `no-referrer` would take forms their Origin
    "x-content-type-options": "nosniff",
}
HOME: Final = "/console"


def let_in(backend: Backend, person: Person) -> Response:
    log.info("%s signed in", person.person_id)
    return signed_in(backend, new_session(backend, person))


def signed_in(backend: Backend, token: str) -> Response:
    set_cookie = cookie(backend, token, session_s(backend))
    return RedirectResponse(HOME, 303, {**HEADERS, "set-cookie": set_cookie})


def told(text: str) -> str:
    return f'<p class="wrong" role="alert">{html.escape(text)}</p>'


def again(text: str) -> str:
    return f'{told(text)}<p><a href="/console/sign-in">Sign in</a></p>'


def page(title: str, body: str, status: int = 200) -> Response:
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
