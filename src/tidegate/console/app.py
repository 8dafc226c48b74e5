"""The console's ASGI application."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tidegate.accounts.money.terms import has_terms
from tidegate.config import Config
from tidegate.console import litellm, one_api, pages
from tidegate.console.access import require
from tidegate.console.admin import (
    hooks,
    keys,
    money,
    people,
    prices,
    provider_keys,
    quotas,
    sessions,
    spent,
    statements,
    tenants,
    topups,
)
from tidegate.console.backend import Backend
from tidegate.console.callers import KEY_HEADER, TENANT_HEADER, Knock, caller_of
from tidegate.console.feedback import BODY_BYTES_MAX, judgement_of, read_feedback, reply_of
from tidegate.console.generation import GenerationReply, generation_of
from tidegate.console.openrouter import keys as openrouter_keys
from tidegate.console.openrouter import reports
from tidegate.console.operations import routes_of
from tidegate.console.status import Status, StatusReader, may_see_ledger, page
from tidegate.console.topup_callbacks import callback_route
from tidegate.core.error_types import openrouter_body
from tidegate.core.error_words import language_of, speak
from tidegate.core.errors import (
    GatewayError,
    InternalError,
    InvalidRequest,
    LedgerError,
    MethodNotAllowed,
    PathNotFound,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
    error_body,
)
from tidegate.ledger.lookup import Generation, find_generation
from tidegate.ledger.outcomes import append
from tidegate.ledger.store import Ledger

log = logging.getLogger(__name__)

OPERATIONS = (
    *sessions.OPERATIONS,
    *tenants.OPERATIONS,
    *people.OPERATIONS,
    *keys.OPERATIONS,
    *quotas.OPERATIONS,
    *money.OPERATIONS,
    *topups.OPERATIONS,
    *prices.OPERATIONS,
    *hooks.OPERATIONS,
    *spent.OPERATIONS,
    *statements.OPERATIONS,
    *provider_keys.OPERATIONS,
    *openrouter_keys.OPERATIONS,
    *reports.OPERATIONS,
    *one_api.OPERATIONS,
)
"""All that is served from values; the routes beside them are written out below."""

PAGE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


class GenerationNotFound(GatewayError):
    status, code, kind = 404, "generation_not_found", "invalid_request_error"


def create_app(config: Config) -> Starlette:
    """The application for one installation. Whatever reads or writes files runs in a thread, off the event loop."""
    backend = Backend(config)
    ledger_of = backend.ledger
    reader = StatusReader()

    def generation(request: Request) -> Response:
        tenant_id, sees_upstream = _reader(backend, request)
        found = _own_generation(ledger_of, request.query_params.get("id", ""), tenant_id)
        return _json(GenerationReply(data=generation_of(found.row, found.attempts, sees_upstream=sees_upstream)))

    def judge(body: bytes, tenant_id: str, key_id: str | None) -> Response:
        given = read_feedback(body)
        _own_generation(ledger_of, given.generation_id, tenant_id)
        judgement = judgement_of(given, tenant_id, key_id, time.time_ns() // 1000)
        try:
            append(ledger_of(), judgement)
        except LedgerError as error:
            log.error("feedback cannot be kept: %s", error)
            raise Unavailable("The feedback cannot be kept; the operator's log says why.") from error
        return _json(reply_of(judgement), 201)

    async def feedback(request: Request) -> Response:
        tenant_id = _tenant(request)
        body = await _body(request)
        return await run_in_threadpool(judge, body, tenant_id, request.headers.get(KEY_HEADER))

    def start_page(request: Request) -> Response:
        status: Status | str | None = None
        if may_see_ledger(request.headers):
            try:
                status = reader.read(ledger_of())
            except LedgerError as error:
                log.error("the ledger cannot be read: %s", error)
                status = str(error)
        return HTMLResponse(page(status), headers=PAGE_HEADERS)

    def health(_: Request) -> Response:
        return _json({"status": "ok"})

    return Starlette(
        lifespan=_lifespan(backend),
        routes=[
            Route("/", start_page),
            Route("/healthz", health),
            Route("/api/v1/generation", generation),
            Route("/v1/generation", generation),
            Route("/api/v1/feedback", feedback, methods=["POST"]),
            Route("/v1/feedback", feedback, methods=["POST"]),
            callback_route(backend),
            *routes_of(backend, OPERATIONS),
            *routes_of(backend, litellm.OPERATIONS if config.console.litellm_paths else ()),
            *pages.routes_of(backend),
        ],
        exception_handlers={
            GatewayError: _on_gateway_error,
            HTTPException: _on_http_exception,
            Exception: _on_fault,
        },
    )


def _lifespan(backend: Backend) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
    """Gives back what the application has opened when its server ends."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        backend.close()

    return lifespan


def _reader(backend: Backend, request: Request) -> tuple[str | None, bool]:
    """The tenant whose calls may be read (None: every one's), and whether what providers charged for them, too.

    That is the operator's to see; and everybody's, as long as no tenant is charged otherwise than the operator is.
    Raises Unauthenticated, Forbidden.
    """
    tenant_id, is_operator = request.headers.get(TENANT_HEADER), False
    if not tenant_id:
        tenant_id, is_operator = _service_reader(backend, request)
    if is_operator:
        return tenant_id, True
    with backend.database.reading() as connection:
        return tenant_id, not has_terms(connection)


def _service_reader(backend: Backend, request: Request) -> tuple[str | None, bool]:
    """As a service key may: the tenant, and whether the key is the operator's."""
    caller = caller_of(backend, Knock(method=request.method, headers=request.headers))
    if caller.kind != "service_key":
        return caller.tenant_id or _tenant(request), False
    require(caller, "usage.read", caller.tenant_id or "")
    return caller.tenant_id, caller.role is not None


def _tenant(request: Request) -> str:
    """Whose key the gateway has seen. Raises Unauthenticated where there was none."""
    tenant_id = request.headers.get(TENANT_HEADER)
    if not tenant_id:
        raise Unauthenticated("This needs an API key: send `Authorization: Bearer KEY`.")
    return tenant_id


async def _body(request: Request) -> bytes:
    """The body, if it is not larger than feedback may be. Raises PayloadTooLarge."""
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk
        if len(kept) > BODY_BYTES_MAX:
            raise PayloadTooLarge(f"Feedback may be {BODY_BYTES_MAX} bytes long, no more.")
    return bytes(kept)


def _own_generation(ledger_of: Callable[[], Ledger], generation_id: str, tenant_id: str | None) -> Generation:
    """The call with this id, if it is the tenant's; with None, any tenant's.

    Another tenant's is not found: that it exists is nobody's news.
    """
    if not generation_id:
        raise InvalidRequest("The query parameter `id` is missing: GET /api/v1/generation?id=GENERATION_ID", param="id")
    try:
        found = find_generation(ledger_of(), generation_id)
    except LedgerError as error:
        log.error("the ledger cannot be read: %s", error)
        raise Unavailable("The ledger cannot be read; the operator's log says why.") from error
    if found is None or (tenant_id is not None and found.row.tenant_id != tenant_id):
        raise GenerationNotFound(
            f"No generation {generation_id[:64]!r} in this account. The id stands in the header `x-generation-id` of "
            "every reply.",
            param="id",
        )
    return found


def _json(
    body: msgspec.Struct | dict[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        msgspec.json.encode(body), status, {"cache-control": "no-store", **(headers or {})}, "application/json"
    )


def _on_gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    speak(error, language_of(request.headers.get("accept-language", "")))
    body = openrouter_body(error) if request.url.path.startswith("/api/v1/") else error_body(error)
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return _json(body, error.status, headers)


def _on_fault(request: Request, error: Exception) -> Response:
    """A fault of ours: the caller gets the one error shape, the operator the traceback."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _on_gateway_error(request, InternalError("The console failed here; the operator's log says why."))


def _on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, in the one error shape."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return _on_gateway_error(request, MethodNotAllowed(f"{request.method} is not allowed here"))
    return _on_gateway_error(request, PathNotFound(f"Nothing is served at {request.url.path[:200]}"))
