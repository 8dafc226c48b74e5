"""A provider of paced streams: OpenAI chat-completion chunks of about 250 bytes, one socket write an event.

Run as a script: `python sse_provider.py PORT EVENTS_PER_S [CHAIN.pem]`, with the file over TLS. `max_tokens` of the
request is the number of content events (100 without it); usage follows in a last chunk when
`stream_options.include_usage` asks for it. Each content event carries the monotonic clock (ns, 20 digits), so that the
receiver can tell how long it was under way. Streams run on their own clocks, started as requests come, so events of
different streams do not arrive in one batch. After SIGUSR1 each stream ends at its next event.
"""

import asyncio
import resource
import signal
import ssl
import sys
import time
from typing import cast

import msgspec
import uvloop

EVENT_HEAD = (
    b'data: {"id":"chatcmpl-bench0002","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini",'
    b'"system_fingerprint":"fp_bench","choices":[{"index":0,"delta":'
)
CONTENT_HEAD = EVENT_HEAD + b'{"content":"'
CONTENT_TAIL = b' the tide turns."},"logprobs":null,"finish_reason":null}]}\n\n'
FIRST = EVENT_HEAD + b'{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
LAST = EVENT_HEAD + b'{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
USAGE = (
    b'data: {"id":"chatcmpl-bench0002","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini",'
    b'"system_fingerprint":"fp_bench","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":%d,'
    b'"total_tokens":%d}}\n\n'
)
EVENTS_DEFAULT = 100
DONE = b"data: [DONE]\n\n"
REPLY_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class Request(msgspec.Struct, frozen=True):
    """`max_tokens` may arrive as `max_completion_tokens`: a peer rewrites it."""

    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream_options: StreamOptions | None = None

    @property
    def events(self) -> int:
        return self.max_tokens or self.max_completion_tokens or EVENTS_DEFAULT


def content_event() -> bytes:
    return CONTENT_HEAD + b"%020d" % time.monotonic_ns() + CONTENT_TAIL


def framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


class Provider(asyncio.Protocol):
    """One connection: requests with Content-Length, answered one after another."""

    def __init__(self, period_s: float, ending: asyncio.Event) -> None:
        self._period_s, self._ending = period_s, ending
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own type, no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(rest) < length:
            return
        self._received = bytearray(rest[length:])
        request = msgspec.json.decode(rest[:length], type=Request)
        self._write(REPLY_HEAD + framed(FIRST))
        loop = asyncio.get_running_loop()
        loop.call_later(self._period_s, self._event, request, 0, loop.time() + self._period_s)

    def _event(self, request: Request, sent: int, due: float) -> None:
        if self._transport is None:
            return
        if sent == request.events or self._ending.is_set():
            self._end(request, sent)
            return
        self._write(framed(content_event()))
        asyncio.get_running_loop().call_at(due + self._period_s, self._event, request, sent + 1, due + self._period_s)

    def _end(self, request: Request, sent: int) -> None:
        self._write(framed(LAST))
        if request.stream_options and request.stream_options.include_usage:
            self._write(framed(USAGE % (sent, 12 + sent)))
        self._write(framed(DONE) + b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve(port: int, events_per_s: float, chain_file: str = "") -> None:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, ending.set)
    context = None
    if chain_file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain_file)
    server = await loop.create_server(
        lambda: Provider(1 / events_per_s, ending), "127.0.0.1", port, backlog=4096, ssl=context
    )
    await server.serve_forever()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:4]))
