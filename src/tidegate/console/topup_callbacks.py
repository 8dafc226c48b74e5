"""Where payment providers call: `/topups/NAME`, one path a channel. No key: a callback's signature says who calls."""

import logging
import time

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidegate.accounts.money import topups
from tidegate.accounts.money.callbacks import BODY_BYTES_MAX, Callback
from tidegate.accounts.money.channels import Channel
from tidegate.console.backend import Backend
from tidegate.core.errors import AccountsError, GatewayError, PathNotFound, PayloadTooLarge, Unavailable

log = logging.getLogger(__name__)


def callback_route(backend: Backend) -> Route:
    """The route of all channels."""

    async def topup_callback(request: Request) -> Response:
        channel = backend.channels.get(request.path_params["channel"])
        if channel is None:
            raise PathNotFound(f"No payment channel has the address {request.url.path[:200]}.")
        body = await _body(request)
        return await run_in_threadpool(_answer, backend, channel, _callback(request, body))

    return Route("/topups/{channel}", topup_callback, methods=["GET", "POST"])


async def _body(request: Request) -> bytes:
    """Raises PayloadTooLarge."""
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk
        if len(kept) > BODY_BYTES_MAX:
            raise PayloadTooLarge(f"A callback may be {BODY_BYTES_MAX} bytes long, no more.")
    return bytes(kept)


def _callback(request: Request, body: bytes) -> Callback:
    return Callback(
        method="POST" if request.method == "POST" else "GET",
        query=request.scope["query_string"],
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
    )


def _answer(backend: Backend, channel: Channel, callback: Callback) -> Response:
    """Read, take, answer as the provider understands it. Nothing of the callback but its outcome is logged."""
    try:
        said = channel.read(callback, int(time.time()))
        outcome = topups.take(backend.database, channel.name, said, time.time_ns() // 1000)
    except GatewayError as error:
        log.warning("a callback of %s was not taken: %s", channel.name, error)
        if channel.config.contract != "epay":
            raise
        return Response(channel.receipt(is_accepted=False)[1], error.status, media_type="text/plain")
    except (AccountsError, SQLAlchemyError) as error:
        log.error("a callback of %s could not be written down: %s", channel.name, error)
        raise Unavailable("The payment cannot be written down now; send it again.", retry_after_s=60) from error
    is_accepted = outcome in topups.ACCEPTED
    log.log(logging.INFO if is_accepted else logging.WARNING, "a callback of %s: %s", channel.name, outcome)
    status, body, content_type = channel.receipt(is_accepted=is_accepted)
    return Response(body, status, {"cache-control": "no-store"}, content_type)
