"""Signing in and out with a password, setting one, and who one is."""

import threading
import time
from typing import Final

import msgspec

from tidegate.accounts.links import use_link
from tidegate.accounts.people import Person, Role
from tidegate.accounts.sign_in import check_password, close_session, open_session, set_password
from tidegate.console.access import Caller
from tidegate.console.admin import ROOT
from tidegate.console.backend import Backend
from tidegate.console.callers import check_origin, cookie, csrf_of, session_token
from tidegate.console.operations import MANAGERS, Answered, Asked, Operation
from tidegate.core.errors import Forbidden, QuotaExceeded, Unauthenticated

HASHING: Final = threading.Semaphore(1)
"""One password at a time: each check takes 64 MiB and a tenth of a second of a core, for whoever asks."""
WAITING: Final = threading.Semaphore(8)
"""So many may wait for that; else a crowd that signs in would take every thread of the console."""
HASHING_WAIT_S: Final = 5.0


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person types."""

    email: str
    password: str

    def __repr__(self) -> str:
        return "Credentials()"


class FirstPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A one-time link's last part, and the password that it sets."""

    link: str
    password: str

    def __repr__(self) -> str:
        return "FirstPassword()"


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password as it is, and as it shall be."""

    current: str
    password: str

    def __repr__(self) -> str:
        return "NewPassword()"


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what they are where. `role`: in the installation, thus in every tenant.

    `csrf`: goes into the header `x-csrf-token` of whatever changes something under this session; "" for a key.
    """

    kind: str
    caller_id: str
    name: str
    role: Role | None
    roles: dict[str, Role]
    csrf: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """It is done."""

    done: bool = True


def sign_in(backend: Backend, credentials: Credentials, address: str) -> tuple[Person, str]:
    """The person, and the token of a new session. Raises QuotaExceeded for too many tries, Unauthenticated."""
    account, now_s = credentials.email.strip().lower()[:254], time.monotonic()
    if wait_s := backend.throttle.wait_s(account, address, now_s):
        raise QuotaExceeded("Too many wrong passwords; wait a little before the next one.", retry_after_s=wait_s)
    backend.throttle.failed(account, address, now_s)  # before it is looked at: tries at one moment count too
    try:
        person = _checked(backend, credentials)
    except QuotaExceeded:
        backend.throttle.forgotten(account, address)
        raise
    if person is None:
        raise Unauthenticated("The address or the password is wrong.")
    backend.throttle.succeeded(account, address)
    return person, new_session(backend, person)


def _checked(backend: Backend, credentials: Credentials) -> Person | None:
    crowd = QuotaExceeded("Too many people sign in at this moment; try again.", retry_after_s=5)
    if not WAITING.acquire(blocking=False):
        raise crowd
    try:
        if not HASHING.acquire(timeout=HASHING_WAIT_S):
            raise crowd
        try:
            return check_password(backend.database, credentials.email, credentials.password)
        finally:
            HASHING.release()
    finally:
        WAITING.release()


def new_session(backend: Backend, person: Person) -> str:
    """The token of a session that begins now."""
    return open_session(backend.database, backend.pepper, person.person_id, lasts_s=session_s(backend))


def session_s(backend: Backend) -> int:
    return int(backend.config.console.session_h * 3600)


def _post(asked: Asked) -> Answered:
    check_origin(asked.backend, asked.headers)
    person, token = sign_in(asked.backend, asked.body, asked.address)
    who = Who(
        kind="person",
        caller_id=person.person_id,
        name=person.email,
        role="owner" if person.is_operator else None,
        roles={},
        csrf=csrf_of(asked.backend, token),
    )
    return Answered(body=who, set_cookie=cookie(asked.backend, token, session_s(asked.backend)))


def who_of(caller: Caller) -> Who:
    return Who(
        kind=caller.kind,
        caller_id=caller.caller_id,
        name=caller.name,
        role=caller.role,
        roles=dict(caller.roles),
        csrf=caller.csrf,
    )


def _get(asked: Asked) -> Who:
    return who_of(asked.caller)


def _delete(asked: Asked) -> Answered:
    if token := session_token(asked.backend, asked.headers):
        close_session(asked.backend.database, asked.backend.pepper, token)
    return Answered(body=Done(), set_cookie=cookie(asked.backend, "", 0))


def _first_password(asked: Asked) -> Done:
    check_origin(asked.backend, asked.headers)
    with HASHING:
        use_link(asked.backend.database, asked.backend.pepper, asked.body.link, asked.body.password)
    return Done()


def _change_password(asked: Asked) -> Answered:
    """Every session ends, this one too, and another begins here."""
    caller, backend = asked.caller, asked.backend
    if caller.kind != "person":
        raise Forbidden("Only a person has a password.")
    person, token = sign_in(backend, Credentials(email=caller.name, password=asked.body.current), asked.address)
    close_session(backend.database, backend.pepper, token)
    with HASHING:
        set_password(backend.database, person.person_id, asked.body.password)
    token = new_session(backend, person)
    return Answered(body=Done(), set_cookie=cookie(backend, token, session_s(backend)))


OPERATIONS: Final = (
    Operation(
        method="POST", path=f"{ROOT}/session", summary="Sign in with a password; the reply sets a cookie.",
        run=_post, body=Credentials, reply=Who, callers=frozenset(),
    ),
    Operation(method="GET", path=f"{ROOT}/session", summary="Who asks, and their roles.", run=_get, reply=Who),
    Operation(
        method="DELETE", path=f"{ROOT}/session", summary="Sign out.", run=_delete, reply=Done, callers=MANAGERS,
    ),
    Operation(
        method="POST", path=f"{ROOT}/session/password", summary="Change one's password; other sessions end.",
        run=_change_password, body=NewPassword, reply=Done,
    ),
    Operation(
        method="POST", path=f"{ROOT}/passwords", summary="Set a password with a one-time link.",
        run=_first_password, body=FirstPassword, reply=Done, callers=frozenset(),
    ),
)  # fmt: skip
