"""The bytes of one attempt, as they are written to a provider."""

import asyncio
from collections.abc import Callable

from tidegate.core.errors import GatewayError, UpstreamError
from tidegate.gateway.egress import request_head
from tidegate.gateway.operation import Operation
from tidegate.gateway.table import Serving
from tidegate.gateway.way import Way
from tidegate.wire.dialect import Pieces

JOIN_BYTES_MAX = 16 * 1024  # below it one copy is cheaper than a gathered write


def prepare(
    serving: Serving,
    operation: Operation,
    way: Way,
    then: Callable[[Pieces], None],
    refuse: Callable[[GatewayError], None],
) -> None:
    """Give the bytes of an attempt to `then`: at once, or when the provider's credentials are ready; or refuse."""

    def signed_in(ready: "asyncio.Future[None]") -> None:
        error = UpstreamError("asking for credentials was given up") if ready.cancelled() else ready.exception()
        if error is None:
            prepare(serving, operation, way, then, refuse)
        else:
            refuse(error if isinstance(error, GatewayError) else UpstreamError(f"no credentials: {error}"))

    try:
        pieces = request_pieces(serving, operation, way)
    except GatewayError as error:
        refuse(error)
        return
    if pieces is not None:
        then(pieces)
    elif serving.credentials is not None:
        serving.credentials.ready().add_done_callback(signed_in)


def request_pieces(serving: Serving, operation: Operation, way: Way) -> Pieces | None:
    """Head and body, in the order of writing; None while the provider's credentials are not ready."""
    if operation.counts_only:
        prefix = serving.count_prefix
    else:
        prefix = serving.stream_prefix if way.head.is_stream else serving.whole_prefix
    pieces, lines = way.pieces, b""
    if serving.credentials is not None:
        if serving.reshape is not None:
            pieces = serving.reshape(pieces)
        signed = serving.credentials.lines(prefix, pieces)
        if signed is None:
            return None
        lines = signed
    length = sum(map(len, pieces))
    head = request_head(prefix, length, lines)
    return (b"".join((head, *pieces)),) if length < JOIN_BYTES_MAX else (head, *pieces)
