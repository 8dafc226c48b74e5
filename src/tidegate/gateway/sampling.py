"""Hands a sample of calls to the labeller: only of tenants that opted in, drawn by id, dropped rather than queued.

A worker whose configuration names no such tenant has no sampler (`Server.sampler` is None). The request's bytes go into
a Unix socket; what the labeller has not taken yet waits in this process up to QUEUE_BYTES_MAX, and beyond that, or
without a labeller, samples are dropped and counted. A call never waits for it.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from tidegate.config import Config
from tidegate.core.sample import BODY_BYTES_MAX, LABELLER_APP, SOCKET_NAME, Sample, frame, is_drawn

if TYPE_CHECKING:
    from tidegate.gateway.call import Call
    from tidegate.gateway.meter import Totals

log = logging.getLogger(__name__)

QUEUE_BYTES_MAX: Final = 16 * 1024 * 1024
RETRY_S: Final = 0.25  # between two tries to reach the labeller
CLOSE_S: Final = 2.0  # for what still waits when the worker stops
OPERATIONS: Final = frozenset(("chat", "text_completion", "generate_content"))  # where a user says something in words


class Sampler(asyncio.Protocol):
    """One per worker that samples."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, path: Path, one_in: Mapping[str, int], seed: str, totals: "Totals"
    ) -> None:
        self._loop, self._path, self._one_in, self._totals = loop, path, one_in, totals
        self._seed = seed.encode()[:64]
        self._transport: asyncio.WriteTransport | None = None
        self._is_closing = False
        self._closed = asyncio.Event()
        self._connecting = loop.create_task(self._connect())

    def offer(self, call: "Call") -> None:
        """Hand the call over if it is drawn."""
        one_in = self._one_in.get(call.key.tenant_id)
        if one_in is None or call.operation.name not in OPERATIONS or call.operation.counts_only:
            return
        request = call.request
        if not is_drawn(call.generation_id, one_in, self._seed):
            return
        if request.headers.get(b"x-title") == LABELLER_APP.encode():
            return
        body = bytes(request.body)
        if self._has_room(len(body)):
            assert self._transport is not None
            self._transport.write(frame(Sample(call.generation_id, request.arrived_us, one_in, body)))
            self._totals.label_samples += 1
        else:
            self._totals.label_samples_dropped += 1

    def _has_room(self, size: int) -> bool:
        transport = self._transport
        if transport is None or size > BODY_BYTES_MAX:
            return False
        return transport.get_write_buffer_size() + size <= QUEUE_BYTES_MAX

    async def _connect(self) -> None:
        """Try until the labeller listens; it may start after this worker, or again."""
        while not self._is_closing:
            try:
                await self._loop.create_unix_connection(lambda: self, str(self._path))
                return
            except OSError:
                await asyncio.sleep(RETRY_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._is_closing:
            self._closed.set()
            return
        log.warning("labels: the labeller is gone; samples are dropped until it is back")
        self._connecting = self._loop.create_task(self._connect())

    async def close(self) -> None:
        """Let the labeller have what still waits, for at most CLOSE_S."""
        self._is_closing = True
        self._connecting.cancel()
        if self._transport is None:
            return
        self._transport.close()  # after what is buffered
        try:
            await asyncio.wait_for(self._closed.wait(), CLOSE_S)
        except TimeoutError:
            log.warning("labels: the labeller did not take the last samples in time")


def sampler_of(loop: asyncio.AbstractEventLoop, config: Config, totals: "Totals") -> Sampler | None:
    """None where no tenant opted in."""
    one_in = config.labelled_one_in
    if not one_in:
        return None
    return Sampler(loop, config.run_path / SOCKET_NAME, one_in, config.labels.seed, totals)
