"""Readers of many streams at once; counts events and the CPU that a subject spends on them in a window.

Run as a script with one JSON argument (`Job`); prints one JSON line (`Streams`). CPU and events are taken at the same
two moments, when every stream is under way, so that neither the opening nor the closing of streams is counted.
"""

import asyncio
import functools
import sys
import time
from typing import cast

import msgspec
import uvloop

from harness.bodies import stream_body
from harness.process import cpu_s, rss_mb, tree

EVENT = b"data: {"
CONTENT = b'"content":"'
DONE = b"data: [DONE]"
DELAY_EVERY = 8  # one delay sample in so many reads
CLOSE_S = 60.0


class Job(msgspec.Struct, frozen=True):
    port: int
    authorization: str
    streams: int
    events: int  # content events a stream
    settle_s: float  # from the start of the streams to the window
    window_s: float
    pid: int  # root of the subject's processes


class Streams(msgspec.Struct, frozen=True):
    """What the readers saw: events and CPU of the subject in the window, totals over the whole streams."""

    window_s: float
    window_events: int
    window_cpu_s: float
    events: int
    done: int  # streams that ended with [DONE]
    bad_heads: int  # streams whose status was not 200
    delay_p50_us: float
    delay_p99_us: float
    rss_mb: float


class Counters:
    def __init__(self) -> None:
        self.events = self.done = self.bad_heads = self.reads = 0
        self.delays_ns: list[int] = []
        self.timing = False


class Reader(asyncio.Protocol):
    """One stream; looks for markers across reads by keeping the last bytes, and closes at [DONE]."""

    def __init__(self, request: bytes, counters: Counters, finished: asyncio.Future[None]) -> None:
        self._request, self._counters, self._finished = request, counters, finished
        self._tail = b""
        self._head_seen = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own type, no subclass
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._finished.done():
            self._finished.set_result(None)

    def data_received(self, data: bytes) -> None:
        counters = self._counters
        if not self._head_seen:
            self._head_seen = True
            counters.bad_heads += not data.startswith(b"HTTP/1.1 200")
        counters.events += (self._tail[-len(EVENT) + 1 :] + data).count(EVENT)
        counters.reads += 1
        if counters.timing and counters.reads % DELAY_EVERY == 0:
            self._time(data)
        if DONE in self._tail[-len(DONE) + 1 :] + data and self._transport:
            counters.done += 1
            self._transport.close()
        self._tail = data[-len(DONE) :]

    def _time(self, data: bytes) -> None:
        at = data.rfind(CONTENT) + len(CONTENT)
        stamp = data[at : at + 20]
        if at >= len(CONTENT) and stamp.isdigit() and len(stamp) == 20:
            self._counters.delays_ns.append(time.monotonic_ns() - int(stamp))


def quantile_us(samples_ns: list[int], share: float) -> float:
    """The sample below which `share` of the samples lie; 0 without samples."""
    ordered = sorted(samples_ns)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000, 1) if ordered else 0.0


async def read_streams(job: Job) -> Streams:
    loop = asyncio.get_running_loop()
    body, counters = stream_body(job.events), Counters()
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (job.port, job.authorization.encode(), len(body), body)
    )
    finished = [loop.create_future() for _ in range(job.streams)]
    for future in finished:
        await loop.create_connection(functools.partial(Reader, request, counters, future), "127.0.0.1", job.port)
        await asyncio.sleep(0.0013)  # streams start apart, so that their clocks are apart
    await asyncio.sleep(job.settle_s)
    pids = tree(job.pid)
    counters.timing = True
    events, cpu, began = counters.events, cpu_s(pids), time.monotonic()
    await asyncio.sleep(job.window_s)
    window = (time.monotonic() - began, counters.events - events, cpu_s(pids) - cpu)
    counters.timing, memory = False, rss_mb(pids)
    await asyncio.wait(finished, timeout=CLOSE_S)
    return Streams(
        window_s=window[0],
        window_events=window[1],
        window_cpu_s=window[2],
        events=counters.events,
        done=counters.done,
        bad_heads=counters.bad_heads,
        delay_p50_us=quantile_us(counters.delays_ns, 0.5),
        delay_p99_us=quantile_us(counters.delays_ns, 0.99),
        rss_mb=memory,
    )


if __name__ == "__main__":
    seen = uvloop.run(read_streams(msgspec.json.decode(sys.argv[1], type=Job)))
    sys.stdout.write(msgspec.json.encode(seen).decode() + "\n")
