"""The bytes of one attempt, as they are written to a provider."""

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tidegate.core.errors import GatewayError, UpstreamError
from tidegate.gateway.egress import request_head
from tidegate.gateway.http import Headers
from tidegate.gateway.operation import Operation
from tidegate.gateway.table import Serving
from tidegate.gateway.way import Way
from tidegate.wire.dialect import Pieces

JOIN_BYTES_MAX = 16 * 1024  # below it one copy is cheaper than a gathered write


PASSED_ON: Final = {"anthropic": (b"anthropic-beta",)}
"""Headers of a caller that a provider of the same dialect gets too: they say how the body is to be read."""


def passed_on(serving: Serving, operation: Operation, headers: Headers) -> bytes:
    """The header lines of the caller that go on to the provider."""
    names = PASSED_ON.get(operation.dialect.name)
    if names is None or serving.dialect is not operation.dialect:
        return b""
    return b"".join([b"%b: %b\r\n" % (name, headers[name]) for name in names if name in headers])


class Dispatch(Struct, frozen=True, gc=False):
    """What an attempt is made of. lines: header lines of the caller that go on to the provider."""

    serving: Serving
    operation: Operation
    way: Way
    lines: bytes


def prepare(attempt: Dispatch, then: Callable[[Pieces], None], refuse: Callable[[GatewayError], None]) -> None:
    """Give the bytes of an attempt to `then`: at once, or when the provider's credentials are ready; or refuse."""

    try:
        pieces = request_pieces(attempt)
    except GatewayError as error:
        refuse(error)
        return
    if pieces is not None:
        then(pieces)
    else:
        _sign_in(attempt, then, refuse)


def _sign_in(attempt: Dispatch, then: Callable[[Pieces], None], refuse: Callable[[GatewayError], None]) -> None:
    def signed_in(ready: "asyncio.Future[None]") -> None:
        error = UpstreamError("asking for credentials was given up") if ready.cancelled() else ready.exception()
        if error is None:
            prepare(attempt, then, refuse)
        else:
            refuse(error if isinstance(error, GatewayError) else UpstreamError(f"no credentials: {error}"))

    if attempt.serving.credentials is not None:
        attempt.serving.credentials.ready().add_done_callback(signed_in)


def request_pieces(attempt: Dispatch) -> Pieces | None:
    """Head and body, in the order of writing; None while the provider's credentials are not ready."""
    serving, operation, way, lines = attempt.serving, attempt.operation, attempt.way, attempt.lines
    if operation.counts_only:
        prefix = serving.count_prefix
    else:
        prefix = serving.stream_prefix if way.head.is_stream else serving.whole_prefix
    pieces = way.pieces
    if serving.credentials is not None:
        if serving.reshape is not None:
            pieces = serving.reshape(pieces)
        signed = serving.credentials.lines(prefix, pieces)
        if signed is None:
            return None
        lines += signed
    length = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
    head = request_head(prefix, length, lines)
    return (b"".join((head, *pieces)),) if length < JOIN_BYTES_MAX else (head, *pieces)
