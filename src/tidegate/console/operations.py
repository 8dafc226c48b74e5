"""What the console can be asked, as values: one `Operation` a path and method, and the one way in which all are run.

Find out who asks; hold that against the table of roles; read path, query and body into structs; run, in a thread;
write the struct that comes back. The reference of the HTTP interface is made from the same values.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidegate.accounts.errors import AccountExists, AccountNotFound
from tidegate.accounts.tenancy import find_tenant
from tidegate.console.access import Caller, require
from tidegate.console.backend import Backend
from tidegate.console.callers import CLIENT_HEADER, NEEDS_A_KEY, Knock, caller_of
from tidegate.core.errors import (
    AccountsError,
    ConfigError,
    GatewayError,
    InvalidRequest,
    LedgerError,
    PayloadTooLarge,
    QuotaStoreError,
    Unauthenticated,
    Unavailable,
)

log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 256 * 1024
DOCUMENT_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
Kind = Literal["person", "service_key", "api_key"]
MANAGERS: Final[frozenset[Kind]] = frozenset(("person", "service_key"))
PROGRAMS: Final[frozenset[Kind]] = frozenset(("api_key", "service_key"))
ANYBODY: Final[frozenset[Kind]] = frozenset(("person", "service_key", "api_key"))


class AccountMissing(GatewayError):
    """Nothing of that id or name."""

    status, code, kind = 404, "account_not_found", "invalid_request_error"


class AccountTaken(GatewayError):
    """The id, name or secret is taken."""

    status, code, kind = 409, "account_exists", "invalid_request_error"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request, read. `query` and `body` are of the operation's types; `address`: the caller's, "" if unknown."""

    backend: Backend
    caller: Caller
    path: Mapping[str, str]
    query: Any = None
    body: Any = None
    address: str = ""
    headers: Mapping[str, str] = {}

    @property
    def tenant_id(self) -> str:
        """The tenant in the path."""
        return self.path["tenant_id"]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that is more than its body: a cookie goes with it."""

    body: msgspec.Struct
    set_cookie: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that is no JSON: a page or a table, without scripts."""

    text: str
    content_type: str


Run = Callable[[Asked], msgspec.Struct | Answered | Document]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked. `action`: of the table of roles, in the tenant of the path if it has one.

    `callers`: the kinds that may ask at all; empty: everybody, before anybody is looked for (signing in).
    `other_types`: of replies that are no JSON, where the query asks for one.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    summary: str
    run: Run
    reply: type[msgspec.Struct]
    action: str | None = None
    callers: frozenset[Kind] = MANAGERS
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    status: int = 200
    other_types: tuple[str, ...] = ()


def routes_of(backend: Backend, operations: tuple[Operation, ...]) -> list[Route]:
    """Routes of an application, one a path."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [_route(backend, path, methods) for path, methods in by_path.items()]


def _route(backend: Backend, path: str, methods: dict[str, Operation]) -> Route:
    async def answer(request: Request) -> Response:
        operation = methods["GET" if request.method == "HEAD" else request.method]
        body = await _body_of(request) if operation.body is not None else b""
        return await run_in_threadpool(respond, backend, operation, request, body)

    return Route(path, answer, methods=list(methods), name="operation")


async def _body_of(request: Request) -> bytes:
    """The body, if it is not too large. Raises PayloadTooLarge."""
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk
        if len(kept) > BODY_BYTES_MAX:
            raise PayloadTooLarge(f"A request here may be {BODY_BYTES_MAX} bytes long, no more.")
    return bytes(kept)


def respond(backend: Backend, operation: Operation, request: Request, body: bytes) -> Response:
    """The reply. Blocking. Raises GatewayError for whatever is refused."""
    began = time.monotonic()
    caller = NOBODY
    try:
        if operation.callers:
            caller = caller_of(backend, Knock(method=request.method, headers=request.headers))
            _check_kind(operation, caller)
            if operation.action is not None:
                tenant_id = request.path_params.get("tenant_id")
                require(caller, operation.action, tenant_id)
                if tenant_id is not None:
                    find_tenant(backend.database, tenant_id)  # who may see every tenant may also ask for none
        asked = Asked(
            backend=backend,
            caller=caller,
            path=request.path_params,
            query=_query_of(operation, request),
            body=_read_body(operation, body),
            address=request.headers.get(CLIENT_HEADER, ""),
            headers=request.headers,
        )
        done = operation.run(asked)
    except (AccountsError, ConfigError, LedgerError, SQLAlchemyError) as error:
        raise told(error) from error
    if operation.method != "GET":
        log.info("%s %s by %s (%.0f ms)", operation.method, operation.path, caller.caller_id or "nobody",
                 1000 * (time.monotonic() - began))  # fmt: skip
    headers = {"cache-control": "no-store"}
    if isinstance(done, Document):
        return Response(done.text, operation.status, {**headers, **DOCUMENT_HEADERS, "content-type": done.content_type})
    if isinstance(done, Answered):
        if done.set_cookie:
            headers["set-cookie"] = done.set_cookie
        done = done.body
    return Response(msgspec.json.encode(done), operation.status, headers, "application/json")


NOBODY: Final = Caller(kind="api_key", caller_id="", name="")
"""Who asks where nobody has to say."""


def told(error: AccountsError | ConfigError | LedgerError | SQLAlchemyError) -> GatewayError:
    """What a caller learns of a failure below: the text of what they can mend, not of what is broken here."""
    if isinstance(error, AccountNotFound):
        return AccountMissing(str(error))
    if isinstance(error, AccountExists):
        return AccountTaken(str(error))
    if isinstance(error, QuotaStoreError | ConfigError | LedgerError | SQLAlchemyError):
        log.error("the accounts or the ledger cannot be used: %s", error)
        return Unavailable("The accounts or the ledger cannot be used now; the operator's log says why.")
    return InvalidRequest(str(error))


def _check_kind(operation: Operation, caller: Caller) -> None:
    """Raises Forbidden for a caller of a kind that cannot ask this, before any role is looked at."""
    if caller.kind in operation.callers:
        return
    if caller.kind == "api_key":
        require(caller, operation.action or "tenant.read", "")
    raise Unauthenticated(NEEDS_A_KEY)


def _query_of(operation: Operation, request: Request) -> Any:
    """The query as its struct; without one, anything may stand there."""
    if operation.query is None:
        return None
    try:
        return msgspec.convert(dict(request.query_params), operation.query, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The query is wrong: {error}. Accepted: {_fields(operation.query)}.") from error


def _read_body(operation: Operation, body: bytes) -> Any:
    if operation.body is None:
        return None
    try:
        return msgspec.json.decode(body or b"{}", type=operation.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, AccountsError) as error:
        raise InvalidRequest(f"The body is wrong: {error}. Accepted: {_fields(operation.body)}.") from error


def _fields(kind: type[msgspec.Struct]) -> str:
    """The fields of a struct as a caller writes them, optional ones in brackets."""
    fields = msgspec.structs.fields(kind)
    return ", ".join(field.encode_name if field.required else f"[{field.encode_name}]" for field in fields) or "nothing"
