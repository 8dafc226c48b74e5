"""A fake provider: a real HTTP server on loopback whose behaviour the request's model names.

It speaks raw bytes, so that a stall, a half event or a reset is a real one.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from rig.server import ThreadedServer

USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17, "prompt_tokens_details": {"cached_tokens": 4},
         "completion_tokens_details": {"reasoning_tokens": 2}}  # fmt: skip

Script = Callable[["Call"], Awaitable[None]]


class Call:
    """One request as the provider saw it, and the means to answer it."""

    def __init__(self, head: bytes, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head, self.raw, self.reader, self.writer = head, body, reader, writer
        self.body: dict[str, Any] = json.loads(body)

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, status: int, payload: Any, extra: str = "") -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
        await self.write(head.encode() + body)

    async def begin_stream(self) -> None:
        await self.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def event(self, payload: Any) -> None:
        await self.chunk(b"data: " + json.dumps(payload).encode() + b"\n\n")

    async def end_stream(self, *, done: bool = True) -> None:
        if done:
            await self.chunk(b"data: [DONE]\n\n")
        await self.write(b"0\r\n\r\n")


def completion(model: str, *, usage: Any = USAGE, text: str = "Four.") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    reply = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
    return reply | ({"usage": usage} if usage else {})


def delta(text: str | None, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def usage_event() -> dict[str, Any]:
    return delta(None) | {"choices": [], "usage": USAGE}


async def answer(call: Call) -> None:
    """A well-behaved provider: streamed or not, with usage when asked."""
    if not call.body.get("stream"):
        await call.reply(200, completion(call.body["model"]))
        return
    await call.begin_stream()
    for word in ("Two ", "and ", "two ", "are ", "four."):
        await call.event(delta(word))
    await call.event(delta(None, "stop"))
    if (call.body.get("stream_options") or {}).get("include_usage"):
        await call.event(usage_event())
    await call.end_stream()


class FakeProvider(ThreadedServer):
    """Serves scripts by model name; `calls` is what arrived, `gone` counts connections the other side dropped early."""

    def __init__(self, scripts: dict[str, Script] | None = None, *, ssl: Any = None) -> None:
        super().__init__()
        self.scripts = scripts or {}
        self.calls: list[Call] = []
        self.aborted: list[str] = []  # models whose caller hung up in the middle
        self.connections = 0
        self._ssl = ssl

    @property
    def url(self) -> str:
        return f"{'https' if self._ssl else 'http'}://localhost:{self.port}/v1"

    async def listen(self) -> asyncio.Server:
        return await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self._ssl)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        model = ""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                call = Call(head[:-4], b"{}", reader, writer)
                raw = await reader.readexactly(int(call.headers["content-length"]))
                call.raw, call.body = raw, json.loads(raw)
                model = str(call.body["model"])
                self.calls.append(call)
                await self.scripts.get(model, answer)(call)
                model = ""
        except (asyncio.IncompleteReadError, ConnectionError):
            if model:
                self.aborted.append(model)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()
